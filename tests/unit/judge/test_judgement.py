"""The judge: each of the eight outcomes, which of two wins, and the figures it rests on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.judge.case import Case, Reference, Rules
from pytest_greenops.judge.decision import Look
from pytest_greenops.judge.judgement import confirm, judge_measurement, unconfirmed
from pytest_greenops.judge.noise import Suite
from pytest_greenops.model.baseline import Series
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.measurement import Check, CheckName, Domain, Kind, Measurement
from pytest_greenops.model.verdict import Cause, CauseKind, Limit, Outcome, Verdict
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


def untrusted(*kinds: Kind) -> Check:
    """A self-check that forbids a verdict."""
    return Check(CheckName.CONTENTION, "others used 9 %", "kept", untrusted=True, kinds=kinds)


def not_measured(why: str) -> Verdict:
    """Return the verdict on a measurement without joules."""
    return Verdict(Outcome.NOT_MEASURED).with_cause(Cause(CauseKind.NOTHING_MEASURED, why))


def not_comparable(why: str, kind: CauseKind = CauseKind.DIFFERENCES) -> Verdict:
    """Return the verdict on a measurement whose baseline cannot be used."""
    return Verdict(Outcome.NOT_COMPARABLE).with_cause(Cause(kind, why))


def close(value: float) -> Any:
    """A figure to a thousandth: rounds scatter, and counters count whole microjoules."""
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
    """Against 2 J and 5 %: about the same passes, more or less is told, at the margin neither."""
    verdict = judged(joules)
    assert (verdict.outcome, verdict.cause) == (outcome, None)


def test_nothing_to_compare_with_is_no_baseline() -> None:
    """Without a baseline and without limits nothing is claimed."""
    assert judged(2.0, reference=Reference()) == Verdict(Outcome.NO_BASELINE)


def test_another_machine_is_not_comparable() -> None:
    """The differences are the cause, and its baseline yields no figure of change."""
    both = Reference(grown(), ("cpu: A -> B", "threads: 4 -> 8"))
    verdict = judged(2.0, reference=both)
    assert verdict == not_comparable("cpu: A -> B, threads: 4 -> 8")


@pytest.mark.parametrize(
    ("limit", "outcome"),
    [
        (1.9, Outcome.OVER_BUDGET),
        (2.0, Outcome.INCONCLUSIVE),
        (2.1, Outcome.PASSED),
    ],
)
def test_an_absolute_budget_needs_no_baseline(limit: float, outcome: Outcome) -> None:
    """2 J are over 1.9, within 2.1, and at 2.0 nobody can tell."""
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
def test_what_has_no_joules_is_not_measured(seen: Measurement, cause: str) -> None:
    """No round, none that could be read, or a counter that stood still: never a figure."""
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
def test_a_domain_that_nobody_reads_is_not_measured(
    domains: Sequence[Domain], domain: str, cause: str
) -> None:
    """A budget of the GPU says so on a machine without one, and names what there is."""
    verdict = judged(measurement(rounds(), domains=domains), Budget(domain=domain))
    assert verdict == not_measured(cause)


@pytest.mark.parametrize("joules", [2.0, 9.0])
def test_an_instrumented_run_is_not_comparable(joules: float) -> None:
    """Coverage uses joules of its own: neither baseline nor budget is held against them."""
    traced = Check(CheckName.INSTRUMENTED, "coverage (sys.settrace)", "not judged")
    verdict = judged(measurement(rounds(joules), checks=[traced]), Budget(energy_j=1.0))
    assert verdict == not_comparable("instrumented: coverage (sys.settrace)", CauseKind.SELF_CHECK)


# --- which wins ------------------------------------------------------------------------------


def test_over_budget_wins_over_regressed() -> None:
    """A limit that is exceeded is the graver news; the change is told beside it."""
    verdict = judged(2.6, Budget(energy_j=2.5))
    assert verdict.outcome is Outcome.OVER_BUDGET
    assert verdict.change is not None
    assert verdict.change.relative == close(0.3)


def test_regressed_wins_over_a_limit_that_nobody_can_tell() -> None:
    """A sure regression is not hidden by an unsure budget."""
    assert judged(2.6, Budget(energy_j=2.6)).outcome is Outcome.REGRESSED


def test_a_limit_that_nobody_can_tell_wins_over_passed() -> None:
    """No test passes while one of its limits may be exceeded; no rounds are asked for either."""
    verdict = judged(2.0, Budget(energy_j=2.0))
    assert (verdict.outcome, verdict.cause) == (Outcome.INCONCLUSIVE, None)
    assert (verdict.needs_rounds, verdict.needs_sessions) == (None, None)


def test_one_limit_of_several_is_enough() -> None:
    """The energy fits, the power does not."""
    verdict = judged(2.0, Budget(energy_j=3.0, max_power_w=15.0))
    assert verdict.outcome is Outcome.OVER_BUDGET
    assert verdict.exceeded is not None
    assert verdict.exceeded.quantity == "power"


@pytest.mark.parametrize("joules", [9.0, 2.12, 2.0, 1.0])
@pytest.mark.parametrize(
    ("budget", "reference"),
    [(Budget(), KNOWN), (Budget(energy_j=1.0), Reference()), (Budget(energy_j=9.0), KNOWN)],
)
def test_an_untrusted_measurement_decides_nothing(
    joules: float, budget: Budget, reference: Reference
) -> None:
    """However far over or within it seems, it is inconclusive, with the self-check as the cause."""
    seen = measurement(rounds(joules), checks=[untrusted()])
    verdict = judged(seen, budget, reference, Rules(suite=Suite(0.018**2, 8)), look=Look(1, 3))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.cause == "contention: others used 9 %"
    assert verdict.cause_kind is CauseKind.SELF_CHECK
    assert (verdict.needs_rounds, verdict.needs_sessions) == (None, None)


def test_an_untrusted_measurement_that_nothing_is_compared_with_stays_what_it_is() -> None:
    """Without a baseline there is no verdict that could be mistrusted."""
    seen = measurement(rounds(), checks=[untrusted()])
    assert judged(seen, reference=Reference()).outcome is Outcome.NO_BASELINE
    assert judged(seen, reference=MOVED).outcome is Outcome.NOT_COMPARABLE


def test_a_check_of_the_cpu_leaves_the_gpu_judged() -> None:
    """A neighbour on the CPU does not put the joules of the GPU in doubt."""
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
def test_a_neighbour_may_have_made_an_estimate_dear_but_not_cheap(
    joules: float, limit: float | None, outcome: Outcome
) -> None:
    """Its joules are not in an estimate, its wear is: red is doubted, the rest stands."""
    seen = measurement(rounds(joules), estimated=["cpu:0"], checks=[untrusted("cpu")])
    verdict = judged(seen, Budget(energy_j=limit))
    doubted = "contention: others used 9 %" if outcome is Outcome.INCONCLUSIVE else None
    assert (verdict.outcome, verdict.cause) == (outcome, doubted)


def test_a_budget_that_also_asks_for_a_comparison_does_not_pass_without_one() -> None:
    """`"3 J", max_increase="5%"` without a baseline: the limit holds, the increase is not known."""
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
    """What was estimated fails a test where its budget says so, else where the run lets it."""
    seen = measurement(rounds(3.0), estimated=["cpu:0"])
    rules = Rules(action=rule, estimates=estimates, session_sd=0.001)
    verdict = judged(seen, Budget(action=action), rules=rules)
    assert (verdict.outcome, verdict.estimated) == (Outcome.REGRESSED, True)
    assert verdict.action == expected


@pytest.mark.parametrize(
    ("action", "rule", "expected"),
    [(None, "fail", "fail"), (None, "warn", "warn"), ("warn", "fail", "warn")],
)
def test_sensed_joules_do_as_the_budget_or_the_run_says(
    action: Any, rule: Any, expected: str
) -> None:
    """The nearest word counts, and what is said of estimates is not about them."""
    rules = Rules(action=rule, estimates="warn", session_sd=0.001)
    verdict = judged(3.0, Budget(action=action), rules=rules)
    assert (verdict.action, verdict.estimated) == (expected, False)


def test_a_sensed_domain_beside_an_estimated_one_may_fail() -> None:
    """The GPU is sensed, though the CPU is estimated; the total of both only warns."""
    seen = measurement(rounds(2.0, more={"gpu:0": 5.0}), domains=(CPU, GPU), estimated=["cpu:0"])
    verdicts = [
        judged(seen, Budget(energy_j=1.0, domain=domain), Reference())
        for domain in ("gpu", "total")
    ]
    assert [(v.action, v.estimated) for v in verdicts] == [("fail", False), ("warn", True)]


# --- units -----------------------------------------------------------------------------------


def per_token(joules: float, tokens: float) -> Series:
    """Five sessions that counted tokens."""
    return series(*(session(rounds(joules, units={"token": tokens})) for _ in range(5)))


def test_a_change_is_of_the_unit_of_work() -> None:
    """Twice the joules for twice the tokens is no change by token, though it is one by call."""
    seen = measurement(rounds(4.0, units={"token": 200.0}))
    reference = Reference(per_token(2.0, 100.0))
    assert judged(seen, reference=reference, unit="token").outcome is Outcome.PASSED
    assert judged(seen, reference=reference, unit="call").outcome is Outcome.REGRESSED


def test_a_unit_that_the_baseline_never_counted_is_not_comparable() -> None:
    """Nothing is guessed for a baseline from before the unit was declared."""
    seen = measurement(rounds(units={"token": 200.0}))
    verdict = judged(seen, unit="token")
    assert verdict == not_comparable("unit: the baseline counts no token")
    assert judged(seen, Budget(energy_j=0.1, per="token"), unit="token").outcome is Outcome.PASSED


def test_a_baseline_without_the_judged_energy_is_not_comparable() -> None:
    """A counter that stood still when the baseline was saved has no level to compare with."""
    still = series(session(rounds(2.0, more={"gpu:0": 0.0})), domains=(CPU, GPU))
    seen = measurement(rounds(2.0, more={"gpu:0": 5.0}), domains=(CPU, GPU))
    verdict = judged(seen, Budget(domain="gpu"), Reference(still))
    assert verdict == not_comparable("domain: gpu did not move in a round of the baseline")
    assert judged(seen, Budget(domain="cpu"), Reference(still)).outcome is Outcome.PASSED


# --- lost and idle ---------------------------------------------------------------------------

WHY = "gpu:0 could not be read: GPU is lost"
#: Two joules of the CPU, five of the first card and one of the second, idle or not.
SPENT = rounds(2.0, more={"gpu:0": 5.0, "gpu:1": 1.0})


@pytest.mark.parametrize("domain", ["total", "gpu", "gpu:0"])
@pytest.mark.parametrize("kept", [True, False])
def test_what_holds_a_lost_counter_is_not_measured(domain: str, kept: bool) -> None:
    """A part is not the whole: the reason is told, whether or not rounds were kept without it."""
    seen = measurement(rounds() if kept else [], domains=(CPU, GPU, GPU_1), lost={"gpu:0": WHY})
    known = Reference(series(session(SPENT), domains=(CPU, GPU, GPU_1)))
    verdict = judged(seen, Budget(domain=domain, energy_j=9.0), known)
    assert verdict == not_measured(WHY)


@pytest.mark.parametrize("domain", ["cpu", "cpu:0", "gpu:1"])
def test_what_does_not_hold_it_is_judged(domain: str) -> None:
    """The joules of the CPU are what they would be, and so are those of another card."""
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
    """It is in no total, and so nothing lacks it."""
    seen = measurement(rounds(), domains=(CPU, IDLE), lost={"gpu:1": WHY})
    assert judged(seen, Budget(energy_j=3.0), Reference()).outcome is Outcome.PASSED


def test_a_domain_all_of_whose_devices_were_idle_is_not_measured() -> None:
    """Rather than judging what cards draw at rest."""
    idle = [replace(GPU, counted=False, idle=True), IDLE]
    verdict = judged(measurement(SPENT, domains=(CPU, *idle)), Budget(domain="gpu", energy_j=1.0))
    assert verdict == not_measured("the work used no gpu: all were idle")


@pytest.mark.parametrize(
    ("domain", "joules"), [("total", 7.0), ("gpu", 5.0), ("gpu:0", 5.0), ("gpu:1", 1.0)]
)
def test_an_idle_card_is_judged_by_its_own_name_alone(domain: str, joules: float) -> None:
    """It is in no sum; who names it wants to know what it draws at rest."""
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
    ],
)
def test_a_card_more_or_less_is_not_comparable(
    before: Domain, now: Domain, domain: str, turned: str
) -> None:
    """What is summed is not what was summed: neither a regression nor an improvement."""
    known = Reference(series(*[session(SPENT)] * 5, domains=(CPU, GPU, before)))
    seen = measurement(SPENT, domains=(CPU, GPU, now))
    assert judged(seen, Budget(domain=domain), known) == not_comparable(turned)


@pytest.mark.parametrize(
    ("before", "now", "domain"),
    [
        (GPU_1, GPU_1, "total"),
        (IDLE, IDLE, "total"),
        (IDLE, IDLE, "gpu"),
        (GPU_1, IDLE, "cpu"),
        (IDLE, GPU_1, "gpu:0"),
    ],
)
def test_cards_that_are_as_they_were_are_compared(before: Domain, now: Domain, domain: str) -> None:
    """And so is what holds no card that changed."""
    known = Reference(series(*[session(SPENT)] * 5, domains=(CPU, GPU, before)))
    seen = measurement(SPENT, domains=(CPU, GPU, now))
    assert judged(seen, Budget(domain=domain), known).outcome is Outcome.PASSED


def test_a_budget_is_judged_though_a_card_turned() -> None:
    """An absolute limit needs no baseline."""
    known = Reference(series(*[session(SPENT)] * 5, domains=(CPU, GPU, IDLE)))
    seen = measurement(SPENT, domains=(CPU, GPU, GPU_1))
    verdict = judged(seen, Budget(energy_j=6.0), known)
    assert (verdict.outcome, verdict.change) == (Outcome.OVER_BUDGET, None)


def test_where_the_machine_differs_idle_cards_are_not_told() -> None:
    """The baseline is of no use in any case."""
    moved = Reference(series(session(SPENT), domains=(CPU, GPU, IDLE)), ("cpu: A -> B",))
    verdict = judged(measurement(SPENT, domains=(CPU, GPU, GPU_1)), reference=moved)
    assert verdict == not_comparable("cpu: A -> B")


# --- limits ----------------------------------------------------------------------------------


def test_the_energy_of_a_budget_is_per_its_own_unit() -> None:
    """Per call where the budget names no unit, whatever else the test counts."""
    seen = measurement(rounds(4.0, units={"token": 100.0}))
    by_call = judged(seen, Budget(energy_j=5.0), Reference(), unit="token")
    by_token = judged(seen, Budget(energy_j=0.05, per="token"), Reference(), unit="token")
    assert (by_call.limits[0].value, by_call.limits[0].unit) == (close(4.0), "call")
    assert (by_token.limits[0].value, by_token.limits[0].unit) == (close(0.04), "token")


@pytest.mark.parametrize(
    ("watts", "outcome"), [(19.0, Outcome.OVER_BUDGET), (21.0, Outcome.PASSED)]
)
def test_power_is_energy_over_the_time_of_a_round(watts: float, outcome: Outcome) -> None:
    """10 calls of 0.2 J in 0.1 s are 20 W."""
    ten = [a_round(2.0, seconds=0.1, iterations=10) for _ in range(10)]
    verdict = judged(measurement(ten), Budget(max_power_w=watts), Reference())
    assert verdict.outcome is outcome
    [limit] = verdict.limits
    assert (limit.quantity, limit.value, limit.limit) == ("power", close(20.0), watts)


@pytest.mark.parametrize(
    ("grams", "outcome"), [(0.19, Outcome.OVER_BUDGET), (0.21, Outcome.PASSED)]
)
def test_carbon_is_that_of_a_call(grams: float, outcome: Outcome) -> None:
    """1,800 J a call at 400 g/kWh are 0.2 g."""
    seen = measurement([a_round(3600.0, iterations=2) for _ in range(10)])
    rules = Rules(session_sd=0.001, carbon=CarbonFactor(320.0, 1.25))
    verdict = judged(seen, Budget(max_carbon_g=grams), Reference(), rules)
    assert verdict.outcome is outcome
    [limit] = verdict.limits
    assert (limit.quantity, limit.value, limit.limit) == ("carbon", close(0.2), grams)


def test_carbon_without_an_intensity_is_not_judged() -> None:
    """Grams cannot be had of joules alone, and none are made up."""
    assert judged(2.0, Budget(max_carbon_g=1e-9), Reference()).limits == ()


def test_a_limit_is_uncertain_by_sessions_as_well() -> None:
    """Its interval holds what is assumed of sessions, though the rounds hardly scatter."""
    narrow, wide = (
        judged(2.0, Budget(energy_j=9.0), Reference(), Rules(session_sd=sd)).limits[0]
        for sd in (0.001, 0.03)
    )
    # t(0.975, 8) = 2.306
    assert math.log(wide.high / wide.value) == pytest.approx(2.306 * 0.03, rel=0.02)
    assert wide.low * wide.high == pytest.approx(wide.value**2)
    assert narrow.high < wide.high


def test_fresh_sessions_narrow_a_limit() -> None:
    """Three sessions know the level by the root of three better than one."""
    rules, limit = Rules(session_sd=0.03), Budget(energy_j=9.0)
    widths = []
    for fresh in ([], [rounds()] * 2):
        [known] = judged(2.0, limit, Reference(), rules, fresh=fresh).limits
        widths.append(math.log(known.high / known.value))
    assert widths[0] / widths[1] == pytest.approx(math.sqrt(3), rel=0.02)


def test_the_share_of_a_limit() -> None:
    """Used is value over limit; of a limit of zero anything is infinitely much."""
    assert Limit("energy", 2.0, 1.9, 2.1, 4.0).used == 0.5
    assert Limit("energy", 2.0, 1.9, 2.1, 0.0).used == math.inf


# --- figures of a change ---------------------------------------------------------------------


def test_a_change_tells_its_grounds() -> None:
    """The increase with its interval, the margin, the baseline's level, sessions and origin."""
    change = judged(2.3).change
    assert change is not None
    assert change.relative == close(0.15)
    assert change.low < change.relative < change.high
    assert (change.margin, change.sessions, change.provisional) == (0.05, 5, False)
    assert change.baseline_j == close(2.0)
    assert change.by_domain == {"cpu:0": close(2.0)}
    assert (change.accepted_at, change.commit) == ("2026-01-05T00:00:00+00:00", "1234567")
    assert change.smallest >= 0.05


def test_a_young_baseline_is_flagged() -> None:
    """Two sessions are provisional, three are not."""
    flags = [
        judged(2.0, reference=Reference(grown(sessions=k))).change.provisional  # type: ignore[union-attr]
        for k in (1, 2, 3)
    ]
    assert flags == [True, True, False]


def test_the_margin_is_the_budgets_or_the_runs() -> None:
    """A budget of 30 % lets +15 % pass that the run's 5 % does not; zero percent is a margin."""
    assert judged(2.3, Budget(max_increase=0.30)).outcome is Outcome.PASSED
    assert judged(2.3, rules=Rules(margin=0.30, session_sd=0.001)).outcome is Outcome.PASSED
    assert judged(2.04, Budget(max_increase=0.0)).outcome is Outcome.REGRESSED


def test_creep_is_told_since_the_first_accepted_level() -> None:
    """Ten accepted steps of 2 % are 22 %, though each was within the margin."""
    level = 2.0 * 1.02**10
    crept = grown(level)
    change = judged(level * 1.02, reference=Reference(crept)).change
    assert change is not None
    assert change.relative == close(0.02)
    assert change.since_anchor == close(1.02**11 - 1)


def test_creep_is_of_the_judged_domain_and_unit() -> None:
    """The anchor holds each counter by each unit; where it lacks one, no creep is told."""
    spent = rounds(2.0, units={"token": 10.0}, more={"gpu:0": 3.0})
    anchor = {"call": {"cpu:0": 1.0, "gpu:0": 3.0}, "token": {"cpu:0": 0.1}}
    known = Reference(series(*[session(spent)] * 5, domains=(CPU, GPU), anchor=anchor))
    seen = measurement(spent, domains=(CPU, GPU))

    def creep(domain: str, unit: str) -> float | None:
        change = judged(seen, Budget(domain=domain), known, unit=unit).change
        assert change is not None
        return change.since_anchor

    assert [creep(domain, "call") for domain in ("cpu", "gpu", "total")] == [
        close(1.0),
        close(0.0),
        close(0.25),
    ]
    assert creep("cpu", "token") == close(1.0)
    assert creep("total", "token") is None


# --- sessions and looks ----------------------------------------------------------------------


def test_the_suite_tells_how_sessions_scatter() -> None:
    """The same increase is beyond chance in a quiet suite, and is not in a noisy one."""
    quiet, noisy = (Rules(suite=Suite(sd**2, 8)) for sd in (0.01, 0.1))
    assert judged(2.3, rules=quiet).outcome is Outcome.REGRESSED
    assert judged(2.3, rules=noisy).outcome is Outcome.INCONCLUSIVE


def test_an_early_look_is_more_careful() -> None:
    """A first of three looks leaves open what a single one decides, and says what it needs."""
    rules = Rules(suite=Suite(0.018**2, 8))
    assert judged(2.12, rules=rules).outcome is Outcome.REGRESSED
    early = judged(2.12, rules=rules, look=Look(1, 3))
    assert early.outcome is Outcome.INCONCLUSIVE
    assert early.needs_processes is not None


def test_fresh_sessions_count_as_sessions() -> None:
    """A fresh process that agrees with the baseline halves an increase that one session showed."""
    rules = Rules(suite=Suite(0.01**2, 8))
    alone = judged(2.18, rules=rules)
    both = judged(2.18, rules=rules, fresh=[rounds(2.0)])
    assert (alone.outcome, both.outcome) == (Outcome.REGRESSED, Outcome.INCONCLUSIVE)
    assert both.change is not None
    assert both.change.relative == close(math.sqrt(1.09) - 1)


# --- confirmed by a fresh process ------------------------------------------------------------


@pytest.mark.parametrize(("fresh_j", "confirmed"), [(2.3, 0.15), (2.12, 0.06)])
def test_a_regression_stands_that_a_fresh_process_finds_too(
    fresh_j: float, confirmed: float
) -> None:
    """Its figures stay those of this process; how much the fresh one found is said beside them."""
    alone = judged(2.3)
    verdict = confirm(alone, case(2.3, fresh=[rounds(fresh_j)]))
    assert (verdict.outcome, verdict.change) == (Outcome.REGRESSED, alone.change)
    assert verdict.confirmed == close(confirmed)


@pytest.mark.parametrize("sessions", [1, 2, 3, 5])
def test_what_hardly_shows_in_a_fresh_process_confirms_nothing(sessions: int) -> None:
    """However noisy or young a baseline is, +1 % does not bear out +25 %."""
    noisy = Reference(grown(sessions=sessions, spread=0.06))
    alone = judged(2.5, reference=noisy)
    assert alone.outcome is Outcome.REGRESSED
    verdict = confirm(alone, case(2.5, reference=noisy, fresh=[rounds(2.02)]))
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_processes_that_disagree_decide_nothing() -> None:
    """Of two sessions one that has not grown forbids a regression, and both are told."""
    verdict = judged(2.02, fresh=[rounds(2.6)])
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.cause == "not confirmed: +1.0 %, +30 % in 2 processes"


def test_a_budget_that_one_of_two_processes_keeps_is_not_exceeded() -> None:
    """Over the budget in the mean is not over it while half of the processes are within."""
    verdict = judged(3.25, Budget(energy_j=2.5), Reference(), fresh=[rounds(2.375)])
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.cause == "not confirmed: 3.25 J, 2.37 J in 2 processes"


@pytest.mark.parametrize(
    ("joules", "outcome"), [(2.5, Outcome.REGRESSED), (9.0, Outcome.REGRESSED)]
)
def test_a_sure_regression_needs_no_second_process(joules: float, outcome: Outcome) -> None:
    """Where none can be had, what chance makes in at most 1 % stands by itself."""
    assert unconfirmed(judged(joules), "it crashed").outcome is outcome


def test_what_may_be_chance_does_not_stand_unconfirmed() -> None:
    """A regression that is just beyond chance needs a second process to fail."""
    shaky = judged(2.3)
    assert shaky.change is not None
    shaky = replace(shaky, change=replace(shaky.change, p_value=0.012))
    verdict = unconfirmed(shaky, "it crashed")
    assert (verdict.outcome, verdict.cause) == (Outcome.INCONCLUSIVE, "not confirmed: it crashed")
    assert verdict.cause_kind is CauseKind.NOT_CONFIRMED


@pytest.mark.parametrize(
    ("may_stand", "outcome"), [(True, Outcome.OVER_BUDGET), (False, Outcome.INCONCLUSIVE)]
)
def test_a_budget_stands_unconfirmed_unless_something_disturbed(
    may_stand: bool, outcome: Outcome
) -> None:
    """An exceeded budget fails alone, but not where its second process was disturbed."""
    over = judged(3.0, Budget(energy_j=2.0), Reference())
    assert unconfirmed(over, "contention", may_stand).outcome is outcome


def test_sessions_of_one_day_share_no_suite() -> None:
    """Three sessions of one run are taken as carefully as a lone test's."""
    days = grown(sessions=3, spread=0.001)
    day = replace(days, sessions=tuple(replace(s, run="2026-01-01") for s in days.sessions))
    quiet = Rules(suite=Suite(0.001**2, 8))
    assert judged(2.12, reference=Reference(days), rules=quiet).outcome is Outcome.REGRESSED
    assert judged(2.12, reference=Reference(day), rules=quiet).outcome is Outcome.INCONCLUSIVE


def test_a_mishap_of_one_process_is_no_regression() -> None:
    """What a fresh process does not find is inconclusive, and both figures are said."""
    verdict = confirm(judged(2.3), case(2.3, fresh=[rounds(2.01)]))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.cause == "not confirmed: +15 % in this process, +0.5 % in a fresh one"
    assert verdict.confirmed is None


# --- the control workload --------------------------------------------------------------------


def controlled(*sessions: tuple[float, float]) -> Series:
    """A series of sessions by their joules, and those of their control workload."""
    return series(
        *(
            replace(session(rounds(joules), day), control_j={"cpu:0": c})
            for day, (joules, c) in enumerate(sessions, 1)
        )
    )


BESIDE = Reference(controlled((2.0, 1.0), (2.0, 1.0), (2.02, 1.01), (1.98, 0.99)))


def test_what_the_whole_machine_shares_is_taken_out() -> None:
    """Work that grew as the control workload did has not changed; what was taken out is told."""
    rules = Rules(session_sd=0.001, control_slope=1.0)
    verdict = judged(2.4, reference=BESIDE, rules=rules, controls=[{"cpu:0": 1.2}])
    assert verdict.outcome is Outcome.PASSED
    assert verdict.change is not None
    assert (verdict.change.relative, verdict.change.taken_out) == close((0.0, 0.2))


def test_each_session_is_freed_of_its_own_shift() -> None:
    """Of two processes each is compared without what the machine had more or less in it then."""
    rules = Rules(session_sd=0.001, control_slope=1.0)
    controls = [{"cpu:0": 1.2}, {"cpu:0": 0.9}]
    verdict = judged(2.4, reference=BESIDE, rules=rules, fresh=[rounds(1.8)], controls=controls)
    assert verdict.outcome is Outcome.PASSED
    assert verdict.change is not None
    assert verdict.change.relative == close(0.0)


@pytest.mark.parametrize(
    ("slope", "controls"),
    [(0.0, [{"cpu:0": 1.2}]), (1.0, [{"dram:0": 1.2}]), (1.0, [{}]), (1.0, [])],
)
def test_a_control_that_tells_nothing_is_left_alone(
    slope: float, controls: list[dict[str, float]]
) -> None:
    """Without a slope, without the judged counter, or without a control, nothing is taken out."""
    rules = Rules(session_sd=0.001, control_slope=slope)
    verdict = judged(2.4, reference=BESIDE, rules=rules, controls=controls)
    assert verdict.outcome is Outcome.REGRESSED
    assert verdict.change is not None
    assert (verdict.change.relative, verdict.change.taken_out) == (close(0.2), None)


def test_a_budget_says_what_would_decide_it() -> None:
    """A level beside its absolute limit asks for rounds, or for processes."""
    quiet = Rules(suite=Suite(0.001**2, 8), session_sd=0.001)
    few = judged(measurement(rounds(2.0, n=5)), Budget(energy_j=2.015), Reference(), quiet)
    assert (few.outcome, few.needs_processes) == (Outcome.INCONCLUSIVE, None)
    assert few.needs_rounds is not None
    assert 5 < few.needs_rounds < 20
    loud = judged(2.0, Budget(energy_j=2.1), Reference(), Rules(session_sd=0.03))
    assert (loud.outcome, loud.needs_rounds) == (Outcome.INCONCLUSIVE, None)
    assert loud.needs_processes == 3
