"""How long a test is measured: as it says itself, else its budget, else the options."""

from __future__ import annotations

from pytest_greenops.judge.decision import PROVISIONAL_ROUNDS, planned_looks, schedule
from pytest_greenops.judge.noise import MIN_SESSIONS
from pytest_greenops.measure.meter import Plan
from pytest_greenops.model.budget import Budget
from pytest_greenops.run.context import RunContext
from pytest_greenops.run.reference import Accepted

#: How much of the time that a test may still run one measurement takes at most.
SHARE_OF_LEFT = 0.5


class Planner:
    """Plans the measurements of one test."""

    def __init__(self, context: RunContext, budget: Budget, accepted: Accepted) -> None:
        self._rules = context.rules
        self._options = context.options
        self._budget = budget
        self._accepted = accepted

    def plan(
        self,
        name: str | None,
        rounds: int | None,
        warmup: int | None,
        iterations: int | None,
        left_s: float,
    ) -> Plan:
        """The plan of one measurement, of which the test says these; it may still run `left_s`."""
        options, budget = self._options, self._budget
        most = budget.max_rounds or max(options.max_rounds, budget.min_rounds or 0)
        least = min(budget.min_rounds or options.min_rounds, most)
        return Plan(
            looks=(rounds,) if rounds else self._looks(name, least, most),
            least=least,
            once=(rounds or most) == 1,
            max_time_s=min(
                options.max_time_s if budget.max_time_s is None else budget.max_time_s,
                SHARE_OF_LEFT * left_s,
            ),
            margin=self._rules.margin if budget.max_increase is None else budget.max_increase,
            warmup=warmup,
            iterations=iterations,
        )

    def looks(self, name: str | None, plan: Plan) -> int:
        """How many looks there may be: those of this process, and the last with a fresh one.

        None is with a fresh one where the work runs once only, where the results are accepted, and
        where all sessions are measured in any case.
        """
        if plan.once or self._looks_once(name):
            return len(plan.looks)
        return planned_looks(self._sessions(name), plan.looks)

    @property
    def limited(self) -> bool:
        """Whether the budget has an absolute limit."""
        limits = (self._budget.energy_j, self._budget.max_power_w, self._budget.max_carbon_g)
        return any(limit is not None for limit in limits)

    def _looks(self, name: str | None, least: int, most: int) -> tuple[int, ...]:
        if self._looks_once(name):
            return (min(max(PROVISIONAL_ROUNDS, least), most),)
        return schedule(self._sessions(name), least, most)

    def _looks_once(self, name: str | None) -> bool:
        options = self._options
        return self._accepted.grows(name) or options.answers or options.sessions > 1

    def _sessions(self, name: str | None) -> int:
        """Baseline sessions, by which the looks are planned.

        An absolute limit is judged by several looks as a grown baseline is, where there is none.
        """
        sessions = self._accepted.sessions(name)
        return MIN_SESSIONS if self.limited and not sessions else sessions
