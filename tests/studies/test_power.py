"""The simulation of verdicts: it agrees with the judge, and the judge's error rates hold in it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from benchmarks.power.stored import (
    IMPROVED,
    INCONCLUSIVE,
    MOST_ROUNDS,
    OPTIONS,
    PASSED,
    REGRESSED,
    Shares,
    tried,
)
from benchmarks.power.worlds import World, only
from pytest_greenops.judge.case import Case, Reference, Rules
from pytest_greenops.judge.decision import ALPHA, POWER, Look, planned_looks, schedule, screen
from pytest_greenops.judge.judgement import confirm, judge_measurement
from pytest_greenops.judge.noise import MIN_SESSIONS, POOL_WEIGHT, Noise, Spread, Suite
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.measurement import Round
from pytest_greenops.model.verdict import Outcome
from tests.unit.builders import a_round, measurement, series, session

#: Rounds of an accepted session.
SAVED = 10
MARGIN = 0.05
WORDS = {
    REGRESSED: Outcome.REGRESSED,
    IMPROVED: Outcome.IMPROVED,
    PASSED: Outcome.PASSED,
    INCONCLUSIVE: Outcome.INCONCLUSIVE,
}
SUITE = Suite(0.0003, 8.0)


def rounds(logs: Any) -> tuple[Round, ...]:
    """Return rounds of these logarithms; large, since counters count whole microjoules."""
    return tuple(a_round(1e4 * math.exp(y)) for y in logs)


def by_judge(baseline: list[Any], candidate: Any, fresh: Any) -> Outcome:
    """Return the outcome of a run for one repetition, look by look."""
    accepted = (session(rounds(logs), day) for day, logs in enumerate(baseline, 1))
    reference, rules = Reference(series(*accepted)), Rules(suite=SUITE)
    looks = schedule(len(baseline), OPTIONS.min_rounds, OPTIONS.max_rounds)
    planned = planned_looks(len(baseline), looks)
    for number, n in enumerate(looks, 1):
        seen = measurement(rounds(candidate[:n]))
        case = Case(seen, Budget(), reference, rules)
        verdict = judge_measurement(case, Look(number, planned))
        if verdict.outcome is not Outcome.INCONCLUSIVE:
            break
    both = Case(seen, Budget(), reference, rules, fresh=[rounds(fresh)])
    if verdict.outcome is Outcome.REGRESSED:
        verdict = confirm(verdict, both)
    elif verdict.outcome is Outcome.INCONCLUSIVE and planned > len(looks):
        verdict = judge_measurement(both, Look(planned, planned))
    return verdict.outcome


@pytest.mark.parametrize("sessions", [1, 5])
def test_the_simulation_agrees_with_the_judge(sessions: int) -> None:
    """It gives the outcome of the judge in each repetition, for all four outcomes."""
    rng, world = np.random.default_rng(4), World(0.03, 0.02)
    shape, seen = (40,), Counter[Outcome]()
    for change in (-0.1, 0.0, 0.05, 0.07, 0.12):
        baseline = [world.session(rng, shape, SAVED) for _ in range(sessions)]
        candidate = world.session(rng, shape, MOST_ROUNDS, change)
        fresh = world.session(rng, shape, SAVED, change)
        simulated = tried(baseline, candidate, fresh, SUITE).outcomes
        for row, outcome in enumerate(simulated):
            judged = by_judge([s[row] for s in baseline], candidate[row], fresh[row])
            assert judged is WORDS[int(outcome)]
            seen[judged] += 1
    assert {outcome for outcome, n in seen.items() if n > 3} >= set(WORDS.values())


@dataclass(frozen=True)
class Setting:
    """How a test scatters, and what is known about it.

    round_sd, session_sd  true spread of the logarithms, of rounds and of sessions
    sessions              how many were accepted
    suite                 whether other tests share their variance between sessions
    """

    round_sd: float = 0.03
    session_sd: float = 0.01
    sessions: int = 5
    suite: bool = True

    @property
    def level_var(self) -> float:
        """Variance of the trimmed means of sessions, which includes the scatter of rounds."""
        return self.session_sd**2 + 1.1 * self.round_sd**2 / SAVED


@lru_cache
def simulate(setting: Setting, change: float = 0.0, margin: float = MARGIN) -> Shares:
    """Return the share of each outcome, and the mean rounds, for a true change of the work."""
    shape, rng = (4000,), np.random.default_rng(1)
    scatter = only(round_sd=setting.round_sd, session_sd=setting.session_sd)
    return tried(
        [scatter.session(rng, shape, SAVED) for _ in range(setting.sessions)],
        scatter.session(rng, shape, MOST_ROUNDS, change),
        scatter.session(rng, shape, SAVED, change),
        Suite(setting.level_var, POOL_WEIGHT) if setting.suite else None,
        margin=margin,
    ).shares


def found(setting: Setting, change: float) -> float:
    """Return the share of true changes of this size that are called regressed."""
    return simulate(setting, change).regressed


@pytest.mark.parametrize(
    "setting",
    [
        Setting(0.03, 0.02, sessions=1),
        Setting(0.01, 0.005, sessions=5),
        Setting(0.03, 0.01, sessions=5),
        Setting(0.03, 0.02, sessions=5),
        Setting(0.03, 0.01, sessions=10),
    ],
)
def test_the_smallest_detectable_increase_is_detected_nine_times_in_ten(setting: Setting) -> None:
    """An increase of the size that a measurement reports as detectable is found that often."""
    k = setting.sessions
    known = Noise(setting.level_var, POOL_WEIGHT + k - 1, setting.round_sd**2)
    noise = known if k >= MIN_SESSIONS else Noise(0.03**2, POOL_WEIGHT, setting.round_sd**2)
    seen = screen([[0.0] * SAVED] * k, [[0.0] * SAVED], Spread(noise, noise), MARGIN, Look())
    assert found(setting, math.expm1(seen.smallest)) >= POWER - 0.07


@pytest.mark.parametrize(
    "setting",
    [
        Setting(0.03, 0.03, sessions=1, suite=False),
        Setting(0.03, 0.02, sessions=3, suite=False),
        Setting(0.03, 0.02, sessions=5),
        Setting(0.03, 0.02, sessions=10),
    ],
)
@pytest.mark.parametrize("margin", [MARGIN, 0.0])
def test_unchanged_code_is_seldom_called_regressed(setting: Setting, margin: float) -> None:
    """False alarms over all looks stay within their bound, even without a margin."""
    assert simulate(setting, margin=margin).regressed <= ALPHA


@pytest.mark.parametrize(
    ("setting", "change", "share"),
    [
        (Setting(0.01, 0.005, sessions=5), 0.10, 0.999),
        (Setting(0.03, 0.01, sessions=5), 0.10, 0.99),
        (Setting(0.03, 0.02, sessions=5), 0.10, 0.90),
        (Setting(0.03, 0.01, sessions=5), 0.20, 0.999),
        (Setting(0.03, 0.02, sessions=5), 0.20, 0.99),
        (Setting(0.03, 0.01, sessions=1, suite=False), 0.20, 0.99),
        (Setting(0.03, 0.02, sessions=1, suite=False), 0.20, 0.95),
        (Setting(0.03, 0.02, sessions=1, suite=False), 0.30, 0.999),
    ],
)
def test_true_regressions_are_found(setting: Setting, change: float, share: float) -> None:
    """At least this share of true increases is called regressed."""
    assert found(setting, change) >= share


def test_a_young_baseline_has_one_look() -> None:
    """With one session there are ten rounds, after which unchanged code nearly always passes."""
    shares = simulate(Setting(sessions=1, suite=False))
    assert shares.rounds == 10.0
    assert shares.passed > 0.97


def test_a_quiet_test_needs_few_rounds() -> None:
    """Unchanged code with little noise nearly always passes at the first look."""
    shares = simulate(Setting(0.01, 0.005))
    assert shares.passed >= 0.999
    assert shares.rounds <= 5.1


@pytest.mark.parametrize("sessions", [1, 5])
def test_true_improvements_are_found(sessions: int) -> None:
    """A decrease of a fifth is called improved."""
    assert simulate(Setting(0.03, 0.01, sessions=sessions), change=-0.2).improved >= 0.99


def test_more_sessions_of_a_suite_detect_more() -> None:
    """Where the suite shares its variance, a larger baseline never detects less."""
    shares = [found(Setting(0.03, 0.02, sessions=k), 0.10) for k in (1, 2, 3, 5, 10)]
    assert shares == sorted(shares)
    assert shares[-1] - shares[0] > 0.6


@pytest.mark.parametrize("session_sd", [0.01, 0.02])
def test_a_third_session_of_a_lone_test_does_not_blind(session_sd: float) -> None:
    """A test with only its own variance detects as much with three sessions as with one."""
    one, *more = (
        found(Setting(0.03, session_sd, sessions=k, suite=False), 0.20) for k in (1, 2, 3, 4, 5, 10)
    )
    assert min(more) >= one - 0.04
    assert more[-1] >= 0.99
