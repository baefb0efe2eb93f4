"""`pytest-greenops merge`: join the result files or the baselines folders of sharded runs."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from pytest_greenops.baselines.baseline_file import encode
from pytest_greenops.baselines.store import Store, survey
from pytest_greenops.baselines.unite import unite_baselines, unite_results
from pytest_greenops.baselines.whole_file import write_whole
from pytest_greenops.baselines.work_store import WorkStore, survey_work, unite_work
from pytest_greenops.commands import results_file
from pytest_greenops.commands.command import Command
from pytest_greenops.commands.console import beside, print_lines
from pytest_greenops.model.baseline import Baseline
from pytest_greenops.model.errors import BaselineError, GreenopsError, ResultsError
from pytest_greenops.model.result import Result, Results
from pytest_greenops.model.units import counted
from pytest_greenops.model.work_baseline import WorkBaseline
from pytest_greenops.report.document import to_json
from pytest_greenops.report.drawing import visible

#: What names another folder than one that cannot be written.
_OTHER_FOLDER = "pytest-greenops merge DIR ..."


class Merge(Command):
    """The sub-command `merge`."""

    name = "merge"
    help = "merge result files, or baselines folders, of sharded runs"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the output and the inputs."""
        parser.description = (
            "Merge result files (--energy-json) into one file, or baselines folders into one "
            "folder. An output folder that already exists is also an input."
        )
        parser.add_argument("out", metavar="OUT", type=Path, help="the file or folder to write")
        text = "result files, or baselines folders"
        parser.add_argument("inputs", metavar="IN", type=Path, nargs="+", help=text)

    def run(self, arguments: argparse.Namespace) -> int:
        """Merge, and print a summary; on stderr if the merged file goes to stdout."""
        lines = list(merge(arguments.out, arguments.inputs))
        file = beside(arguments.out)
        print_lines((visible(f"energy: {line}") for line in lines), file)
        return 0


def merge(out: Path, inputs: Sequence[Path]) -> Iterator[str]:
    """Merge result files into a file, or baselines folders into a folder; yield a summary.

    Raises `GreenopsError` before anything is written if the inputs do not fit together.
    """
    folders = [path for path in inputs if path.is_dir()]
    if missing := [path for path in inputs if not path.exists()]:
        raise GreenopsError(f"{missing[0]}: no such file or folder; name the output of a shard")
    if folders and len(folders) < len(inputs):
        file = next(path for path in inputs if not path.is_dir())
        raise GreenopsError(
            f"{folders[0]} is a folder, {file} a file; merge either result files or baselines "
            "folders"
        )
    return _merge_baselines(out, inputs) if folders else _merge_results(out, inputs)


def _merge_results(out: Path, inputs: Sequence[Path]) -> Iterator[str]:
    if out.is_dir():
        raise ResultsError(f"{out}: a folder, but the inputs are files; name the output file first")
    with _without_collector():
        united = unite_results((str(path), results_file.read(path)) for path in inputs)
    if out.is_file() and out.stat().st_size:
        _check_kept(out, united.results)
    if united.policies:
        yield (
            f"the shards used different policies ({', '.join(united.policies)}): the output has "
            f"that of {inputs[0]}"
        )
    try:
        write_whole(out, to_json(united.results))
    except OSError as error:
        raise results_file.unwritable(out, error) from None
    count = counted(len(united.results.results), "measurement")
    more = f"; {united.replaced} in more than one file: the last one counts"
    yield f"{count} from {counted(len(inputs), 'file')} in {out}{more if united.replaced else ''}"


@contextmanager
def _without_collector() -> Iterator[None]:
    """Pause the garbage collector: results are in no cycle, and it would take half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _check_kept(out: Path, united: Results) -> None:
    """Refuse to overwrite results that are not in the new file."""
    try:
        there = results_file.read(out)
    except ResultsError:
        raise ResultsError(
            f"{out}: exists, and is not a result file; name another output file, or remove it"
        ) from None
    kept = {(each.test, each.name): _without_chance(each) for each in united.results}
    lost = [
        each for each in there.results if kept.get((each.test, each.name)) != _without_chance(each)
    ]
    if lost:
        raise ResultsError(
            f"{out}: exists, and {len(lost)} of its results would be lost, e.g. "
            f"{lost[0].test.node_id}; name another output file, or remove it"
        )


def _without_chance(result: Result) -> Result:
    """Return a result without the value that depends on the number of comparisons."""
    change = result.verdict.change
    change = change and replace(change, p_adjusted=None)
    return replace(result, verdict=replace(result.verdict, change=change))


def _merge_baselines(out: Path, inputs: Sequence[Path]) -> Iterator[str]:
    if out.exists() and not out.is_dir():
        fix = "name the output folder first"
        raise BaselineError(f"{out}: a file, but the inputs are folders; {fix}")
    own = out.resolve()
    others = list(dict.fromkeys(path.resolve() for path in inputs))
    named = {path.resolve(): path for path in inputs}
    folders = [named[path] for path in others if path != own]
    read_in, work = list(map(_read, folders)), list(map(_read_work, folders))
    known = _read(out) if out.is_dir() else {}
    known_work = _read_work(out)
    places = dict.fromkeys(place for files in read_in for place in files)
    store = Store(out, machine="", other_folder=_OTHER_FOLDER)
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
        f"{counted(len(places), 'baseline')} from {counted(len(read_in), 'folder')}: {changed} new "
        f"or changed in {out}"
    )
    yield from _merge_work(out, work, known_work)


def _merge_work(
    out: Path,
    read_in: Sequence[Mapping[Path, WorkBaseline]],
    known: Mapping[Path, WorkBaseline],
) -> Iterator[str]:
    """Merge the accepted work of baselines folders, if they have any."""
    places = dict.fromkeys(place for files in read_in for place in files)
    store = WorkStore(out, other_folder=_OTHER_FOLDER)
    changed = 0
    for place in places:
        shards = [files[place] for files in read_in if place in files]
        before = known.get(place)
        united, lost = unite_work([before, *shards] if before else shards)
        yield from (f"{place}: {why}" for why in lost)
        if united != before:
            store.write(out / place, partial(_work_together, shards))
            changed += 1
    if places:
        files = counted(len(places), "file")
        yield f"{files} of accepted work: {changed} new or changed in {out}"


def _work_together(shards: Sequence[WorkBaseline], there: WorkBaseline | None) -> WorkBaseline:
    return unite_work([there, *shards] if there else shards)[0]


def _read_work(folder: Path) -> dict[Path, WorkBaseline]:
    found, damaged = survey_work(folder)
    if damaged:
        raise BaselineError(damaged[0])
    return {path.relative_to(folder): work for path, work in found.items()}


def _together(shards: Sequence[Baseline], there: Baseline | None) -> Baseline:
    return unite_baselines([there, *shards] if there else shards)[0]


def _read(folder: Path) -> dict[Path, Baseline]:
    """Return the baselines of a folder by relative path; none if the folder is empty."""
    if all(path.name.startswith(".") for path in folder.iterdir()):
        return {}
    found, damaged = survey(folder, optional=not survey_work(folder).empty)
    if damaged:
        raise BaselineError(damaged[0])
    return {path.relative_to(folder): baseline for path, baseline in found.items()}
