"""The comparison of two JSON results: A is the baseline, and B is judged by it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msgspec.structs import replace

from pytest_greenops.judge.case import Case, Reference, Rules
from pytest_greenops.judge.judgement import judge_measurement
from pytest_greenops.judge.quality import AcceptedQualities, judge_quality
from pytest_greenops.judge.summary import adjusted
from pytest_greenops.judge.work_and_joules import alone, with_work
from pytest_greenops.judge.work_comparison import judge_work, proves_same
from pytest_greenops.model.baseline import Anchor, Revision, Series, Session, TestKey
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.measurement import Measurement, Round
from pytest_greenops.model.result import Result, Results, why_not_a_baseline
from pytest_greenops.model.verdict import COMPARED, Cause, CauseKind, Outcome, Verdict
from pytest_greenops.model.work_baseline import AcceptedWork
from pytest_greenops.model.work_verdict import WorkOutcome

#: The sensor whose counters are estimates; for sensors of a hook only the result says so.
_ESTIMATE = "estimate"
#: Why no result of a comparison is saved; this keeps advice to save out of the report.
_NOT_SAVED = "two results are compared, and nothing is saved"


class Comparison(NamedTuple):
    """The results of B, judged by A, and the results that only one of them has."""

    results: tuple[Result, ...]
    only_a: tuple[Result, ...]
    only_b: tuple[Result, ...]

    @property
    def regressed(self) -> bool:
        """Whether a result regressed."""
        return any(r.verdict.outcome is Outcome.REGRESSED for r in self.results)


def compare(a: Results, b: Results, margin: float | None = None) -> Comparison:
    """Judge each measurement of B by that of the same test and name in A.

    Estimated joules can regress too: whoever compares two files expects an answer, whatever the
    policy of B's run was. The default margin is that of each result of B, or of B's run.
    """
    before = {(result.test, result.name): result for result in a.results}
    after = {(result.test, result.name): result for result in b.results}
    accepted = {key: _series(a, result) for key, result in before.items()}
    # No suite: sessions of one day say too little about how sessions differ.
    rules = Rules(margin=b.policy.max_increase, estimates="fail")
    judged = (
        _judged(a, before[key], accepted[key], b, result, rules, margin)
        for key, result in after.items()
        if key in before
    )
    return Comparison(adjusted(judged), _without(before, after), _without(after, before))


def _without(
    ours: dict[tuple[TestKey, str], Result], theirs: Iterable[tuple[TestKey, str]]
) -> tuple[Result, ...]:
    keys = set(theirs)
    return tuple(result for key, result in ours.items() if key not in keys)


def _judged(
    a: Results,
    before: Result,
    accepted: Series | None,
    b: Results,
    after: Result,
    rules: Rules,
    margin: float | None,
) -> Result:
    known = after.verdict.change.margin if after.verdict.change else None
    verdict = _unmeasured(after) or judge_measurement(
        Case(
            _measurement(after),
            Budget(domain=after.domain, max_increase=known if margin is None else margin),
            Reference(accepted, tuple(_differences(a, before, b, after)) if accepted else ()),
            rules,
            unit=after.unit,
            fresh=tuple(_fresh_sessions(after)),
        )
    )
    if verdict.outcome is Outcome.NO_BASELINE:
        why = _unusable(before)
        verdict = verdict.with_cause(Cause(CauseKind.UNUSABLE_BASELINE, why) if why else None)
    if after.untrusted and verdict.outcome in COMPARED:
        forbidding = next((Cause.check(check) for check in after.checks if check.untrusted), None)
        verdict = verdict.with_cause(forbidding, Outcome.INCONCLUSIVE)
    limit = next((quality.limit for quality in after.verdict.qualities), None)
    known_quality = AcceptedQualities([before.quality])
    verdict = judge_quality(verdict, _reported(after), known_quality, limit, "fail")
    verdict = _with_work(verdict, before, after)
    return replace(after, verdict=verdict, saved=False, work_saved=False, not_saved=_NOT_SAVED)


def _with_work(verdict: Verdict, before: Result, after: Result) -> Verdict:
    """Return the verdict on a result, combined with that on its counted work."""
    work, known = after.verdict.work, None
    if work is None:
        return verdict
    if before.work is not None:
        old = before.work
        known = AcceptedWork(old.counted, old.facts, old.weights, "", Revision(None, None))
    if after.work is not None and work.outcome is not WorkOutcome.NOT_COUNTED:
        budget = Budget(max_work=work.margin)
        work = judge_work(after.work.counted, after.work.facts, known, budget)
    if after.verdict.alone is not None:
        return alone(verdict, work, "fail")
    if known is None or after.work is None:
        return verdict
    same = proves_same(work, after.work.coverage, known.counted.coverage)
    return with_work(verdict, work, "fail", same=same, strict=False)


def _reported(result: Result) -> dict[str, float]:
    """Return its qualities, with NaN for those that were not finite, which JSON cannot hold."""
    broken = {each.name: math.nan for each in result.verdict.qualities if each.broken}
    return {**broken, **result.quality}


def _unmeasured(result: Result) -> Verdict | None:
    if result.verdict.energy is Outcome.NOT_MEASURED or not result.provenance.sensors:
        why = result.verdict.cause or "no sensor could be read"
        return Verdict(Outcome.NOT_MEASURED).with_cause(Cause(CauseKind.NOTHING_MEASURED, why))
    return None


def _unusable(result: Result) -> str | None:
    """Return why a result of A cannot be a baseline, or None.

    An exceeded budget and a broken quality are not reasons: they say nothing about its joules.
    """
    if not result.rounds or not result.provenance.sensors:
        return result.verdict.cause or "not measured"
    within = result.verdict.energy is not Outcome.OVER_BUDGET
    verdict = replace(result.verdict, qualities=()) if within else Verdict(Outcome.PASSED)
    return why_not_a_baseline(replace(result, verdict=verdict))


def _series(a: Results, result: Result) -> Series | None:
    """Return a result of A as accepted sessions; None if it cannot be a baseline."""
    if _unusable(result):
        return None
    sessions = (result.rounds, *_fresh_sessions(result))
    return Series(
        domains=result.domains,
        conditions=result.conditions,
        anchor=Anchor(a.created_at, {}),
        sessions=tuple(
            Session(a.created_at, Revision(None, None), {}, rounds) for rounds in sessions
        ),
    )


def _fresh_sessions(result: Result) -> Iterator[tuple[Round, ...]]:
    """Yield the rounds of each fresh process whose judged counters moved in every round.

    The session that confirmed a regression counts like the others.
    """
    names = tuple(result.provenance.sensors)
    for rounds in (*result.fresh, result.confirming):
        if rounds and all(sum(r.energy_uj[name] for name in names) > 0 for r in rounds):
            yield rounds


def _differences(a: Results, before: Result, b: Results, after: Result) -> Iterator[str]:
    """Yield why two results are not comparable: `'cpu: A -> B'`."""
    there = Environment(a.environment.machine, before.conditions)
    yield from Environment(b.environment.machine, after.conditions).differences(there)
    if before.domain != after.domain:
        yield f"domain: {before.domain} -> {after.domain}"
    if before.unit != after.unit:
        yield f"unit: {before.unit} -> {after.unit}"


def _measurement(result: Result) -> Measurement:
    """Return the measurement behind a result, as far as the result has it."""
    sensors = result.provenance.sensors
    estimated = tuple(name for name, sensor in sensors.items() if sensor == _ESTIMATE)
    return Measurement(
        name=result.name,
        domains=result.domains,
        rounds=result.rounds,
        sensors=sensors,
        estimated=(estimated or tuple(sensors)) if result.provenance.estimated else (),
        checks=result.checks,
    )
