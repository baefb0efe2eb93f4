"""Shards of a run on disk become one: JSON results into a file, baselines into a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from pytest_greenops.baselines.store import Store, encode, survey, write_whole
from pytest_greenops.baselines.unite import unite_baselines, unite_results
from pytest_greenops.commands import results_file
from pytest_greenops.model.baseline import Baseline
from pytest_greenops.model.errors import BaselineError, GreenopsError, ResultsError
from pytest_greenops.model.result import Result, Results
from pytest_greenops.model.units import counted
from pytest_greenops.report.document import to_json


def merge(out: Path, inputs: Sequence[Path]) -> Iterator[str]:
    """Merge files of results into a file, or folders of baselines into a folder; say what came.

    Raises `GreenopsError` in one line for inputs that do not go together, before anything is
    written.
    """
    folders = [path for path in inputs if path.is_dir()]
    if missing := [path for path in inputs if not path.exists()]:
        raise GreenopsError(f"{missing[0]}: no such file or folder; name what a shard wrote")
    if folders and len(folders) < len(inputs):
        file = next(path for path in inputs if not path.is_dir())
        raise GreenopsError(
            f"{folders[0]} is a folder, {file} a file; merge files of results, or folders of "
            "baselines, by themselves"
        )
    if folders:
        return _merge_baselines(out, inputs)
    return _merge_results(out, inputs)


def _merge_results(out: Path, inputs: Sequence[Path]) -> Iterator[str]:
    if out.is_dir():
        raise ResultsError(f"{out}: a folder, but files are merged; name a file first")
    united = unite_results([(str(path), results_file.read(path)) for path in inputs])
    if out.is_file() and out.stat().st_size:
        _check_kept(out, united.results)
    if united.policies:
        yield (
            f"the shards were judged by other policies ({', '.join(united.policies)}): that of "
            f"{inputs[0]} is told"
        )
    try:
        write_whole(out, to_json(united.results))
    except OSError as error:
        raise ResultsError(
            f"{out}: cannot be written ({error.strerror}); name another file"
        ) from None
    count = counted(len(united.results.results), "measurement")
    more = f"; {united.replaced} stood in more than one: the last counts"
    yield f"{count} of {counted(len(inputs), 'file')} in {out}{more if united.replaced else ''}"


def _check_kept(out: Path, united: Results) -> None:
    """Refuse to write over results that are not among those that are written."""
    try:
        there = results_file.read(out)
    except ResultsError:
        raise ResultsError(
            f"{out}: exists, and is no file of results; name another file first, or remove it"
        ) from None
    kept = list(map(_without_chance, united.results))
    lost = [result for result in there.results if _without_chance(result) not in kept]
    if lost:
        raise ResultsError(
            f"{out}: exists, and {len(lost)} of its results would be lost, such as "
            f"{lost[0].test.node_id}; name another file first, or remove it"
        )


def _without_chance(result: Result) -> Result:
    """A result without what depends on what else was compared."""
    verdict = result.verdict
    if verdict.change is None:
        return result
    alone = replace(verdict, change=replace(verdict.change, p_adjusted=None))
    return replace(result, verdict=alone)


def _merge_baselines(out: Path, inputs: Sequence[Path]) -> Iterator[str]:
    if out.exists() and not out.is_dir():
        raise BaselineError(f"{out}: a file, but folders are merged; name a folder first")
    own = out.resolve()
    others = list(dict.fromkeys(path.resolve() for path in inputs))
    named = {path.resolve(): path for path in inputs}
    read_in = [_read(named[path]) for path in others if path != own]
    known = _read(out) if out.is_dir() else {}
    places = dict.fromkeys(place for files in read_in for place in files)
    store = Store(out, machine="", elsewhere="pytest-greenops merge DIR ...")
    store.check_writable()
    changed = 0
    for place in places:
        shards = [files[place] for files in read_in if place in files]
        before = known.get(place)
        united, dropped = unite_baselines([before, *shards] if before else shards)
        yield from (f"{place}: {why}" for why in dropped)
        if before is None or encode(united) != encode(before):
            store.write(out / place, partial(_together, shards))
            changed += 1
    yield (
        f"{changed} of {counted(len(places), 'baseline')} of {counted(len(read_in), 'folder')} "
        f"brought something new to {out}"
    )


def _together(shards: Sequence[Baseline], there: Baseline | None) -> Baseline:
    return unite_baselines([there, *shards] if there else shards)[0]


def _read(folder: Path) -> dict[Path, Baseline]:
    """Every baseline of a folder by its path within; none of a folder that is empty."""
    if all(path.name.startswith(".") for path in folder.iterdir()):
        return {}
    found, damaged = survey(folder)
    if damaged:
        raise BaselineError(damaged[0])
    return {path.relative_to(folder): baseline for path, baseline in found.items()}
