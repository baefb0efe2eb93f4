"""`pytest-greenops show`: list baselines."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pytest_greenops.baselines.overview import by_machine
from pytest_greenops.baselines.store import survey
from pytest_greenops.commands.command import BASELINES, NEGATIVE, Command, add_machine
from pytest_greenops.commands.console import Screen, print_lines, print_problems
from pytest_greenops.report.overview_table import inventory_lines


class Show(Command):
    """The sub-command `show`."""

    name = "show"
    help = "list baselines: energy, sessions, spread, and creep since first accepted"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the folder, the tests and the machine."""
        parser.usage = "%(prog)s [-h] [--machine NAME] [DIR] [TEST ...]"
        text = f"the folder (default: {BASELINES}), then parts of test names"
        parser.add_argument("names", nargs="*", metavar="[DIR] [TEST ...]", help=text)
        add_machine(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Print the baselines; return 1 if there are none of such tests."""
        folder, tests = _folder_and_tests(arguments.names)
        found, damaged = survey(folder, arguments.machine)
        held = by_machine(folder, found, tests)
        if held:
            screen = Screen.of_stdout()
            print_lines(inventory_lines(held, screen.width, screen.unicode))
        elif not damaged:
            print_problems([f"{folder}: no baseline of a test named like {' or '.join(tests)}"])
            return NEGATIVE
        return print_problems(damaged)


def _folder_and_tests(names: Sequence[str]) -> tuple[Path, Sequence[str]]:
    """Split the arguments: the first one is the folder if such a folder exists."""
    if names and Path(names[0]).is_dir():
        return Path(names[0]), names[1:]
    return BASELINES, names
