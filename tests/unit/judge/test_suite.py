"""What the accepted sessions of a suite share: their scatter, and their machine's shifts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from msgspec.structs import replace

from pytest_greenops.judge.suite import (
    ControlShift,
    control_checks,
    control_history,
    control_level,
    control_shift,
    control_slope,
    shared,
    slope_beyond_chance,
    suite,
)
from pytest_greenops.model.baseline import Series
from tests.unit.builders import GPU, grown, rounds, series, session


def runs(common: float, own: float, n: int = 8, tests: int = 20, seed: int = 1) -> list[Series]:
    """Return a suite's series over n runs; controls shift by `common`, tests also by `own`."""
    rng = np.random.default_rng(seed)
    machine = rng.normal(0, common, n)
    controls = [{"cpu:0": float(np.exp(m + rng.normal(0, 0.001)))} for m in machine]
    return [
        series(
            *(
                replace(session(rounds(2 * math.exp(m * (common > 0) + e)), day), control_j=control)
                for day, (m, e, control) in enumerate(
                    zip(machine, rng.normal(0, own, n), controls, strict=True), 1
                )
            )
        )
        for _ in range(tests)
    ]


def test_a_shift_shared_with_the_control_is_found() -> None:
    """Tests that move with the control have a slope of about one."""
    assert control_slope(runs(0.03, 0.01)) == pytest.approx(1.0, abs=0.15)


def test_a_control_that_explains_nothing_is_not_used() -> None:
    """Tests that move independently of the control have no slope."""
    slopes = [control_slope(runs(0.0, 0.03, seed=seed)) for seed in range(40)]
    assert sum(slope > 0 for slope in slopes) <= 2


def test_too_few_runs_have_no_slope() -> None:
    """Two points always lie on a line."""
    assert control_slope(runs(0.03, 0.0, n=2)) == 0.0
    assert slope_beyond_chance([-1.0, 1.0], [-1.0, 1.0]) == 0.0
    assert slope_beyond_chance([-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0]) == 1.0


def test_sessions_without_a_control_still_give_their_scatter() -> None:
    """Baselines saved before there was a control have no slope."""
    plain = [grown(spread=0.01 * n) for n in (1, 2, 3, 4, 5)]
    assert control_slope(plain) == 0.0
    assert suite(plain) is not None


def test_the_scatter_excludes_what_the_control_explains() -> None:
    """Without the machine's shifts the suite scatters less."""
    noisy = runs(0.03, 0.005)
    with_it, without = suite(noisy), suite(noisy, slope=1.0)
    assert with_it is not None
    assert without is not None
    assert without.session_var < with_it.session_var / 10


def test_what_a_suite_shares_is_known_with_and_without_its_machine() -> None:
    """The series may be read one after the other; without a slope the two are the same."""
    noisy = runs(0.03, 0.005)
    slope = control_slope(noisy)
    assert slope > 0.5
    assert shared(iter(noisy)) == (suite(noisy), suite(noisy, slope), slope)
    plain = [grown(spread=0.01 * n) for n in (1, 2, 3, 4, 5)]
    assert shared(iter(plain)) == (suite(plain), suite(plain), 0.0)


def test_a_suite_needs_five_series_of_three_sessions() -> None:
    """Series with fewer sessions do not count."""
    assert suite([grown(sessions=2)] * 9 + [grown()] * 4) is None
    assert suite([grown(sessions=2)] * 9 + [grown()] * 5) is not None


@pytest.mark.parametrize(
    ("domains", "level"),
    [
        (["cpu:0"], math.log(2.0)),
        (["cpu:0", "dram:0"], math.log(2.5)),
        (["gpu:0"], None),
        ([], None),
    ],
)
def test_a_control_covers_only_its_counters(domains: list[str], level: float | None) -> None:
    """Its level is the sum of the judged counters, if it used all of them."""
    assert control_level({"cpu:0": 2.0, "dram:0": 0.5, GPU.name: 0.0}, domains) == level


def shift_from(earlier: list[Series], joules: dict[str, float]) -> ControlShift | None:
    """Return how far a control workload is from earlier runs, with an assumed spread of 3 %."""
    return control_shift(control_history(earlier, joules), joules, 0.03)


@pytest.mark.parametrize(
    ("joules", "trusted"), [(1.0, True), (1.02, True), (1.2, False), (0.8, False)]
)
def test_a_control_far_from_its_history_is_not_trusted(joules: float, trusted: bool) -> None:
    """After eight runs within 1 %, a ninth may differ by a few percent only."""
    shift = shift_from(runs(0.01, 0.01), {"cpu:0": joules})
    assert shift is not None
    assert shift.change == pytest.approx(joules - 1, abs=0.01)
    assert shift.trusted is trusted


def test_controls_of_one_hour_are_one_point_of_the_history() -> None:
    """Several controls of one run say as little as one."""
    once, at = runs(0.03, 0.01), "2026-01-01T00:00:00+00:00"
    as_one = [
        replace(s, sessions=tuple(replace(each, run=at, saved_at=at) for each in s.sessions))
        for s in once
    ]
    assert shift_from(once, {"cpu:0": 1.0}) is not None
    shift = shift_from(as_one, {"cpu:0": 1.0})
    assert shift is not None
    assert shift.allowed > 0.18
    assert control_slope(as_one) == 0.0


def test_a_short_history_allows_the_assumed_spread() -> None:
    """With one or two runs 3 % is assumed; without history there is no shift."""
    for n, allowed in ((1, 0.19), (2, 0.165)):
        shift = shift_from(runs(0.0, 0.01, n=n), {"cpu:0": 1.3})
        assert shift is not None
        assert shift.allowed == pytest.approx(allowed, abs=0.01)
        assert not shift.trusted
    assert shift_from([], {"cpu:0": 9.0}) is None
    assert shift_from(runs(0.01, 0.01), {"gpu:0": 9.0}) is None
    assert shift_from(runs(0.01, 0.01), {}) is None


def history(joules: float) -> list[Series]:
    """Return a series of five days whose controls used about this many joules."""
    controls = [joules * factor for factor in (0.99, 0.995, 1.0, 1.005, 1.01)]
    days = (
        replace(session(rounds(), day), control_j={"cpu:0": j, "dram:0": j})
        for day, j in enumerate(controls, 1)
    )
    return [series(*days)]


@pytest.mark.parametrize("trusting", [False, True])
def test_a_machine_far_from_its_history_is_not_trusted(trusting: bool) -> None:
    """If fixed work uses twice its history no verdict is allowed, unless all is accepted."""
    now = {"cpu:0": 2.0, "dram:0": 2.0}
    [check] = control_checks(control_history(history(1.0), now), now, 0.03, trusting)
    assert (check.name, check.untrusted) == ("control", not trusting)
    assert check.finding.startswith("fixed work used +100 % against earlier runs, which differ by")


@pytest.mark.parametrize(
    ("accepted", "joules"),
    [(history(1.0), {"cpu:0": 1.0, "dram:0": 1.0}), ([], {"cpu:0": 1.0}), (history(1.0), {})],
    ids=["as ever", "no history", "no control"],
)
def test_a_machine_as_ever_has_no_check(accepted: list[Series], joules: dict[str, float]) -> None:
    """Nothing is reported within the scatter of earlier runs, or if there is nothing to compare."""
    known = control_history(accepted, joules)
    assert control_checks(known, joules, 0.03, trusting=False) == ()


@pytest.mark.parametrize(("scatter", "slope"), [(0.023, 0.5), (0.024, 0.0), (0.0, 0.5)])
def test_a_slope_is_taken_that_chance_explains_in_one_of_a_hundred(
    scatter: float, slope: float
) -> None:
    """Half the control's shift and four deviations: F with 1 and 3 degrees exceeds 34.1 in 1 %."""
    xs = [-0.2, -0.1, 0.0, 0.1, 0.2]
    ys = [0.5 * x + scatter * off for x, off in zip(xs, (1, -1, 0, -1, 1), strict=True)]
    assert slope_beyond_chance(xs, ys) == pytest.approx(slope)


@pytest.mark.parametrize(("factor", "slope"), [(2.0, 1.0), (-0.5, 0.0)])
def test_a_slope_is_between_nothing_and_all(factor: float, slope: float) -> None:
    """Tests that shift more than the control, or against it, have other causes."""
    xs = [-0.2, -0.1, 0.0, 0.1, 0.2]
    assert slope_beyond_chance(xs, [factor * x for x in xs]) == pytest.approx(slope)


def test_three_runs_have_a_slope() -> None:
    """Each run is a point: here tests share half of the control's shift."""
    shifts = (-0.1, 0.0, 0.1)
    half = series(
        *(
            replace(
                session(rounds(2 * math.exp(shift / 2)), day),
                control_j={"cpu:0": 3 * math.exp(shift)},
            )
            for day, shift in enumerate(shifts, 1)
        )
    )
    assert control_slope([half]) == pytest.approx(0.5, rel=1e-4)


def test_a_suite_of_alike_tests_shares_their_variance() -> None:
    """A variance with two degrees of freedom has a logarithm 0.577 below that of its mean."""
    levels = [2 * math.exp(off) for off in (0.02, 0.0, -0.02)]
    alike = series(*(session(rounds(level), day) for day, level in enumerate(levels, 1)))
    shared = suite([alike] * 5)
    assert shared is not None
    assert shared.session_var == pytest.approx(0.0004 * math.exp(0.577216), rel=1e-4)
    assert shared.weight == 8


def test_a_changed_machine_is_told_with_what_it_may_differ_by() -> None:
    """Three occasions that differ by 1 %: Student's t of two degrees allows 25 %."""
    history = [[0.0], [0.01], [-0.01]]
    [check] = control_checks(history, {"cpu:0": 1.5}, 0.03, trusting=False)
    assert (check.finding, check.done) == (
        "fixed work used +50 % against earlier runs, which differ by up to 25 %: the machine has "
        "changed",
        "no verdict on it",
    )
    assert (check.untrusted, check.kinds) == (True, ("cpu", "dram", "psys"))
    [saved] = control_checks(history, {"cpu:0": 1.5}, 0.03, trusting=True)
    assert (saved.untrusted, saved.done) == (False, "reported, and saved")
    assert control_checks(history, {"cpu:0": 1.24}, 0.03, trusting=False) == ()
