"""Small accepted steps that add up, and steps that do not count."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from pytest_greenops.judge.creep import since_anchor
from pytest_greenops.model.baseline import MAX_SESSIONS, Series
from tests.unit.builders import CPU, rounds, series, session

close = pytest.approx


def accepted(*levels: float, begin: int = 1) -> Series:
    """Return a series whose sessions, one a day, have these levels; its anchor is 2 J on day 1."""
    return series(*(session(rounds(joules), day) for day, joules in enumerate(levels, begin)))


def creep(of: Series) -> float | None:
    """Return the creep of calls on the CPU."""
    return since_anchor(of, "call", ["cpu:0"])


def test_several_small_steps_are_creep() -> None:
    """The level is the mean of the accepted sessions."""
    steps = [2.0 * 1.02**n for n in range(10)]
    assert creep(accepted(*steps)) == close(1.02**4.5 - 1, rel=1e-2)


@pytest.mark.parametrize("levels", [[2.0], [2.0, 2.2]])
def test_the_first_level_and_one_step_are_no_creep(levels: list[float]) -> None:
    """Somebody looked at a single step when it was accepted."""
    assert creep(accepted(*levels)) is None


def test_sessions_of_one_run_are_one_step() -> None:
    """`--energy-sessions` saves several at once."""
    of = accepted(2.0, 2.18, 2.2, 2.22)
    one, *more = of.sessions
    at_once = (one, *(replace(each, run="now") for each in more))
    assert creep(of) is not None
    assert creep(replace(of, sessions=at_once)) is None


def test_sessions_that_followed_a_dropped_one_count() -> None:
    """The session of the anchor is not among the last ten any more."""
    assert creep(accepted(*[2.2] * MAX_SESSIONS, begin=2)) == close(0.1, rel=1e-2)


@pytest.mark.parametrize("sessions", [1, 4])
def test_a_large_step_that_an_earlier_version_accepted_is_no_creep(sessions: int) -> None:
    """It replaced all sessions and left the anchor at the level of before."""
    assert creep(accepted(*[3.0] * sessions, begin=2)) is None


def test_scatter_is_no_creep() -> None:
    """A mean of sessions that differ by 10 % may be 6 % above the first one."""
    assert creep(accepted(2.0, 2.25, 2.0, 2.25)) is None


def test_steps_count_from_where_the_anchor_was_moved() -> None:
    """After an acknowledgement only later sessions are steps."""
    of = accepted(2.2, 2.3, 2.4, 2.5)
    moved = replace(of.anchor, moved_at=of.sessions[2].saved_at)
    assert creep(of) is not None
    assert creep(replace(of, anchor=moved)) is None


def test_steps_count_from_the_first_of_several_runs_at_the_anchor() -> None:
    """Two runs may have saved in the same second: the second one is a step."""
    of = accepted(2.0, 2.2, 2.21)
    at_once = (of.sessions[0], replace(of.sessions[1], run="b", saved_at=of.sessions[0].saved_at))
    assert creep(replace(of, sessions=(*at_once, of.sessions[2]))) is not None


def test_an_anchor_is_moved_behind_all_that_was_saved_with_it() -> None:
    """Of two runs in the second of the acknowledgement, none is a later step."""
    of = accepted(2.2, 2.3, 2.4)
    since = of.sessions[0].saved_at
    at_once = (of.sessions[0], replace(of.sessions[1], run="b", saved_at=since))
    moved = replace(of.anchor, moved_at=since)
    assert creep(replace(of, anchor=moved, sessions=(*at_once, of.sessions[2]))) is None


def test_a_later_session_of_the_first_run_is_no_step() -> None:
    """A run that saves for minutes is still one run."""
    of = accepted(2.0, 2.2, 2.21)
    first, second, third = of.sessions
    one_run = (replace(first, run="a"), replace(second, run="a"), third)
    assert creep(of) is not None
    assert creep(replace(of, sessions=one_run)) is None


@pytest.mark.parametrize(("shift", "shown"), [(0.20, False), (0.27, False), (0.31, True)])
def test_creep_is_beyond_the_error_of_the_mean_and_of_the_anchor(shift: float, shown: bool) -> None:
    """Four levels in turns a tenth apart have an error of 0.0791; their mean is 0.05 higher."""
    steps = [2.0 * math.exp(shift * 0.1 + step) for step in (0.0, 0.1, 0.0, 0.1)]
    assert (creep(accepted(*steps)) is not None) is shown


def test_an_anchor_without_joules_is_no_level() -> None:
    """A counter that did not move then cannot be compared with."""
    of = accepted(2.0, 2.1, 2.2)
    assert (
        creep(replace(of, anchor=replace(of.anchor, joules_per_unit={"call": {"cpu:0": 0.0}})))
        is None
    )


def test_a_unit_or_counter_without_an_anchor_is_unknown() -> None:
    """Older baselines may lack them."""
    of = accepted(2.0, 2.1, 2.2)
    assert since_anchor(of, "token", ["cpu:0"]) is None
    assert since_anchor(of, "call", ["cpu:0", "dram:0"]) is None
    assert since_anchor(replace(of, domains=(CPU,)), "call", ["cpu:0"]) is not None
