"""Creep: small accepted steps that add up."""

from __future__ import annotations

import math
from collections.abc import Collection
from itertools import pairwise
from statistics import fmean

from pytest_greenops.judge.suite import levels
from pytest_greenops.model.baseline import MAX_SESSIONS, Series

#: Fewer accepted steps are not creep: somebody looked at each.
_STEPS = 2


def in_small_steps(series: Series) -> bool:
    """Return whether several runs were accepted since the anchor.

    Earlier versions kept the anchor where a large step replaced all sessions. So sessions without
    that of the anchor count only if it was dropped as one of more than a baseline keeps.
    """
    since = series.anchor.moved_at or series.anchor.saved_at
    at = [number for number, each in enumerate(series.sessions) if each.saved_at == since]
    if not at:
        return len(series.sessions) >= MAX_SESSIONS
    first = at[-1] if series.anchor.moved_at else at[0]
    known = series.sessions[first].run_key
    return len({each.run_key for each in series.sessions[first + 1 :]} - {known}) >= _STEPS


def since_anchor(series: Series, unit: str, domains: Collection[str]) -> float | None:
    """Return by how much small accepted steps changed the joules of a unit of work, as a share.

    None without such steps, if the anchor lacks a counter or the unit, or if the scatter of the
    sessions explains the change. Neighboring sessions tell that scatter: a trend hardly adds to it.
    """
    anchor = series.anchor.joules_per_unit.get(unit, {})
    found = levels(series, unit, domains)
    if not found or not set(domains) <= anchor.keys() or not in_small_steps(series):
        return None
    anchor_j = math.fsum(anchor[name] for name in domains)
    if anchor_j <= 0:
        return None
    change = fmean(found) - math.log(anchor_j)
    squares = [(later - earlier) ** 2 / 2 for earlier, later in pairwise(found)]
    error = math.sqrt(fmean(squares) * (1 + 1 / len(found)))
    return math.expm1(change) if abs(change) > error else None
