"""What baselines hold: the level of each series, how far its sessions differ, where it began."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from pytest_greenops.judge.noise import MIN_SESSIONS
from pytest_greenops.judge.stats import variance
from pytest_greenops.judge.suite import levels
from pytest_greenops.model.baseline import Baseline, Series
from pytest_greenops.model.holding import Holding


def by_machine(
    folder: Path, found: Mapping[Path, Baseline], tests: Sequence[str] = ()
) -> dict[str, list[Holding]]:
    """What the baselines of a folder hold, by machine, in the order of their files.

    tests  parts of node ids or of names of measurements: what has one of them; all if none is given
    """
    held: dict[str, list[Holding]] = {}
    for path, baseline in found.items():
        machine = path.relative_to(folder).parts[0]
        for each in holdings(baseline):
            names = (each.test.node_id, each.name)
            if not tests or any(part in name for part in tests for name in names):
                held.setdefault(machine, []).append(each)
    return held


def holdings(baseline: Baseline) -> Iterator[Holding]:
    """One for each name that the test was measured under."""
    for name, series in sorted(baseline.measurements.items()):
        units = ["call", *sorted(series.sessions[-1].rounds[0].units)]
        known = {unit: found for unit in units if (found := levels(series, unit))}
        judged = _judged(known)
        last = series.sessions[-1]
        yield Holding(
            test=baseline.test,
            name=name,
            joules={unit: math.exp(fmean(found)) for unit, found in known.items()},
            sessions=len(series.sessions),
            spread=math.sqrt(float(variance(known[judged])))
            if len(known.get(judged, ())) > 1
            else None,
            since_anchor=_since_anchor(series, judged, known[judged]) if known else None,
            saved_at=last.saved_at,
            commit=last.revision.commit,
            dirty=last.revision.dirty,
            provisional=len(series.sessions) < MIN_SESSIONS,
        )


def _judged(known: Iterable[str]) -> str:
    """The unit by which a test is compared where its budget names none: its own, if it has one."""
    return next((unit for unit in known if unit != "call"), "call")


def _since_anchor(series: Series, unit: str, found: list[float]) -> float | None:
    [first, *more] = series.sessions
    if not more and first.saved_at == series.anchor.saved_at:
        return None
    counted = {domain.name for domain in series.domains if domain.counted}
    began = series.anchor.joules_per_unit.get(unit, {})
    began_j = math.fsum(began.get(name, 0.0) for name in counted)
    if not counted <= began.keys() or began_j <= 0:
        return None
    return math.expm1(fmean(found) - math.log(began_j))
