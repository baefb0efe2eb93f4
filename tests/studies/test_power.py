"""The simulation of verdicts beside the judge: the same rounds, the same words."""

from __future__ import annotations

import math
from collections import Counter
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
    tried,
)
from benchmarks.power.worlds import World
from pytest_greenops.judge.decision import Look, Suite, planned_looks, schedule
from pytest_greenops.judge.judge import confirm, judge
from pytest_greenops.judge.rules import Reference, Rules
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.measurement import Round
from pytest_greenops.model.verdict import Outcome
from tests.unit.builders import a_round, measurement, series, session

REPETITIONS, SAVED = 40, 10
WORDS = {
    REGRESSED: Outcome.REGRESSED,
    IMPROVED: Outcome.IMPROVED,
    PASSED: Outcome.PASSED,
    INCONCLUSIVE: Outcome.INCONCLUSIVE,
}
SUITE = Suite(0.0003, 8.0)


def rounds(logs: Any) -> tuple[Round, ...]:
    """Rounds of so many joules each: large, since counters count whole microjoules."""
    return tuple(a_round(1e4 * math.exp(y)) for y in logs)


def by_judge(baseline: list[Any], candidate: Any, fresh: Any) -> Outcome:
    """What a run would say of one repetition, look by look."""
    accepted = (session(rounds(logs), day) for day, logs in enumerate(baseline, 1))
    reference, rules = Reference(series(*accepted)), Rules(suite=SUITE)
    looks = schedule(len(baseline), OPTIONS.min_rounds, OPTIONS.max_rounds)
    planned = planned_looks(len(baseline), looks)
    for number, n in enumerate(looks, 1):
        seen = measurement(rounds(candidate[:n]))
        verdict = judge(seen, Budget(), reference, rules, look=Look(number, planned))
        if verdict.outcome is not Outcome.INCONCLUSIVE:
            break
    again = rounds(fresh)
    if verdict.outcome is Outcome.REGRESSED:
        verdict = confirm(verdict, seen, again, Budget(), reference, rules)
    elif verdict.outcome is Outcome.INCONCLUSIVE and planned > len(looks):
        look = Look(planned, planned)
        verdict = judge(seen, Budget(), reference, rules, look=look, fresh=[again])
    return verdict.outcome


@pytest.mark.parametrize("sessions", [1, 5])
def test_the_simulation_says_what_the_judge_says(sessions: int) -> None:
    """Repetition for repetition, over all four outcomes, at a young baseline and a grown one."""
    rng, world = np.random.default_rng(4), World(0.03, 0.02)
    shape, seen = (REPETITIONS,), Counter[Outcome]()
    for change in (-0.1, 0.0, 0.07, 0.12):
        baseline = [world.session(rng, shape, SAVED) for _ in range(sessions)]
        candidate = world.session(rng, shape, MOST_ROUNDS, change)
        fresh = world.session(rng, shape, SAVED, change)
        simulated = tried(baseline, candidate, fresh, SUITE).outcomes
        for row in range(REPETITIONS):
            said = by_judge([s[row] for s in baseline], candidate[row], fresh[row])
            assert said is WORDS[int(simulated[row])]
            seen[said] += 1
    few = {Outcome.INCONCLUSIVE} if sessions == 1 else set()
    assert {outcome for outcome, n in seen.items() if n > 3} >= set(WORDS.values()) - few
