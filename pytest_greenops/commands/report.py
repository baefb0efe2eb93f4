"""`pytest-greenops report RESULTS.json ... -o FILE`: the HTML report of result files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pytest_greenops.baselines.unite import unite_results
from pytest_greenops.commands import results_file
from pytest_greenops.commands.command import Command
from pytest_greenops.commands.console import beside, print_lines
from pytest_greenops.commands.html_file import HtmlFile
from pytest_greenops.model.result import Results
from pytest_greenops.model.units import counted
from pytest_greenops.report.drawing import visible


class Report(Command):
    """The sub-command `report`."""

    name = "report"
    help = "write an HTML report of result files"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the inputs and the output."""
        text = "files that pytest --energy-json=PATH wrote, of one machine; or one of a fleet"
        parser.add_argument("results", metavar="RESULTS", type=Path, nargs="+", help=text)
        text = "the file to write"
        parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help=text)
        parser.epilog = "Of a test that is in several files, the last file counts."

    def run(self, arguments: argparse.Namespace) -> int:
        """Write the report, and print where it is; on stderr if the report goes to stdout."""
        out: Path = arguments.output
        file = HtmlFile(out)
        paths: list[Path] = arguments.results
        if paths[1:]:
            shards = [(str(path), results_file.read(path)) for path in paths]
            machines: tuple[Results, ...] = (unite_results(shards).results,)
        else:
            machines = results_file.read_machines(paths[0])
        file.write_kinds(numbered(machines))
        measurements = sum(len(results.results) for results in machines)
        line = f"energy: report of {counted(measurements, 'measurement')} in {out}"
        print_lines([visible(line)], beside(out))
        return 0


def numbered(machines: Sequence[Results]) -> dict[str, Results]:
    """Return results by the name of their machine; further runs on the same one get a number."""
    found: dict[str, Results] = {}
    for results in machines:
        slug = results.environment.slug
        same = sum(each.environment.slug == slug for each in found.values())
        found[f"{slug} #{same + 1}" if same else slug] = results
    return found
