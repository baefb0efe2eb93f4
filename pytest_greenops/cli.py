"""The command `pytest-greenops`: what a user does with energy outside of a test run."""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from pytest_greenops import __version__
from pytest_greenops.model.errors import GreenopsError

PROGRAM = "pytest-greenops"
#: Exit statuses: what was asked for does not hold; it could not be done.
NEGATIVE, FAILED = 1, 2

#: Does what a parsed command line asks for; returns the exit status, and may raise
#: `GreenopsError` or `OSError` for a mishap that one line tells.
Run = Callable[[argparse.Namespace], int]


def doctor(parser: argparse.ArgumentParser) -> Run:
    """what can be measured here, what cannot and why, and what mends it"""
    parser.epilog = "exits 1 if nothing can be measured; an estimate counts"

    def run(arguments: argparse.Namespace) -> int:
        from pytest_greenops.doctor import diagnose
        from pytest_greenops.machine import LoadProbe
        from pytest_greenops.report.doctor import doctor_lines
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


#: Subcommands: each is given a parser for its arguments, and returns what runs it.
COMMANDS: tuple[Callable[[argparse.ArgumentParser], Run], ...] = (doctor, schema)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 2, with one line on stderr, where it failed."""
    arguments = _parser().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a locale that cannot write a reason's letters
    try:
        return int(arguments.run(arguments))
    except (GreenopsError, OSError) as error:
        print(f"{PROGRAM}: {' '.join(str(error).split())}", file=sys.stderr)
        return FAILED
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


def _say(lines: Iterable[str]) -> None:
    """Print lines; quiet where nobody reads them any more. Raises `OSError` of a full disk."""
    try:
        print("\n".join(lines), flush=True)
    except OSError as error:
        # Python writes what is left once more as it ends: into nothing then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise


if __name__ == "__main__":
    sys.exit(main())
