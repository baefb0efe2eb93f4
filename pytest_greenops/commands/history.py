"""`pytest-greenops history`: the trend of a test over runs, and the steps in it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from pytest_greenops import __version__
from pytest_greenops.commands import results_file
from pytest_greenops.commands.command import NEGATIVE, Command
from pytest_greenops.commands.console import Screen, beside, print_lines, print_problems
from pytest_greenops.commands.html_file import HtmlFile
from pytest_greenops.history.append import append
from pytest_greenops.history.database import check_usable
from pytest_greenops.history.read import Wanted, read_trends
from pytest_greenops.model.errors import NotInHistory, OptionError
from pytest_greenops.model.history_url import HistoryUrl
from pytest_greenops.model.trend import TREND_SCHEMA, Trend, Trends
from pytest_greenops.model.units import counted, significant
from pytest_greenops.report.drawing import visible
from pytest_greenops.report.html.renderer import TRENDS
from pytest_greenops.report.html.trend_page import TrendPage, Written, trend_page_of
from pytest_greenops.report.trend_text import overview_lines, trend_lines

#: Names the history where the command line does not: a password is better there than in arguments.
VARIABLE = "ENERGY_HISTORY"
#: More trends than this are listed, and not drawn.
_MOST_DRAWN = 20
_NOTHING = "no figures of such runs"


class History(Command):
    """The sub-command `history`."""

    name = "history"
    help = "show the trend of a test over runs, and the commits between which it changed"
    negative = "there is nothing to show"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the test, the history, and what to select."""
        text = "a node id, a test's name, a pattern with * and ?, or a measurement (default: list)"
        parser.add_argument("test", metavar="TEST", nargs="?", help=text)
        text = f"sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE (default: ${VARIABLE})"
        parser.add_argument("--history", metavar="URL", help=text)
        text = "the last N runs (default: 50)"
        parser.add_argument("--last", metavar="N", type=_positive, default=50, help=text)
        text = "only machines whose name contains NAME"
        parser.add_argument("--machine", metavar="NAME", default="", help=text)
        parser.add_argument("--branch", metavar="NAME", help="only runs of this branch")
        parser.add_argument("--project", metavar="NAME", help="only runs of this project")
        forms = parser.add_mutually_exclusive_group()
        forms.add_argument("--json", action="store_true", help="print the trends as JSON")
        text = "write the trends to one HTML file, which needs no network"
        forms.add_argument("--html", metavar="FILE", type=Path, help=text)
        text = "append this result file (--energy-json) first; may be given more than once"
        parser.add_argument(
            "--add", metavar="RESULTS", type=Path, action="append", default=[], help=text
        )

    def run(self, arguments: argparse.Namespace) -> int:
        """Print the trends, or write them; return 1 if there are none to show."""
        url = _url(arguments.history)
        page = HtmlFile(arguments.html, TRENDS) if arguments.html else None
        if arguments.add:
            check_usable(url)
            done = append(url, [results_file.read(path) for path in arguments.add])
            said = f"energy: {counted(sum(done), 'run')} of {len(done)} appended to {url}"
            print_lines([said], sys.stderr if arguments.json else beside(arguments.html))
            if arguments.test is None and not arguments.json and page is None:
                return 0
        wanted = Wanted(
            *(arguments.test, arguments.last, arguments.machine),
            *(arguments.branch, arguments.project),
        )
        try:
            trends = read_trends(url, wanted)
        except NotInHistory as error:
            print_problems([str(error)])
            if page is not None:
                page.write_page(_page((), wanted, str(error).removeprefix(f"{url}: ")))
            return NEGATIVE
        if page is not None:
            page.write_page(_page(trends, wanted, _NOTHING))
            print_lines([_written(trends, arguments.html)], beside(arguments.html))
        elif arguments.json:
            document = msgspec.to_builtins(Trends(TREND_SCHEMA, trends))
            encoded = msgspec.json.encode(significant(document), order="sorted")
            print_lines([msgspec.json.format(encoded, indent=2).decode()])
        else:
            _show(trends, arguments.test)
        return 0 if trends else NEGATIVE


def _page(trends: Sequence[Trend], wanted: Wanted, nothing: str) -> TrendPage:
    """Return the page of some trends, with what was asked for."""
    each = "of each measurement and machine" if wanted.test else "of all tests together"
    asked = {
        "test": wanted.test or "all",
        "runs": f"the last {wanted.last} {each}",
        "machine": wanted.machine and f"*{wanted.machine}*",
        "branch": wanted.branch,
        "project": wanted.project,
    }
    facts = {name: value for name, value in asked.items() if value}
    now = datetime.now(timezone.utc).isoformat()
    written = Written(now, __version__, facts)
    return trend_page_of(trends, written, nothing[:1].upper() + nothing[1:])


def _written(trends: Sequence[Trend], path: Path) -> str:
    if not trends:
        return visible(f"energy: {_NOTHING}; {path} says so")
    stepped = sum(bool(trend.steps) for trend in trends)
    return visible(f"energy: {counted(len(trends), 'trend')}, {stepped} with a step, in {path}")


def _show(trends: Sequence[Trend], test: str | None) -> None:
    screen = Screen.of_stdout()
    if not trends:
        screen.print([f"energy: {_NOTHING}"])
    elif test is None or len(trends) > _MOST_DRAWN:
        by_machine = sorted(trends, key=lambda trend: trend.machine)
        screen.print(overview_lines(by_machine, screen.width, screen.unicode))
    else:
        screen.print(trend_lines(trends, screen.width, screen.unicode))


def _url(written: str | None) -> HistoryUrl:
    given = written or os.environ.get(VARIABLE)
    if not given:
        raise OptionError(f"no history is named: add --history URL, or set {VARIABLE}")
    try:
        return HistoryUrl(given, Path.cwd())
    except OptionError as error:
        raise OptionError(f"{'--history' if written else VARIABLE}: {error}") from None


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number >= 1")
    return number
