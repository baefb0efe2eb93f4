"""How long a test is measured: set by the test itself, its budget, or the options."""

from __future__ import annotations

from pytest_greenops.judge.decision import PROVISIONAL_ROUNDS, planned_looks, schedule
from pytest_greenops.judge.noise import MIN_SESSIONS
from pytest_greenops.measure.meter import Plan
from pytest_greenops.model.budget import Budget
from pytest_greenops.run.context import RunContext
from pytest_greenops.run.stored_baseline import StoredBaseline

#: One measurement takes at most this share of the time that its test may still run.
SHARE_OF_LEFT = 0.5


class Planner:
    """Plans the measurements of one test."""

    def __init__(self, context: RunContext, budget: Budget, baseline: StoredBaseline) -> None:
        self._rules = context.rules
        self._options = context.options
        self._budget = budget
        self._baseline = baseline

    def plan(
        self,
        name: str | None,
        rounds: int | None,
        warmup: int | None,
        iterations: int | None,
        left_s: float,
    ) -> Plan:
        """Return the plan of one measurement of a test that may still run for `left_s`.

        rounds, warmup, iterations  what the test itself sets; None leaves it to the plan
        """
        options, budget = self._options, self._budget
        most = budget.max_rounds or max(options.max_rounds, budget.min_rounds or 0)
        least = min(budget.min_rounds or options.min_rounds, most)
        return Plan(
            looks=(rounds,) if rounds else self._looks(name, least, most),
            least=least,
            once=(rounds or most) == 1,
            fixed=rounds is not None and iterations is not None,
            max_time_s=self.allowed(left_s)[0],
            margin=self._rules.margin if budget.max_increase is None else budget.max_increase,
            warmup=warmup,
            iterations=iterations,
        )

    def allowed(self, left_s: float) -> tuple[float, str | None]:
        """Return how long one measurement may take of a test that may still run for `left_s`.

        The second is what allows more, if it is not the option: `the marker's max_time`.
        """
        own_s = self._budget.max_time_s
        allowed_s = self._options.max_time_s if own_s is None else own_s
        if SHARE_OF_LEFT * left_s < allowed_s:
            return SHARE_OF_LEFT * left_s, "the timeout of the test"
        return allowed_s, None if own_s is None else "the marker's max_time"

    def looks(self, name: str | None, plan: Plan) -> int:
        """Return the number of looks: those of this process, and a last one with a fresh process.

        There is no last look if the work runs only once, if the run saves the results or measures
        all sessions in any case, or if it compares with a git ref.
        """
        if plan.once or self._looks_once(name) or self._options.ab:
            return len(plan.looks)
        return planned_looks(self._sessions(name), plan.looks)

    @property
    def limited(self) -> bool:
        """Return whether the budget has an absolute limit."""
        limits = (self._budget.energy_j, self._budget.max_power_w, self._budget.max_carbon_g)
        return any(limit is not None for limit in limits)

    def _looks(self, name: str | None, least: int, most: int) -> tuple[int, ...]:
        sessions = self._sessions(name)
        if self._options.ab and not sessions:
            return (least,)  # enough for its figures: the comparison with the ref decides
        if self._looks_once(name):
            return (min(max(PROVISIONAL_ROUNDS, least), most),)
        return schedule(sessions, least, most)

    def _looks_once(self, name: str | None) -> bool:
        options = self._options
        return self._baseline.grows(name) or options.fresh_child or options.sessions > 1

    def _sessions(self, name: str | None) -> int:
        """Return the number of independent baseline sessions, which determines the looks.

        Without a baseline, an absolute limit gets the looks of a grown baseline.
        """
        sessions = self._baseline.occasions(name)
        return MIN_SESSIONS if self.limited and not sessions else sessions
