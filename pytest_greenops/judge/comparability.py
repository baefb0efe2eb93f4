"""Whether a measurement and its baseline are of the same work, under the same power limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_greenops.judge.case import Case, Reference
from pytest_greenops.judge.stats import TRIM
from pytest_greenops.model.baseline import Series
from pytest_greenops.model.measurement import POWER_CAP, DeviceState, Measurement, Round

_UNKNOWN = DeviceState()


def check_work(case: Case) -> Reference:
    """Return the reference, marked as not comparable if it has other work or energy in it."""
    reference, domain, unit = case.reference, case.budget.domain, case.unit
    series = reference.usable
    if series is None:
        return reference
    if turned := tuple(_turned(series, case.measurement, domain)):
        return Reference(series, turned)
    rounds = [round_ for session in series.sessions for round_ in session.rounds]
    if unit != "call" and not all(unit in round_.units for round_ in rounds):
        return Reference(series, (f"unit: the baseline counts no {unit}",))
    used = (sum(r.energy_uj.get(name, 0) for name in case.domains) for r in rounds)
    if not all(energy_uj > 0 for energy_uj in used):
        return Reference(series, (f"domain: {domain} did not move in a round of the baseline",))
    return reference


def _turned(series: Series, measurement: Measurement, domain: str) -> Iterator[str]:
    """Yield each device that had work in only one of the two."""
    before = {d.name: d.idle for d in series.domains if domain in ("total", d.kind)}
    for now in measurement.domains:
        if before.get(now.name, now.idle) != now.idle:
            yield f"{now.name}: {'used -> idle' if now.idle else 'idle -> used'}"


def unlike_caps(
    now: Sequence[Round], before: Sequence[Sequence[Round]], domains: Sequence[str]
) -> str | None:
    """Return which device reached its power limit on one side of a comparison only, or None.

    The limit itself must match. So a neighbour uses part of the same power budget, the cooling is
    worse, or the work needs more: joules alone cannot distinguish these. `before` has the rounds of
    each baseline session.
    """
    for name in domains:
        capped, baseline = _capped(now, name), [_capped(rounds, name) for rounds in before]
        if capped > TRIM and not any(baseline):
            return f"{name}: {POWER_CAP} (baseline: none)"
        if not capped and min(baseline, default=0.0) > TRIM:
            return f"{name}: no {POWER_CAP} (baseline: held by it)"
    return None


def _capped(rounds: Sequence[Round], device: str) -> float:
    """Return the share of rounds in which a device with work reached its power limit."""
    states = [round_.devices.get(device, _UNKNOWN) for round_ in rounds]
    capped = [POWER_CAP in s.throttle_reasons and s.used is not False for s in states]
    return sum(capped) / len(capped) if capped else 0.0
