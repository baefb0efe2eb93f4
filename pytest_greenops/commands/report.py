"""`pytest-greenops report RESULTS.json ... -o FILE`: the HTML report of result files."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_greenops.baselines.unite import unite_results
from pytest_greenops.commands import results_file
from pytest_greenops.commands.command import Command
from pytest_greenops.commands.console import beside, print_lines
from pytest_greenops.commands.html_file import HtmlFile
from pytest_greenops.model.units import counted
from pytest_greenops.report.drawing import visible


class Report(Command):
    """The sub-command `report`."""

    name = "report"
    help = "write an HTML report of result files"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the inputs and the output."""
        text = "files that pytest --energy --energy-json=PATH wrote, of one machine"
        parser.add_argument("results", metavar="RESULTS", type=Path, nargs="+", help=text)
        text = "the file to write"
        parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help=text)
        parser.epilog = "Of a test that is in several files, the last file counts."

    def run(self, arguments: argparse.Namespace) -> int:
        """Write the report, and print where it is; on stderr if the report goes to stdout."""
        out: Path = arguments.output
        file = HtmlFile(out)
        shards = [(str(path), results_file.read(path)) for path in arguments.results]
        results = unite_results(shards).results if shards[1:] else shards[0][1]
        file.write(results)
        line = f"energy: report of {counted(len(results.results), 'measurement')} in {out}"
        print_lines([visible(line)], beside(out))
        return 0
