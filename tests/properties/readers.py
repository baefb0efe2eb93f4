"""Everything that this package reads from others: one table, for two drivers that make bad input.

`test_bad_input.py` changes valid input with Hypothesis; `fuzz.py` lets Atheris look for new paths.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import msgspec

from pytest_greenops.ab.git import GitError
from pytest_greenops.ab.messages import ChannelClosed, Command, Event, NoAnswer
from pytest_greenops.ab.parts import submodules
from pytest_greenops.baselines import baseline_file, work_file
from pytest_greenops.baselines.overview import overviews
from pytest_greenops.bisection.git_bisect import GitBisect
from pytest_greenops.commands import foreign_file, import_files
from pytest_greenops.hooks import ini_budgets, option_values
from pytest_greenops.insight.regions import factor_of
from pytest_greenops.machine import software
from pytest_greenops.model import units
from pytest_greenops.model.budget import Budget, parse_arguments
from pytest_greenops.model.errors import (
    BaselineError,
    BudgetError,
    GreenopsError,
    HistoryError,
    InsightError,
    OptionError,
    ResultsError,
    SensorUnavailable,
    UnitError,
)
from pytest_greenops.model.history_url import HistoryUrl, hidden
from pytest_greenops.report.imported_table import imported_lines
from pytest_greenops.run.fresh_process import FreshFailure
from tests.properties import kernel_files, nvml_answers, samples, stored_files
from tests.properties.pipes import answer_of, message_of


class Reader(NamedTuple):
    """One kind of input: what reads it, and what may be raised.

    read    takes bytes, and checks what it read as far as a result can be wrong by itself
    errors  the documented errors; nothing else may come out
    seeds   valid input
    """

    name: str
    read: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    seeds: tuple[bytes, ...]

    def __repr__(self) -> str:
        return self.name


def of_text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    """Return a reader of a text as Python has those of a command line or of the environment."""
    return lambda data: read(data.replace(b"\0", b"").decode("utf-8", "surrogateescape"))


def _texts(*seeds: str) -> tuple[bytes, ...]:
    return tuple(seed.encode() for seed in seeds)


def _encoded(text: str) -> None:
    """Check that a text which is printed and stored can be."""
    text.encode()


def _baseline(data: bytes) -> None:
    found = baseline_file.read_existing(stored_files.written(data))
    assert found is not None
    assert baseline_file.encode(found)
    overviews(found)


def _work(data: bytes) -> None:
    found = work_file.read_existing(stored_files.written(data))
    assert found is not None
    assert work_file.encode(found)


def _foreign(data: bytes) -> None:
    source = foreign_file.read(stored_files.written(data))
    tests = import_files.by_test([source], [])
    assert import_files._json([source], tests)
    _encoded("\n".join(imported_lines([source], tests, 100, True)))


def _each(parsers: Iterable[Callable[[str], object]], text: str) -> list[object]:
    """Return a text as each parser reads it; raise the error of the last that refuses it."""
    values: list[object] = []
    refused: GreenopsError | None = None
    for parse in parsers:
        try:
            values.append(parse(text))
        except (OptionError, UnitError, InsightError) as error:
            refused = error
    if refused:
        raise refused
    return values


def _quantity(parse: Callable[[str], float], text: str) -> None:
    assert 0 <= parse(text) < float("inf")


_QUANTITIES = (
    *(units.parse_energy, units.parse_power, units.parse_mass, units.parse_duration),
    *(units.parse_intensity, units.parse_flop, units.parse_memory, units.parse_percent),
)
_OPTIONS: tuple[Callable[[str], object], ...] = (
    *(option_values.count_of, option_values.path_of, option_values.stable_memory_of),
    *(option_values.count_when_of, option_values.on_github, option_values.ref_of),
    *(option_values.tests_of, option_values.names_of, option_values.pue_of),
    *(option_values.quantity_of(each) for each in ("percent", "duration", "intensity")),
    lambda value: option_values.benchmark_units_of(value.split("\n")),
    lambda value: option_values.exports_of(Path("/project"), value.split("\n")),
)


def _marks(data: bytes) -> None:
    """Read a marker's arguments as Python values; every JSON document is a value too."""
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        return
    positional, keywords = (given, {}) if isinstance(given, list) else ([given], {})
    if isinstance(given, dict):
        positional, keywords = [], given
    Budget.from_marks([(tuple(positional), keywords)])


def _ini_line(text: str) -> None:
    line = ini_budgets._parse("pytest.ini:1: energy_budgets", text)
    line.match("tests/test_x.py::test_parse[8]")


def _url(text: str) -> None:
    _encoded(hidden(text).encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
    url = HistoryUrl(text, Path("/project"))
    assert len(url.digest) == 8
    assert url.scrub("nothing to hide") is not None


class _Ran(NamedTuple):
    stdout: bytes
    returncode: int = 0


def _git_status(data: bytes) -> None:
    with patch("subprocess.run", lambda *_, **__: _Ran(data)):
        origin = software.origin(Path("/"), "project")
    msgspec.json.encode(origin)


def _git_parts(text: str) -> None:
    """Read what git lists as submodules, and what it says when it fails."""
    assert isinstance(GitError("status", text).last_line, str)
    with patch.object(submodules, "git", lambda *_: text):
        submodules._names(Path("/"), "HEAD")


def _bisect_log(data: bytes) -> None:
    log = stored_files.written(data)
    with patch.object(GitBisect, "git", lambda *_: str(log)):
        bisect = GitBisect(log.parent)
        _ = bisect.task, bisect.noted()


_RESULT_ERRORS = (ResultsError, HistoryError)

READERS = (
    Reader("baseline", _baseline, (BaselineError,), samples.BASELINES),
    Reader("work-table", _work, (BaselineError,), samples.WORK),
    Reader("results", stored_files.results, _RESULT_ERRORS, samples.RESULTS),
    Reader("fleet-results", stored_files.fleet_results, (ResultsError,), samples.FLEET_RESULTS),
    Reader("node-event", stored_files.node_event, (GreenopsError,), samples.NODE_EVENTS),
    Reader("pending-run", stored_files.pending, _RESULT_ERRORS, samples.RESULTS),
    Reader("foreign-results", _foreign, (ResultsError,), samples.FOREIGN),
    Reader(
        "quantity",
        of_text(partial(_each, [partial(_quantity, parse) for parse in _QUANTITIES])),
        (UnitError,),
        _texts("2.5 J", "5%", "1.5 GB", "2e3 ms"),
    ),
    Reader(
        "option",
        of_text(partial(_each, _OPTIONS)),
        (OptionError, UnitError, InsightError),
        _texts("auto", "5 %", "25", "powercap,nvml", "size:sample", "bencher:out.json", "1.2"),
    ),
    Reader(
        "marker-text",
        of_text(parse_arguments),
        (BudgetError,),
        _texts("2.5 J, per=sample", "max_increase='3%', min_rounds=5", "domain=gpu:0"),
    ),
    Reader(
        "marker-values",
        _marks,
        (BudgetError,),
        _texts('["2.5 J"]', '{"max_increase": "3%", "min_rounds": 5, "domain": "gpu:0"}'),
    ),
    Reader(
        "ini-budget",
        of_text(_ini_line),
        (OptionError,),
        _texts("tests/bench/* = max_increase=3%", "*[a=b] = 2.5 J, per=sample"),
    ),
    Reader(
        "cuda-visible-devices",
        of_text(nvml_answers.visible),
        (SensorUnavailable,),
        _texts("0,1", "GPU-0a1b,GPU-1c2d", "MIG-GPU-0a1b/1/0", "-1", "1gpu"),
    ),
    Reader("region", of_text(factor_of), (InsightError,), _texts("DE", "us-ga", "Germany")),
    Reader(
        "history-url",
        of_text(_url),
        (OptionError,),
        _texts(
            "sqlite:///energy.db",
            "postgresql+psycopg://ci:p%40ss@db:5432/energy?sslmode=require",
            "postgres://ci@[::1]/energy?host=/run",
        ),
    ),
    Reader("git-status", _git_status, (), samples.GIT_STATUS),
    Reader("git-lists", of_text(_git_parts), (), samples.GIT_LISTS),
    Reader("bisect-log", _bisect_log, (GreenopsError,), samples.BISECT_LOGS),
    Reader("ab-event", partial(message_of, Event), (ChannelClosed, NoAnswer), samples.EVENTS),
    Reader("ab-command", partial(message_of, Command), (ChannelClosed, NoAnswer), samples.COMMANDS),
    Reader("fresh-answer", answer_of, (FreshFailure,), samples.ANSWERS),
    Reader("powercap-tree", kernel_files.powercap_tree, (SensorUnavailable,), samples.POWERCAP),
    Reader("machine-tree", kernel_files.machine_tree, (), samples.MACHINES),
    Reader("proc-stat", kernel_files.cpu_times, (), samples.PROC_STAT),
    Reader("proc-pid-stat", kernel_files.process_time, (OSError,), samples.PROC_PID_STAT),
    Reader("proc-children", kernel_files.child_list, (OSError,), samples.PROC_CHILDREN),
    Reader("proc-meminfo", kernel_files.memory, (), samples.PROC_MEMINFO),
    Reader("nvml", nvml_answers.answers, (SensorUnavailable,), nvml_answers.SEEDS),
)
BY_NAME: dict[str, Reader] = {reader.name: reader for reader in READERS}


def outcome(reader: Reader, data: bytes) -> Exception | None:
    """Let a reader read; return its documented error, or None. Anything else is raised."""
    try:
        reader.read(data)
    except reader.errors as error:
        if isinstance(error, GreenopsError) and not str(error).isprintable():
            raise AssertionError(
                "a message of several lines, or with control characters"
            ) from error
        return error
    return None
