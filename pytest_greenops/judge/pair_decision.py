"""The interleaved procedure (A/B): whether the candidate uses more energy than the ref.

Both ran in turns, so what they share cancels in a pair. The comparison looks after every pair and
stops as soon as the evidence is enough; see `pair_evidence`.

Pairs lie along the last axis. The axes before it are repetitions: a run has none and gets floats,
a simulation has thousands and gets arrays from the same code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from numpy import exp, minimum

from pytest_greenops.judge.pair_evidence import Pairs
from pytest_greenops.judge.stats import Number, Values, choose, t_quantile
from pytest_greenops.model.outcome import Outcome

#: Pairs, and starts of both processes, before the first decision: fewer show no scatter.
MIN_PAIRS, MIN_STARTS = 4, 2
#: Pairs after which a comparison ends undecided.
MOST_PAIRS = 26
#: Evidence that fails a test, and evidence that passes one.
TO_FAIL, TO_PASS = 200.0, 60.0
#: Evidence that excludes a change from the 95 % interval: half of the error at either end.
TO_EXCLUDE = 40.0
#: Probability with which the smallest detectable increase is detected.
POWER = 0.9
#: No advice beyond this many pairs.
MOST_ADVISED = 400


@dataclass(frozen=True)
class Comparison:
    """What the pairs so far show; changes are logarithms.

    regressed, improved, passed  which of the three applies; if none, further pairs are needed
    estimate  the change of the candidate
    evidence  for an increase: how many times likelier an increase makes these pairs than none
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
        last = self.pairs.count >= MOST_PAIRS
        return self.regressed | self.improved | self.passed | last

    @property
    def low(self) -> Number:
        """Return the lower end of the 95 % confidence interval, valid whenever one stops."""
        return self.pairs.bound(TO_EXCLUDE, -1)

    @property
    def high(self) -> Number:
        """Return the upper end of the 95 % confidence interval, valid whenever one stops."""
        return self.pairs.bound(TO_EXCLUDE, 1)

    @property
    def p_value(self) -> Number:
        """Return the anytime-valid p value of an increase, 1 / evidence."""
        return choose(True, minimum(1.0, exp(-self.evidence)), 1.0)

    @property
    def smallest(self) -> Number:
        """Return the increase that as many pairs detect nine times in ten."""
        sure = self.estimate - self.pairs.bound(TO_FAIL, -1)
        limit = math.log1p(self.margin)
        error = self.pairs.standard_error
        return choose(sure > limit, sure, limit) + t_quantile(POWER, self.pairs.count) * error


def compare(starts: Sequence[Values], margin: float) -> Comparison:
    """Decide between regressed, improved, passed and further pairs.

    Args:
        starts: for each start of both processes its pairs, ln(candidate / ref)
        margin: the smallest increase that is a regression (0.05 is 5 %)
    """
    pairs = Pairs(starts)
    limit = math.log1p(margin)
    estimate, evidence = pairs.estimate, pairs.evidence_above(0.0)
    enough = pairs.count >= MIN_PAIRS and len(pairs.sizes) >= MIN_STARTS
    regressed = (estimate >= limit) & (evidence >= math.log(TO_FAIL)) & enough
    improved = (estimate <= -limit) & (pairs.evidence_below(0.0) >= math.log(TO_FAIL)) & enough
    passed = (pairs.evidence_below(limit) >= math.log(TO_PASS)) & enough
    waits = (estimate <= -limit) & (pairs.count < MOST_PAIRS)
    return Comparison(
        pairs,
        margin,
        estimate,
        evidence,
        choose(True, regressed, False),
        choose(True, improved, False),
        choose(improved | regressed | waits, False, passed),
    )
