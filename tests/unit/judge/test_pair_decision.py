"""The interleaved procedure: outcomes, intervals, starts, spikes and error rates."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from benchmarks.ab.trials import Row, excludes
from benchmarks.power.worlds import World
from pytest_greenops.judge.pair_decision import MIN_PAIRS, MOST_PAIRS, Comparison, compare
from pytest_greenops.judge.stats import t_quantile
from pytest_greenops.model.outcome import Outcome

MARGIN = 0.05
#: Scatter of pairs about their mean, in standard deviations.
SCATTER = (0.4, -1.1, 0.9, -0.6, 1.3, -1.2, 0.1, -0.3, 0.7, -0.2)


def pairs(change: float, sd: float = 0.01, count: int = 8) -> list[list[float]]:
    """Return pairs with a start of their own."""
    return [[change + sd * each] for each in (SCATTER * 3)[:count]]


def width(comparison: Comparison) -> float:
    """Return the width of the interval."""
    return float(comparison.high - comparison.low)


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (0.10, Outcome.REGRESSED),
        (-0.10, Outcome.IMPROVED),
        (0.0, Outcome.PASSED),
        (0.02, Outcome.PASSED),
        (-0.02, Outcome.PASSED),
        (0.045, Outcome.INCONCLUSIVE),
    ],
)
def test_ten_quiet_pairs_decide(change: float, outcome: Outcome) -> None:
    """A large increase is a regression, a small change passes, one near the margin stays open."""
    assert compare(pairs(change, count=10), MARGIN).outcome is outcome


def test_an_increase_below_the_margin_is_no_regression() -> None:
    """An increase that is certain, but smaller than the margin, does not fail."""
    found = compare(pairs(0.03, sd=0.001, count=20), MARGIN)
    assert found.low > 0
    assert found.outcome is Outcome.PASSED


def test_a_decrease_is_not_passed_before_it_is_known_to_be_an_improvement() -> None:
    """Pairs that exclude an increase of the margin go on where they may show an improvement."""
    few = compare(pairs(-0.06, sd=0.06, count=10), MARGIN)
    assert few.high < math.log1p(MARGIN)
    assert few.outcome is Outcome.INCONCLUSIVE
    assert compare(pairs(-0.06, sd=0.06, count=26), MARGIN).outcome is Outcome.IMPROVED


def test_a_decrease_that_is_no_improvement_passes_with_the_last_pair() -> None:
    """If the pairs exclude an increase of the margin."""
    outcomes = [compare(pairs(-0.06, sd=0.1, count=count), MARGIN).outcome for count in (25, 26)]
    assert outcomes == [Outcome.INCONCLUSIVE, Outcome.PASSED]


@pytest.mark.parametrize(("count", "needed"), [(4, 750.0), (15, 433.01), (26, 250.0), (30, 250.0)])
def test_the_evidence_that_fails_a_test_falls_from_pair_to_pair(count: int, needed: float) -> None:
    """From 750 to 250, by the same factor at each pair: the least that fails is looked for."""
    passes, fails = 0.0, 20.0
    for _ in range(60):
        middle = (passes + fails) / 2
        if compare(pairs(middle, sd=0.1, count=count), 0.001).outcome is Outcome.REGRESSED:
            fails = middle
        else:
            passes = middle
    evidence = compare(pairs(fails, sd=0.1, count=count), 0.001).evidence
    assert math.exp(evidence) == pytest.approx(needed, rel=1e-3)


@pytest.mark.parametrize("change", [0.0, 0.5])
def test_a_single_start_decides_nothing(change: float) -> None:
    """Pairs of one start go on, since that start may have shifted them all."""
    assert not compare([[change] * MOST_PAIRS], MARGIN).decided
    assert compare([[change] * 4] * 6, MARGIN).decided


def test_a_comparison_ends_when_it_is_decided_or_has_all_pairs() -> None:
    """Few pairs go on, clear ones end it, and so does the last pair."""
    assert not compare(pairs(0.2, count=MIN_PAIRS - 1), MARGIN).over
    assert compare(pairs(0.2, count=10), MARGIN).over
    near = [compare(pairs(0.045, 0.03, count), MARGIN) for count in (MOST_PAIRS - 1, MOST_PAIRS)]
    assert [each.over for each in near] == [False, True]
    assert near[-1].outcome is Outcome.INCONCLUSIVE


def test_a_greater_change_is_never_less_of_a_regression() -> None:
    """Estimate, interval and evidence of an increase grow with the change."""
    found = [compare(pairs(change), MARGIN) for change in np.linspace(-0.1, 0.3, 21)]
    assert np.all(np.diff([each.estimate for each in found]) > 0)
    assert np.all(np.diff([each.low for each in found]) > 0)
    assert np.all(np.diff([each.high for each in found]) > 0)
    assert np.all(np.diff([each.evidence for each in found if each.estimate > 0]) > 0)
    assert np.all(np.diff([int(each.regressed) for each in found]) >= 0)
    assert np.all(np.diff([int(each.improved) for each in found]) <= 0)


def test_identical_pairs_are_judged() -> None:
    """Pairs without scatter have a finite interval, and decide as soon as enough are known."""
    found = compare([[0.0]] * 10, MARGIN)
    assert found.outcome is Outcome.PASSED
    assert -0.02 < found.low < 0 == found.estimate < found.high < 0.02


def test_exchanged_sides_exchange_the_outcomes() -> None:
    """What regressed has improved where candidate and ref change places."""
    there, back = compare(pairs(0.1), MARGIN), compare([[-d for [d] in pairs(0.1)]] * 2, MARGIN)
    assert there.outcome is Outcome.REGRESSED
    assert back.outcome is Outcome.IMPROVED


def test_more_pairs_narrow_the_interval() -> None:
    """The interval and the smallest detectable increase shrink with the pairs."""
    found = [compare(pairs(0.0, 0.04, count), MARGIN) for count in (4, 8, 16, 26)]
    assert np.all(np.diff(list(map(width, found))) < 0)
    assert np.all(np.diff([each.smallest for each in found]) < 0)
    assert found[-1].smallest > math.log1p(MARGIN)


@pytest.mark.parametrize(("count", "sd"), [(8, 0.03), (26, 0.04)])
def test_the_smallest_detectable_increase_is_detected_nine_times_in_ten(
    count: int, sd: float
) -> None:
    """An increase of that size regresses in about 90 % of comparisons of that number of pairs."""
    rng = np.random.default_rng(2)
    smallest = np.median(compare(list(rng.normal(0, sd, (count, 500, 1))), MARGIN).smallest)
    found = compare(list(rng.normal(smallest, sd, (count, 500, 1))), MARGIN)
    assert 0.82 < found.regressed.mean() < 0.95


def test_a_few_pairs_exclude_nothing() -> None:
    """A single pair has an interval without ends, and detects no increase."""
    one = compare([[0.09]], MARGIN)
    assert (one.low, one.high, one.smallest) == (-math.inf, math.inf, math.inf)
    assert one.estimate == pytest.approx(0.09)


def test_starts_that_differ_widen_the_interval() -> None:
    """The same scatter of pairs shows less where it lies between starts, not within them."""
    values = sorted(0.02 * each for each in SCATTER[:8] * 2)
    mixed = [values[first::4] for first in range(4)]
    apart = [values[first : first + 4] for first in range(0, 16, 4)]
    assert width(compare(apart, MARGIN)) > 1.2 * width(compare(mixed, MARGIN))


@pytest.mark.parametrize("sd", [0.0005, 0.002, 0.01])
def test_the_interval_is_no_narrower_than_what_the_starts_alone_show(sd: float) -> None:
    """However quiet its pairs are, the interval is as wide as Student's t of the starts."""
    levels = (-0.024, 0.006, 0.02, 0.002, -0.008, 0.012)
    found = compare([[level + sd * each for each in SCATTER[:4]] for level in levels], MARGIN)
    error = float(np.std(levels, ddof=1)) / math.sqrt(len(levels))
    assert width(found) > 2 * t_quantile(0.975, len(levels) - 1) * error


def test_pairs_of_one_start_count_less_than_pairs_of_several() -> None:
    """The same pairs show less if they have two starts, than if each has its own."""
    own = compare(pairs(0.08, 0.02), MARGIN)
    flat = [d for [d] in pairs(0.08, 0.02)]
    shared = compare([flat[:4], flat[4:]], MARGIN)
    assert shared.evidence < own.evidence
    assert width(shared) > width(own)


def test_a_start_counts_once_whatever_its_pairs() -> None:
    """A start with more pairs than the others does not pull the estimate in proportion."""
    found = compare([[0.06] * 9, [0.0] * 3, [0.0] * 3, [0.0] * 3], MARGIN)
    assert found.estimate < 0.5 * 0.06 - 0.005


def test_a_spike_moves_the_estimate_little() -> None:
    """One pair in which something else ran neither regresses a test nor hides a regression."""
    spiked = [[2.0], *pairs(0.0, count=9)]
    assert abs(compare(spiked, MARGIN).estimate) < 0.015
    assert compare(spiked, MARGIN).outcome is not Outcome.REGRESSED
    assert compare([[-2.0], *pairs(0.2, count=9)], MARGIN).outcome is Outcome.REGRESSED


def test_pairs_that_would_decide_are_few_where_the_change_is_far_from_the_margin() -> None:
    """The advice grows towards the margin, and there is none where no number of pairs decides."""
    far, near, at = (
        compare(pairs(change, 0.06, 12), MARGIN).needs_pairs for change in (0.01, 0.03, 0.0487)
    )
    assert far is not None
    assert near is not None
    assert MOST_PAIRS > far > 12
    assert near > far
    assert at is None
    assert compare(pairs(0.3), MARGIN).needs_pairs is None


def test_the_pairs_that_are_advised_decide() -> None:
    """A comparison with as many similar pairs as it was advised is decided."""
    found = compare(pairs(0.02, 0.05, 10), MARGIN)
    assert found.needs_pairs is not None
    times = math.ceil(found.needs_pairs / 10)
    assert not found.decided
    assert compare(pairs(0.02, 0.05, 10) * times, MARGIN).decided


def test_the_p_value_is_that_of_an_increase() -> None:
    """A clear increase has a small one, a decrease has 1."""
    assert compare(pairs(0.1), MARGIN).p_value < 0.001
    assert compare(pairs(-0.1), MARGIN).p_value == 1


def test_a_run_gets_plain_numbers() -> None:
    """All figures of a single comparison can be written as JSON."""
    found = compare(pairs(0.1), MARGIN)
    figures = (found.estimate, found.low, found.high, found.p_value, found.smallest)
    flags = (found.regressed, found.improved, found.passed, found.over)
    assert json.loads(json.dumps([*figures, *flags])) == [*figures, *flags]


def test_repetitions_are_judged_like_single_comparisons() -> None:
    """Arrays of repetitions give what each of them gives alone."""
    rng = np.random.default_rng(1)
    starts = [rng.normal(0.04, 0.05, (4, size)) for size in (4, 4, 4, 1)]
    together = compare(starts, MARGIN)
    for i in range(4):
        alone = compare([list(start[i]) for start in starts], MARGIN)
        for name in ("estimate", "low", "high", "smallest", "evidence", "regressed", "passed"):
            assert getattr(together, name)[i] == pytest.approx(getattr(alone, name), abs=1e-9)


def test_the_ends_of_the_interval_are_where_a_change_is_excluded() -> None:
    """A change just inside the interval is not excluded, one just outside is."""
    found = compare([np.array(start) for start in pairs(0.03, 0.03)], MARGIN)
    for end, inside in ((found.low, 1e-6), (found.high, -1e-6)):
        assert not excludes(found, end + inside)
        assert excludes(found, end - inside)


@pytest.mark.parametrize("a_start", [1, 4])
def test_error_and_detection_rates_hold_in_simulated_noise(a_start: int) -> None:
    """On drift, spikes and shifts unchanged code does not fail, and +10 % fails in a few pairs."""
    row = Row("quick", World(0.03, 0.02), 0.005, a_start)
    same, margin, large = row.tried(0.0, 2000), row.tried(MARGIN, 500), row.tried(0.1, 500)
    assert same.regressed <= 0.001
    assert same.inconclusive <= 0.03
    assert same.pairs <= 16
    assert margin.passed <= 0.015
    assert large.regressed >= 0.998
    assert large.pairs <= 8.2
    assert max(each.missed for each in (same, margin, large)) <= 0.025


@pytest.mark.parametrize("round_sd", [0.005, 0.03])
def test_starts_that_differ_much_cause_no_false_alarms(round_sd: float) -> None:
    """Starts that differ by 2 % leave comparisons open rather than failing them."""
    row = Row("quick", World(round_sd, 0.02), 0.02, 4)
    assert row.tried(0.0, 1000).regressed <= 0.003
