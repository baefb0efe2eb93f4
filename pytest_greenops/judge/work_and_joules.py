"""What counted work does to a verdict on joules."""

from __future__ import annotations

from msgspec.structs import replace

from pytest_greenops.judge.weights import VERSION, weighted
from pytest_greenops.model.counted import Counted, OperatorWork, WorkRecord
from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.marker import Action
from pytest_greenops.model.verdict import RED, Cause, CauseKind, Outcome, Verdict
from pytest_greenops.model.work_verdict import WorkOutcome, WorkVerdict

#: The verdict of a test whose joules are not measured, by that on its work.
_ALONE = {
    WorkOutcome.SAME: Outcome.PASSED,
    WorkOutcome.CHANGED: Outcome.PASSED,
    WorkOutcome.LESS: Outcome.IMPROVED,
    WorkOutcome.MORE: Outcome.REGRESSED,
    WorkOutcome.OVER_LIMIT: Outcome.OVER_BUDGET,
    WorkOutcome.NO_BASELINE: Outcome.NO_BASELINE,
    WorkOutcome.NOT_COMPARABLE: Outcome.NOT_COMPARABLE,
    WorkOutcome.NOT_COUNTED: Outcome.NOT_MEASURED,
}


def alone(verdict: Verdict, work: WorkVerdict, action: Action) -> Verdict:
    """Return the verdict of a run that counts work and measures no joules."""
    cause = Cause(CauseKind.COUNTED_ONLY, work.cause or "")
    of_joules = verdict.outcome if work.red else None
    judged = replace(verdict, work=work, action=action, of_joules=of_joules)
    return judged.with_cause(cause, _ALONE[work.outcome])


def with_work(
    verdict: Verdict, work: WorkVerdict, action: Action, *, same: bool, strict: bool
) -> Verdict:
    """Return a verdict on joules, combined with that on the work beside them.

    Work that increased beyond its limit is a regression, whatever the joules show; only a red
    verdict that fails its test takes precedence. Estimated joules that are open pass if the work is
    the `same` as far as counts can show it, unless the run is strict. A sensed verdict stays.
    """
    judged = replace(verdict, work=work)
    if work.red and not (verdict.outcome in RED and verdict.action == "fail"):
        outcome = _ALONE[work.outcome]
        return replace(judged, outcome=outcome, of_joules=verdict.energy, action=action)
    open_limit = any(limit.high > limit.limit for limit in verdict.limits)
    undecided = verdict.outcome is Outcome.INCONCLUSIVE and not open_limit
    if undecided and verdict.estimated and same and not strict:
        cause = Cause(CauseKind.SAME_WORK, "the counted work is the same")
        passed = replace(judged, needs_rounds=None, needs_processes=None, needs_sessions=None)
        return passed.with_cause(cause, Outcome.PASSED)
    return judged


def as_interleaved(work: WorkVerdict) -> Interleaved:
    """Return the comparison of counted work with a git ref like one of joules, without pairs."""
    against = work.against or ""
    return Interleaved(
        ref=against,
        commit=against.partition(" ")[0],
        outcome=_ALONE[work.outcome],
        margin=work.margin,
        cause=work.largest or work.cause or work.outcome.value,
        relative=work.relative,
    )


def record(counted: Counted, facts: dict[str, str]) -> WorkRecord:
    """Return counted work as results have it."""
    operators = sorted(counted.operators.items())
    return WorkRecord(
        counted.totals,
        counted.coverage,
        weighted(counted),
        VERSION,
        facts,
        tuple(OperatorWork(*operator, amount) for operator, amount in operators),
        dict(sorted(counted.modules.items())),
        dict(sorted(counted.weighted.items())),
    )
