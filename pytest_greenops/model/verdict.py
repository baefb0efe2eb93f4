"""What is said of a measurement, and the figures that it rests on."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from pytest_greenops.model.marker import Action
from pytest_greenops.model.measurement import Check, CheckName


class Outcome(str, Enum):
    """The eight words of a verdict."""

    PASSED = "passed"
    IMPROVED = "improved"
    REGRESSED = "regressed"
    OVER_BUDGET = "over budget"
    INCONCLUSIVE = "inconclusive"
    NO_BASELINE = "no baseline"
    NOT_COMPARABLE = "not comparable"
    NOT_MEASURED = "not measured"


class CauseKind(str, Enum):
    """Why a verdict is what it is, where its outcome alone does not say it.

    NOT_CONFIRMED      a fresh process contradicts the change, or none could be asked
    SELF_CHECK         a self-check forbids a verdict
    CONTROL            the control workload shows that the machine has changed
    POWER_CAP          a device reached its power limit on one side of the comparison only
    DIFFERENCES        the machine, its conditions or the work differ from the baseline's
    NOTHING_MEASURED   no energy was measured
    RENAMED_TEST       a test that was not collected has a baseline for the same function
    UNUSABLE_BASELINE  what the first of two result files measured cannot serve as a baseline
    """

    NOT_CONFIRMED = "not confirmed"
    SELF_CHECK = "self-check"
    CONTROL = "control"
    POWER_CAP = "power cap"
    DIFFERENCES = "differences"
    NOTHING_MEASURED = "nothing measured"
    RENAMED_TEST = "renamed test"
    UNUSABLE_BASELINE = "unusable baseline"


class Cause(NamedTuple):
    """The cause of a verdict: its kind for programs, its text for readers."""

    kind: CauseKind
    text: str

    @classmethod
    def check(cls, check: Check) -> Cause:
        """Return the cause that a failed self-check is."""
        control = check.name is CheckName.CONTROL
        kind = CauseKind.CONTROL if control else CauseKind.SELF_CHECK
        return cls(kind, f"{check.name}: {check.finding}")

    @classmethod
    def not_confirmed(cls, why: str) -> Cause:
        """Return the cause that a missing or contradicting fresh session is."""
        return cls(CauseKind.NOT_CONFIRMED, f"not confirmed: {why}")


#: Verdicts that rest on a comparison, with a baseline or with an absolute budget.
COMPARED = (
    Outcome.PASSED,
    Outcome.IMPROVED,
    Outcome.REGRESSED,
    Outcome.OVER_BUDGET,
    Outcome.INCONCLUSIVE,
)
#: Verdicts that fail a test, or warn where its action says so.
RED = (Outcome.REGRESSED, Outcome.OVER_BUDGET)
#: Verdicts that fail a test under `--energy-strict` only.
UNPROVEN = (
    Outcome.INCONCLUSIVE,
    Outcome.NO_BASELINE,
    Outcome.NOT_COMPARABLE,
    Outcome.NOT_MEASURED,
)


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The relative change over the baseline (0.55 is +55 %).

    low, high      its 95 % confidence interval
    smallest       the smallest increase that a measurement like this one would have found
    margin         the increase from which on it counts as a regression
    baseline_j     joules of a unit of work in the baseline
    sessions       how many baseline sessions it rests on
    provisional    fewer than three baseline sessions: only large changes can be found
    since_anchor   the change since the first accepted level
    by_domain      joules of a unit of work in the baseline by energy counter
    accepted_at, commit  when the baseline's last session was saved, and of which code
    outcome        what this comparison alone says, whatever else the verdict rests on
    p_value        how probable so large an increase is in unchanged code; one-sided
    p_adjusted     the same, adjusted for the number of comparisons in the run (Holm)
    taken_out      the machine's own shift by its control workload, without which `relative` is
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


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An absolute limit of a budget, and where the measured value stands.

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
        """The share of the limit that was used: 0.5 is half."""
        return self.value / self.limit if self.limit else float("inf")


class QualityChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A quality that a test tells, held against its baseline; higher is better.

    limit     the largest drop that is allowed, as a share of the baseline (0.01 is 1 %)
    value     what it is now; None where it is not told any more, or is no finite number
    baseline  the mean over the baseline's sessions that hold it; None where none does
    relative  the change, as a share of the baseline's magnitude (-0.043 is -4.3 %); None where one
              of the two is missing, and where the baseline is 0 and the value is not
    exceeded  it fell by more than the limit, or is no finite number any more
    since_anchor  the change since the value that was accepted first, a share as `relative` is
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
        """Whether the test tells it, but as no finite number."""
        return self.value is None and (self.exceeded or self.baseline is None)

    @property
    def unheld(self) -> bool:
        """Whether nothing can be said of it, as one of the two figures is missing."""
        return not self.exceeded and (self.value is None or self.baseline is None)


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An outcome and its grounds.

    cause         why, in words, where the outcome alone does not say it
    cause_kind    the kind of this cause; None where there is none, and in files of old versions
    change        the comparison with the baseline, if there was one
    limits        the absolute limits that were judged
    qualities     the qualities that were held against the baseline, where the budget limits their
                  drop
    of_joules     what the joules alone came to, where a drop of quality outweighs that
    needs_rounds  how many rounds would decide what is inconclusive, where rounds can
    needs_processes  how many processes would (`--energy-sessions`), where rounds can't
    needs_sessions  how many more baseline sessions would, where only they can
    confirmed     the change that a fresh process measured, where it confirmed a red verdict
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

    def with_cause(self, cause: Cause | None, outcome: Outcome | None = None) -> Verdict:
        """Return this verdict with another cause, and another outcome if one is given."""
        kind, text = cause or (None, None)
        return replace(self, outcome=outcome or self.outcome, cause=text, cause_kind=kind)

    @property
    def red(self) -> bool:
        """Whether this outcome fails the test, or warns where its action says so."""
        return self.outcome in RED

    @property
    def energy(self) -> Outcome:
        """What the joules alone came to, whatever became of the quality."""
        return self.of_joules or self.outcome

    @property
    def drops(self) -> tuple[QualityChange, ...]:
        """The qualities that fell by more than is allowed."""
        return tuple(quality for quality in self.qualities if quality.exceeded)

    @property
    def unproven(self) -> bool:
        """Whether `--energy-strict` fails it: something that is limited could not be judged."""
        return self.energy in UNPROVEN or any(quality.unheld for quality in self.qualities)

    @property
    def undecided(self) -> bool:
        """Whether a further session, in a fresh process, may decide what these rounds could not."""
        return self.outcome is Outcome.INCONCLUSIVE and self.cause is None

    @property
    def exceeded(self) -> Limit | None:
        """The first absolute limit that lies below its value's whole interval, if any."""
        return next((limit for limit in self.limits if limit.low > limit.limit), None)
