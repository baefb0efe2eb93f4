"""How results must change when the input changes: more work, other windows, another order."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_greenops.judge.case import Case, Reference, Rules
from pytest_greenops.judge.judgement import judge_measurement
from pytest_greenops.judge.suite import suite
from pytest_greenops.judge.two_files import compare
from pytest_greenops.measure.meter import Plan
from pytest_greenops.model.baseline import Series
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.measurement import Domain, Measurement, Reading, Round
from pytest_greenops.model.verdict import Outcome, Verdict
from pytest_greenops.sensors.base import difference
from tests.unit.builders import a_round, key, measurement, rounds, series, session
from tests.unit.judge.test_two_files import measured, results
from tests.unit.measure.lab import Lab, joules

#: From the best outcome to the worst, where only the joules differ.
_ORDER = (Outcome.IMPROVED, Outcome.PASSED, Outcome.INCONCLUSIVE, Outcome.REGRESSED)
_SCATTER = st.lists(st.floats(0.97, 1.03), min_size=5, max_size=12)
_LEVELS = st.lists(st.floats(0.98, 1.02), min_size=1, max_size=6)
_FACTORS = st.floats(0.5, 2.0)


def _scattered(level_j: float, scatter: list[float]) -> tuple[Round, ...]:
    return tuple(a_round(level_j * each) for each in scatter)


def _accepted(levels: list[float]) -> Series:
    return series(*(session(rounds(2.0 * each), day) for day, each in enumerate(levels, 1)))


def _judged(of: Measurement, accepted: Series, budget: Budget) -> Verdict:
    return judge_measurement(Case(of, budget, Reference(accepted), Rules()))


# --- the judge ---------------------------------------------------------------------------------


@settings(max_examples=300)
@given(_LEVELS, _SCATTER, _FACTORS, _FACTORS)
def test_more_joules_are_never_a_better_verdict(
    levels: list[float], scatter: list[float], one: float, other: float
) -> None:
    """With all else the same, a larger change is judged the same or worse."""
    accepted = _accepted(levels)
    less, more = (
        _judged(measurement(_scattered(2.0 * factor, scatter)), accepted, Budget())
        for factor in sorted((one, other))
    )
    assert _ORDER.index(less.outcome) <= _ORDER.index(more.outcome)
    assert less.change is not None
    assert more.change is not None
    assert less.change.relative <= more.change.relative


@settings(max_examples=150)
@given(_SCATTER, _FACTORS, _FACTORS, st.floats(1.0, 4.0))
def test_more_joules_are_never_within_a_budget_that_less_exceeds(
    scatter: list[float], one: float, other: float, limit_j: float
) -> None:
    """An absolute limit that is exceeded stays so when the joules increase."""
    less, more = (
        judge_measurement(
            Case(
                measurement(_scattered(2.0 * factor, scatter)),
                Budget(energy_j=limit_j),
                Reference(),
                Rules(),
            )
        )
        for factor in sorted((one, other))
    )
    if less.outcome is Outcome.OVER_BUDGET:
        assert more.outcome is Outcome.OVER_BUDGET
    if more.outcome is Outcome.PASSED:
        assert less.outcome is Outcome.PASSED


@settings(max_examples=100)
@given(_LEVELS, _SCATTER, _FACTORS, st.floats(0.001, 0.2), st.floats(0.001, 0.2))
def test_a_wider_margin_is_never_a_worse_verdict(
    levels: list[float], scatter: list[float], factor: float, one: float, other: float
) -> None:
    """What passes a narrow margin is no regression by a wide one."""
    accepted = _accepted(levels)
    seen = measurement(_scattered(2.0 * factor, scatter))
    narrow, wide = (
        _judged(seen, accepted, Budget(max_increase=margin)) for margin in sorted((one, other))
    )
    if narrow.outcome in (Outcome.PASSED, Outcome.IMPROVED):
        assert wide.outcome is not Outcome.REGRESSED
    if wide.outcome is Outcome.REGRESSED:
        assert narrow.outcome is Outcome.REGRESSED


@settings(max_examples=60)
@given(st.lists(_FACTORS, min_size=1, max_size=7), st.randoms(use_true_random=False))
def test_the_order_of_tests_changes_no_verdict(factors: list[float], random: Any) -> None:
    """Each test of a run has the same verdict and p values, wherever it stands."""
    before = [measured(test=key(f"test_{n}")) for n in range(len(factors))]
    after = [measured(2.0 * f, test=key(f"test_{n}")) for n, f in enumerate(factors)]
    in_order = compare(results(*before), results(*after)).results
    random.shuffle(before)
    random.shuffle(after)
    shuffled = compare(results(*before), results(*after)).results
    assert {r.test: r.verdict for r in in_order} == {r.test: r.verdict for r in shuffled}


@settings(max_examples=60)
@given(st.lists(_LEVELS, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_tests_changes_no_suite(all_levels: list[list[float]], random: Any) -> None:
    """What the baselines of a suite share does not depend on which is read first."""
    accepted = [_days_apart(levels) for levels in all_levels]
    in_order = suite(accepted)
    random.shuffle(accepted)
    shuffled = suite(accepted)
    assert (in_order is None) == (shuffled is None)
    if in_order is not None:
        assert shuffled == pytest.approx(in_order)


def _days_apart(levels: list[float]) -> Series:
    return _accepted([*levels, 1.0, 1.01, 0.99])


# --- windows -----------------------------------------------------------------------------------


@settings(max_examples=200)
@given(
    st.lists(st.integers(0, 10**8), min_size=2, max_size=8),
    st.integers(10**9, 10**13),
    st.integers(0, 10**9),
)
def test_a_split_window_conserves_joules(
    spent_uj: list[int], range_uj: int, before_wrap_uj: int
) -> None:
    """The parts of a window have the energy of the whole, wherever its counter wraps."""
    domain = Domain("cpu:0", "cpu", range_uj, max_power_w=300.0)
    counts_uj = accumulate(spent_uj, initial=range_uj - before_wrap_uj)
    # A second for each part: all of them are plausible, and no second wrap is.
    readings = [
        Reading(place * 10**9, [count_uj % range_uj]) for place, count_uj in enumerate(counts_uj)
    ]
    parts = [difference((domain,), *pair) for pair in pairwise(readings)]
    whole = difference((domain,), readings[0], readings[-1])
    assume(not any(part.void for part in (*parts, whole)))
    assert [part.energy_uj["cpu:0"] for part in parts] == spent_uj
    assert whole.energy_uj["cpu:0"] == sum(spent_uj)
    assert whole.seconds == pytest.approx(sum(part.seconds for part in parts))


@settings(max_examples=60)
@given(st.integers(1, 10**7), st.floats(0.001, 0.5), st.integers(1, 4), st.integers(0, 10**12))
def test_double_work_has_double_joules(
    call_uj: int, seconds: float, times: int, start_uj: int
) -> None:
    """Twice the work in a call has twice its joules, whatever is calibrated and counted before."""

    def calls(number: int) -> Measurement:
        lab = Lab(start_uj=start_uj)

        def work(_: int) -> float:
            for _ in range(number - 1):
                lab.spend(call_uj * 1e-6, seconds)
            return call_uj * 1e-6

        return lab.measure(Plan((times,)), work, seconds)

    once, twice = calls(1), calls(2)
    assert len(joules(once)) == len(joules(twice)) == times
    assert joules(once) == pytest.approx([call_uj * 1e-6] * times)
    assert joules(twice) == pytest.approx([2 * call_uj * 1e-6] * times)
