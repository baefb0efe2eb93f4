"""What a run writes beside the reports of its tests: its header, and files of its results."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pytest_greenops import machine
from pytest_greenops.baselines.whole_file import write_whole
from pytest_greenops.commands import results_file
from pytest_greenops.commands.report_file import ReportFile
from pytest_greenops.model.advised import Caller
from pytest_greenops.model.errors import GreenopsError, OptionError
from pytest_greenops.model.place import Places
from pytest_greenops.model.result import Results
from pytest_greenops.model.run_options import Options
from pytest_greenops.report import closing
from pytest_greenops.report.document import to_json
from pytest_greenops.report.drawing import plain, shows_blocks, visible
from pytest_greenops.run.run import Run


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


#: Writes the results of a run to a file; raises `GreenopsError`.
_Write: TypeAlias = Callable[[Results, Caller, Places], None]


class OutputFiles:
    """The files that a run writes at its end.

    Raises `OptionError` for one that could not be written at the end, or that two options name.
    """

    def __init__(self, options: Options) -> None:
        self._writes: list[tuple[str, _Write]] = []
        taken: dict[str, str] = {}
        for option, path, opened in _outputs(options):
            with _naming(option):
                self._writes.append((option, opened(path)))
                file = os.path.realpath(path)
                other = taken.setdefault(file, option.rstrip(":"))
                if other != option.rstrip(":") and (path.is_file() or not path.exists()):
                    raise OptionError(f"{path}: {other} writes the same file; name another file")

    @property
    def wanted(self) -> bool:
        """Whether the run writes any."""
        return bool(self._writes)

    def write(self, document: Results, caller: Caller, places: Places) -> Iterator[str]:
        """Write the files that the run asked for; yield a problem for each that failed."""
        for option, write in self._writes:
            try:
                write(document, caller, places)
            except GreenopsError as error:
                yield f"{option} {error}"


def of_machine(options: Options, label: str) -> Options:
    """Return options that name files of one of several machines: `energy-LABEL.json`.

    What is no file, such as a standard stream, is the same for all.
    """

    def named(path: Path | None) -> Path | None:
        if path is None or (path.exists() and not path.is_file()):
            return path
        return path.with_name(f"{path.stem}-{label}{path.suffix}")

    return options._replace(
        json=named(options.json),
        html=named(options.html),
        markdown=named(options.markdown),
        exports=tuple((name, named(path) or path) for name, path in options.exports),
    )


def _outputs(options: Options) -> Iterator[tuple[str, Path, Callable[[Path], _Write]]]:
    """Yield each option that names a file, the file, and what checks the file before the tests."""
    if options.json is not None:
        yield "--energy-json", options.json, _json
    if options.html is not None:
        yield "--energy-html", options.html, _html
    if options.markdown is not None:
        yield "--energy-markdown", options.markdown, _markdown
    for name, path in options.exports:
        yield f"--energy-export {name}:", path, partial(_export, name)


def _json(path: Path) -> _Write:
    def write(document: Results, caller: Caller, places: Places) -> None:
        try:
            write_whole(path, to_json(document))
        except OSError as error:
            raise results_file.unwritable(path, error) from None

    results_file.check_writable(path)
    return write


def _html(path: Path) -> _Write:
    from pytest_greenops.commands.html_file import HtmlFile

    file = HtmlFile(path)
    return lambda document, caller, places: file.write(document, caller)


def _markdown(path: Path) -> _Write:
    from pytest_greenops.report.markdown import MARK, to_markdown

    file = ReportFile(path, lambda data: data.startswith(MARK.encode()), "a report")
    return lambda document, caller, places: file.write(to_markdown(document, caller))


def _export(name: str, path: Path) -> _Write:
    from pytest_greenops.report.exports import FORMATS

    form = FORMATS[name]
    file = ReportFile(path, form.holds, f"a {name} file")
    return lambda document, caller, places: file.write(form.write(document, places))


@contextmanager
def _naming(option: str) -> Iterator[None]:
    """Put the name of an option in front of an error."""
    try:
        yield
    except GreenopsError as error:
        raise OptionError(f"{option} {error}") from None
