"""The absolute limits of a budget, with the measured values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pytest_greenops.judge.case import Case
from pytest_greenops.judge.noise import Noise
from pytest_greenops.judge.stats import logs, mean_level, t_quantile, trimmed_mean
from pytest_greenops.model.measurement import joules_per_unit
from pytest_greenops.model.units import format_energy, format_mass, format_power
from pytest_greenops.model.verdict import Limit

_FORMATS = {"energy": format_energy, "power": format_power, "carbon": format_mass}


class Level(NamedTuple):
    """An absolute limit, and the value of each session by itself."""

    limit: Limit
    sessions: tuple[float, ...]

    @property
    def sessions_over(self) -> int:
        """How many sessions are above the limit."""
        return sum(value > self.limit.limit for value in self.sessions)

    @property
    def texts(self) -> list[str]:
        """The value of each session, with its unit."""
        return list(map(_FORMATS[self.limit.quantity], self.sessions))


def unjudged(case: Case) -> str | None:
    """Return why the power of a budget cannot be judged, or None.

    An estimate is CPU time times constant watts, so its power is the share of busy CPUs again.
    """
    watts = case.budget.max_power_w
    if watts is None or not case.measurement.provenance(case.budget.domain).estimated:
        return None
    return (
        f"max_power of {format_power(watts)} is not judged: the power of an estimate only restates "
        "how busy the CPUs are; measure with a sensor, or limit the energy"
    )


def limits_of(case: Case, noise: Noise) -> Iterator[Level]:
    """Yield each absolute limit of a budget, with the measured value and its 95 % interval.

    The power of an estimate is not among them: see `unjudged`.
    """
    budget, sessions = case.budget, case.sessions
    rounds = sum(len(session) for session in sessions)
    error = math.sqrt(noise.session_var / len(sessions) + noise.round_var / rounds)
    factor = math.exp(t_quantile(0.975, noise.df) * error)

    def limit(
        quantity: str, values: Sequence[Sequence[float]], allowed: float, unit: str = "call"
    ) -> Level:
        value = math.exp(mean_level(values))
        judged = Limit(quantity, value, value / factor, value * factor, allowed, unit)
        return Level(judged, tuple(math.exp(trimmed_mean(session)) for session in values))

    if budget.energy_j is not None:
        unit = budget.per or "call"
        values = [logs(joules_per_unit(session, case.domains, unit)) for session in sessions]
        yield limit("energy", values, budget.energy_j, unit)
    calls = [logs(joules_per_unit(session, case.domains, "call")) for session in sessions]
    if budget.max_power_w is not None and not unjudged(case):
        watts = [
            [y - math.log(r.seconds / r.iterations) for y, r in zip(values, session, strict=True)]
            for values, session in zip(calls, sessions, strict=True)
        ]
        yield limit("power", watts, budget.max_power_w)
    if budget.max_carbon_g is not None and case.rules.carbon is not None:
        of_joule = case.rules.carbon.grams(1.0)
        grams = math.log(of_joule) if of_joule else -math.inf
        values = [[y + grams for y in session] for session in calls]
        yield limit("carbon", values, budget.max_carbon_g)
