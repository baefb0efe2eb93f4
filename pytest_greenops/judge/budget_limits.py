"""The absolute limits of a budget, and where the measured values stand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pytest_greenops.judge.decision import Noise
from pytest_greenops.judge.rules import Rules
from pytest_greenops.judge.samples import logs
from pytest_greenops.judge.stats import t_quantile, trimmed_mean
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.measurement import Measurement, Round
from pytest_greenops.model.units import format_energy, format_mass, format_power
from pytest_greenops.model.verdict import Limit


class Level(NamedTuple):
    """An absolute limit, and what each session alone would be held against it."""

    limit: Limit
    sessions: tuple[float, ...]

    @property
    def over(self) -> int:
        """How many sessions are above it."""
        return sum(value > self.limit.limit for value in self.sessions)

    @property
    def told(self) -> list[str]:
        """What each of them used, as people write it."""
        form = {"energy": format_energy, "power": format_power, "carbon": format_mass}
        return [form[self.limit.quantity](value) for value in self.sessions]


def limits_of(
    measurement: Measurement,
    fresh: Sequence[Sequence[Round]],
    budget: Budget,
    rules: Rules,
    scatter: Noise,
) -> Iterator[Level]:
    """Each absolute limit of the budget, with the measured value and its 95 % interval."""
    domains = measurement.selected(budget.domain)
    sessions = (measurement.rounds, *fresh)
    rounds = sum(len(session) for session in sessions)
    error = math.sqrt(scatter.session_var / len(sessions) + scatter.round_var / rounds)
    factor = math.exp(t_quantile(0.975, scatter.df) * error)

    def limit(quantity: str, sessions_logs: Sequence[Sequence[float]], allowed: float) -> Level:
        levels = [trimmed_mean(session) for session in sessions_logs]
        value = math.exp(math.fsum(levels) / len(levels))
        unit = (budget.per or "call") if quantity == "energy" else "call"
        held = Limit(quantity, value, value / factor, value * factor, allowed, unit)
        return Level(held, tuple(map(math.exp, levels)))

    if budget.energy_j is not None:
        per = budget.per or "call"
        yield limit("energy", [logs(s, domains, per) for s in sessions], budget.energy_j)
    calls = [logs(session, domains, "call") for session in sessions]
    if budget.max_power_w is not None:
        watts = [
            [y - math.log(r.seconds / r.iterations) for y, r in zip(values, session, strict=True)]
            for values, session in zip(calls, sessions, strict=True)
        ]
        yield limit("power", watts, budget.max_power_w)
    if budget.max_carbon_g is not None and rules.carbon is not None:
        of_joule = rules.carbon.grams(1.0)
        grams = math.log(of_joule) if of_joule else -math.inf
        yield limit(
            "carbon", [[y + grams for y in values] for values in calls], budget.max_carbon_g
        )
