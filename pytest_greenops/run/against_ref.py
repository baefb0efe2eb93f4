"""What a comparison with a git ref (A/B) does to the verdicts of a test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from pytest_greenops.judge.judgement import unconfirmed
from pytest_greenops.model.counted import WorkRecord
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.verdict import Cause, CauseKind, Outcome, Verdict
from pytest_greenops.run.measured_name import MeasuredName
from pytest_greenops.run.measured_work import OfRef

#: Outcomes that no comparison of two codes changes.
_FINAL = (Outcome.OVER_BUDGET, Outcome.NOT_MEASURED)


class Compared(NamedTuple):
    """A measured name that is compared with the ref: its unit of work, domain and margin."""

    name: str
    unit: str
    domain: str
    margin: float


def compare_with_ref(
    states: Mapping[str, MeasuredName],
    domain: str,
    interleave: Callable[[Mapping[str, Compared]], Mapping[str, Interleaved]],
) -> None:
    """Compare what is not passed yet with the ref, by a function that does so by name."""
    wanted = _to_compare(states.values(), domain)
    for name, found in interleave(wanted).items() if wanted else ():
        states[name].verdict = with_ref(states[name].verdict, found)


def count_work_of_ref(
    states: Mapping[str, MeasuredName],
    count: Callable[[], Mapping[str, WorkRecord | str]],
    label: str,
) -> None:
    """Compare the counted work with that of the ref, by a function that counts it; see `Trial`."""
    try:
        found, why = count(), "the test measures nothing under this name there"
    except GreenopsError as error:
        found, why = {}, str(error)
    for name, state in states.items():
        state.work.of_ref = OfRef(label, found.get(name, why))


def _to_compare(states: Iterable[MeasuredName], domain: str) -> dict[str, Compared]:
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
