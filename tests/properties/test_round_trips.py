"""Every value that is stored or sent is the same when it is read: none is lost, none is changed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pytest_greenops.ab.messages import Command, Event
from pytest_greenops.baselines import baseline_file, work_file
from pytest_greenops.commands import results_file
from pytest_greenops.history.append import append
from pytest_greenops.history.read import Wanted, read_trends
from pytest_greenops.model.baseline import Baseline, Revision, Series, TestKey
from pytest_greenops.model.counted import Amount, Count, Counted, Coverage, Operator
from pytest_greenops.model.history_url import HistoryUrl
from pytest_greenops.model.measurement import Domain, Round
from pytest_greenops.model.result import Result, Results
from pytest_greenops.model.work_baseline import WORK_SCHEMA, AcceptedWork, WorkBaseline
from pytest_greenops.report.document import to_json
from pytest_greenops.run.fresh_process import Answer
from tests.properties import pipes, stored_files
from tests.properties.stored_values import builtins, values
from tests.unit.builders import CPU, key, rounds
from tests.unit.judge.test_two_files import measured, results

_JOULES = st.floats(0.001, 1000.0).map(lambda value: float(f"{value:.6g}"))


def _with_counters(round_: Round, domains: tuple[Domain, ...], units: list[str]) -> Round:
    """Return a round of plausible size that has read these counters and done this work."""
    energy_uj = {domain.name: 1 + place for place, domain in enumerate(domains)}
    work = dict.fromkeys(units, 2.0)
    return replace(round_, energy_uj=energy_uj, units=work, iterations=3, windows=3)


@st.composite
def _series(draw: st.DrawFn) -> Series:
    made = draw(values(Series))
    named = {domain.name: domain for domain in (CPU, *made.domains)}
    domains = tuple(named.values())
    units = sorted(made.sessions[0].rounds[0].units)
    sessions = tuple(
        replace(
            session,
            rounds=tuple(_with_counters(each, domains, units) for each in session.rounds),
            control_j=dict.fromkeys(session.control_j, 1.5),
        )
        for session in made.sessions
    )
    joules = {unit: dict.fromkeys(of, 2.5) for unit, of in made.anchor.joules_per_unit.items()}
    anchor = replace(made.anchor, joules_per_unit=joules)
    return replace(made, domains=domains, sessions=sessions, anchor=anchor)


@settings(max_examples=60)
@given(values(TestKey), st.dictionaries(st.sampled_from("ab"), _series(), max_size=2), st.data())
def test_baselines(test: TestKey, measurements: dict[str, Series], data: st.DataObject) -> None:
    """A file of baselines has every session, round, counter and fact that was accepted."""
    machine = data.draw(values(dict[str, str]))
    stored = Baseline(1, test, machine, measurements)
    path = stored_files.written(baseline_file.encode(stored))
    assert baseline_file.read(path) == stored


@st.composite
def _accepted(draw: st.DrawFn) -> AcceptedWork:
    names = st.sampled_from(("aten.mm", "aten.add", "own | op"))
    operators = st.builds(Operator, names, st.sampled_from(("", "float32")), st.just("cpu"))
    table = Counted(
        draw(st.dictionaries(operators, values(Amount), max_size=3)),
        modules := draw(st.dictionaries(st.sampled_from(("", "a.0", "b")), values(Amount))),
        draw(values(Count)),
        replace(draw(values(Coverage)), share=0.5, threads=0.25, children=0.0),
        {path: 1 + place for place, path in enumerate(modules)},
    )
    rest = draw(values(dict[str, str])), "v1", "2026-01-01", draw(values(Revision))
    return AcceptedWork(table, *rest)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(("call", "other")), _accepted()))
def test_work_tables(measurements: dict[str, AcceptedWork]) -> None:
    """A file of accepted work has every operator and module, to the last digit."""
    stored = WorkBaseline(WORK_SCHEMA, key(), measurements)
    path = stored_files.written(work_file.encode(stored))
    assert work_file.read_existing(path) == stored


@settings(max_examples=40)
@given(values(Result))
def test_results(made: Result) -> None:
    """A file of results has everything but what is unknown."""
    unread = replace(made, provenance=replace(made.provenance, sensors={}))
    stored = results(unread)
    path = stored_files.written(to_json(stored))
    assert builtins(results_file.read(path)) == builtins(stored)


@settings(max_examples=25)
@given(
    st.lists(_JOULES, min_size=1, max_size=4),
    st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2),
)
def test_history_rows(levels: list[float], conditions: dict[str, str]) -> None:
    """A history gives back the joules and conditions of each run, in their order."""
    file = stored_files.folder() / "rows.db"
    file.unlink(missing_ok=True)
    url = HistoryUrl(f"sqlite:///{file}", stored_files.folder())
    append(url, [_run(day, joules, conditions) for day, joules in enumerate(levels, 1)])
    [trend] = read_trends(url, Wanted())
    assert [point.value for point in trend.points] == levels
    assert [point.conditions for point in trend.points] == [_stored(conditions)] * len(levels)


def _run(day: int, joules: float, conditions: dict[str, str]) -> Results:
    made = results(measured(joules, rounds=rounds(joules), conditions=conditions))
    return replace(made, created_at=f"2026-01-{day:02}T00:00:00+00:00")


def _stored(conditions: dict[str, str]) -> dict[str, str]:
    """Return conditions as a database has them, which holds no NUL and no lone surrogate."""
    return {_held(name): _held(value) for name, value in conditions.items()}


def _held(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


_MESSAGES = [*Command.__args__, *Event.__args__]


@pytest.mark.parametrize("kind", [*_MESSAGES, Answer], ids=lambda kind: kind.__name__)
@settings(max_examples=30)
@given(data=st.data())
def test_messages(kind: Any, data: st.DataObject) -> None:
    """What a process says to another arrives as it was sent."""
    sent = data.draw(values(kind))
    if kind is Answer:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(sent), type=Answer) == sent
    else:
        expected = Command if kind in Command.__args__ else Event
        assert pipes.received(expected, pipes.framed(sent)) == sent
