"""The project's own procedure for stored baselines, on arrays of repetitions.

The code that judges real runs, `pytest_greenops.judge`, decides looks, noise, verdicts, and whether
a fresh process contradicts them. This module repeats the sequence of a trial;
`tests/studies/test_power.py` compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from benchmarks.power.worlds import Array
from pytest_greenops.judge.decision import (
    PROVISIONAL_ROUNDS,
    Look,
    Screening,
    contradicts,
    planned_looks,
    schedule,
    screen,
)
from pytest_greenops.judge.noise import MIN_SESSIONS, Suite, estimate_spread
from pytest_greenops.model.run_options import Options

OPTIONS = Options()
#: Most rounds of one process.
MOST_ROUNDS = schedule(MIN_SESSIONS, OPTIONS.min_rounds, OPTIONS.max_rounds)[-1]

REGRESSED, IMPROVED, PASSED, INCONCLUSIVE = range(1, 5)


class Shares(NamedTuple):
    """The share of each verdict over many repetitions, and the mean number of rounds."""

    regressed: float
    improved: float
    passed: float
    inconclusive: float
    rounds: float


@dataclass(frozen=True)
class Tried:
    """Repetitions of one measurement: verdicts, as the numbers above, and rounds."""

    outcomes: Array
    rounds: Array

    @property
    def shares(self) -> Shares:
        """Return the share of each verdict."""
        each = [float((self.outcomes == o).mean()) for o in range(REGRESSED, INCONCLUSIVE + 1)]
        return Shares._make([*each, float(self.rounds.mean())])


def tried(
    baseline: Sequence[Array],
    candidate: Array,
    fresh: Array,
    suite: Suite | None,
    *,
    margin: float = OPTIONS.max_increase,
    has_fresh: bool = True,
) -> Tried:
    """Judge candidates as a run does, look by look, with its fresh process.

    Args:
        baseline: logarithms of joules, one array (repetitions, rounds) per accepted session
        candidate: those of this process, with the rounds of its last look
        fresh: those of a fresh process
        suite: variance that the suite's tests share
        margin: the relative increase that is a regression
        has_fresh: whether a fresh process can confirm
    """
    looks = schedule(len(baseline), OPTIONS.min_rounds, OPTIONS.max_rounds)
    planned = planned_looks(len(baseline), looks)
    outcomes = np.zeros(candidate.shape[:-1])
    rounds = np.zeros(candidate.shape[:-1])
    suspects = np.zeros(candidate.shape[:-1], dtype=bool)
    for number, n in enumerate(looks, 1):
        seen = [candidate[..., :n]]
        spread = estimate_spread(baseline, seen, suite, OPTIONS.session_sd)
        found = screen(baseline, seen, spread, margin, Look(number, planned))
        open_ = outcomes == 0
        rounds[open_] = n
        suspects |= open_ & found.regressed
        _settle(outcomes, found)
    if has_fresh:
        both = [candidate[..., : looks[-1]], fresh]
        spread = estimate_spread(baseline, both, suite, OPTIONS.session_sd)
        against = contradicts(baseline, fresh, both[:1], spread, margin)
        outcomes[suspects & against] = INCONCLUSIVE
        rounds[suspects] += PROVISIONAL_ROUNDS
        if planned > len(looks):
            rounds[outcomes == 0] += PROVISIONAL_ROUNDS
            _settle(outcomes, screen(baseline, both, spread, margin, Look(planned, planned)))
    elif planned > len(looks):
        _settle(outcomes, screen(baseline, seen, spread, margin, Look(planned, planned)))
    outcomes[outcomes == 0] = INCONCLUSIVE
    return Tried(outcomes, rounds)


def _settle(outcomes: Array, found: Screening) -> None:
    """Set the open outcomes that a look decides."""
    open_ = outcomes == 0
    for decided, outcome in (
        (found.regressed, REGRESSED),
        (found.improved, IMPROVED),
        (found.passed, PASSED),
    ):
        outcomes[open_ & decided] = outcome
