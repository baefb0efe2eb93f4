"""What baselines contain: the level of each series, its spread, and its creep."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from pytest_greenops.judge.creep import since_anchor
from pytest_greenops.judge.noise import MIN_SESSIONS
from pytest_greenops.judge.stats import variance
from pytest_greenops.judge.suite import levels
from pytest_greenops.model.baseline import Baseline, SeriesOverview, TestKey


def by_machine(
    folder: Path, found: Mapping[Path, Baseline], tests: Sequence[str] = ()
) -> dict[str, list[SeriesOverview]]:
    """Return an overview of a folder's baselines by machine, in the order of their files.

    `tests` selects by parts of node ids or of names of measurements; all by default.
    """
    machines: dict[str, list[SeriesOverview]] = {}
    for path, baseline in found.items():
        machine = path.relative_to(folder).parts[0]
        for each in overviews(baseline):
            if selected(each.test, each.name, tests):
                machines.setdefault(machine, []).append(each)
    return machines


def selected(test: TestKey, name: str, tests: Sequence[str]) -> bool:
    """Return whether one of `tests` is a part of a node id or of a measurement's name."""
    return not tests or any(part in text for part in tests for text in (test.node_id, name))


def overviews(baseline: Baseline) -> Iterator[SeriesOverview]:
    """Yield an overview for each name that the test was measured under."""
    for name, series in sorted(baseline.measurements.items()):
        units = ["call", *sorted(series.sessions[-1].rounds[0].units)]
        by_unit = {unit: found for unit in units if (found := levels(series, unit))}
        judged = next((unit for unit in by_unit if unit != "call"), "call")  # as without a budget
        found = by_unit.get(judged, [])
        counted = [domain.name for domain in series.domains if domain.counted]
        last = series.sessions[-1]
        yield SeriesOverview(
            test=baseline.test,
            name=name,
            joules={unit: math.exp(fmean(of_unit)) for unit, of_unit in by_unit.items()},
            sessions=len(series.sessions),
            spread=math.sqrt(float(variance(found))) if len(found) > 1 else None,
            since_anchor=since_anchor(series, judged, counted),
            saved_at=last.saved_at,
            commit=last.revision.commit,
            dirty=last.revision.dirty,
            provisional=series.occasions < MIN_SESSIONS,
        )
