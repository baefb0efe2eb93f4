"""Writing the HTML report: what it needs is loaded, and its place is checked, before any test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from pytest_greenops.commands.report_file import ReportFile
from pytest_greenops.insight.regions import region_names, regions
from pytest_greenops.model.advised import PLAIN, Caller
from pytest_greenops.model.errors import ResultsError
from pytest_greenops.model.result import Results
from pytest_greenops.report.document import to_json
from pytest_greenops.report.html.page import Page, Region, page_of
from pytest_greenops.report.html.page_of_kinds import page_of_kinds
from pytest_greenops.report.html.renderer import GENERATOR, REPORT, Layout, Renderer
from pytest_greenops.report.html.trend_page import TrendPage

#: A report of ours says so within its first bytes.
_HEAD = 512


class HtmlFile:
    """A report, or another page of this layout, that will be written to a path.

    Raises `ResultsError` if a library is missing, if the file cannot be written, or if it would
    replace something else than a report.
    """

    def __init__(self, path: Path, layout: Layout = REPORT) -> None:
        try:
            self._renderer = Renderer.load(layout)
        except ImportError as error:
            raise ResultsError(
                f"{path}: the report needs jinja2 and plotly ({error}): "
                "pip install 'pytest-greenops[report]'"
            ) from None
        self._file = ReportFile(path, lambda data: GENERATOR.encode() in data[:_HEAD], "a report")

    def write(self, results: Results, caller: Caller = PLAIN) -> None:
        """Write the report of some results; raises `ResultsError`.

        It has the figures of the result file, so that `pytest-greenops report` makes the same.
        """
        self.write_page(page_of(_as_in_a_file(results), _regions(), caller))

    def write_kinds(self, runs: Mapping[str, Results]) -> None:
        """Write one report of the same suite on several machines, by their names."""
        if len(runs) == 1:
            self.write(next(iter(runs.values())))
            return
        shown = {name: _as_in_a_file(results) for name, results in runs.items()}
        self.write_page(page_of_kinds(shown, _regions()))

    def write_page(self, page: Page | TrendPage) -> None:
        """Write a page of the layout; raises `ResultsError`."""
        self._file.write(self._renderer.render(page))


def _as_in_a_file(results: Results) -> Results:
    return msgspec.json.decode(to_json(results), type=Results)


def _regions() -> list[Region]:
    names = region_names()
    return [Region(factor, names[str(factor.region)]) for factor in regions()]
