"""Small accepted steps that add up, and steps that do not count."""

from __future__ import annotations

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


def test_a_unit_or_counter_without_an_anchor_is_unknown() -> None:
    """Older baselines may lack them."""
    of = accepted(2.0, 2.1, 2.2)
    assert since_anchor(of, "token", ["cpu:0"]) is None
    assert since_anchor(of, "call", ["cpu:0", "dram:0"]) is None
    assert since_anchor(replace(of, domains=(CPU,)), "call", ["cpu:0"]) is not None
