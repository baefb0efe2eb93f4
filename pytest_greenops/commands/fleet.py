"""`pytest-greenops fleet -- PYTEST_ARGUMENT ...`: the suite on every kind of machine."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from pytest_greenops import machine
from pytest_greenops.commands import results_file
from pytest_greenops.commands.command import Command, parsed_by
from pytest_greenops.commands.console import Screen
from pytest_greenops.commands.html_file import HtmlFile
from pytest_greenops.fleet.cluster import Cluster
from pytest_greenops.fleet.gather import (
    bring_baselines,
    check_shipped,
    checked_results,
    do_each,
    own_folder,
    write_results,
)
from pytest_greenops.fleet.part import FAILED, INTERRUPTED, Kind, Part, worst
from pytest_greenops.fleet.suite_runs import SuiteRuns, label_of
from pytest_greenops.fleet.upload import check_size
from pytest_greenops.model.errors import GreenopsError, UnitError
from pytest_greenops.model.result import Result, Results
from pytest_greenops.model.units import counted, parse_duration, parse_memory
from pytest_greenops.report import closing
from pytest_greenops.report.drawing import visible
from pytest_greenops.report.kinds_table import kinds_lines

#: At most this many tests that did not run are named.
_NAMED = 5
#: Of what pytest printed, at most this many lines are shown.
_LAST_LINES = 40


class Fleet(Command):
    """The sub-command `fleet`."""

    name = "fleet"
    help = "run the suite on every kind of machine in a Ray cluster"
    negative = "a test failed or did not run"
    passes_on = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what chooses the machines; the arguments of pytest follow `--`."""
        parser.usage = "%(prog)s [-h] [OPTION ...] -- [PYTEST_ARGUMENT ...]"
        parser.description = (
            "Run the suite with --energy on each kind of machine in a Ray cluster, each on a whole "
            "node, and merge the results. Call it in pytest's root directory, which is shipped to "
            "the nodes. They need the same version of pytest-greenops, and what the tests import."
        )
        text = (
            "local (default): start Ray on this machine alone; auto: a cluster that runs here; or "
            "an address such as ray://HOST:10001"
        )
        parser.add_argument("--address", metavar="ADDRESS", default="local", help=text)
        text = "on how many machines of each kind the suite runs (default: 1), or all"
        parser.add_argument(
            "--per-kind", metavar="N", type=parsed_by(_machines), default=1, help=text
        )
        text = "how long to wait until Ray has a whole node free (default: '10 min')"
        parser.add_argument(
            "--wait", metavar="TIME", type=parsed_by(parse_duration), default=600.0, help=text
        )
        text = "the most that is shipped to each node (default: '100 MB')"
        parser.add_argument(
            "--upload-limit",
            metavar="SIZE",
            type=parsed_by(parse_memory),
            default=100_000_000,
            help=text,
        )
        parser.epilog = (
            "The exit status is pytest's; of several, the worst: 3, 4, 2, 5, 1, 0. It is 1 if a "
            "test did not run because a node was lost, and 2 if the command could do nothing."
        )

    def run(self, arguments: argparse.Namespace) -> int:
        """Run the suite on each kind, print a table, and return the worst exit status."""
        root, screen = Path.cwd(), Screen.of_stdout()
        check_size(root, arguments.upload_limit)
        origin = machine.origin(root, None)
        args = ["--energy", *arguments.rest]

        def say(text: str) -> None:
            screen.print([visible(f"fleet: {text}")])

        if arguments.address == "local":
            say("starts Ray on this machine")
        cluster = Cluster.connect(arguments.address, root)
        runs = SuiteRuns(cluster, args, root.name, origin, arguments.wait, say)
        try:
            nodes = cluster.nodes()
            if not nodes:
                raise GreenopsError("the cluster has no node with CPUs")
            say(f"collects the tests on {counted(len(nodes), 'node')}")
            kinds = runs.kinds(nodes)
            if runs.interrupted:
                return INTERRUPTED
            files = _Files(kinds, arguments.rest)
            check_shipped(kinds)
            for kind in kinds:
                there = ", ".join(node.name for node in kind.nodes)
                tests = counted(len(kind.collected.tests), "test")
                say(f"{kind.slug}: {tests}, {counted(len(kind.nodes), 'node')}: {there}")
            parts = runs.run(kinds, arguments.per_kind or None)
        finally:
            runs.close()
            cluster.close()
        statuses = [*runs.uncollected, *(part.status for part in parts)]
        screen.print(map(visible, _failures(parts)))
        lines, failed = do_each([files.write(parts), bring_baselines(parts)])
        statuses += [FAILED] * failed
        found = {label_of(part): results.results for part, results in files.results}
        screen.print(kinds_lines(found, screen.width, screen.unicode))
        lines += [f"left out: {each}" for each in runs.left_out]
        screen.print(map(visible, _closing(parts, found, lines)))
        return worst([*statuses, *([INTERRUPTED] if runs.interrupted else [])])


class _Files:
    """The files that the options of pytest name; their places are checked before the tests run.

    results  what was measured, once it is written
    """

    def __init__(self, kinds: Sequence[Kind], args: Sequence[str]) -> None:
        collected = kinds[0].collected
        self.results: list[tuple[Part, Results]] = []
        self._json = _allowed(collected.json, args)
        html = _allowed(collected.html, args)
        self._html = None if html is None else HtmlFile(html)
        if self._json is not None:
            results_file.check_writable(self._json)
        for kind in kinds:
            own_folder(kind)

    def write(self, parts: Sequence[Part]) -> Iterator[str]:
        """Write the results, and yield a line about each file."""
        self.results = checked_results(parts)
        named = {label_of(part): results for part, results in self.results}
        if self._json is not None and named:
            yield from write_results(self._json, named)
        if self._html is not None and named:
            self._html.write_kinds(named)


def _machines(text: str) -> int:
    """Return how many machines of each kind, 0 for all."""
    if text == "all":
        return 0
    if not text.isdecimal() or not 0 < int(text[:6]) == int(text):
        raise UnitError(text, "expected a whole number >= 1, or all")
    return int(text)


def _allowed(path: str | None, args: Sequence[str]) -> Path | None:
    """Return where a file is written that a node names: in the project, or as the caller said."""
    if path is None:
        return None
    said = PurePosixPath(path)
    outside = said.is_absolute() or ".." in said.parts
    if outside and not any(arg == path or arg.endswith(f"={path}") for arg in args):
        raise GreenopsError(f"{path}: outside of the project, and not in the arguments of pytest")
    return Path(path)


def _failures(parts: Sequence[Part]) -> Iterator[str]:
    """Yield the text of each failure, below a line with its test and machine.

    Where no test explains pytest's exit status, the end of what it printed does.
    """
    for part in parts:
        for ended in part.done.values():
            if ended.text:
                yield f"--- {ended.node_id} {ended.outcome} on {label_of(part)}"
                yield from ended.text.splitlines()
        if part.printed and not part.explained:
            yield f"--- pytest's last lines on {label_of(part)}"
            yield from part.printed.splitlines()[-_LAST_LINES:]
    yield ""


def _closing(
    parts: Sequence[Part], found: Mapping[str, Sequence[Result]], lines: Sequence[str]
) -> Iterator[str]:
    """Yield what each run did, what is missing, and what became of the files."""
    for part in parts:
        label = label_of(part)
        on = ", then ".join(visit.node.name for visit in part.visits) or "no node"
        yield (
            f"fleet: {label} on {on}: {len(part.done)} of {counted(len(part.tests), 'test')}, "
            f"{part.failed} failed"
        )
        yield from (f"energy: {line}" for line in part.lines)
        if label in found:
            yield closing.closing_line(found[label], part.why_failed)
        if part.missing:
            named = ", ".join(part.missing[:_NAMED])
            more = len(part.missing) - _NAMED
            yield f"fleet: {label}: not run: {named}{f' and {more} more' if more > 0 else ''}"
        if part.problem:
            yield f"fleet: {label}: {part.problem}"
    yield from (f"fleet: {line}" for line in lines)
