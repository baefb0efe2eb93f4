"""`pytest-greenops compare A B`: judge one result file against another."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_greenops.commands import results_file
from pytest_greenops.commands.command import NEGATIVE, Command, parsed_by
from pytest_greenops.commands.console import Screen
from pytest_greenops.judge import two_files
from pytest_greenops.model.units import parse_percent
from pytest_greenops.report import comparison
from pytest_greenops.report.closing import closing_lines
from pytest_greenops.report.terminal import render


class Compare(Command):
    """The sub-command `compare`."""

    name = "compare"
    help = "compare two result files: did B use more energy than A?"
    negative = "a test regressed"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add both files and the margin."""
        parser.add_argument("a", metavar="A", type=Path, help="the results to compare with")
        parser.add_argument("b", metavar="B", type=Path, help="the results to judge")
        text = "margin of a regression, e.g. 5%% (default: the margin of the run that wrote B)"
        percent = parsed_by(parse_percent)
        parser.add_argument("--max-increase", metavar="P", type=percent, help=text)
        parser.epilog = (
            "A and B are files that pytest --energy --energy-json=PATH wrote. The exit status is 1 "
            "if a test regressed, also where its joules are estimated."
        )

    def run(self, arguments: argparse.Namespace) -> int:
        """Print the comparison; return 1 if a test regressed."""
        a, b = (results_file.read(path) for path in (arguments.a, arguments.b))
        compared = two_files.compare(a, b, arguments.max_increase)
        screen = Screen.of_stdout()
        screen.print(
            [
                *comparison.heading((str(arguments.a), str(arguments.b)), (a, b), screen.width),
                *render(compared.results, *screen, comparison.OF_TWO_FILES),
                *comparison.unmatched("A", compared.only_a, screen.width),
                *comparison.unmatched("B", compared.only_b, screen.width),
                *closing_lines(compared.results, screen.width),
            ]
        )
        return NEGATIVE if compared.regressed else 0
