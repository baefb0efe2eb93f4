"""The judge: the eight outcomes, which one takes precedence, and their figures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from pytest_greenops.judge.case import Case, Reference, Rules
from pytest_greenops.judge.decision import Look
from pytest_greenops.judge.judgement import confirm, judge_measurement, unconfirmed
from pytest_greenops.judge.noise import Suite
from pytest_greenops.model.baseline import Series
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.measurement import Check, CheckName, Domain, Kind, Measurement, Round
from pytest_greenops.model.verdict import Cause, CauseKind, Change, Limit, Outcome, Verdict
from tests.unit.builders import (
    CPU,
    DRAM,
    GPU,
    GPU_1,
    IDLE,
    a_round,
    grown,
    measurement,
    rounds,
    series,
    session,
)

#: What is assumed between sessions does not hide anything in these tests.
QUIET = Rules(session_sd=0.001)
KNOWN = Reference(grown())
MOVED = Reference(grown(), ("cpu: A -> B",))


def case(
    of: Measurement | float,
    budget: Budget | None = None,
    reference: Reference = KNOWN,
    rules: Rules = QUIET,
    **more: Any,
) -> Case:
    """Return the case of a measurement, or of ten rounds of `of` joules; the baseline is 2 J."""
    seen = of if isinstance(of, Measurement) else measurement(rounds(of))
    return Case(seen, budget or Budget(), reference, rules, **more)


def judged(
    of: Measurement | float,
    budget: Budget | None = None,
    reference: Reference = KNOWN,
    rules: Rules = QUIET,
    look: Look | None = None,
    **more: Any,
) -> Verdict:
    """Judge such a case."""
    return judge_measurement(case(of, budget, reference, rules, **more), look)


def change_of(verdict: Verdict) -> Change:
    """Return the change of a verdict, which must have one."""
    assert verdict.change is not None
    return verdict.change


def untrusted(*kinds: Kind) -> Check:
    """Return a self-check that forbids a verdict."""
    return Check(CheckName.CONTENTION, "others used 9 %", "kept", untrusted=True, kinds=kinds)


def not_measured(why: str) -> Verdict:
    """Return the verdict on a measurement without joules."""
    return Verdict(Outcome.NOT_MEASURED).with_cause(Cause(CauseKind.NOTHING_MEASURED, why))


def not_comparable(why: str, kind: CauseKind = CauseKind.DIFFERENCES) -> Verdict:
    """Return the verdict on a measurement whose baseline cannot be used."""
    return Verdict(Outcome.NOT_COMPARABLE).with_cause(Cause(kind, why))


def close(value: float) -> Any:
    """Compare to a thousandth: rounds scatter, and counters count whole microjoules."""
    return pytest.approx(value, rel=2e-3, abs=1e-3)


# --- the eight outcomes ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("joules", "outcome"),
    [
        (2.0, Outcome.PASSED),
        (2.04, Outcome.PASSED),
        (1.98, Outcome.PASSED),
        (2.3, Outcome.REGRESSED),
        (1.6, Outcome.IMPROVED),
        (2.095, Outcome.INCONCLUSIVE),
    ],
)
def test_a_baseline_decides(joules: float, outcome: Outcome) -> None:
    """Against 2 J and 5 %: a small change passes, a large one does not, the margin is open."""
    verdict = judged(joules)
    assert (verdict.outcome, verdict.cause) == (outcome, None)


def test_no_reference_means_no_baseline() -> None:
    """Without a baseline and without limits the outcome is `no baseline`."""
    verdict = judged(2.0, reference=Reference())
    assert replace(verdict, detects=None) == Verdict(Outcome.NO_BASELINE)


def test_the_first_session_says_what_later_runs_detect() -> None:
    """With an assumed spread of 3 % one session as the baseline detects about a fifth more."""
    verdict = judged(2.0, reference=Reference(), rules=Rules(session_sd=0.03))
    later = judged(2.0, reference=Reference(grown(sessions=1)), rules=Rules(session_sd=0.03))
    assert verdict.detects == pytest.approx(change_of(later).smallest, rel=1e-6)
    assert verdict.detects == pytest.approx(0.19, abs=0.01)


def test_another_machine_is_not_comparable() -> None:
    """The differences are the cause, and there is no change."""
    both = Reference(grown(), ("cpu: A -> B", "threads: 4 -> 8"))
    verdict = judged(2.0, reference=both)
    assert verdict == not_comparable("cpu: A -> B, threads: 4 -> 8")


@pytest.mark.parametrize(
    ("limit", "outcome"),
    [(1.9, Outcome.OVER_BUDGET), (2.0, Outcome.INCONCLUSIVE), (2.1, Outcome.PASSED)],
)
def test_an_absolute_budget_needs_no_baseline(limit: float, outcome: Outcome) -> None:
    """2 J exceed 1.9 J and are within 2.1 J; a budget of 2.0 J is open."""
    assert judged(2.0, Budget(energy_j=limit), Reference()).outcome is outcome


@pytest.mark.parametrize(
    ("seen", "cause"),
    [
        (measurement([]), "no round ended"),
        (
            measurement(
                [], checks=[Check(CheckName.VOID, "cpu:0 could not be read", "2 rounds left out")]
            ),
            "cpu:0 could not be read",
        ),
        (
            measurement([a_round(1.0), a_round(0.0)]),
            "total did not move in a round: its window is too short",
        ),
    ],
)
def test_a_measurement_without_joules_is_not_measured(seen: Measurement, cause: str) -> None:
    """A measurement without rounds, or with a counter that did not move, has no figure."""
    verdict = judged(seen, Budget(energy_j=1.0))
    assert verdict == not_measured(cause)


@pytest.mark.parametrize(
    ("domains", "domain", "cause"),
    [
        ((CPU,), "gpu", "no sensor reads gpu here, only cpu:0"),
        ((CPU, DRAM), "gpu:1", "no sensor reads gpu:1 here, only cpu:0, dram:0"),
        ((), "total", "no sensor reads total here, only nothing"),
    ],
)
def test_a_domain_without_sensor_is_not_measured(
    domains: Sequence[Domain], domain: str, cause: str
) -> None:
    """The cause names the domains that are measured."""
    verdict = judged(measurement(rounds(), domains=domains), Budget(domain=domain))
    assert verdict == not_measured(cause)


@pytest.mark.parametrize("joules", [2.0, 9.0])
def test_an_instrumented_run_is_not_comparable(joules: float) -> None:
    """Coverage uses energy itself, so neither baseline nor budget is compared."""
    traced = Check(CheckName.INSTRUMENTED, "coverage (sys.settrace)", "not judged")
    verdict = judged(measurement(rounds(joules), checks=[traced]), Budget(energy_j=1.0))
    assert verdict == not_comparable("instrumented: coverage (sys.settrace)", CauseKind.SELF_CHECK)


# --- which wins ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("joules", "budget", "outcome"),
    [
        (2.6, Budget(energy_j=2.5), Outcome.OVER_BUDGET),
        (2.6, Budget(energy_j=2.6), Outcome.REGRESSED),
        (2.0, Budget(energy_j=2.0), Outcome.INCONCLUSIVE),
        (2.0, Budget(energy_j=3.0, max_power_w=15.0), Outcome.OVER_BUDGET),
    ],
    ids=["exceeded", "regressed and open", "passed and open", "one of two"],
)
def test_the_worst_of_limits_and_change_wins(
    joules: float, budget: Budget, outcome: Outcome
) -> None:
    """An exceeded limit precedes a regression, which precedes an open limit; passing comes last."""
    verdict = judged(joules, budget)
    assert (verdict.outcome, verdict.cause) == (outcome, None)
    assert change_of(verdict).relative == close(joules / 2 - 1)
    assert (verdict.needs_rounds, verdict.needs_sessions) == (None, None)
    if outcome is Outcome.OVER_BUDGET:
        assert verdict.exceeded is not None
        assert verdict.exceeded.quantity == ("power" if budget.max_power_w else "energy")


@pytest.mark.parametrize("joules", [9.0, 2.12, 2.0, 1.0])
@pytest.mark.parametrize(
    ("budget", "reference"),
    [(Budget(), KNOWN), (Budget(energy_j=1.0), Reference()), (Budget(energy_j=9.0), KNOWN)],
)
def test_an_untrusted_measurement_decides_nothing(
    joules: float, budget: Budget, reference: Reference
) -> None:
    """It is inconclusive at any change, with the self-check as its cause."""
    seen = measurement(rounds(joules), checks=[untrusted()])
    verdict = judged(seen, budget, reference, Rules(suite=Suite(0.018**2, 8)), look=Look(1, 3))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.cause == "contention: others used 9 %"
    assert verdict.cause_kind is CauseKind.SELF_CHECK
    assert (verdict.needs_rounds, verdict.needs_sessions) == (None, None)


def test_an_untrusted_measurement_without_comparison_keeps_its_outcome() -> None:
    """Without a comparison there is no verdict to distrust."""
    seen = measurement(rounds(), checks=[untrusted()])
    assert judged(seen, reference=Reference()).outcome is Outcome.NO_BASELINE
    assert judged(seen, reference=MOVED).outcome is Outcome.NOT_COMPARABLE


def test_a_check_of_the_cpu_leaves_the_gpu_judged() -> None:
    """Another process on the CPU does not make the joules of the GPU doubtful."""
    seen = measurement(
        rounds(2.0, more={"gpu:0": 5.0}), domains=(CPU, GPU), checks=[untrusted("cpu")]
    )
    budget = Budget(energy_j=4.0, domain="gpu")
    assert judged(seen, budget, Reference()).outcome is Outcome.OVER_BUDGET


@pytest.mark.parametrize(
    ("joules", "limit", "outcome"),
    [
        (2.0, None, Outcome.PASSED),
        (1.6, None, Outcome.IMPROVED),
        (2.3, None, Outcome.INCONCLUSIVE),
        (2.0, 1.0, Outcome.INCONCLUSIVE),
        (2.0, 3.0, Outcome.PASSED),
    ],
)
def test_contention_may_raise_an_estimate_but_not_lower_it(
    joules: float, limit: float | None, outcome: Outcome
) -> None:
    """Contention makes a red verdict on an estimate inconclusive, and no other."""
    seen = measurement(rounds(joules), estimated=["cpu:0"], checks=[untrusted("cpu")])
    verdict = judged(seen, Budget(energy_j=limit))
    doubted = "contention: others used 9 %" if outcome is Outcome.INCONCLUSIVE else None
    assert (verdict.outcome, verdict.cause) == (outcome, doubted)


def test_a_budget_with_a_margin_does_not_pass_without_a_baseline() -> None:
    """With `"3 J", max_increase="5%"` and no baseline, the increase is unknown."""
    both = Budget(energy_j=3.0, max_increase=0.05)
    assert judged(2.0, both, Reference()).outcome is Outcome.NO_BASELINE
    assert judged(2.0, both, MOVED).outcome is Outcome.NOT_COMPARABLE
    assert judged(9.0, both, MOVED).outcome is Outcome.OVER_BUDGET
    assert judged(2.0, Budget(energy_j=3.0), MOVED).outcome is Outcome.PASSED


# --- estimates -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "rule", "estimates", "expected"),
    [
        (None, "fail", "warn", "warn"),
        ("fail", "fail", "warn", "fail"),
        (None, "fail", "fail", "fail"),
        ("warn", "fail", "fail", "warn"),
        (None, "warn", "fail", "warn"),
    ],
)
def test_estimates_warn_unless_they_may_fail(
    action: Any, rule: Any, estimates: Any, expected: str
) -> None:
    """An estimate fails a test if its budget says so, or else if the run allows it."""
    seen = measurement(rounds(3.0), estimated=["cpu:0"])
    rules = Rules(action=rule, estimates=estimates, session_sd=0.001)
    verdict = judged(seen, Budget(action=action), rules=rules)
    assert (verdict.outcome, verdict.estimated) == (Outcome.REGRESSED, True)
    assert verdict.action == expected


@pytest.mark.parametrize(
    ("action", "rule", "expected"),
    [(None, "fail", "fail"), (None, "warn", "warn"), ("warn", "fail", "warn")],
)
def test_the_action_on_sensed_joules_is_that_of_the_budget_or_the_run(
    action: Any, rule: Any, expected: str
) -> None:
    """The budget's action comes first; the rule for estimates does not apply."""
    rules = Rules(action=rule, estimates="warn", session_sd=0.001)
    verdict = judged(3.0, Budget(action=action), rules=rules)
    assert (verdict.action, verdict.estimated) == (expected, False)


def test_a_sensed_domain_next_to_an_estimated_one_may_fail() -> None:
    """A sensed GPU fails, while the total with an estimated CPU only warns."""
    seen = measurement(rounds(2.0, more={"gpu:0": 5.0}), domains=(CPU, GPU), estimated=["cpu:0"])
    verdicts = [
        judged(seen, Budget(energy_j=1.0, domain=domain), Reference())
        for domain in ("gpu", "total")
    ]
    assert [(v.action, v.estimated) for v in verdicts] == [("fail", False), ("warn", True)]


# --- units -----------------------------------------------------------------------------------


def per_token(joules: float, tokens: float) -> Series:
    """Return five sessions that count tokens."""
    return series(*(session(rounds(joules, units={"token": tokens})) for _ in range(5)))


def test_a_change_is_of_the_unit_of_work() -> None:
    """Twice the joules for twice the tokens are no change per token."""
    seen = measurement(rounds(4.0, units={"token": 200.0}))
    reference = Reference(per_token(2.0, 100.0))
    assert judged(seen, reference=reference, unit="token").outcome is Outcome.PASSED
    assert judged(seen, reference=reference, unit="call").outcome is Outcome.REGRESSED


def test_a_unit_missing_from_the_baseline_is_not_comparable() -> None:
    """A baseline saved before the unit was declared is not guessed from."""
    seen = measurement(rounds(units={"token": 200.0}))
    verdict = judged(seen, unit="token")
    assert verdict == not_comparable("unit: the baseline counts no token")
    assert judged(seen, Budget(energy_j=0.1, per="token"), unit="token").outcome is Outcome.PASSED


@pytest.mark.parametrize(("joules", "moved"), [(0.0, False), (1e-6, True)])
def test_a_baseline_without_the_judged_energy_is_not_comparable(joules: float, moved: bool) -> None:
    """A counter that did not move in the baseline has no level; a microjoule is one."""
    still = series(session(rounds(2.0, more={"gpu:0": joules})), domains=(CPU, GPU))
    seen = measurement(rounds(2.0, more={"gpu:0": 5.0}), domains=(CPU, GPU))
    verdict = judged(seen, Budget(domain="gpu"), Reference(still))
    if moved:
        assert verdict.outcome is Outcome.REGRESSED
    else:
        assert verdict == not_comparable("domain: gpu did not move in a round of the baseline")
    assert judged(seen, Budget(domain="cpu"), Reference(still)).outcome is Outcome.PASSED


# --- lost and idle ---------------------------------------------------------------------------

WHY = "gpu:0 could not be read: GPU is lost"
#: Two joules of the CPU, five of the first card and one of the second, idle or not.
SPENT = rounds(2.0, more={"gpu:0": 5.0, "gpu:1": 1.0})


@pytest.mark.parametrize("domain", ["total", "gpu", "gpu:0"])
@pytest.mark.parametrize("kept", [True, False])
def test_a_domain_with_a_lost_counter_is_not_measured(domain: str, kept: bool) -> None:
    """The cause is the reason of the loss, even if rounds were kept without the counter."""
    seen = measurement(rounds() if kept else [], domains=(CPU, GPU, GPU_1), lost={"gpu:0": WHY})
    known = Reference(series(session(SPENT), domains=(CPU, GPU, GPU_1)))
    verdict = judged(seen, Budget(domain=domain, energy_j=9.0), known)
    assert verdict == not_measured(WHY)


@pytest.mark.parametrize("domain", ["cpu", "cpu:0", "gpu:1"])
def test_a_domain_without_the_lost_counter_is_judged(domain: str) -> None:
    """The CPU and other cards are judged as usual."""
    seen = measurement(
        rounds(2.0, more={"gpu:1": 2.0}), domains=(CPU, GPU, GPU_1), lost={"gpu:0": WHY}
    )
    budgets = [Budget(domain=domain, energy_j=limit) for limit in (1.9, 2.1)]
    outcomes = [judged(seen, budget, Reference()).outcome for budget in budgets]
    assert outcomes == [Outcome.OVER_BUDGET, Outcome.PASSED]
    spent = rounds(2.0, more={"gpu:0": 5.0, "gpu:1": 2.0})
    known = Reference(series(*[session(spent)] * 5, domains=(CPU, GPU, GPU_1)))
    assert judged(seen, Budget(domain=domain), known).outcome is Outcome.PASSED


def test_a_lost_card_that_was_idle_is_not_missed() -> None:
    """An idle card is not part of the total."""
    seen = measurement(rounds(), domains=(CPU, IDLE), lost={"gpu:1": WHY})
    assert judged(seen, Budget(energy_j=3.0), Reference()).outcome is Outcome.PASSED


def test_a_domain_with_only_idle_devices_is_not_measured() -> None:
    """The idle power of cards is not judged; the cause says why they count as idle, and the fix."""
    idle = [replace(GPU, counted=False, idle=True), IDLE]
    for domains, domain in (((CPU, *idle), "gpu"), (idle, "total")):
        seen = measurement(SPENT, domains=domains)
        assert judged(seen, Budget(domain=domain, energy_j=1.0)) == not_measured(
            "gpu:0, gpu:1 counted as idle: the driver lists no process of this test there; if the "
            'work runs in another process, name its device: energy_budget(domain="gpu:0")'
        )


@pytest.mark.parametrize(
    ("domain", "joules"), [("total", 7.0), ("gpu", 5.0), ("gpu:0", 5.0), ("gpu:1", 1.0)]
)
def test_an_idle_card_is_judged_only_by_its_own_name(domain: str, joules: float) -> None:
    """It is not in a sum, but a budget may name it."""
    seen = measurement(SPENT, domains=(CPU, GPU, IDLE))
    [limit] = judged(seen, Budget(domain=domain, energy_j=9.0), Reference()).limits
    assert limit.value == close(joules)


@pytest.mark.parametrize(
    ("before", "now", "domain", "turned"),
    [
        (GPU_1, IDLE, "total", "gpu:1: used -> idle"),
        (GPU_1, IDLE, "gpu", "gpu:1: used -> idle"),
        (IDLE, GPU_1, "total", "gpu:1: idle -> used"),
        (IDLE, GPU_1, "gpu", "gpu:1: idle -> used"),
        (GPU_1, GPU_1, "total", None),
        (IDLE, IDLE, "total", None),
        (IDLE, IDLE, "gpu", None),
        (GPU_1, IDLE, "cpu", None),
        (IDLE, GPU_1, "gpu:0", None),
    ],
)
def test_a_domain_is_compared_if_it_has_the_same_used_cards(
    before: Domain, now: Domain, domain: str, turned: str | None
) -> None:
    """Otherwise the sums are of different counters, so neither can regress."""
    known = Reference(series(*[session(SPENT)] * 5, domains=(CPU, GPU, before)))
    verdict = judged(measurement(SPENT, domains=(CPU, GPU, now)), Budget(domain=domain), known)
    if turned:
        assert verdict == not_comparable(turned)
    else:
        assert verdict.outcome is Outcome.PASSED


def test_a_budget_is_judged_despite_another_set_of_cards() -> None:
    """An absolute limit needs no baseline."""
    known = Reference(series(*[session(SPENT)] * 5, domains=(CPU, GPU, IDLE)))
    seen = measurement(SPENT, domains=(CPU, GPU, GPU_1))
    verdict = judged(seen, Budget(energy_j=6.0), known)
    assert (verdict.outcome, verdict.change) == (Outcome.OVER_BUDGET, None)


def test_on_another_machine_idle_cards_are_not_reported() -> None:
    """The baseline cannot be used anyway."""
    moved = Reference(series(session(SPENT), domains=(CPU, GPU, IDLE)), ("cpu: A -> B",))
    verdict = judged(measurement(SPENT, domains=(CPU, GPU, GPU_1)), reference=moved)
    assert verdict == not_comparable("cpu: A -> B")


# --- limits ----------------------------------------------------------------------------------


def test_the_energy_of_a_budget_is_per_its_own_unit() -> None:
    """It is per call if the budget names no unit, whatever the test counts."""
    seen = measurement(rounds(4.0, units={"token": 100.0}))
    by_call = judged(seen, Budget(energy_j=5.0), Reference(), unit="token")
    by_token = judged(seen, Budget(energy_j=0.05, per="token"), Reference(), unit="token")
    assert (by_call.limits[0].value, by_call.limits[0].unit) == (close(4.0), "call")
    assert (by_token.limits[0].value, by_token.limits[0].unit) == (close(0.04), "token")


TEN_CALLS = a_round(2.0, seconds=0.1, iterations=10)
TWO_CALLS = a_round(3600.0, iterations=2)


@pytest.mark.parametrize(
    ("round_", "budget", "quantity", "value", "allowed", "outcome"),
    [
        (TEN_CALLS, Budget(max_power_w=19.0), "power", 20.0, 19.0, Outcome.OVER_BUDGET),
        (TEN_CALLS, Budget(max_power_w=21.0), "power", 20.0, 21.0, Outcome.PASSED),
        (TWO_CALLS, Budget(max_carbon_g=0.19), "carbon", 0.2, 0.19, Outcome.OVER_BUDGET),
        (TWO_CALLS, Budget(max_carbon_g=0.21), "carbon", 0.2, 0.21, Outcome.PASSED),
    ],
)
def test_power_is_of_a_round_and_carbon_of_a_call(
    round_: Round, budget: Budget, quantity: str, value: float, allowed: float, outcome: Outcome
) -> None:
    """10 calls of 0.2 J in 0.1 s are 20 W; 1,800 J a call at 400 g/kWh are 0.2 g."""
    rules = Rules(session_sd=0.001, carbon=CarbonFactor(320.0, 1.25))
    verdict = judged(measurement([round_] * 10), budget, Reference(), rules)
    assert verdict.outcome is outcome
    [limit] = verdict.limits
    assert (limit.quantity, limit.value, limit.limit) == (quantity, close(value), allowed)


def test_carbon_without_an_intensity_is_not_judged() -> None:
    """Joules alone give no grams."""
    assert judged(2.0, Budget(max_carbon_g=1e-9), Reference()).limits == ()


def test_what_is_refused_still_says_that_it_is_estimated() -> None:
    """An estimate that did not move only warns, as the others do."""
    still = measurement([a_round(0.0)] * 5, estimated=["cpu:0"])
    refused = judged(still, Budget(), Reference())
    assert (refused.outcome, refused.estimated) == (Outcome.NOT_MEASURED, True)
    assert refused.action == "warn"


def test_a_regression_needs_no_more_rounds_for_a_limit() -> None:
    """What the limit would need is told only where nothing is decided."""
    verdict = judged(3.0, Budget(energy_j=3.0))
    assert verdict.outcome is Outcome.REGRESSED
    assert (verdict.needs_rounds, verdict.needs_processes, verdict.needs_sessions) == (None,) * 3


def test_power_and_carbon_are_those_of_a_call() -> None:
    """A budget of joules per token limits the energy alone per token."""
    budget = Budget(energy_j=9.0, per="token", max_power_w=99.0, max_carbon_g=9.0)
    seen = measurement([a_round(units={"token": 4.0})] * 10)
    rules = Rules(session_sd=0.001, carbon=CarbonFactor(320.0, 1.25))
    limits = judged(seen, budget, Reference(), rules).limits
    assert {limit.quantity: limit.unit for limit in limits} == {
        "energy": "token",
        "power": "call",
        "carbon": "call",
    }


def test_the_power_of_an_estimate_is_not_judged() -> None:
    """It restates how busy the CPUs are; `--energy-strict` fails it, and the energy is judged."""
    seen = measurement([TEN_CALLS] * 10, estimated=["cpu:0"])
    rules = Rules(session_sd=0.001)
    alone = judged(seen, Budget(max_power_w=1.0), Reference(), rules)
    assert (alone.outcome, alone.limits) == (Outcome.NO_BASELINE, ())
    both = judged(seen, Budget(max_power_w=1.0, energy_j=3.0), Reference(), rules)
    assert (both.outcome, [limit.quantity for limit in both.limits]) == (Outcome.PASSED, ["energy"])
    assert both.unjudged == (
        "max_power of 1.00 W is not judged: the power of an estimate only restates how busy the "
        "CPUs are; measure with a sensor, or limit the energy"
    )
    assert both.unproven
    sensed = judged(measurement([TEN_CALLS] * 10), Budget(max_power_w=21.0), Reference(), rules)
    assert (sensed.unjudged, sensed.unproven) == (None, False)


def test_a_limit_is_uncertain_by_sessions_as_well() -> None:
    """Its interval includes the assumed spread of sessions, even if rounds scatter little."""
    narrow, wide = (
        judged(2.0, Budget(energy_j=9.0), Reference(), Rules(session_sd=sd)).limits[0]
        for sd in (0.001, 0.03)
    )
    # t(0.975, 8) = 2.306
    assert math.log(wide.high / wide.value) == pytest.approx(2.306 * 0.03, rel=0.02)
    assert wide.low * wide.high == pytest.approx(wide.value**2)
    assert narrow.high < wide.high


def test_fresh_sessions_narrow_a_limit() -> None:
    """Three sessions know the level better than one by the root of three."""
    rules, limit = Rules(session_sd=0.03), Budget(energy_j=9.0)
    widths = []
    for fresh in ([], [rounds()] * 2):
        [known] = judged(2.0, limit, Reference(), rules, fresh=fresh).limits
        widths.append(math.log(known.high / known.value))
    assert widths[0] / widths[1] == pytest.approx(math.sqrt(3), rel=0.02)


def test_the_share_of_a_limit() -> None:
    """It is value over limit, and infinite for a limit of zero."""
    assert Limit("energy", 2.0, 1.9, 2.1, 4.0).used == 0.5
    assert Limit("energy", 2.0, 1.9, 2.1, 0.0).used == math.inf


# --- figures of a change ---------------------------------------------------------------------


def test_a_change_has_its_figures() -> None:
    """It has its interval, margin, level, sessions, date and commit of the baseline."""
    change = change_of(judged(2.3))
    assert change.relative == close(0.15)
    assert change.low < change.relative < change.high
    assert (change.margin, change.sessions, change.provisional) == (0.05, 5, False)
    assert change.baseline_j == close(2.0)
    assert change.by_domain == {"cpu:0": close(2.0)}
    assert (change.accepted_at, change.commit) == ("2026-01-05T00:00:00+00:00", "1234567")
    assert change.smallest >= 0.05


def test_a_young_baseline_is_flagged() -> None:
    """Two sessions are provisional, three are not."""
    young = [judged(2.0, reference=Reference(grown(sessions=k))) for k in (1, 2, 3)]
    assert [change_of(verdict).provisional for verdict in young] == [True, True, False]


def test_the_margin_is_the_budgets_or_the_runs() -> None:
    """The margin of a budget, even zero, comes before that of the run."""
    assert judged(2.3, Budget(max_increase=0.30)).outcome is Outcome.PASSED
    assert judged(2.3, rules=Rules(margin=0.30, session_sd=0.001)).outcome is Outcome.PASSED
    assert judged(2.04, Budget(max_increase=0.0)).outcome is Outcome.REGRESSED


def test_creep_is_that_of_the_accepted_level() -> None:
    """Ten accepted steps of 2 % are 22 %; what this run adds was not accepted."""
    level = 2.0 * 1.02**10
    change = change_of(judged(level * 1.02, reference=Reference(grown(level))))
    assert change.relative == close(0.02)
    assert change.since_anchor == close(1.02**10 - 1)


def test_creep_is_of_the_judged_domain_and_unit() -> None:
    """If the anchor lacks a counter or unit, there is no creep."""
    spent = rounds(2.0, units={"token": 10.0}, more={"gpu:0": 3.0})
    anchor = {"call": {"cpu:0": 1.0, "gpu:0": 3.0}, "token": {"cpu:0": 0.1}}
    days = [session(spent, day) for day in range(1, 6)]
    known = Reference(series(*days, domains=(CPU, GPU), anchor=anchor))
    seen = measurement(spent, domains=(CPU, GPU))

    def creep(domain: str, unit: str) -> float | None:
        return change_of(judged(seen, Budget(domain=domain), known, unit=unit)).since_anchor

    assert creep("cpu", "call") == close(1.0)
    assert creep("gpu", "call") == close(0.0)
    assert creep("total", "call") == close(0.25)
    assert creep("cpu", "token") == close(1.0)
    assert creep("total", "token") is None


# --- sessions and looks ----------------------------------------------------------------------


def test_the_suite_gives_the_scatter_of_sessions() -> None:
    """The same increase is beyond chance only in a quiet suite."""
    quiet, noisy = (Rules(suite=Suite(sd**2, 8)) for sd in (0.01, 0.1))
    assert judged(2.3, rules=quiet).outcome is Outcome.REGRESSED
    assert judged(2.3, rules=noisy).outcome is Outcome.INCONCLUSIVE


def test_an_early_look_is_more_careful() -> None:
    """The first of three looks leaves open what a single look decides."""
    rules = Rules(suite=Suite(0.018**2, 8))
    assert judged(2.12, rules=rules).outcome is Outcome.REGRESSED
    early = judged(2.12, rules=rules, look=Look(1, 3))
    assert early.outcome is Outcome.INCONCLUSIVE
    assert early.needs_processes is not None


def test_fresh_sessions_count_as_sessions() -> None:
    """A fresh process that agrees with the baseline halves an increase."""
    rules = Rules(suite=Suite(0.01**2, 8))
    alone = judged(2.3, rules=rules)
    both = judged(2.3, rules=rules, fresh=[rounds(2.0)])
    assert (alone.outcome, both.outcome) == (Outcome.REGRESSED, Outcome.INCONCLUSIVE)
    assert change_of(both).relative == close(math.sqrt(1.15) - 1)


# --- confirmed by a fresh process ------------------------------------------------------------


@pytest.mark.parametrize(("fresh_j", "confirmed"), [(2.3, 0.15), (2.12, 0.06)])
def test_a_fresh_process_confirms_a_regression(fresh_j: float, confirmed: float) -> None:
    """The change stays that of this process; the fresh one's is added."""
    alone = judged(2.3)
    verdict = confirm(alone, case(2.3, fresh=[rounds(fresh_j)]))
    assert (verdict.outcome, verdict.change) == (Outcome.REGRESSED, alone.change)
    assert verdict.confirmed == close(confirmed)


@pytest.mark.parametrize("sessions", [1, 2, 3, 5])
def test_a_small_change_in_a_fresh_process_confirms_nothing(sessions: int) -> None:
    """+1 % does not confirm +25 %, at any noise and number of sessions."""
    noisy = Reference(grown(sessions=sessions, spread=0.06))
    alone = judged(2.5, reference=noisy)
    assert alone.outcome is Outcome.REGRESSED
    verdict = confirm(alone, case(2.5, reference=noisy, fresh=[rounds(2.02)]))
    assert verdict.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("joules", "fresh_j", "budget", "reference", "seen"),
    [
        (2.02, 2.6, Budget(), KNOWN, "+1.0 %, +30 %"),
        (3.25, 2.375, Budget(energy_j=2.5), Reference(), "3.25 J, 2.37 J"),
    ],
    ids=["baseline", "budget"],
)
def test_processes_that_disagree_decide_nothing(
    joules: float, fresh_j: float, budget: Budget, reference: Reference, seen: str
) -> None:
    """One of two within the margin or the budget forbids a red verdict; both are reported."""
    verdict = judged(joules, budget, reference, fresh=[rounds(fresh_j)])
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.cause == f"not confirmed: {seen} in 2 processes"


@pytest.mark.parametrize("joules", [2.5, 9.0])
def test_a_sure_regression_needs_no_second_process(joules: float) -> None:
    """If no process can confirm it, a p value of at most 1 % is enough."""
    assert unconfirmed(judged(joules), "it crashed").outcome is Outcome.REGRESSED


def test_an_unsure_regression_needs_a_second_process() -> None:
    """A regression that is barely beyond chance is inconclusive without one."""
    shaky = judged(2.3)
    shaky = replace(shaky, change=replace(change_of(shaky), p_value=0.012))
    verdict = unconfirmed(shaky, "it crashed")
    assert (verdict.outcome, verdict.cause) == (Outcome.INCONCLUSIVE, "not confirmed: it crashed")
    assert verdict.cause_kind is CauseKind.NOT_CONFIRMED


@pytest.mark.parametrize(
    ("may_stand", "outcome"), [(True, Outcome.OVER_BUDGET), (False, Outcome.INCONCLUSIVE)]
)
def test_an_exceeded_budget_needs_no_second_process_unless_disturbed(
    may_stand: bool, outcome: Outcome
) -> None:
    """It is red by itself, but not if its second process was disturbed."""
    over = judged(3.0, Budget(energy_j=2.0), Reference())
    assert unconfirmed(over, "contention", may_stand).outcome is outcome


def of_one_hour(days: Series) -> Series:
    """Return a series with all its sessions saved a minute apart."""
    times = (f"2026-01-01T00:{minute:02}:00+00:00" for minute in range(len(days.sessions)))
    sessions = zip(days.sessions, times, strict=True)
    return replace(days, sessions=tuple(replace(s, saved_at=at) for s, at in sessions))


def test_sessions_of_one_hour_count_as_one() -> None:
    """Ten sessions that agree within minutes find no less, and prove no more, than a single one."""
    days = grown(sessions=10, spread=0.001)
    rules = Rules(session_sd=0.03)
    for joules, of_days, of_hour in (
        (2.12, Outcome.REGRESSED, Outcome.INCONCLUSIVE),
        (1.88, Outcome.IMPROVED, Outcome.PASSED),
        (2.02, Outcome.PASSED, Outcome.PASSED),
        (2.4, Outcome.REGRESSED, Outcome.REGRESSED),
    ):
        verdicts = [
            judged(joules, reference=Reference(accepted), rules=rules)
            for accepted in (days, of_one_hour(days))
        ]
        assert [each.outcome for each in verdicts] == [of_days, of_hour]
        firm, young = map(change_of, verdicts)
        assert (firm.occasions, young.occasions, young.sessions) == (10, 1, 10)
        assert (firm.provisional, young.provisional) == (False, True)


def test_starts_of_one_hour_that_differ_prove_nothing() -> None:
    """Where three starts of one minute differ by a fifth, a run like the lowest does not pass."""
    apart = of_one_hour(grown(sessions=3, spread=0.2))
    assert judged(1.85, reference=Reference(apart)).outcome is Outcome.INCONCLUSIVE


def test_starts_that_differ_as_the_machine_does_are_of_one_machine() -> None:
    """Where the control workload moved with them, a run that moved with it too passes."""
    moved = of_one_hour(controlled((1.8, 0.9), (2.0, 1.0), (2.2, 1.1)))
    verdict = judged(1.83, reference=Reference(moved), rules=Rules(), controls=[{"cpu:0": 0.9}])
    assert verdict.outcome is Outcome.PASSED
    alone = of_one_hour(controlled((1.8, 1.0), (2.0, 1.0), (2.2, 1.0)))
    verdict = judged(1.83, reference=Reference(alone), rules=Rules(), controls=[{"cpu:0": 1.0}])
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_other_boots_are_other_occasions() -> None:
    """Sessions of three runners of CI are independent, however close in time."""
    hour = of_one_hour(grown(sessions=3))
    boots = (replace(s, recorded={"boot": str(n)}) for n, s in enumerate(hour.sessions))
    assert (hour.occasions, replace(hour, sessions=tuple(boots)).occasions) == (1, 3)


def test_a_mishap_of_one_process_is_no_regression() -> None:
    """An increase that a fresh process does not find is inconclusive."""
    verdict = confirm(judged(2.3), case(2.3, fresh=[rounds(2.01)]))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.cause == "not confirmed: +15 % in this process, +0.5 % in a fresh one"
    assert verdict.confirmed is None


# --- the control workload --------------------------------------------------------------------


def controlled(*sessions: tuple[float, float]) -> Series:
    """Return a series of sessions by their joules and those of their control workload."""
    return series(
        *(
            replace(session(rounds(joules), day), control_j={"cpu:0": c})
            for day, (joules, c) in enumerate(sessions, 1)
        )
    )


BESIDE = Reference(controlled((2.0, 1.0), (2.0, 1.0), (2.02, 1.01), (1.98, 0.99)))


def test_the_shift_of_the_machine_is_taken_out() -> None:
    """Work that grew with the control workload has not changed."""
    rules = Rules(session_sd=0.001, control_slope=1.0)
    verdict = judged(2.4, reference=BESIDE, rules=rules, controls=[{"cpu:0": 1.2}])
    assert verdict.outcome is Outcome.PASSED
    change = change_of(verdict)
    assert (change.relative, change.taken_out) == close((0.0, 0.2))


def test_each_session_loses_its_own_shift() -> None:
    """Two processes are compared without what their machine used at their time."""
    rules = Rules(session_sd=0.001, control_slope=1.0)
    controls = [{"cpu:0": 1.2}, {"cpu:0": 0.9}]
    verdict = judged(2.4, reference=BESIDE, rules=rules, fresh=[rounds(1.8)], controls=controls)
    assert verdict.outcome is Outcome.PASSED
    assert change_of(verdict).relative == close(0.0)


@pytest.mark.parametrize(
    ("slope", "controls"),
    [(0.0, [{"cpu:0": 1.0005}]), (1.0, [{"dram:0": 1.2}]), (1.0, [{}]), (1.0, [])],
)
def test_an_unusable_control_is_ignored(slope: float, controls: list[dict[str, float]]) -> None:
    """It hardly moved and has no slope, or it has no judged counter, or no joules."""
    rules = Rules(session_sd=0.001, control_slope=slope)
    verdict = judged(2.4, reference=BESIDE, rules=rules, controls=controls)
    assert verdict.outcome is Outcome.REGRESSED
    change = change_of(verdict)
    assert (change.relative, change.taken_out) == (close(0.2), None)


@pytest.mark.parametrize(
    ("joules", "control_j", "outcome"),
    [
        (2.4, 1.2, Outcome.INCONCLUSIVE),
        (2.9, 1.2, Outcome.REGRESSED),
        (2.0, 0.8, Outcome.INCONCLUSIVE),
        (2.0, 1.2, Outcome.PASSED),
        (1.4, 0.95, Outcome.IMPROVED),
    ],
)
def test_a_machine_that_changed_decides_nothing(
    joules: float, control_j: float, outcome: Outcome
) -> None:
    """Where tests may share a change of the control, a verdict holds with it and without."""
    verdict = judged(joules, reference=BESIDE, rules=Rules(), controls=[{"cpu:0": control_j}])
    assert verdict.outcome is outcome
    assert (verdict.cause_kind is CauseKind.CONTROL) is (outcome is Outcome.INCONCLUSIVE)


def test_an_open_budget_says_what_would_decide_it() -> None:
    """A level close to its limit needs rounds or processes."""
    quiet = Rules(suite=Suite(0.001**2, 8), session_sd=0.001)
    few = judged(measurement(rounds(2.0, n=5)), Budget(energy_j=2.015), Reference(), quiet)
    assert (few.outcome, few.needs_processes) == (Outcome.INCONCLUSIVE, None)
    assert few.needs_rounds is not None
    assert 5 < few.needs_rounds < 20
    loud = judged(2.0, Budget(energy_j=2.1), Reference(), Rules(session_sd=0.03))
    assert (loud.outcome, loud.needs_rounds) == (Outcome.INCONCLUSIVE, None)
    assert loud.needs_processes == 3


def test_a_verdict_of_an_older_file_has_no_kind_of_cause() -> None:
    """JSON results keep the cause as text, and files without its kind still load."""
    verdict = unconfirmed(judged(3.0, Budget(energy_j=2.0), Reference()), "it crashed", False)
    document = msgspec.to_builtins(verdict)
    assert document["cause"] == "not confirmed: it crashed"
    assert msgspec.convert(document, Verdict) == verdict
    del document["cause_kind"]
    older = msgspec.convert(document, Verdict)
    assert (older.cause, older.cause_kind) == (verdict.cause, None)


# --- a machine that drifts -------------------------------------------------------------------


def drift(rng: np.random.Generator, at_s: Sequence[float], minute_sd: float) -> NDArray[np.float64]:
    """Return the level of a machine at some times: it drifts by the minute, and by the hour."""
    apart_s = np.abs(np.subtract.outer(at_s, at_s))
    covariance = minute_sd**2 * (np.exp(-apart_s / 180) + np.exp(-apart_s / 3600))
    return rng.multivariate_normal(np.zeros(len(at_s)), covariance)


@pytest.mark.parametrize(
    ("minute_sd", "seen", "wrong"), [(0.02, 0.0, 2), (0.04, 0.8, 2), (0.08, 1.0, 0)]
)
def test_three_sessions_of_a_minute_prove_little(minute_sd: float, seen: float, wrong: int) -> None:
    """On a machine that drifts, unchanged code is not red or better, and a fifth more not passed.

    The control workload sees a share of the drift, and scatters by 1 % itself.
    """
    rng, counts = np.random.default_rng(50), Counter[tuple[float, Outcome]]()
    for growth in (1.0, 1.2) * 200:
        at_s = [0.0, 10.0, 20.0, 20.0 + rng.uniform(60, 3 * 3600)]
        machine, other = drift(rng, at_s, minute_sd), drift(rng, at_s, minute_sd)
        controls = np.exp(seen * machine + (1 - seen) * other + rng.normal(0, 0.01, 4))
        work = 2.0 * np.exp(machine + rng.normal(0, 0.01, 4))
        accepted = controlled(*zip(work[:3].tolist(), controls[:3].tolist(), strict=True))
        verdict = judged(
            growth * float(work[3]),
            reference=Reference(of_one_hour(accepted)),
            rules=Rules(),
            controls=[{"cpu:0": float(controls[3])}],
        )
        counts[growth, verdict.outcome] += 1
    assert counts[1.0, Outcome.REGRESSED] + counts[1.0, Outcome.IMPROVED] <= wrong
    assert counts[1.2, Outcome.PASSED] + counts[1.2, Outcome.IMPROVED] == 0
    assert counts[1.0, Outcome.PASSED] > 50
    assert counts[1.2, Outcome.REGRESSED] > 100
