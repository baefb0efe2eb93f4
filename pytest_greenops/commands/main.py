"""The command `pytest-greenops`: what a user does with energy outside of a test run."""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TextIO

from pytest_greenops import __version__
from pytest_greenops.model.errors import GreenopsError

PROGRAM = "pytest-greenops"
#: Exit statuses: what was asked for does not hold; it could not be done.
NEGATIVE, FAILED = 1, 2
#: Where baselines are, as pytest has it where it is told nothing else.
BASELINES = Path("baselines")

#: Does what a parsed command line asks for; returns the exit status, and may raise
#: `GreenopsError` or `OSError` for a mishap that one line tells.
Run = Callable[[argparse.Namespace], int]


def doctor(parser: argparse.ArgumentParser) -> Run:
    """what can be measured here, what cannot and why, and what mends it"""
    parser.epilog = "exits 1 if nothing can be measured; an estimate counts"

    def run(arguments: argparse.Namespace) -> int:
        from pytest_greenops.commands.diagnose import diagnose
        from pytest_greenops.machine import LoadProbe
        from pytest_greenops.report.doctor_table import doctor_lines
        from pytest_greenops.sensors import zeus
        from pytest_greenops.sensors.discover import find

        names = ["powercap", "nvml", "estimate"]
        if importlib.util.find_spec("pyRAPL"):
            names.insert(1, "pyrapl")
        if zeus.present():
            names.insert(-1, "zeus")
        findings = [find(name) for name in names]
        load = LoadProbe()
        load.start()
        time.sleep(1)
        diagnosis = diagnose(findings, load=load.stop())
        for finding in findings:
            if finding.sensor:
                finding.sensor.close()
        _say(doctor_lines(diagnosis))
        return 0 if diagnosis.measurable else NEGATIVE

    return run


def schema(parser: argparse.ArgumentParser) -> Run:
    """the JSON Schema of results or of baselines"""
    parser.add_argument(
        "document",
        nargs="?",
        choices=("results", "baseline"),
        default="results",
        help="what --energy-json writes (default), or a file of the baselines folder",
    )

    def run(arguments: argparse.Namespace) -> int:
        _say([json.dumps(_schema(arguments.document), indent=2)])
        return 0

    return run


def compare(parser: argparse.ArgumentParser) -> Run:
    """whether B used more energy than A: two files of results"""
    parser.add_argument("a", metavar="A", type=Path, help="results to hold B against")
    parser.add_argument("b", metavar="B", type=Path, help="results that are judged")
    parser.add_argument(
        "--max-increase",
        metavar="P",
        type=_percent,
        help="margin of a regression, such as 5%% (what B was judged by)",
    )
    parser.epilog = (
        "A and B are what pytest --energy --energy-json=PATH wrote; exits 1 on a regression, of "
        "estimated joules too"
    )

    def run(arguments: argparse.Namespace) -> int:
        from pytest_greenops.commands import results_file
        from pytest_greenops.judge.two_files import compare
        from pytest_greenops.report import comparison
        from pytest_greenops.report.closing import closing_line
        from pytest_greenops.report.drawing import plain
        from pytest_greenops.report.terminal import render

        a, b = (results_file.read(path) for path in (arguments.a, arguments.b))
        compared = compare(a, b, arguments.max_increase)
        screen = _screen()
        lines = [
            *comparison.heading((str(arguments.a), str(arguments.b)), (a, b), screen.width),
            *render(compared.results, *screen, comparison.OF_TWO_FILES),
            *comparison.unmatched("A", compared.only_a, screen.width),
            *comparison.unmatched("B", compared.only_b, screen.width),
            closing_line(compared.results),
        ]
        _say(lines if screen.unicode else map(plain, lines))
        return NEGATIVE if compared.regressed else 0

    return run


def show(parser: argparse.ArgumentParser) -> Run:
    """what baselines hold: levels, sessions, their spread, how far they crept"""
    parser.usage = "%(prog)s [-h] [--machine NAME] [DIR] [TEST ...]"
    parser.add_argument(
        "names",
        nargs="*",
        metavar="[DIR] [TEST ...]",
        help="the folder (baselines), if the first is one; then parts of the tests' names",
    )
    _add_machine(parser)

    def run(arguments: argparse.Namespace) -> int:
        from pytest_greenops.baselines.overview import by_machine
        from pytest_greenops.baselines.store import survey
        from pytest_greenops.report.overview_table import inventory_lines

        folder, tests = _folder_and_tests(arguments.names)
        found, damaged = survey(folder, arguments.machine)
        held = by_machine(folder, found, tests)
        screen = _screen()
        if held:
            _say(inventory_lines(held, screen.width, screen.unicode))
        elif not damaged:
            _complain([f"{folder}: no baseline of a test named like {' or '.join(tests)}"])
            return NEGATIVE
        return _complain(damaged)

    return run


def prune(parser: argparse.ArgumentParser) -> Run:
    """remove baselines whose tests are gone"""
    parser.description = (
        "Remove baselines whose tests are gone: whose module is no more, or has no such class or "
        "function. Modules are read, not run: parameters cannot be told, and what a test may "
        "inherit, import or make by other means than def and class stays. A damaged file stays "
        "too, and is named."
    )
    _add_folder(parser)
    _add_machine(parser)
    parser.add_argument(
        "--root",
        metavar="DIR",
        type=Path,
        help="where pytest runs, and tests are looked for (the folder that holds the baselines)",
    )
    parser.add_argument(
        "--older-than",
        metavar="DAYS",
        type=_days,
        help="remove also what was saved last more than so many days ago",
    )
    parser.add_argument("--dry-run", action="store_true", help="only list what would be removed")

    def run(arguments: argparse.Namespace) -> int:
        from pytest_greenops.commands import prune

        folder, dry = arguments.dir, arguments.dry_run
        found = prune.find(folder, arguments.root, arguments.machine, arguments.older_than)
        removals = iter(found.removals) if dry else prune.remove(folder, found.removals)
        for removal in removals:
            _say([prune.removal_line(str(removal.path), removal.why, dry)])
        _say([prune.closing_line(len(found.removals), found.looked_at, dry)])
        return _complain(found.damaged)

    return run


def merge(parser: argparse.ArgumentParser) -> Run:
    """results or baselines of sharded runs into one"""
    parser.description = (
        "Merge files of results (--energy-json) into one file, or folders of baselines into one "
        "folder, which may be there already and then counts as an input."
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="the file or the folder to write")
    parser.add_argument(
        "inputs", metavar="IN", type=Path, nargs="+", help="files of results, or baselines folders"
    )

    def run(arguments: argparse.Namespace) -> int:
        from pytest_greenops.commands.merge import merge

        account = sys.stderr if _is_stdout(arguments.out) else sys.stdout
        told = list(merge(arguments.out, arguments.inputs))
        _say((f"energy: {line}" for line in told), account)
        return 0

    return run


def whatif(parser: argparse.ArgumentParser) -> Run:
    """other regions, PUEs and GPUs; whole trainings and lives of models"""
    from pytest_greenops.commands.whatif import add_questions

    add_questions(parser)

    def run(arguments: argparse.Namespace) -> int:
        from pytest_greenops.report.drawing import plain

        screen = _screen()
        lines = list(arguments.answer(arguments, screen.width))
        _say(lines if screen.unicode else map(plain, lines))
        return 0

    return run


#: Subcommands: each is given a parser for its arguments, and returns what runs it.
COMMANDS: tuple[Callable[[argparse.ArgumentParser], Run], ...] = (
    doctor,
    compare,
    show,
    prune,
    merge,
    whatif,
    schema,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 2, with one line on stderr, where it failed."""
    arguments = _parser().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a locale that cannot write a reason's letters
    try:
        return int(arguments.run(arguments))
    except (GreenopsError, OSError) as error:
        return _complain([str(error)])
    except KeyboardInterrupt:
        return 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(FAILED, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> _Parser:
    parser = _Parser(prog=PROGRAM, description="Energy regression testing for pytest.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        about = command.__doc__ or ""
        name = command.__name__.replace("_", "-")
        subparser = subparsers.add_parser(name, help=about, description=about)
        subparser.set_defaults(run=command(subparser))
    return parser


def _schema(document: str) -> dict[str, Any]:
    """JSON Schema, draft 2020-12, of one kind of document in the version that is written now."""
    import msgspec

    from pytest_greenops.model import baseline, result

    kind, version = {
        "results": (result.Results, result.SCHEMA),
        "baseline": (baseline.Baseline, baseline.SCHEMA),
    }[document]
    made = msgspec.json.schema(kind)
    made["$defs"][kind.__name__]["properties"]["schema"] = {"const": version}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{PROGRAM}:{document}:{version}",
        "title": f"{PROGRAM} {document}",
        **made,
    }


class _Screen(NamedTuple):
    """What the output can show."""

    width: int
    color: bool
    unicode: bool


def _screen() -> _Screen:
    from pytest_greenops.report.drawing import shows_blocks

    colourless = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return _Screen(
        shutil.get_terminal_size().columns,
        sys.stdout.isatty() and not colourless,
        shows_blocks(sys.stdout.encoding),
    )


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "dir",
        metavar="DIR",
        nargs="?",
        type=Path,
        default=BASELINES,
        help=f"the folder of the baselines ({BASELINES})",
    )


def _add_machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--machine",
        metavar="NAME",
        default="",
        help="only machines whose folder has this in its name",
    )


def _folder_and_tests(names: Sequence[str]) -> tuple[Path, Sequence[str]]:
    """The first name is the folder if it is one; the rest are parts of the names of tests."""
    if names and Path(names[0]).is_dir():
        return Path(names[0]), names[1:]
    return BASELINES, names


def _percent(text: str) -> float:
    from pytest_greenops.model.units import parse_percent

    try:
        return parse_percent(text)
    except GreenopsError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _days(text: str) -> timedelta:
    try:
        return timedelta(days=int(text if text.isdecimal() else "none"))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of days; write a whole number such as 90"
        ) from None


def _complain(problems: Sequence[str]) -> int:
    """Tell each problem in a line of its own on stderr; the exit status that they make."""
    for problem in problems:
        print(f"{PROGRAM}: {' '.join(problem.split())}", file=sys.stderr)
    return FAILED if problems else 0


def _is_stdout(path: Path) -> bool:
    """Whether what is written there comes out of this process's stdout: `/dev/stdout`."""
    try:
        return os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    except OSError:
        return False


def _say(lines: Iterable[str], file: TextIO | None = None) -> None:
    """Print lines; quiet where nobody reads them any more. Raises `OSError` of a full disk."""
    file = file or sys.stdout
    try:
        print("\n".join(lines), file=file, flush=True)
    except OSError as error:
        # Python writes what is left once more as it ends: into nothing then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
        if not isinstance(error, BrokenPipeError):
            raise


if __name__ == "__main__":
    sys.exit(main())
