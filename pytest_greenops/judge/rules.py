"""How strictly a run judges, and what a measurement is held against."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_greenops.judge.decision import Suite
from pytest_greenops.model.baseline import Series
from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.marker import Action
from pytest_greenops.model.measurement import CheckName
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import CauseKind, Outcome


@dataclass(frozen=True)
class Rules:
    """How strictly a run judges.

    margin         the increase that is a regression, for tests that name none (0.05 is 5 %)
    action         what a red verdict does, for tests that name none
    estimates      `warn` lets them only warn where the joules are estimated
    session_sd     assumed spread between sessions while fewer than three are known
    suite          what the suite's tests have in common, by its baselines
    quiet_suite    the same without what their control workloads explain
    control_slope  how much of a shift of the control workload the suite's tests share; 0 where
                   none is to be taken out
    carbon         what makes grams of joules, where the grid is known
    """

    margin: float = 0.05
    action: Action = "fail"
    estimates: Action = "warn"
    session_sd: float = 0.03
    suite: Suite | None = None
    quiet_suite: Suite | None = None
    control_slope: float = 0.0
    carbon: CarbonFactor | None = None


@dataclass(frozen=True)
class Reference:
    """What a measurement is held against: accepted sessions, or why there are none to use.

    differences  why the stored series is not comparable: `('cpu: A -> B',)`
    """

    series: Series | None = None
    differences: tuple[str, ...] = ()


def why_not_a_baseline(result: Result) -> str | None:
    """Why a result cannot become a baseline, in a few words; None where it can."""
    verdict = result.verdict
    if verdict.energy is Outcome.OVER_BUDGET:
        return "over its budget"
    if verdict.energy is Outcome.NOT_MEASURED:
        return "not measured"
    broken = [quality.name for quality in verdict.qualities if quality.broken]
    if broken:
        return f"{' and '.join(broken)} is no finite number"
    # A level that a power cap explains is the user's to accept.
    capped = verdict.cause_kind is CauseKind.POWER_CAP
    if verdict.energy is Outcome.INCONCLUSIVE and verdict.cause and not capped:
        return verdict.cause
    barred = [
        check for check in result.checks if check.name in (CheckName.INSTRUMENTED, CheckName.LOST)
    ]
    spoilt = barred or (result.checks if result.untrusted else ())
    return ", ".join(f"{check.name} ({check.finding})" for check in spoilt) or None
