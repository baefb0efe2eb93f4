"""What the pairs of one pair of processes show must hold in another one, unless it is no change.

Forks of one process share its memory layout. On a shared virtual machine 2 of 100 processes did the
same work at +3 to +17 % from their first call to their last, in every fork, for a reason that was
not found (20 to 40 processes of each of five works, 2026-11-29). Pairs do not cancel that, and no
number of forks shows it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from pytest_greenops.judge.pair_decision import MIN_PAIRS, MOST_PAIRS, Comparison, compare
from pytest_greenops.model.outcome import Outcome

#: Pairs of the processes that confirm a change.
TO_CONFIRM = MIN_PAIRS
#: Pairs of processes at most; the outcome of two of them counts.
MOST_PROCESSES = 3
#: Standard deviation of a change between pairs of processes of the same code, beyond what their
#: starts show: 0.35 % for a process of either side, in the same measurements.
PROCESS_SD = 0.005
#: A test that passes although it shows this share of the margin has to pass by further processes:
#: those of the ref may have run slower by as much.
NEAR = 1 / 4


class Decision(NamedTuple):
    """What the pairs show so far, of one pair of processes or of several.

    over      whether the comparison ends
    afresh    whether the next start needs new processes
    outcome   of the comparison, so far
    shown     the pairs that the figures are from
    disputed  the change in each pair of processes, if they contradict each other
    processes places of the pairs of processes that the figures are from
    """

    over: bool
    afresh: bool
    outcome: Outcome
    shown: Comparison
    disputed: tuple[float, ...] = ()
    processes: tuple[int, ...] = (0,)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval, with what processes of the same code differ by."""
        middle, half = self.shown.estimate, 1.96 * PROCESS_SD / math.sqrt(len(self.processes))
        low, high = self.shown.low, self.shown.high
        return middle - math.hypot(middle - low, half), middle + math.hypot(high - middle, half)


def decide(
    processes: Sequence[Sequence[Sequence[float]]], margin: float, most: int = MOST_PROCESSES
) -> Decision:
    """Decide by pairs, which are grouped by the pairs of processes, and then by their starts.

    Args:
        processes: for each pair of processes its starts, and for each start its pairs, as
            `pair_decision.compare` takes them; the first has a pair at least
        margin: the smallest increase that is a regression
        most: pairs of processes that may be asked; 1 if each start has its own
    """
    first = compare(processes[0], margin)
    outcome = first.outcome
    if not first.over or outcome is Outcome.INCONCLUSIVE or most == 1:
        return Decision(bool(first.over), False, outcome, first)
    if outcome is Outcome.PASSED:
        return _passed(first, processes, margin)
    agreeing, against = [0], list[int]()
    for place, starts in enumerate(processes[1:], 1):
        if not any(starts):
            break
        answer = _answer([processes[each] for each in agreeing], starts, outcome, margin)
        if answer is None:
            return Decision(False, False, Outcome.INCONCLUSIVE, first)
        (agreeing if answer else against).append(place)
    if len(agreeing) > 1:
        both = compare([start for each in agreeing for start in processes[each]], margin)
        return Decision(True, False, outcome, both, processes=tuple(agreeing))
    if len(against) < most - 1:
        return Decision(False, True, Outcome.INCONCLUSIVE, first)
    changes = tuple(math.expm1(compare(each, margin).estimate) for each in processes)
    other = compare([start for each in against for start in processes[each]], margin)
    passed = Outcome.PASSED if other.outcome is Outcome.PASSED else Outcome.INCONCLUSIVE
    return Decision(True, False, passed, other, changes, tuple(against))


def _passed(
    first: Comparison, processes: Sequence[Sequence[Sequence[float]]], margin: float
) -> Decision:
    """Return whether a test passes: at once if nothing hints at an increase, else by two."""
    limit = math.log1p(margin)
    alone = Decision(True, False, Outcome.PASSED, first)
    if first.estimate < NEAR * limit and alone.interval[1] < limit:
        return alone
    if len(processes) == 1 or not any(processes[1]):
        return Decision(False, True, Outcome.INCONCLUSIVE, first)
    own = compare(processes[1], margin)
    both = compare([start for starts in processes[:2] for start in starts], margin)
    passed = Decision(True, False, Outcome.PASSED, both, processes=(0, 1))
    agree = own.outcome is both.outcome is Outcome.PASSED
    if agree and passed.interval[1] < limit:
        return passed
    changes = tuple(math.expm1(each.estimate) for each in (first, own)) if own.over else ()
    return Decision(bool(own.over), False, Outcome.INCONCLUSIVE, both, changes, (0, 1))


def _answer(
    agreeing: Sequence[Sequence[Sequence[float]]],
    starts: Sequence[Sequence[float]],
    outcome: Outcome,
    margin: float,
) -> bool | None:
    """Return whether further processes show the same change; None if they need more pairs."""
    pairs = sum(map(len, starts))
    if pairs < TO_CONFIRM:
        return None
    own = compare(starts, margin)
    limit, level = math.log1p(margin), own.estimate
    beyond = level >= limit if outcome is Outcome.REGRESSED else level <= -limit
    known = [start for each in (*agreeing, starts) for start in each]
    if beyond and compare(known, margin).outcome is outcome:
        return True
    return False if (own.over and own.outcome is not outcome) or pairs >= MOST_PAIRS else None
