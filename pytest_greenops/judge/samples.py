"""What is compared: logarithms of joules per unit, of the accepted sessions and of this run's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pytest_greenops.judge.decision import MIN_SESSIONS, Look, Screening, Spread, noise, screen
from pytest_greenops.judge.rules import Reference, Rules
from pytest_greenops.judge.stats import trimmed_mean
from pytest_greenops.judge.suite import control_level
from pytest_greenops.model.baseline import Series
from pytest_greenops.model.measurement import Measurement, Round, joules_per_unit


class Sides(NamedTuple):
    """What is compared: logarithms of joules per unit, one sequence of rounds for each session.

    accepted   of the baseline; empty where there is none that can be used
    candidate  of this run
    series     where the accepted come from, and in which unit of which counters
    shift      how much the control workload's change took off the candidate, in logarithms
    """

    accepted: list[list[float]]
    candidate: list[list[float]]
    spread: Spread
    series: Series | None
    unit: str
    domains: tuple[str, ...]
    shift: float | None

    @property
    def level(self) -> float:
        """The baseline's."""
        return math.fsum(map(trimmed_mean, self.accepted)) / len(self.accepted)

    def screen(self, margin: float, look: Look) -> Screening:
        """One look at them."""
        return screen(self.accepted, self.candidate, self.spread, margin, look)


def sides_of(
    measurement: Measurement,
    fresh: Sequence[Sequence[Round]],
    controls: Sequence[Mapping[str, float]],
    domain: str,
    reference: Reference,
    rules: Rules,
    unit: str,
) -> Sides:
    """Both sides; each session without what the machine itself had more or less in it."""
    domains = measurement.selected(domain)
    candidate = [logs(rounds, domains, unit) for rounds in (measurement.rounds, *fresh)]
    series = None if reference.differences else reference.series
    accepted = [logs(s.rounds, domains, unit) for s in series.sessions] if series else []
    shift = None
    before = [session.control_j for session in series.sessions] if series else []
    levels = [control_level(control_j, domains) for control_j in (*before, *controls)]
    known = [level for level in levels if level is not None]
    if rules.control_slope and before and len(known) == len(accepted) + len(candidate):
        usual = math.fsum(known[: len(before)]) / len(before)
        shifts = [rules.control_slope * (level - usual) for level in known]
        accepted, candidate = (
            [[y - by for y in session] for session, by in zip(sessions, of, strict=True)]
            for sessions, of in (
                (accepted, shifts[: len(before)]),
                (candidate, shifts[len(before) :]),
            )
        )
        shift = math.fsum(shifts[len(before) :]) / len(candidate)
    suite = rules.suite if shift is None else rules.quiet_suite
    if series and len({session.day for session in series.sessions}) < MIN_SESSIONS:
        suite = None  # sessions of one day agree better than those of several
    spread = noise(accepted, candidate, suite, rules.session_sd)
    return Sides(accepted, candidate, spread, series, unit, domains, shift)


def same_work(reference: Reference, measurement: Measurement, domain: str, unit: str) -> Reference:
    """A baseline that counted none of this work, or other energy, is not comparable."""
    series = reference.series
    if series is None or reference.differences:
        return reference
    domains = measurement.selected(domain)
    turned = tuple(_turned(series, measurement, domain))
    if turned:
        return Reference(series, turned)
    rounds = [round_ for session in series.sessions for round_ in session.rounds]
    if unit != "call" and not all(unit in round_.units for round_ in rounds):
        return Reference(series, (f"unit: the baseline counts no {unit}",))
    if not all(sum(round_.energy_uj.get(name, 0) for name in domains) > 0 for round_ in rounds):
        return Reference(series, (f"domain: {domain} did not move in a round of the baseline",))
    return reference


def _turned(series: Series, measurement: Measurement, domain: str) -> Iterator[str]:
    """Devices that had work in one of the two, and none in the other."""
    before = {d.name: d.idle for d in series.domains if domain in ("total", d.kind)}
    for now in measurement.domains:
        if before.get(now.name, now.idle) != now.idle:
            words = ("idle -> used", "used -> idle")
            yield f"{now.name}: {words[now.idle]}"


def logs(rounds: Sequence[Round], domains: Sequence[str], unit: str) -> list[float]:
    """The natural logarithm of joules of a unit of work in each round, over some counters."""
    return [math.log(joules) for joules in joules_per_unit(rounds, domains, unit)]
