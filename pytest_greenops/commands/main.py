"""The command `pytest-greenops`: parse the command line, and run one sub-command."""

from __future__ import annotations

import argparse
import io
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pytest_greenops import __version__
from pytest_greenops.baselines.whole_file import unreadable
from pytest_greenops.commands.bisect import Bisect
from pytest_greenops.commands.command import FAILED, Command
from pytest_greenops.commands.compare import Compare
from pytest_greenops.commands.console import PROGRAM, print_problems
from pytest_greenops.commands.doctor import Doctor
from pytest_greenops.commands.fleet import Fleet
from pytest_greenops.commands.history import History
from pytest_greenops.commands.import_files import Import
from pytest_greenops.commands.init import Init
from pytest_greenops.commands.merge import Merge
from pytest_greenops.commands.prune import Prune
from pytest_greenops.commands.report import Report
from pytest_greenops.commands.schema import Schema
from pytest_greenops.commands.show import Show
from pytest_greenops.commands.whatif import WhatIf
from pytest_greenops.model.errors import GreenopsError

COMMANDS: tuple[Command, ...] = (
    *(Init(), Doctor(), Compare(), Bisect(), Fleet(), Show(), Prune(), Merge(), Import(), Report()),
    *(History(), WhatIf(), Schema()),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 2, with one line on stderr, if it failed."""
    arguments = parse(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # the locale may not encode every letter
    command: Command = arguments.command
    try:
        return command.run(arguments)
    except GreenopsError as error:
        return print_problems([str(error)])
    except OSError as error:
        path = error.filename
        return print_problems([f"{path}: {unreadable(Path(path), error)}" if path else str(error)])
    except KeyboardInterrupt:
        return 130


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of a command line; exits with 2, and one line on stderr, if wrong."""
    own, rest = _split(argv)
    parser = _parser()
    arguments, unknown = parser.parse_known_args(own, argparse.Namespace(rest=rest))
    if unknown:
        what = shlex.join(unknown)
        if arguments.command.passes_on:
            where = f"{PROGRAM} {arguments.command.name} ... -- {what}"
            parser.error(f"{what}: arguments of pytest come after --: {where}")
        parser.error(f"unrecognized arguments: {what}")
    return arguments


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(FAILED, f"{self.prog}: {message}; see {self.prog} --help\n")


def _split(argv: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Split at `--` the arguments of a command that passes on what follows."""
    if "--" not in argv or not any(each.passes_on for each in COMMANDS if each.name == argv[0]):
        return argv, ()
    at = argv.index("--")
    return argv[:at], argv[at + 1 :]


def _parser() -> _Parser:
    parser = _Parser(prog=PROGRAM, description="Energy regression testing for pytest.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        negative = f"1 if {command.negative}, " if command.negative else ""
        subparser = subparsers.add_parser(
            command.name,
            help=command.help,
            description=command.help,
            epilog=f"exit status: 0, {negative}2 on an error",
        )
        command.add_arguments(subparser)
        subparser.set_defaults(command=command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
