"""What a run writes beside the reports of its tests: its header, and files of its results."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pytest_greenops import machine
from pytest_greenops.baselines.whole_file import write_whole
from pytest_greenops.commands import results_file
from pytest_greenops.commands.report_file import ReportFile
from pytest_greenops.model.advised import Caller
from pytest_greenops.model.errors import GreenopsError, OptionError
from pytest_greenops.model.place import Places
from pytest_greenops.model.run_options import Options
from pytest_greenops.report import closing
from pytest_greenops.report.document import to_json
from pytest_greenops.report.drawing import plain, shows_blocks, visible
from pytest_greenops.run.run import Run

if TYPE_CHECKING:
    from pytest_greenops.commands.html_file import HtmlFile


def shows_unicode() -> bool:
    """Return whether the terminal shows more than ASCII."""
    return shows_blocks(getattr(sys.__stdout__, "encoding", None))


def print_lines(config: pytest.Config, lines: Iterable[str]) -> None:
    """Print lines after everything else, also where pytest prints nothing."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    for line in map(visible if shows_unicode() else plain, lines):
        (reporter.write_line if reporter else print)(line)


def header(run: Run) -> Iterator[str]:
    """Yield what measures, what it is compared with, and what fails."""
    sensors = []
    for s in run.instruments.sensors:
        domains, notes = [domain.name for domain in s.domains], getattr(s, "notes", ())
        sensors.append(closing.SensorLine(s.name, s.source, s.method, domains, notes))
    problems = ((f.name, f.problem) for f in run.findings)
    unreadable = {name: problem for name, problem in problems if problem and not problem.absent}
    for sensor in run.instruments.sensors:
        unreadable |= getattr(sensor, "left_out", {})
    unreadable |= machine.gaps(run.environment.machine)
    saved = len(run.store.files())
    return closing.header(sensors, unreadable, run.environment.slug, saved, run.policy)


class OutputFiles:
    """The files that a run writes at its end.

    Raises `OptionError` for one that could not be written at the end.
    """

    def __init__(self, options: Options) -> None:
        self._json = options.json
        self._html: HtmlFile | None = None
        if options.json is not None:
            with _naming("--energy-json"):
                results_file.check_writable(options.json)
        if options.html is not None:
            from pytest_greenops.commands.html_file import HtmlFile

            with _naming("--energy-html"):
                self._html = HtmlFile(options.html)
        self._markdown: ReportFile | None = None
        if options.markdown is not None:
            from pytest_greenops.report.markdown import MARK

            with _naming("--energy-markdown"):
                self._markdown = ReportFile(
                    options.markdown, lambda data: data.startswith(MARK.encode()), "a report"
                )
        self._exports: list[tuple[str, ReportFile]] = []
        for name, path in options.exports:
            from pytest_greenops.report.exports import FORMATS

            with _naming(f"--energy-export {name}:"):
                file = ReportFile(path, FORMATS[name].holds, f"a {name} file")
                self._exports.append((name, file))

    def write(self, run: Run, caller: Caller, places: Places) -> Iterator[str]:
        """Write the files that the run asked for; yield a problem for each that failed."""
        if self._json is not None:
            try:
                write_whole(self._json, to_json(run.document()))
            except OSError as error:
                yield f"--energy-json {results_file.unwritable(self._json, error)}"
        if self._html is not None:
            try:
                self._html.write(run.document(), caller)
            except GreenopsError as error:
                yield f"--energy-html {error}"
        if self._markdown is not None:
            from pytest_greenops.report.markdown import to_markdown

            try:
                self._markdown.write(to_markdown(run.document(), caller))
            except GreenopsError as error:
                yield f"--energy-markdown {error}"
        for name, file in self._exports:
            from pytest_greenops.report.exports import FORMATS

            try:
                file.write(FORMATS[name].write(run.document(), places))
            except GreenopsError as error:
                yield f"--energy-export {name}: {error}"


@contextmanager
def _naming(option: str) -> Iterator[None]:
    """Put the name of an option in front of an error."""
    try:
        yield
    except GreenopsError as error:
        raise OptionError(f"{option} {error}") from None
