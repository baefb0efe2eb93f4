"""The overview of baselines that `pytest-greenops show` prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from pytest_greenops.baselines.overview import by_machine, overviews
from pytest_greenops.model.baseline import Anchor, Revision, Series, SeriesOverview
from tests.unit.builders import CPU, PSYS, baseline, key, rounds, series, session


def overview(of: Series) -> SeriesOverview:
    """Return the overview of a baseline with this one series."""
    [only] = overviews(baseline(call=of))
    return only


def test_a_level_is_that_of_all_sessions() -> None:
    """It is the geometric mean of the sessions; the spread is their standard deviation."""
    of = overview(series(session(rounds(2.0)), session(rounds(2.2), 2), session(rounds(1.8), 9)))
    assert of.joules["call"] == pytest.approx((2.0 * 2.2 * 1.8) ** (1 / 3), rel=1e-3)
    assert of.spread == pytest.approx(0.1, rel=0.02)
    assert (3, False, "2026-01-09T00:00:00+00:00") == (of.sessions, of.provisional, of.saved_at)


def test_two_sessions_have_a_spread() -> None:
    """The spread of two is their difference over the square root of two."""
    of = overview(series(session(rounds(2.0)), session(rounds(2.2), 2)))
    assert of.spread == pytest.approx(0.0953 / 2**0.5, rel=0.01)


def test_a_unit_of_the_test_follows_the_call() -> None:
    """Spread and creep are those of the test's own unit."""
    spent = rounds(2.0, units={"token": 4.0})
    anchor = Anchor("2025-12-01T00:00:00+00:00", {"token": {"cpu:0": 0.4}, "call": {"cpu:0": 9.0}})
    ten = series(*(session(spent, day) for day in range(1, 11)))
    of = overview(replace(ten, anchor=anchor))
    assert ["call", "token"] == list(of.joules)
    assert of.joules["token"] == pytest.approx(0.5, rel=1e-3)
    assert of.since_anchor == pytest.approx(0.25, rel=1e-3)


def test_the_first_session_has_not_crept() -> None:
    """A level that is the first accepted one has no creep."""
    of = overview(series(session()))
    assert (1, True, None, None) == (of.sessions, of.provisional, of.spread, of.since_anchor)


def test_a_counter_that_is_not_counted_is_left_out() -> None:
    """An excluded counter such as psys is not in a level."""
    spent = rounds(2.0, more={"psys": 7.0})
    of = overview(series(session(spent), domains=(CPU, PSYS)))
    assert of.joules["call"] == pytest.approx(2.0, rel=1e-3)


def test_a_series_without_energy_has_no_level() -> None:
    """A round without energy, or without a counter, leaves the figures out."""
    for broken in (rounds(0.0), rounds(2.0)[:2]):
        of = series(session(broken), session(day=2), domains=(CPU, replace(PSYS, counted=True)))
        assert ({}, None, None) == (
            overview(of).joules,
            overview(of).spread,
            overview(of).since_anchor,
        )


def test_a_unit_missing_from_a_session_is_left_out() -> None:
    """A unit that only the last session has gives no level."""
    of = overview(series(session(), session(rounds(units={"token": 4.0}), day=2)))
    assert ["call"] == list(of.joules)


def test_the_code_is_that_of_the_last_session() -> None:
    """It has the commit, and whether there were uncommitted changes."""
    last = replace(session(day=2), revision=Revision("89abcde", dirty=True))
    of = overview(series(session(), last))
    assert ("89abcde", True) == (of.commit, of.dirty)


@pytest.mark.parametrize(
    ("tests", "found"),
    [
        ([], ["decode", "prefill", "call"]),
        (["test_parse"], ["decode", "prefill"]),
        (["prefill"], ["prefill"]),
        (["prefill", "test_load"], ["prefill", "call"]),
        (["tests/test_x.py::test_load"], ["call"]),
        (["nothing"], []),
    ],
)
def test_tests_are_selected_by_parts_of_their_names(tests: list[str], found: list[str]) -> None:
    """Machines without a selected test are left out."""
    folder = Path("baselines")
    files = {
        folder / "a-00000001" / "x.json": baseline(
            prefill=series(session()), decode=series(session())
        ),
        folder / "b-00000002" / "y.json": baseline(key("test_load")),
    }
    overview = by_machine(folder, files, tests)
    assert found == [each.name for machine in overview.values() for each in machine]
    assert all(overview.values())


def test_baselines_are_grouped_by_machine() -> None:
    """It is the first part of a path below the folder."""
    folder = Path("in/baselines")
    files = {
        folder / machine / "tests" / name: baseline(key(name))
        for machine, name in (("a-1", "x"), ("b-2", "y"), ("a-1", "z"))
    }
    found = by_machine(folder, files)
    assert {machine: [each.test.name for each in of] for machine, of in found.items()} == {
        "a-1": ["x", "z"],
        "b-2": ["y"],
    }
