"""The result of a measurement, for users and reports."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from msgspec.structs import replace

from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.counted import WorkRecord
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.explanation import Explanation
from pytest_greenops.model.measurement import Check, CheckName, Domain, Provenance, Round, Uncounted
from pytest_greenops.model.verdict import CauseKind, Outcome, Verdict

#: Version of the JSON results. Its history:
#: 1  the first.
SCHEMA = 1


class Attempt(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True
):
    """The outcome of an earlier attempt at a test, in a run that repeated it."""

    outcome: Outcome
    joules: float = math.nan


class Benchmark(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True
):
    """What a benchmark says of itself: to its plugin, and to whoever reads the results.

    plugin      whose fixture it uses, `pytest-benchmark`; None with the marker alone
    name        as its plugin lists it
    group       of benchmarks to compare, or None
    params      the parameters of the test; what JSON has no type for is a text
    extra_info  what the test adds, as `params`
    """

    plugin: str | None
    name: str
    group: str | None = None
    params: dict[str, Any] = {}
    extra_info: dict[str, Any] = {}


class Result(
    msgspec.Struct,
    frozen=True,
    gc=False,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """The figures of one named measurement of a test.

    joules      of one call, over the domain judged; NaN if not measured, like `watts`
    by_domain   joules of one call by energy counter, including those outside `joules`
    watts       mean power of the domain judged
    seconds     of one call
    per_unit    joules of one unit of work, by unit name
    interval    95 % confidence interval of `joules`: from the scatter of the rounds, or from the
                edges of a single sensed round
    untrusted   whether a self-check forbids a verdict on the domain judged
    grams       CO2e of one call, if the carbon intensity is known
    carbon      what converts joules to grams: intensity, PUE, and their source
    uncounted   calls of the work that are not in a round; None in files that lack it
    fresh       rounds of further sessions of the same test, each from a fresh process
    control_j   joules of one call of the control workload next to it, by counter; those of the
                further sessions are in `fresh_controls_j`
    quality     what the test reported, higher is better; that of the further sessions is in
                `fresh_quality`
    confirming  rounds of the fresh process that confirmed or contradicted a regression
    explained   where the joules go by layer, if requested
    work        the counted work of one call, if it was counted
    benchmark   what the test says of itself as a benchmark, in a run with `--energy-benchmarks`
    attempts    earlier attempts at the same test in this run; this is the last
    saved       whether this run accepted it as a baseline; of a run without joules, its work
    work_saved  whether this run accepted its counted work
    not_saved   why not, in a run that saves
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
    work: WorkRecord | None = None
    benchmark: Benchmark | None = None
    conditions: dict[str, str] = {}
    grams: float | None = None
    carbon: CarbonFactor | None = None
    saved: bool = False
    work_saved: bool = False
    not_saved: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether this run accepted what its verdict is about: its joules, or its counted work."""
        return self.work_saved if self.verdict.more_work else self.saved

    @property
    def sessions(self) -> tuple[tuple[Round, ...], ...]:
        """The rounds of every session, first those of the run's own process."""
        return self.rounds, *self.fresh

    @property
    def judged_j(self) -> float:
        """Joules of the judged unit of work."""
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


class Policy(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """What this run compared with, and how strictly.

    ab          the git ref of an A/B comparison and its commit, `3f2a91c (main)`; None without one
    count_only  whether it counted work, and measured no joules
    """

    baselines: str
    max_increase: float
    action: str
    estimates: str
    strict: bool
    saving: str | None = None
    carbon: CarbonFactor | None = None
    ab: str | None = None
    count_only: bool = False


class Origin(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """Where results are from: the run, and its code.

    id        of the run, 32 hexadecimal digits; merged results have one that follows from theirs
    project   the value of `energy_project`, or the name of the root folder
    commit    of git, if it answered; `dirty` if tracked files differ from it
    branch    of git, or of the CI that has checked out a commit
    versions  of this plugin, Python, and the installed libraries that do the work in tests
    """

    id: str
    project: str
    commit: str | None = None
    dirty: bool | None = None
    branch: str | None = None
    versions: dict[str, str] = {}

    def shipped_from(self, there: Origin | None) -> Origin:
        """Return this origin with the code of another one, from where it was shipped without git.

        None stands for code that was not shipped.
        """
        if there is None:
            return self
        return replace(self, commit=there.commit, dirty=there.dirty, branch=there.branch)


class Results(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """All results of a run: the document of `--energy-json`."""

    schema: int
    created_at: str
    version: str
    environment: Environment
    policy: Policy
    results: tuple[Result, ...]
    origin: Origin | None = None


class FleetResults(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The results of one suite on several machines, each with those of a run on it."""

    schema: int
    machines: tuple[Results, ...]
