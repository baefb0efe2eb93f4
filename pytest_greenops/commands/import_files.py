"""`pytest-greenops import`: results of other tools beside ours."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

import msgspec
from msgspec.structs import replace

from pytest_greenops.baselines.overview import overviews
from pytest_greenops.baselines.store import survey
from pytest_greenops.commands import foreign_file, results_file
from pytest_greenops.commands.command import BASELINES, Command
from pytest_greenops.commands.console import Screen, print_lines, print_problems
from pytest_greenops.model.imported import OURS, Recording, Source
from pytest_greenops.model.measurement import Round
from pytest_greenops.model.units import significant
from pytest_greenops.report.imported_table import imported_lines

#: A name is looked for below at most this many folders of a path.
_DEEPEST = 20


class Import(Command):
    """The sub-command `import`."""

    name = "import"
    help = "show results of other tools beside ours; nothing is saved"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the files, and what is ours."""
        text = "JSON of pytest-benchmark or pytest-energy-reporter, or emissions.csv of codecarbon"
        parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help=text)
        text = "our results, as --energy-json wrote them"
        parser.add_argument("--results", metavar="PATH", type=Path, help=text)
        text = f"our baselines (default: {BASELINES}, if it exists and there is no --results)"
        parser.add_argument("--baselines", metavar="DIR", type=Path, help=text)
        text = "print JSON: sources and tests; times in seconds, energies in joules"
        parser.add_argument("--json", action="store_true", help=text)

    def run(self, arguments: argparse.Namespace) -> int:
        """Print each test with what every source says about it."""
        foreign = [foreign_file.read(path) for path in arguments.files]
        damaged: tuple[str, ...] = ()
        ours: list[Source] = []
        if arguments.results is not None:
            ours.append(_of_results(arguments.results))
        folder = arguments.baselines
        if folder is None and arguments.results is None and BASELINES.is_dir():
            folder = BASELINES
        if folder is not None:
            of_baselines, damaged = _of_baselines(folder, optional=arguments.baselines is None)
            ours += of_baselines
        sources, tests = [*foreign, *ours], by_test(foreign, ours)
        if arguments.json:
            print_lines([_json(sources, tests).decode()])
        else:
            screen = Screen.of_stdout()
            screen.print(imported_lines(sources, tests, screen.width, screen.unicode))
        return print_problems(damaged)


def by_test(
    foreign: Sequence[Source], ours: Sequence[Source]
) -> dict[str, list[tuple[int, Recording]]]:
    """Return by test id, or by name, the recordings of the foreign sources, and ours beside them.

    Each has the number of its source, from 1. A name without a path, and a path from another root
    directory, is that of the one test whose id ends like this, if there is exactly one.
    """
    known = _Names(each.name for source in ours for each in source.recordings)
    named = [
        (number, each) for number, source in enumerate(foreign, 1) for each in source.recordings
    ]
    resolved = {each.name: known.resolve(each.name) for _, each in named if "::" in each.name}
    everything = _Names([*known.ids, *resolved.values()])
    found: dict[str, list[tuple[int, Recording]]] = {}
    for number, each in named:
        test = resolved.get(each.name) or everything.resolve(each.name)
        found.setdefault(test, []).append((number, each))
    for number, source in enumerate(ours, 1 + len(foreign)):
        for each in source.recordings:
            if each.name in found:
                found[each.name].append((number, each))
    return found


class _Names:
    """Test ids, also by the ends of their paths and by the names of their functions."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = dict.fromkeys(ids)
        self._by_end: dict[str, str | None] = {}
        for each in self.ids:
            for end in dict.fromkeys(_ends(each)):
                self._by_end[end] = None if end in self._by_end else each

    def resolve(self, name: str) -> str:
        """Return the only id that is meant by a name, else the name itself."""
        if name in self.ids:
            return name
        longer = self._by_end.get(name)
        return longer or next((end for end in _ends(name) if end in self.ids), name)


def _ends(node_id: str) -> Iterator[str]:
    """Yield the id from each deeper folder, then without path, then the function alone."""
    path, colons, names = node_id.partition("::")
    if not colons:
        return
    for _ in range(_DEEPEST):
        path = path.partition("/")[2]
        if not path:
            break
        yield f"{path}::{names}"
    yield names
    function, bracket, parameters = names.partition("[")
    yield function.rpartition("::")[2] + bracket + parameters


def _of_results(path: Path) -> Source:
    results = results_file.read(path)
    found = (
        _timed(
            Recording(
                each.test.node_id,
                _label(each.name),
                at=results.created_at[:19],
                joules=None if math.isnan(each.joules) else each.joules,
                estimated=each.provenance.estimated,
            ),
            each.rounds,
        )
        for each in results.results
    )
    return Source(str(path), OURS, tuple(found))


def _of_baselines(folder: Path, optional: bool) -> tuple[list[Source], tuple[str, ...]]:
    """Return a source for each machine, and a line for each file that cannot be read."""
    found, damaged = survey(folder, optional=optional)
    machines: dict[str, list[Recording]] = {}
    for path, baseline in found.items():
        of_machine = machines.setdefault(path.relative_to(folder).parts[0], [])
        for each in overviews(baseline):
            recording = Recording(
                each.test.node_id,
                _label(each.name),
                at=each.saved_at[:19],
                joules=each.joules.get("call"),
            )
            last = baseline.measurements[each.name].sessions[-1]
            of_machine.append(_timed(recording, last.rounds))
    return [
        Source(str(folder / machine), OURS, tuple(recordings))
        for machine, recordings in machines.items()
    ], damaged


def _label(name: str) -> str:
    return "" if name == "call" else name


def _timed(recording: Recording, rounds: Sequence[Round]) -> Recording:
    """Return a recording with the shortest and the median time of a call, by round."""
    times_s = [each.seconds / each.iterations for each in rounds]
    if not times_s:
        return recording
    return replace(recording, runs=len(rounds), min_s=min(times_s), median_s=median(times_s))


def _json(sources: Sequence[Source], tests: Mapping[str, Sequence[tuple[int, Recording]]]) -> bytes:
    document = {
        "sources": [
            {"path": each.path, "format": each.format, "left_out": each.left_out}
            for each in sources
        ],
        "tests": {
            test: [{"source": number, **msgspec.to_builtins(each)} for number, each in found]
            for test, found in tests.items()
        },
    }
    return msgspec.json.format(msgspec.json.encode(significant(document)), indent=2)
