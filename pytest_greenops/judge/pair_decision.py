"""The interleaved procedure (A/B): whether the candidate uses more energy than the ref.

Both run in turns, so what they share cancels in a pair. The comparison may end after every pair, as
soon as the evidence suffices; see `pair_evidence`. A run gets floats, and a simulation gets arrays
of repetitions from the same code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from numpy import exp

from pytest_greenops.judge.pair_evidence import LARGE, SMALL, Pairs, fit_pairs
from pytest_greenops.judge.stats import Number, Values, choose, plain, t_quantile
from pytest_greenops.model.outcome import Outcome

#: Pairs, and starts of both processes, before the first decision: a single start may shift all.
MIN_PAIRS, MIN_STARTS = 4, 2
#: Pairs after which a comparison ends undecided: at a scatter of 4 %, more than 98 of 100 unchanged
#: tests are decided earlier (`python -m benchmarks.ab.simulated`).
MOST_PAIRS = 26
#: Evidence that fails a test, and evidence that passes it, after `MIN_PAIRS` and after `MOST_PAIRS`
#: or more; in between it falls by the same factor at each pair. The first pairs need more: their
#: scatter is hardly known. Chosen by the simulation.
TO_FAIL, TO_PASS = (750.0, 250.0), (350.0, 32.0)
#: Evidence that excludes a change from the interval: either end errs in at most 5 % of comparisons,
#: by Ville's inequality; both together in far fewer than 5 % in the simulation.
TO_EXCLUDE = 20.0
#: Probability with which the smallest detectable increase is detected.
POWER = 0.9
#: No advice beyond this number of pairs.
MOST_ADVISED = 400


@dataclass(frozen=True)
class Comparison:
    """What the pairs so far show; changes are logarithms.

    regressed, improved, passed  which of the three applies; if none, further pairs are needed
    estimate  the change of the candidate
    evidence  that it is an increase, as a logarithm
    """

    pairs: Pairs
    margin: float
    estimate: Number
    evidence: Number
    regressed: Number
    improved: Number
    passed: Number

    @property
    def outcome(self) -> Outcome:
        """The outcome of a single comparison."""
        if self.regressed:
            return Outcome.REGRESSED
        if self.improved:
            return Outcome.IMPROVED
        return Outcome.PASSED if self.passed else Outcome.INCONCLUSIVE

    @property
    def over(self) -> Number:
        """Whether the comparison ends: it is decided, or has all its pairs."""
        return self.decided | (self.pairs.count >= MOST_PAIRS)

    @property
    def decided(self) -> Number:
        """Whether the evidence suffices."""
        return self.regressed | self.improved | self.passed

    @property
    def low(self) -> Number:
        """The lower end of the 95 % confidence interval, valid at whichever pair one stops."""
        return self.pairs.bound(TO_EXCLUDE, -1, SMALL)

    @property
    def high(self) -> Number:
        """The upper end of the 95 % confidence interval, valid at whichever pair one stops."""
        return self.pairs.bound(TO_EXCLUDE, 1, SMALL)

    @property
    def p_value(self) -> Number:
        """The anytime-valid p value of an increase: 1 over the evidence, at most 1."""
        return plain(exp(-choose(self.evidence > 0, self.evidence, 0.0)))

    @property
    def smallest(self) -> Number:
        """The increase that this number of pairs detects nine times in ten; may be infinite."""
        pairs = self.pairs
        sure = self.estimate - pairs.bound(_needed(TO_FAIL, pairs.count), -1, LARGE)
        limit = math.log1p(self.margin)
        return choose(sure > limit, sure, limit) + t_quantile(POWER, pairs.df) * pairs.error

    @property
    def needs_pairs(self) -> int | None:
        """The pairs that would decide an open comparison if further ones resemble these, if few."""
        if self.decided:
            return None
        further = range(self.pairs.count + 1, MOST_ADVISED + 1)
        return next((n for n in further if _judged(self.pairs.grown(n), self.margin).decided), None)


def compare(starts: Sequence[Values], margin: float) -> Comparison:
    """Decide between regressed, improved, passed and further pairs.

    Args:
        starts: for each start of both processes its pairs, ln(candidate / ref)
        margin: the smallest increase that is a regression (0.05 is 5 %)
    """
    return _judged(fit_pairs(starts), margin)


def _judged(pairs: Pairs, margin: float) -> Comparison:
    """Decide by the evidence: that there is an increase or a decrease, or less than the margin.

    What may be improved waits for that until the last pair.
    """
    limit, estimate = math.log1p(margin), pairs.estimate
    enough = pairs.count >= MIN_PAIRS and pairs.starts >= MIN_STARTS
    to_fail, to_pass = (math.log(_needed(each, pairs.count)) for each in (TO_FAIL, TO_PASS))
    more, less = (pairs.evidence(0.0, side, LARGE) for side in (1, -1))
    regressed = (estimate >= limit) & (more >= to_fail) & enough
    improved = (estimate <= -limit) & (less >= to_fail) & enough
    waits = (estimate <= -limit) & (pairs.count < MOST_PAIRS)
    passed = (pairs.evidence(limit, -1, SMALL) >= to_pass) & enough
    passed = choose(regressed | improved | waits, False, passed)
    return Comparison(pairs, margin, estimate, more, regressed, improved, passed)


def _needed(evidence: tuple[float, float], pairs: int) -> float:
    """Return the evidence that decides after this number of pairs."""
    first, last = evidence
    share = (pairs - MIN_PAIRS) / (MOST_PAIRS - MIN_PAIRS)
    return first * math.pow(last / first, min(1.0, max(0.0, share)))
