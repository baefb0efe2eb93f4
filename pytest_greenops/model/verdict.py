"""The verdict on a measurement, and the figures that it rests on."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.marker import Action
from pytest_greenops.model.measurement import Check, CheckName
from pytest_greenops.model.outcome import Outcome as Outcome
from pytest_greenops.model.work_verdict import WorkVerdict


class CauseKind(str, Enum):
    """Why a verdict is what it is, where its outcome alone does not say it."""

    NOT_CONFIRMED = "not confirmed"  # a fresh process contradicts the change, or none is usable
    SELF_CHECK = "self-check"  # one forbids a verdict
    CONTROL = "control"  # the control workload shows that the machine has changed
    POWER_CAP = "power cap"  # a device reached its limit on one side of the comparison only
    DIFFERENCES = "differences"  # of the machine, its conditions or the work
    NOTHING_MEASURED = "nothing measured"
    RENAMED_TEST = "renamed test"  # the function has a baseline under parameters that are gone
    REF = "ref"  # the comparison with a git ref could not be made, or not completed
    SAME_WORK = "same work"  # estimated joules are open, and the counted work did not change
    COUNTED_ONLY = "counted only"  # the run measures no joules
    UNUSABLE_BASELINE = "unusable baseline"  # the first of two result files cannot serve as one


class Cause(NamedTuple):
    """The cause of a verdict: its kind for programs, its text for readers."""

    kind: CauseKind
    text: str

    @classmethod
    def check(cls, check: Check) -> Cause:
        """Return a failed self-check as a cause."""
        control = check.name is CheckName.CONTROL
        kind = CauseKind.CONTROL if control else CauseKind.SELF_CHECK
        return cls(kind, f"{check.name}: {check.finding}")

    @classmethod
    def not_confirmed(cls, why: str) -> Cause:
        """Return a missing or contradicting fresh session as a cause."""
        return cls(CauseKind.NOT_CONFIRMED, f"not confirmed: {why}")


#: Outcomes of a comparison with a baseline or an absolute budget.
COMPARED = (
    Outcome.PASSED,
    Outcome.IMPROVED,
    Outcome.REGRESSED,
    Outcome.OVER_BUDGET,
    Outcome.INCONCLUSIVE,
)
#: Outcomes that fail a test, or warn if its action is to warn.
RED = (Outcome.REGRESSED, Outcome.OVER_BUDGET)
#: Outcomes that fail a test only with `--energy-strict`.
UNPROVEN = (
    Outcome.INCONCLUSIVE,
    Outcome.NO_BASELINE,
    Outcome.NOT_COMPARABLE,
    Outcome.NOT_MEASURED,
)


class Change(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The relative change over the baseline (0.55 is +55 %).

    low, high      its 95 % confidence interval
    smallest       the smallest increase that such a measurement detects
    margin         the smallest increase that is a regression
    baseline_j     joules of a unit of work in the baseline
    sessions       number of baseline sessions
    occasions      number of occasions on which they were saved: those within an hour are one
    provisional    detects only increases of at least `smallest`: the sessions are of fewer than
                   three occasions, or differ too much for the margin
    since_anchor   the change of the accepted level by small accepted steps; None without them
    by_domain      joules of a unit of work in the baseline by energy counter
    accepted_at, commit  when the baseline's last session was saved, and its code
    outcome        of this comparison alone
    p_value        probability of so large an increase in unchanged code; one-sided
    p_adjusted     the same, adjusted for the number of comparisons in the run (Holm)
    spread         how much sessions differ, known or assumed: a standard deviation as a share
    taken_out      the machine's shift by its control workload, already taken out of `relative`
    """

    relative: float
    low: float
    high: float
    smallest: float
    margin: float
    baseline_j: float
    sessions: int
    provisional: bool = False
    since_anchor: float | None = None
    by_domain: dict[str, float] = {}
    accepted_at: str | None = None
    commit: str | None = None
    outcome: Outcome = Outcome.PASSED
    p_value: float | None = None
    p_adjusted: float | None = None
    taken_out: float | None = None
    occasions: int | None = None
    spread: float | None = None


class Limit(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """An absolute limit of a budget, and the measured value.

    quantity  `energy` in joules of a unit, `power` in watts, or `carbon` in grams of a call
    low, high the value's 95 % confidence interval
    unit      the unit of work whose energy is limited
    """

    quantity: str
    value: float
    low: float
    high: float
    limit: float
    unit: str = "call"

    @property
    def used(self) -> float:
        """The used share of the limit: 0.5 is half."""
        return self.value / self.limit if self.limit else float("inf")


class QualityChange(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A quality that a test reports, compared with its baseline; higher is better.

    limit     the largest drop that is allowed, as a share of the baseline (0.01 is 1 %)
    value     the current value; None if it is no longer reported, or not finite
    baseline  the mean over the baseline's sessions that have it; None if none does
    relative  the change, as a share of the baseline's magnitude (-0.043 is -4.3 %); None if one of
              the two is missing, or if the baseline is 0 and the value is not
    exceeded  it fell by more than the limit, or is no longer finite
    since_anchor  the change of the baseline by small accepted steps, a share like `relative`
    """

    name: str
    limit: float
    value: float | None = None
    baseline: float | None = None
    relative: float | None = None
    exceeded: bool = False
    since_anchor: float | None = None

    @property
    def broken(self) -> bool:
        """Whether the test reports a value that is not finite."""
        return self.value is None and (self.exceeded or self.baseline is None)

    @property
    def unheld(self) -> bool:
        """Whether it cannot be compared because one of the two figures is missing."""
        return not self.exceeded and (self.value is None or self.baseline is None)


class Verdict(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """An outcome, and what it rests on.

    cause         why, in words, where the outcome alone does not say it
    cause_kind    the kind of this cause; None where there is none, and in files of old versions
    change        the comparison with the baseline, if there was one
    limits        the absolute limits that were judged
    qualities     the qualities compared with the baseline, if the budget limits their drop
    unjudged      an absolute limit that could not be judged beside the others, and why
    of_joules     the outcome of the joules alone, if a drop of quality, or more work, outweighs it
    work          the verdict on counted work, if work was counted or should have been
    needs_rounds  rounds that would decide an inconclusive outcome, if rounds can
    needs_processes  processes that would (`--energy-sessions`), if rounds cannot
    needs_sessions  further baseline sessions, an hour apart, that would, if only they can
    interleaved   the comparison with a git ref on this machine (`--energy-ab`), if there was one
    detects      without a baseline: the smallest increase that later runs detect over this one
    confirmed     the change in a fresh process that confirmed a red verdict
    action        whether a red outcome fails the test or warns
    estimated     the joules were estimated, not sensed
    """

    outcome: Outcome
    cause: str | None = None
    change: Change | None = None
    limits: tuple[Limit, ...] = ()
    needs_rounds: int | None = None
    needs_processes: int | None = None
    needs_sessions: int | None = None
    action: Action = "fail"
    estimated: bool = False
    confirmed: float | None = None
    qualities: tuple[QualityChange, ...] = ()
    of_joules: Outcome | None = None
    cause_kind: CauseKind | None = None
    unjudged: str | None = None
    detects: float | None = None
    interleaved: Interleaved | None = None
    work: WorkVerdict | None = None

    def with_cause(self, cause: Cause | None, outcome: Outcome | None = None) -> Verdict:
        """Return this verdict with another cause, and another outcome if one is given."""
        kind, text = cause or (None, None)
        return replace(self, outcome=outcome or self.outcome, cause=text, cause_kind=kind)

    @property
    def red(self) -> bool:
        """Whether this outcome fails the test, or warns if its action is to warn."""
        return self.outcome in RED

    @property
    def energy(self) -> Outcome:
        """The outcome of the joules, without quality and work; where none are measured, its own."""
        return self.outcome if self.alone else self.of_joules or self.outcome

    @property
    def alone(self) -> WorkVerdict | None:
        """The verdict on counted work, in a run that measures no joules."""
        return self.work if self.cause_kind is CauseKind.COUNTED_ONLY else None

    @property
    def more_work(self) -> WorkVerdict | None:
        """The verdict on counted work, if that makes this one red and not its joules or quality."""
        work = self.work
        decides = work is not None and work.red and self.red and not self.drops
        return work if decides and self.of_joules is not None else None

    @property
    def drops(self) -> tuple[QualityChange, ...]:
        """The qualities that fell by more than their limit."""
        return tuple(quality for quality in self.qualities if quality.exceeded)

    @property
    def unproven(self) -> bool:
        """Whether `--energy-strict` fails it: a limit could not be judged."""
        unheld = any(quality.unheld for quality in self.qualities)
        return self.energy in UNPROVEN or unheld or self.unjudged is not None

    @property
    def undecided(self) -> bool:
        """Whether a session in a fresh process may decide what these rounds could not."""
        return self.outcome is Outcome.INCONCLUSIVE and self.cause is None

    @property
    def exceeded(self) -> Limit | None:
        """The first absolute limit below the whole interval of its value, if any."""
        return next((limit for limit in self.limits if limit.low > limit.limit), None)
