"""What a comparison with a git ref (A/B) does to the verdicts of a test."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from pytest_greenops.judge.judgement import unconfirmed
from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.verdict import Cause, CauseKind, Outcome, Verdict
from pytest_greenops.run.measured_name import MeasuredName

#: Outcomes that no comparison of two codes changes.
_FINAL = (Outcome.OVER_BUDGET, Outcome.NOT_MEASURED)


class Compared(NamedTuple):
    """A measured name that is compared with the ref: its unit of work, domain and margin."""

    name: str
    unit: str
    domain: str
    margin: float


def to_compare(states: Iterable[MeasuredName], domain: str) -> dict[str, Compared]:
    """Return the names that the stored screen did not firmly pass."""
    return {
        state.name: Compared(state.name, state.unit, domain, state.plan.margin)
        for state in states
        if state.verdict.outcome not in _FINAL and not _passed(state.verdict)
    }


def _passed(verdict: Verdict) -> bool:
    """Return whether the stored screen alone passes a test, and could have found its margin."""
    firm = verdict.change is not None and not verdict.change.provisional
    return firm and verdict.outcome is Outcome.PASSED


def with_ref(verdict: Verdict, found: Interleaved) -> Verdict:
    """Return a verdict after the comparison with a ref, which decides if there was one.

    A limit that is still open stays so, and a regression by the stored screen that could not be
    compared counts as not confirmed.
    """
    both = replace(verdict, interleaved=found)
    if not found.compared:
        if verdict.outcome is Outcome.REGRESSED:
            return unconfirmed(both, found.cause or "it could not be compared")
        if verdict.change is not None:
            return both
        cause = Cause(CauseKind.REF, found.cause) if found.cause else None
        return both.with_cause(cause, found.outcome)
    open_limit = any(limit.high > limit.limit for limit in verdict.limits)
    if found.outcome in (Outcome.PASSED, Outcome.IMPROVED) and open_limit:
        return both
    if found.outcome is Outcome.INCONCLUSIVE and verdict.outcome is Outcome.PASSED:
        return both  # provisionally, by the stored screen
    cause = Cause(CauseKind.REF, found.cause) if found.cause else None
    return replace(both, needs_rounds=None, needs_processes=None, needs_sessions=None).with_cause(
        cause, found.outcome
    )
