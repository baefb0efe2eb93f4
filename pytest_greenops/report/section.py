"""The section below a failed test: the measurement, the baseline, and the checks."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_greenops.model.result import Result
from pytest_greenops.model.units import (
    counted,
    format_duration,
    format_energy,
    format_percent,
    format_power,
)
from pytest_greenops.model.verdict import Change, Outcome, Verdict
from pytest_greenops.report import figures, reasons
from pytest_greenops.report import quality_text as quality
from pytest_greenops.report.drawing import hanging, sparkline
from pytest_greenops.report.layer_table import in_brief

_WIDTH = 79
_LABEL = 11
_MOST_POINTS = 40


def failure_section(result: Result, unicode: bool = True) -> Iterator[str]:
    """Yield labelled lines of at most 79 characters; only commands may be longer."""
    for label, text in _facts(result, unicode):
        yield from hanging(f"{label:<{_LABEL}}", text, _WIDTH)
    for label, command in _commands(result):
        yield f"{label:<{_LABEL}}{command}"


def _facts(result: Result, unicode: bool) -> Iterator[tuple[str, str]]:
    """Yield what was measured, what it was compared with, and how reliable it is."""
    measured, verdict = figures.measured(result), result.verdict
    if measured:
        yield from _measured(result)
    if result.quality if measured else verdict.qualities:
        yield "quality", quality.overview(result)
    if verdict.of_joules is not None:
        yield "its energy", _energy_alone(verdict, verdict.of_joules)
    if verdict.change is not None:
        yield "baseline", _baseline(result, verdict.change)
        yield from _evidence(verdict, verdict.change)
    if measured:
        yield "rounds", _rounds(result, unicode)
    if result.attempts:
        yield "attempts", _attempts(result)
    for check in result.checks:
        yield "check", f"{check.name}: {check.finding}; {check.done}"
    if result.provenance.sensors:
        yield "sensors", _sensors(result)


def _measured(result: Result) -> Iterator[tuple[str, str]]:
    yield "energy", _energy(result)
    if len(result.domains) > 1:
        yield "domains", _domains(result)
    if result.explained is not None and result.explained.layers:
        yield "layers", in_brief(result.explained)
    yield "power", f"{format_power(result.watts)} over {format_duration(result.seconds)} per call"
    units = figures.known_units(result)
    if units:
        yield "per unit", ", ".join(figures.energy(j, unit) for unit, j in units.items())
    if result.grams is not None:
        yield "carbon", figures.carbon(result.grams, result.carbon)


def _energy_alone(verdict: Verdict, of_joules: Outcome) -> str:
    """Return the verdict on the joules, if a drop in quality is more important."""
    compared = figures.against_baseline(verdict.change) if verdict.change else ""
    why = verdict.cause or compared
    return f"{of_joules.value}{f': {why}' if why else ''}"


def _evidence(verdict: Verdict, change: Change) -> Iterator[tuple[str, str]]:
    yield "detects", f"increases of at least {format_percent(change.smallest)}"
    if verdict.confirmed is not None:
        yield "confirmed", f"a fresh process measured {format_percent(verdict.confirmed)}"
    if change.taken_out is not None:
        shift = format_percent(change.taken_out)
        yield "machine", f"its own {shift} (control workload) is subtracted from the change"
    if change.p_value is not None:
        yield "chance", figures.chance(change)


def _energy(result: Result) -> str:
    interval = ""
    if result.interval is not None:
        several = len(figures.round_values(result)) > 1
        of = "these rounds" if several else "the window edges"
        interval = f" (95 % CI of {of} {figures.span(*result.interval, format_energy)})"
    return f"{format_energy(result.joules)} per call{interval}"


def _domains(result: Result) -> str:
    kinds = figures.counted_kinds(result)
    total = sum(kinds.values())
    judged = "" if result.domain == "total" else f"; {result.domain} is judged"
    grown = figures.kinds_changed(result)
    parts = [
        f"{kind} {format_energy(energy_j)} ({figures.used(energy_j / (total or 1.0))}"
        + (f", {format_percent(grown[kind])})" if kind in grown else ")")
        for kind, energy_j in kinds.items()
    ]
    outside = [f"; {name} {format_energy(j)}, {why}" for name, why, j in figures.apart(result)]
    return "".join([", ".join(parts), *outside, judged])


def _rounds(result: Result, unicode: bool) -> str:
    values = figures.round_values(result)
    if len(values) == 1:
        return "1 round: the spread is unknown"
    calls = sum(round_.iterations for rounds in result.sessions for round_ in rounds)
    ends = figures.span(min(values), max(values), lambda j: figures.energy(j, result.unit))
    drawn = sparkline(values, _MOST_POINTS, unicode)
    of_calls = "" if calls == len(values) else f" with {calls} calls"
    return f"{drawn}  {figures.tally(result)}{of_calls}, {ends}"


def _attempts(result: Result) -> str:
    before = ", ".join(figures.attempt(attempt) for attempt in result.attempts)
    return f"{len(result.attempts) + 1}; before this one: {before}"


def _sensors(result: Result) -> str:
    by_sensor: dict[str, list[str]] = {}
    for domain, sensor in result.provenance.sensors.items():
        by_sensor.setdefault(sensor, []).append(domain)
    text = ", ".join(f"{sensor} ({', '.join(names)})" for sensor, names in by_sensor.items())
    if figures.estimated(result):
        return f"{text}: ESTIMATED, not sensed: {reasons.ESTIMATE_BAND} on the absolute figure"
    return text


def _baseline(result: Result, change: Change) -> str:
    hours = "" if change.occasions is None else f": {counted(change.occasions, 'hour')}"
    few = f" (provisional{hours})" if change.provisional else ""
    text = f"{figures.energy(change.baseline_j, result.unit)} from "
    text += f"{reasons.sessions(change.sessions)}{few}"
    if change.accepted_at is not None:
        text += f", last saved {change.accepted_at[:10]}"
    if change.commit is not None:
        text += f" at commit {change.commit[:10]}"
    if change.since_anchor is not None:
        text += f"; it moved {format_percent(change.since_anchor)} in small accepted steps"
    return text


def _commands(result: Result) -> Iterator[tuple[str, str]]:
    advice = reasons.explain(result)
    if result.verdict.outcome is Outcome.REGRESSED and advice.command:
        yield "accept it", advice.command
    elif advice.command and advice.command != reasons.again(result):
        yield "next", advice.command
    if result.verdict.outcome is not Outcome.NOT_MEASURED:
        yield "try again", reasons.again(result)
