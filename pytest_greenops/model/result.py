"""What a user holds after a call, and what a report shows of it."""

from __future__ import annotations

import math

import msgspec

from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.explanation import Explanation
from pytest_greenops.model.measurement import (
    Check,
    CheckName,
    Domain,
    Provenance,
    Round,
    Uncounted,
)
from pytest_greenops.model.verdict import CauseKind, Outcome, Verdict

#: Version of the JSON results. Its history:
#: 1  the first.
SCHEMA = 1


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What an earlier attempt at a test came to, in a run that tried it again."""

    outcome: Outcome
    joules: float = math.nan


class Result(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """The figures of one named measurement of a test.

    joules     of one call, over the domain judged; NaN where it was not measured, as `watts`
    by_domain  joules of one call by energy counter, those outside `joules` too
    watts      mean power of the domain judged
    seconds    of one call
    per_unit   joules of one unit of work, by unit name
    interval   95 % confidence interval of `joules`, from the scatter of the rounds; from a single
               round how exactly its edges are known, and None where it is estimated
    untrusted  one of the self-checks forbids a verdict on the domain judged
    grams      CO2e of one call, where the carbon intensity is known
    carbon     what made grams of the joules: intensity, PUE, and where they come from
    uncounted  calls of the work that are in no round; None in files that do not tell
    fresh      rounds of further sessions of the same test, each from a process of its own
    control_j  joules of one call of the control workload beside it, by counter; of the further
               sessions `fresh_controls_j`
    quality    what the test told of it, higher being better; what it told in each of the further
               sessions `fresh_quality`
    confirming rounds of the fresh process that was asked whether a regression is one
    explained  where the joules go by layer, where that was asked for
    attempts   what earlier attempts at the same test came to in this run; this is the last
    saved      whether this run accepted it as a baseline
    not_saved  why it did not, in a run that saves
    """

    test: TestKey
    name: str
    domain: str
    unit: str
    joules: float = math.nan
    by_domain: dict[str, float] = {}
    watts: float = math.nan
    seconds: float = math.nan
    per_unit: dict[str, float] = {}
    interval: tuple[float, float] | None = None
    rounds: tuple[Round, ...] = ()
    uncounted: Uncounted | None = None
    fresh: tuple[tuple[Round, ...], ...] = ()
    confirming: tuple[Round, ...] = ()
    control_j: dict[str, float] = {}
    fresh_controls_j: tuple[dict[str, float], ...] = ()
    attempts: tuple[Attempt, ...] = ()
    domains: tuple[Domain, ...] = ()
    provenance: Provenance
    verdict: Verdict
    checks: tuple[Check, ...] = ()
    untrusted: bool = False
    quality: dict[str, float] = {}
    fresh_quality: tuple[dict[str, float], ...] = ()
    explained: Explanation | None = None
    conditions: dict[str, str] = {}
    grams: float | None = None
    carbon: CarbonFactor | None = None
    saved: bool = False
    not_saved: str | None = None

    @property
    def sessions(self) -> tuple[tuple[Round, ...], ...]:
        """The rounds of every session, that of the run's own process first."""
        return self.rounds, *self.fresh

    @property
    def judged_j(self) -> float:
        """Joules of the unit of work that was judged."""
        return self.joules if self.unit == "call" else self.per_unit[self.unit]


def why_not_a_baseline(result: Result) -> str | None:
    """Return why a result cannot become a baseline, in a few words; None if it can."""
    verdict = result.verdict
    if verdict.energy is Outcome.OVER_BUDGET:
        return "over its budget"
    if verdict.energy is Outcome.NOT_MEASURED:
        return "not measured"
    broken = [quality.name for quality in verdict.qualities if quality.broken]
    if broken:
        return f"{' and '.join(broken)} is not a finite number"
    # A level that a power cap explains is the user's to accept.
    capped = verdict.cause_kind is CauseKind.POWER_CAP
    if verdict.energy is Outcome.INCONCLUSIVE and verdict.cause and not capped:
        return verdict.cause
    barred = [
        check for check in result.checks if check.name in (CheckName.INSTRUMENTED, CheckName.LOST)
    ]
    failed = barred or (result.checks if result.untrusted else ())
    return ", ".join(f"{check.name} ({check.finding})" for check in failed) or None


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What this run compared with and how strictly, for the reader of its results."""

    baselines: str
    max_increase: float
    action: str
    estimates: str
    strict: bool
    saving: str | None = None
    carbon: CarbonFactor | None = None


class Results(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that a run measured: the document of `--energy-json`."""

    schema: int
    created_at: str
    version: str
    environment: Environment
    policy: Policy
    results: tuple[Result, ...]
