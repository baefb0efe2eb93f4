"""Accepted work: one file for each test, beside the folders of the machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from pytest_greenops.baselines.file_tree import FileTree, read_all
from pytest_greenops.baselines.work_file import decode, encode, read_existing
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.counted import Coverage
from pytest_greenops.model.work_baseline import WORK_SCHEMA, AcceptedWork, WorkBaseline

#: The folder of accepted work in that of the baselines. No machine has this name: theirs end in a
#: fingerprint.
WORK = "work"
#: Coverage is accepted anew only if it moved by more than this: it is not the same in each run.
_APART = 0.05


class WorkStore(FileTree[WorkBaseline]):
    """The accepted work of all tests: `<folder>/work/<module>/<test and params>.json`."""

    def __init__(self, folder: Path, other_folder: str = "--energy-baselines=DIR") -> None:
        super().__init__(folder, WORK, decode, encode, other_folder)

    def accept(self, test: TestKey, accepted: Mapping[str, AcceptedWork]) -> Path:
        """Save accepted work by name, in place of what was accepted before; keep other names."""
        return self.update(test, lambda known: accept_work(known, test, accepted))


def accept_work(
    known: WorkBaseline | None, test: TestKey, accepted: Mapping[str, AcceptedWork]
) -> WorkBaseline:
    """Return a baseline with accepted work by name.

    What was accepted before stays as it is, with its date, where the work is the same.
    """
    before = known.measurements if known else {}
    changed = {
        name: work
        for name, work in accepted.items()
        if name not in before or not _same(work, before[name])
    }
    return WorkBaseline(WORK_SCHEMA, test, {**before, **changed})


def unite_work(baselines: Iterable[WorkBaseline]) -> tuple[WorkBaseline, tuple[str, ...]]:
    """Merge the accepted work of one test: of each name the last; also a line for what is lost.

    Something is lost where the facts differ: then the tables are of two environments.
    """
    first, *others = sorted(baselines, key=lambda each: _last(each.measurements.values()))
    united, lost = dict(first.measurements), []
    for other in others:
        for name, work in other.measurements.items():
            older, newer = sorted((united.get(name, work), work), key=lambda each: each.accepted_at)
            if older.facts != newer.facts:
                facts = sorted(dict(older.facts.items() ^ newer.facts.items()))
                lost.append(
                    f"{name}: the facts differ ({', '.join(facts)}): the work accepted last is kept"
                )
            united[name] = newer
    return replace(first, measurements=united), tuple(dict.fromkeys(lost))


class WorkSurvey(NamedTuple):
    """All accepted work of a folder by its file, and a line for each unreadable file."""

    baselines: dict[Path, WorkBaseline]
    damaged: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether the folder has no accepted work."""
        return not (self.baselines or self.damaged)


def survey_work(folder: Path) -> WorkSurvey:
    """Read all accepted work in a folder of baselines."""
    return WorkSurvey(*read_all([folder / WORK], read_existing))


def _same(work: AcceptedWork, known: AcceptedWork) -> bool:
    """Return whether work is what was accepted, but for what differs from run to run."""
    counted = replace(work.counted, coverage=known.counted.coverage)
    if work.counted.coverage.peak_varies:
        counted = replace(counted, peak_bytes=known.counted.peak_bytes)
    accepted_at, revision = known.accepted_at, known.revision
    steady = replace(work, accepted_at=accepted_at, revision=revision, counted=counted)
    return steady == known and _alike(work.counted.coverage, known.counted.coverage)


def _alike(coverage: Coverage, known: Coverage) -> bool:
    """Return whether as much is covered, within what differs from run to run."""
    shares = replace(coverage, share=known.share, threads=known.threads, children=known.children)
    if shares != known or (coverage.share is None) != (known.share is None):
        return False
    return all(
        abs(one - other) <= _APART
        for one, other in (
            (coverage.share or 0.0, known.share or 0.0),
            (coverage.threads, known.threads),
            (coverage.children, known.children),
        )
    )


def _last(accepted: Iterable[AcceptedWork]) -> str:
    return max((each.accepted_at for each in accepted), default="")
