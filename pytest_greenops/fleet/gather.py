"""What a fleet brings home: baselines of every kind in one folder, and checked results."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from pytest_greenops.baselines.store import Store, survey
from pytest_greenops.baselines.whole_file import write_whole
from pytest_greenops.baselines.work_store import WORK, survey_work
from pytest_greenops.commands import results_file
from pytest_greenops.commands.merge import merge
from pytest_greenops.fleet.part import Kind, Part
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.result import SCHEMA, FleetResults, Results
from pytest_greenops.model.units import counted
from pytest_greenops.report.document import fleet_to_json, to_json

#: A part of a path that a baseline may have, as `file_tree` makes them.
_SAFE = re.compile(r"(?!\.\.?$)[^/\x00-\x1f]{1,255}")


def do_each(steps: Sequence[Iterator[str]]) -> tuple[list[str], int]:
    """Do all steps, also after one that fails; return their lines and errors, and how many failed.

    So a full disk, or a node with damaged results, does not cost the baselines of all.
    """
    lines: list[str] = []
    failed = 0
    for step in steps:
        try:
            for line in step:
                lines.append(line)
        except GreenopsError as error:
            lines.append(str(error))
            failed += 1
    return lines, failed


def own_folder(kind: Kind) -> Path:
    """Return the folder of baselines that the nodes of a kind use, in the project.

    Raises `GreenopsError` if that is no folder in it: nothing is written where a node says.
    """
    said = PurePosixPath(kind.collected.results.policy.baselines)
    if said.is_absolute() or ".." in said.parts:
        raise GreenopsError(f"{kind.slug}: its baselines are in {said}, outside of the project")
    return Path(said)


def check_shipped(kinds: Sequence[Kind]) -> None:
    """Raise `GreenopsError` if baselines are here that the nodes do not see."""
    for kind in kinds:
        folder = own_folder(kind)
        here = len(Store(folder, kind.slug).files())
        if here > kind.collected.baselines:
            there = kind.collected.baselines
            raise GreenopsError(
                f"{folder / kind.slug}: {counted(here, 'baseline')} here, {there} on the nodes, "
                "which would compare with fewer; .gitignore or .rayignore keeps them from being "
                "shipped: remove that line"
            )


def bring_baselines(parts: Sequence[Part], root: Path = Path()) -> Iterator[str]:
    """Merge what the nodes saved into the baselines here, and yield what became of it.

    root  the project, where the command is called

    Raises `GreenopsError` for what is no baseline, before anything is written.
    """
    by_folder: dict[Path, list[Part]] = {}
    for part in parts:
        if any(True for _ in part.files()):
            by_folder.setdefault(own_folder(part.kind), []).append(part)
    for out, saved in by_folder.items():
        with tempfile.TemporaryDirectory(prefix="pytest-greenops-fleet-") as there:
            folders = []
            for number, part in enumerate(saved):
                folder = Path(there, str(number))
                for name, text in part.files():
                    path = folder / _checked(name, part.kind.slug)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text, encoding="utf-8")
                damaged = (*survey(folder, optional=True).damaged, *survey_work(folder).damaged)
                if damaged:
                    raise GreenopsError(
                        f"{part.kind.slug}: sent {counted(len(damaged), 'damaged baseline')}: none "
                        "was merged; save again"
                    )
                folders.append(folder)
            yield from merge(root / out, folders)


def _checked(name: str, machine: str) -> PurePosixPath:
    """Return the path of a baseline that a node names; raise `GreenopsError` for any other."""
    first, *others = name.split("/")
    safe = all(_SAFE.fullmatch(part) for part in others)
    if first not in (machine, WORK) or not others or not safe or not name.endswith(".json"):
        raise GreenopsError(f"{machine}: sent {name!r}, which is no baseline of this machine")
    return PurePosixPath(name)


def checked_results(parts: Sequence[Part]) -> list[tuple[Part, Results]]:
    """Return what each run measured, as a reader of its file gets it; raise `GreenopsError`."""
    found = []
    with tempfile.TemporaryDirectory(prefix="pytest-greenops-fleet-") as folder:
        for number, part in enumerate(parts):
            if (results := part.results) is not None:
                path = Path(folder, f"{number}.json")
                write_whole(path, to_json(results))
                try:
                    found.append((part, results_file.read(path)))
                except GreenopsError as error:
                    said = str(error).removeprefix(f"{path}: ")
                    raise GreenopsError(f"{part.kind.slug}: its results are {said}") from None
    return found


def write_results(path: Path, runs: Mapping[str, Results]) -> Iterator[str]:
    """Write the results of all runs into one file, and yield what is in it.

    Those of several runs are also in a file each, beside it, for commands that take one machine.
    """
    try:
        if len(runs) == 1:
            write_whole(path, to_json(next(iter(runs.values()))))
            return
        every = tuple(runs.values())
        write_whole(path, fleet_to_json(FleetResults(SCHEMA, every)))
        for label, results in runs.items():
            one = results_file.of_machine(path, label.replace(" #", "-"))
            write_whole(one, to_json(results))
            yield f"results of {label} in {one}"
    except OSError as error:
        raise results_file.unwritable(path, error) from None
