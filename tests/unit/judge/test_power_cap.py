"""A card that reaches its power limit on one side of a comparison only."""

from __future__ import annotations

import pytest

from pytest_greenops.baselines.accept import accept
from pytest_greenops.judge.case import Case, Reference, Rules
from pytest_greenops.judge.comparability import unlike_caps
from pytest_greenops.judge.judgement import judge_measurement
from pytest_greenops.judge.summary import summarise
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.measurement import DeviceState, Measurement, Round
from pytest_greenops.model.result import why_not_a_baseline
from pytest_greenops.model.verdict import CauseKind, Outcome, Verdict
from pytest_greenops.report.reasons import reason
from tests.unit.builders import (
    CPU,
    GPU,
    MACHINE,
    WOBBLE,
    a_round,
    baseline,
    key,
    measurement,
    series,
    session,
)

CAP = "gpu:0: software power cap (baseline: none)"


def on_card(joules: float, capped: bool) -> list[Round]:
    """Return rounds of work on a card, at its power limit or not."""
    state = DeviceState(throttle_reasons=("software power cap",) * capped, used=True)
    return [a_round(1.0, more={"gpu:0": joules * w}, devices={"gpu:0": state}) for w in WOBBLE]


#: Five sessions of 10 J on a card that was never held by its limit.
FREE = series(
    *(session(on_card(10.0 + 0.02 * day, capped=False), day) for day in range(1, 6)),
    domains=(CPU, GPU),
    anchor={"call": {"cpu:0": 1.0, "gpu:0": 10.0}},
)


def measured(joules: float, capped: bool) -> Measurement:
    """Return a measurement of work on the card."""
    return measurement(on_card(joules, capped), domains=(CPU, GPU))


def verdict(
    joules: float, capped: bool, domain: str = "gpu", energy_j: float | None = None
) -> Verdict:
    """Judge such a measurement."""
    budget = Budget(domain=domain, energy_j=energy_j)
    return judge_measurement(Case(measured(joules, capped), budget, Reference(FREE), Rules()))


@pytest.mark.parametrize(
    ("joules", "capped", "outcome", "cause"),
    [
        (15.0, True, Outcome.INCONCLUSIVE, CAP),
        (6.0, True, Outcome.INCONCLUSIVE, CAP),
        (10.0, True, Outcome.PASSED, None),
        (15.0, False, Outcome.REGRESSED, None),
        (6.0, False, Outcome.IMPROVED, None),
    ],
)
def test_a_change_under_another_cap_is_inconclusive(
    joules: float, capped: bool, outcome: Outcome, cause: str | None
) -> None:
    """Changes in both directions are inconclusive; joules within the margin pass."""
    said = verdict(joules, capped)
    assert (said.outcome, said.cause) == (outcome, cause)
    assert said.cause_kind is (CauseKind.POWER_CAP if cause else None)


def test_the_cap_of_a_card_does_not_affect_the_cpu() -> None:
    """The joules of the CPU are comparable."""
    assert verdict(15.0, capped=True, domain="cpu").outcome is Outcome.PASSED


def test_a_baseline_of_another_cap_can_be_replaced() -> None:
    """The reason says how, and accepting it replaces the sessions."""
    said = verdict(15.0, capped=True)
    known = summarise(
        key(), measured(15.0, capped=True), said, domain="gpu", unit="call", conditions={}
    )
    assert CAP in reason(known)
    assert reason(known).endswith(
        "; if the work is meant to use this much, accept it: "
        "pytest --energy-save tests/test_x.py::test_parse"
    )
    assert why_not_a_baseline(known) is None
    new = session(known.rounds, 6)
    grown = accept(baseline(call=FREE), key(), MACHINE, [(known, new)]).measurements["call"]
    assert [s.saved_at for s in grown.sessions] == [new.saved_at]
    assert grown.anchor.saved_at == FREE.anchor.saved_at


def test_a_budget_can_be_exceeded_under_any_cap() -> None:
    """A budget is not compared with a baseline."""
    said = verdict(15.0, capped=True, energy_j=8.0)
    assert (said.outcome, said.cause) == (Outcome.OVER_BUDGET, None)


def rounds_of(capped: int, uncapped: int = 0, used: bool = True) -> list[Round]:
    """Return rounds of a card, of which `capped` were held by its power limit."""
    reasons = [("software power cap",)] * capped + [("sync boost",)] * uncapped
    states = [DeviceState(throttle_reasons=why, used=used) for why in reasons]
    return [a_round(more={"gpu:0": 1.0}, devices={"gpu:0": state}) for state in states]


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (4, (0, 0), CAP),
        (3, (0,), CAP),
        (2, (0,), None),
        (10, (1, 0), None),
        (0, (10, 3), "gpu:0: no software power cap (baseline: held by it)"),
        (0, (10, 2), None),
        (1, (10, 10), None),
        (10, (10, 10), None),
        (0, (0, 0), None),
        (0, (), None),
    ],
)
def test_caps_differ_if_one_side_has_one_and_the_other_none(
    now: int, before: tuple[int, ...], expected: str | None
) -> None:
    """One side has it in more than a fifth of ten rounds, in each of its sessions."""
    rounds = [rounds_of(n, 10 - n) for n in (now, *before)]
    assert unlike_caps(rounds[0], rounds[1:], ("cpu:0", "gpu:0")) == expected


def test_the_cap_of_a_card_that_is_idle_or_not_judged_is_ignored() -> None:
    """It does not change the judged joules."""
    free = rounds_of(0, 10)
    assert unlike_caps(rounds_of(10, used=False), [free], ("gpu:0",)) is None
    assert unlike_caps(rounds_of(10), [free], ("cpu:0",)) is None
