"""The fresh sessions of a test: which names need one, which are usable, what they change."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pytest_greenops.judge.decision import Look
from pytest_greenops.judge.judgement import confirm, unconfirmed
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.measurement import Check, CheckName
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Outcome
from pytest_greenops.run.fresh_process import Answer, FreshFailure
from pytest_greenops.run.measured_name import MeasuredName, TrialContext

_ONCE = "the test runs once only (max_rounds=1)"


class Confirmation:
    """Has a test measured in fresh processes, and judges all its sessions.

    A name needs a fresh session if the options ask for several sessions, if its last look is
    undecided, and before it fails its test; in a run that compares with a git ref
    only before an absolute budget fails it. A session that cannot be used becomes a check and
    changes nothing else.
    """

    def __init__(self, context: TrialContext, names: Iterable[MeasuredName]) -> None:
        self._names = list(names)
        self._planner = context.planner
        self._baseline = context.baseline
        self._domain = context.budget.domain
        self._options = context.run.options
        self._machine = context.run.environment.machine

    def run(self, measure_afresh: Callable[[], Answer]) -> None:
        """Start as many fresh processes as the names need; each measures the whole test."""
        for state in self._names:
            self._doubt_single_run(state)
        candidates = [_Candidate(state) for state in self._names if self._needs_session(state)]
        processes = max(1, self._options.sessions - 1) if candidates else 0
        for _ in range(processes):
            try:
                answer = measure_afresh()
            except FreshFailure as failure:
                for each in candidates:
                    each.failures.append(failure)
                break
            for each in candidates:
                each.add(answer, self._machine)
        for each in candidates:
            self._judge_again(each)

    def _doubt_single_run(self, state: MeasuredName) -> None:
        """Note for a red verdict on work that runs once that no fresh process confirmed it."""
        if state.plan.once and state.verdict.red and self._options.sessions == 1:
            state.add_checks([Check(CheckName.FRESH_SESSION, _ONCE, "not confirmed")])
            state.verdict = unconfirmed(state.verdict, _ONCE)

    def _needs_session(self, state: MeasuredName) -> bool:
        measurement, plan, verdict = state.measurement, state.plan, state.verdict
        instrumented = any(check.name is CheckName.INSTRUMENTED for check in measurement.checks)
        unusable = instrumented or measurement.untrusted(self._domain)
        if unusable or verdict.outcome is Outcome.NOT_MEASURED or self._options.fresh_child:
            return False
        if self._options.sessions > 1:
            return True
        if self._options.ab:
            return verdict.outcome is Outcome.OVER_BUDGET and not plan.once
        if plan.once:
            return False
        last_look = self._planner.looks(state.name, plan) > len(plan.looks)
        undecided = verdict.undecided and (last_look or self._planner.limited)
        return verdict.red or (undecided and not self._baseline.grows(state.name))

    def _judge_again(self, candidate: _Candidate) -> None:
        state, sessions, failures = candidate.state, candidate.sessions, candidate.failures
        name, done = CheckName.FRESH_SESSION, "judged without it"
        state.add_checks(Check(name, str(failure), done) for failure in failures)
        single = self._options.sessions == 1
        if sessions and single and state.verdict.outcome is Outcome.REGRESSED:
            state.confirmation = sessions[-1]
            state.verdict = confirm(state.verdict, state.case(sessions[-1:]))
        elif sessions:
            state.fresh = sessions
            looks = self._planner.looks(state.name, state.plan)
            state.judge(Look(looks, looks))
        elif single:
            if state.verdict.undecided:
                looks = self._planner.looks(state.name, state.plan)
                state.judge(Look(looks, looks))
            if state.verdict.red:
                disturbed = isinstance(failures[-1], _Disturbed)
                state.verdict = unconfirmed(state.verdict, str(failures[-1]), not disturbed)


class _Candidate:
    """A name that needs fresh sessions: those that are usable, and why others are not."""

    def __init__(self, state: MeasuredName) -> None:
        self.state = state
        self.sessions: list[Result] = []
        self.failures: list[FreshFailure] = []
        self._here = state.result({}, None)

    def add(self, answer: Answer, machine: dict[str, str]) -> None:
        """Add what a fresh process measured under this name, or why it cannot be used."""
        try:
            self.sessions.append(self._session_of(answer, machine))
        except FreshFailure as failure:
            self.failures.append(failure)

    def _session_of(self, answer: Answer, machine: dict[str, str]) -> Result:
        name, here = self.state.name, self._here
        there = next((result for result in answer.results if result.name == name), None)
        if there is None:
            raise FreshFailure(f"{name} was not measured there")
        if not there.rounds or there.verdict.outcome is Outcome.NOT_MEASURED:
            raise FreshFailure(f"{name} was not measured there ({there.verdict.cause})")
        for check in there.checks:
            if check.untrusted or check.name is CheckName.INSTRUMENTED:
                raise _Disturbed(f"{check.name} ({check.finding})")
        ours = Environment(machine, here.conditions)
        changes = ours.differences(Environment(answer.environment.machine, there.conditions))
        if changes:
            raise FreshFailure(f"it was measured under other conditions ({', '.join(changes)})")
        if _counted(here) != _counted(there):
            raise FreshFailure("it has other energy counters or units of work")
        return there


class _Disturbed(FreshFailure):
    """A fresh session whose own self-checks forbid a verdict on it."""


def _counted(result: Result) -> tuple[object, ...]:
    """Return what a result counts: two sessions of one test count the same."""
    domains = [(d.name, d.kind, d.counted, d.idle) for d in result.domains]
    return domains, result.provenance, sorted(result.rounds[0].units)
