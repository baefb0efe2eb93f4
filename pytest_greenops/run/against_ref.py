"""What a comparison with a git ref (A/B) does to the verdicts of a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from pytest_greenops.judge.judgement import unconfirmed
from pytest_greenops.model.counted import Counted, WorkRecord
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.verdict import Cause, CauseKind, Outcome, Verdict
from pytest_greenops.run.measured_name import MeasuredName, TrialContext
from pytest_greenops.run.measured_work import OfRef

#: Outcomes that no comparison of two codes changes.
_FINAL = (Outcome.OVER_BUDGET, Outcome.NOT_MEASURED)


class Compared(NamedTuple):
    """A measured name that is compared with the ref: its unit of work, domain and margin."""

    name: str
    unit: str
    domain: str
    margin: float


class AgainstRef:
    """Compares the measured names of one test with a git ref."""

    def __init__(
        self,
        context: TrialContext,
        states: Mapping[str, MeasuredName],
        left_s: Callable[[], float],
    ) -> None:
        """Begin with what was measured; `left_s` returns how long the test may still run."""
        self._context = context
        self._states = states
        self._left_s = left_s

    @property
    def allowed(self) -> tuple[float, str | None]:
        """Return how long a comparison may take, and what allows more if it is not the option."""
        return self._context.planner.allowed(self._left_s())

    def compare(
        self, interleave: Callable[[Mapping[str, Compared]], Mapping[str, Interleaved]]
    ) -> None:
        """Compare what the stored screen did not firmly pass; `interleave` does so, by name."""
        domain = self._context.budget.domain
        wanted = {
            state.name: Compared(state.name, state.unit, domain, state.plan.margin)
            for state in self._states.values()
            if state.verdict.outcome not in _FINAL and not _passed(state.verdict)
        }
        for name, found in interleave(wanted).items() if wanted else ():
            state = self._states[name]
            state.verdict = with_ref(state.verdict, found)

    def count(
        self, count_ref: Callable[[float], Mapping[str, WorkRecord | str]], label: str
    ) -> None:
        """Compare the work that was counted with that of the ref, by a function that counts it.

        count_ref  is called with the seconds that it may take
        label      the ref for readers: `3f2a91c (main)`
        """
        counted = {
            name: state.work
            for name, state in self._states.items()
            if isinstance(state.work.counted, Counted)
        }
        if not counted:
            return
        try:
            found = count_ref(self.allowed[0])
            why = "the test measures nothing under this name there"
        except GreenopsError as error:
            found, why = {}, str(error)
        for name, work in counted.items():
            work.of_ref = OfRef(label, found.get(name, why))


def _passed(verdict: Verdict) -> bool:
    """Return whether the stored screen alone passes a test, and could have found its margin."""
    firm = verdict.change is not None and not verdict.change.provisional
    return firm and verdict.outcome is Outcome.PASSED


def with_ref(verdict: Verdict, found: Interleaved) -> Verdict:
    """Return a verdict after the comparison with a ref, which decides on the change if it could.

    An absolute limit keeps its own outcome, and is open if its joules are not trusted. A regression
    by the stored screen alone, which the ref was to confirm, is not confirmed.
    """
    both = replace(verdict, interleaved=found)
    cause = Cause(CauseKind.REF, found.cause) if found.cause else None
    if not found.compared:
        if verdict.outcome is Outcome.REGRESSED:
            return unconfirmed(both, found.cause or "it could not be compared", may_stand=False)
        if verdict.change is not None or verdict.limits:
            return both
        return both.with_cause(cause, found.outcome)
    if found.outcome is not Outcome.REGRESSED and _open_limit(verdict):
        kept = verdict.outcome is Outcome.INCONCLUSIVE
        return both if kept else both.with_cause(None, Outcome.INCONCLUSIVE)
    provisional = verdict.change is not None and verdict.outcome is Outcome.PASSED
    if found.outcome is Outcome.INCONCLUSIVE and provisional:
        return both
    needless = replace(both, needs_rounds=None, needs_processes=None, needs_sessions=None)
    return needless.with_cause(cause, found.outcome)


def _open_limit(verdict: Verdict) -> bool:
    """Return whether an absolute limit is not decided: too near, or a self-check forbids it."""
    doubted = verdict.outcome is Outcome.INCONCLUSIVE and verdict.cause is not None
    near = any(limit.high > limit.limit for limit in verdict.limits)
    return bool(verdict.limits) and (near or doubted)
