"""A change in one pair of processes: what confirms and what contradicts it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pytest_greenops.judge.pair_confirmation import (
    MOST_PROCESSES,
    PROCESS_SD,
    TO_CONFIRM,
    Decision,
    decide,
)
from pytest_greenops.judge.pair_decision import MIN_PAIRS, MOST_PAIRS, compare
from pytest_greenops.model.outcome import Outcome

MARGIN = 0.05
#: Scatter of pairs about their mean, in standard deviations.
SCATTER = (0.4, -1.1, 0.9, -0.6, 1.3, -1.2, 0.1, -0.3, 0.7, -0.2)
#: After how many pairs a comparison may end.
COUNTS = range(MIN_PAIRS, MOST_PAIRS + 1)
REGRESSED, IMPROVED, PASSED = Outcome.REGRESSED, Outcome.IMPROVED, Outcome.PASSED

Starts = list[list[float]]


def pairs(change: float, count: int = 8, sd: float = 0.01) -> Starts:
    """Return pairs of one pair of processes, with a start of their own."""
    return [[change + sd * each] for each in (SCATTER * 3)[:count]]


def decided(*processes: Starts, most: int = MOST_PROCESSES) -> Decision:
    """Decide by these pairs of processes."""
    return decide(processes, MARGIN, most)


def asked(decision: Decision) -> tuple[bool, bool, Outcome]:
    """Return whether it is over, whether it wants new processes, and its outcome."""
    return decision[:3]


#: Further pairs are needed: of new processes, or of those that work now.
NEW, MORE = (False, True, Outcome.INCONCLUSIVE), (False, False, Outcome.INCONCLUSIVE)


@pytest.mark.parametrize(("change", "outcome"), [(0.1, REGRESSED), (-0.1, IMPROVED)])
def test_a_change_of_one_pair_of_processes_wants_new_ones(change: float, outcome: Outcome) -> None:
    """What `compare` calls a change is open, and the figures so far are those of its pairs."""
    first = pairs(change)
    assert compare(first, MARGIN).outcome is outcome
    found = decided(first)
    assert asked(found) == NEW
    assert (found.shown, found.disputed, found.processes) == (compare(first, MARGIN), (), (0,))


@pytest.mark.parametrize("nothing", [[], [[]]])
def test_new_processes_without_a_pair_are_those_that_were_asked_for(nothing: Starts) -> None:
    """New processes that made no pair yet change nothing."""
    assert decided(pairs(0.1), nothing) == decided(pairs(0.1))
    against = pairs(0.1), pairs(0.0)
    assert decided(*against, nothing) == decided(*against)


@pytest.mark.parametrize(("change", "outcome"), [(0.1, REGRESSED), (-0.1, IMPROVED)])
def test_a_few_pairs_of_new_processes_confirm_a_change(change: float, outcome: Outcome) -> None:
    """Fewer than three pairs go on; three end it, with the figures of all pairs together."""
    first = pairs(change)
    assert asked(decided(first, pairs(change, TO_CONFIRM - 1))) == MORE
    found = decided(first, second := pairs(change, TO_CONFIRM))
    assert asked(found) == (True, False, outcome)
    assert found.shown == compare([*first, *second], MARGIN)
    assert (found.disputed, found.processes) == ((), (0, 1))


def test_pairs_of_one_start_confirm_as_well() -> None:
    """The pairs count, however many of them a start has."""
    together = [[each for [each] in pairs(0.1, TO_CONFIRM)]]
    assert asked(decided(pairs(0.1), together)) == (True, False, REGRESSED)


@pytest.mark.parametrize("sign", [1, -1])
def test_new_processes_confirm_nothing_below_the_margin(sign: int) -> None:
    """A change below the margin in the new processes confirms none beyond it, but goes on."""
    first, below = pairs(sign * 0.2), pairs(sign * 0.04, TO_CONFIRM)
    assert compare([*first, *below], MARGIN).outcome in (REGRESSED, IMPROVED)
    assert asked(decided(first, below)) == MORE


def test_new_processes_that_scatter_confirm_nothing() -> None:
    """A level beyond the margin confirms a change only if all pairs together still show it."""
    wild = [[0.9], [-0.7], [0.15]]
    assert asked(decided(pairs(0.06, 6), wild)) == MORE


@pytest.mark.parametrize("second", [pairs(0.0), pairs(-0.1)], ids=["passed", "the opposite"])
def test_one_contradiction_asks_third_processes(second: Starts) -> None:
    """One against one is open: the figures stay those of the first."""
    first = pairs(0.1)
    found = decided(first, second)
    assert asked(found) == NEW
    assert (found.shown, found.disputed) == (compare(first, MARGIN), ())


@pytest.mark.parametrize("change", [0.1, -0.1])
def test_two_of_three_against_a_change_pass(change: float) -> None:
    """The figures are those of the two that agree, and the change of each of the three is there."""
    first, second, third = pairs(change), pairs(0.0), pairs(0.005)
    found = decided(first, second, third)
    assert asked(found) == (True, False, PASSED)
    assert found.shown == compare([*second, *third], MARGIN)
    assert found.processes == (1, 2)
    expected = [math.expm1(each) for each in (change, 0.0, 0.005)]
    assert found.disputed == pytest.approx(expected, abs=0.003)


def test_two_of_three_that_show_the_opposite_decide_nothing() -> None:
    """Processes that contradict each other in every way leave the comparison inconclusive."""
    found = decided(pairs(0.1), pairs(-0.1), pairs(-0.1))
    assert asked(found) == (True, False, Outcome.INCONCLUSIVE)
    assert len(found.disputed) == 3


@pytest.mark.parametrize(("change", "outcome"), [(0.1, REGRESSED), (-0.1, IMPROVED)])
def test_two_of_three_with_a_change_show_it(change: float, outcome: Outcome) -> None:
    """The pairs of the processes that contradict are in no figure."""
    first, second, third = pairs(change), pairs(0.0), pairs(1.1 * change)
    found = decided(first, second, third)
    assert asked(found) == (True, False, outcome)
    assert found.shown == compare([*first, *third], MARGIN)
    assert (found.disputed, found.processes) == ((), (0, 2))


def test_undecided_processes_go_on_until_they_have_all_pairs() -> None:
    """New processes near the margin need further pairs; at the last, they count against it."""
    first = pairs(0.1)
    near, last = (pairs(0.045, count, 0.03) for count in (MOST_PAIRS - 1, MOST_PAIRS))
    assert asked(decided(first, near)) == MORE
    assert asked(decided(first, last)) == NEW
    assert asked(decided(first, last, near)) == MORE
    assert asked(decided(first, last, last)) == (True, False, Outcome.INCONCLUSIVE)


@pytest.mark.parametrize(("change", "outcome"), [(0.1, REGRESSED), (-0.1, IMPROVED)])
def test_a_single_pair_of_processes_decides_where_no_other_may_be_asked(
    change: float, outcome: Outcome
) -> None:
    """Starts that have processes of their own need no further ones."""
    assert asked(decided(pairs(change), most=1)) == (True, False, outcome)


@pytest.mark.parametrize(
    ("first", "over", "outcome"),
    [
        (pairs(0.0), True, PASSED),
        (pairs(0.045, MOST_PAIRS, 0.03), True, Outcome.INCONCLUSIVE),
        (pairs(0.045), False, Outcome.INCONCLUSIVE),
        (pairs(0.1, 3), False, Outcome.INCONCLUSIVE),
    ],
    ids=["passed", "inconclusive", "open", "few pairs"],
)
def test_what_is_no_change_needs_no_confirmation(
    first: Starts, over: bool, outcome: Outcome
) -> None:
    """What passed, stays inconclusive or is not decided wants no new processes."""
    assert asked(decided(first)) == (over, False, outcome)


def test_the_interval_has_what_processes_differ_by() -> None:
    """It is wider than that of the pairs on both sides, and narrows with the processes."""
    shown = compare(pairs(0.0), MARGIN)
    found = [Decision(True, False, PASSED, shown, (), tuple(range(n))).interval for n in (1, 2, 3)]
    for count, (low, high) in enumerate(found, 1):
        assert low < shown.low < shown.high < high
        own, half = shown.high - shown.estimate, high - shown.estimate
        assert half**2 - own**2 == pytest.approx((1.96 * PROCESS_SD) ** 2 / count)
    assert sorted(found) == found
    assert decided(pairs(0.0)).interval == found[0]


def test_the_interval_of_a_single_pair_has_no_ends() -> None:
    """Infinite ends stay infinite."""
    assert decided([[0.01]]).interval == (-math.inf, math.inf)


def test_false_alarms_of_processes_that_are_shifted() -> None:
    """Of unchanged code with rare shifted processes, nearly no comparison is a regression."""
    rng = np.random.default_rng(5)
    firsts = _rows(rng, 2000)
    ends, alone = _alone(firsts)
    outcomes = [
        _after([[[float(pair)] for pair in first[:end]]], rng)
        for first, end in zip(firsts, ends, strict=True)
    ]
    assert 0.005 <= alone.mean() <= 0.025
    assert outcomes.count(REGRESSED) <= 0.001 * len(firsts)
    assert outcomes.count(PASSED) >= 0.99 * len(firsts)


def _rows(rng: np.random.Generator, number: int) -> np.ndarray:
    """Return all pairs of some pairs of processes of the same code.

    Of 100 pairs of processes 1.5 are shifted by 7 %, in every pair, as on a shared machine.
    """
    shifts = np.where(rng.random(number) < 0.015, math.log1p(0.07), 0.0)
    return rng.normal(shifts[:, None], 0.015, (number, MOST_PAIRS))


def _alone(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return after how many pairs each comparison ends without further processes, and if it fails.

    All comparisons are made at once, which takes a tenth of the time.
    """
    found = [compare(list(rows.T[:count, :, None]), MARGIN) for count in COUNTS]
    over = np.array([each.over | np.zeros(len(rows), bool) for each in found])
    last = np.argmax(over, axis=0)
    regressed = np.array([each.regressed for each in found])
    return COUNTS.start + last, regressed[last, np.arange(len(rows))]


def _after(processes: list[Starts], rng: np.random.Generator) -> Outcome:
    """Return the outcome after all further pairs and processes that are asked for."""
    row = iter([])
    while not (found := decide(processes, MARGIN)).over:
        if found.afresh:
            processes.append([])
            row = iter(_rows(rng, 1)[0])
        processes[-1].append([float(next(row))])
    return found.outcome


@pytest.mark.parametrize("change", [-0.02, 0.0, 0.01])
def test_a_test_passes_at_once_where_nothing_hints_at_an_increase(change: float) -> None:
    """Pairs well below the margin pass without further processes."""
    assert asked(decided(pairs(change, 20, 0.005))) == (True, False, PASSED)


def test_a_test_that_passes_near_the_margin_has_to_pass_twice() -> None:
    """Pairs that pass with a quarter of the margin or more want new processes, which agree."""
    first = pairs(0.025, 20, 0.005)
    assert compare(first, MARGIN).outcome is PASSED
    assert asked(decided(first)) == NEW
    assert asked(decided(first, pairs(0.0, MIN_PAIRS - 1))) == MORE
    found = decided(first, pairs(0.01, 20, 0.005))
    assert asked(found) == (True, False, PASSED)
    assert (found.processes, found.disputed, found.shown.pairs.count) == ((0, 1), (), 40)


def test_processes_that_do_not_pass_contradict_a_pass() -> None:
    """Further processes that show an increase leave the test open, with what each has shown."""
    found = decided(pairs(0.025, 20, 0.005), pairs(0.07, 20, 0.005))
    assert asked(found) == (True, False, Outcome.INCONCLUSIVE)
    assert [round(change, 2) for change in found.disputed] == [0.03, 0.07]


def test_a_small_margin_needs_several_processes() -> None:
    """One pair of processes passes no margin that those of the same code nearly differ by."""
    first = pairs(0.0, 20, 0.0005)
    assert compare(first, 0.01).outcome is PASSED
    assert asked(decide([first], 0.01)) == NEW


def test_passes_of_an_increase_that_processes_hide() -> None:
    """An increase of the margin that slow processes of the ref hide passes far less often."""
    rng = np.random.default_rng(6)
    alone = passed = 0
    for _ in range(300):
        shifts = np.where(rng.random(MOST_PROCESSES) < 0.1, -0.03, 0.0) + math.log1p(MARGIN)
        rows = rng.normal(shifts[:, None], 0.01, (MOST_PROCESSES, MOST_PAIRS))
        alone += _outcome(rows[:1], most=1) is PASSED
        passed += _outcome(rows) is PASSED
    assert alone >= 20
    assert passed <= alone / 3


def _outcome(rows: np.ndarray, most: int = MOST_PROCESSES) -> Outcome:
    """Return the outcome of pairs of processes, each of which works until it has to stop."""
    asked_so_far: list[Starts] = []
    for row in rows:
        asked_so_far.append([])
        for pair in row:
            asked_so_far[-1].append([float(pair)])
            decision = decided(*asked_so_far, most=most)
            if decision.over:
                return decision.outcome
            if decision.afresh:
                break
    return Outcome.INCONCLUSIVE
