"""A test's quality against that of its baseline: what it kept, and what a drop makes of a verdict.

A quality is a number of the test, not of a sensor. So it is judged whatever became of the joules:
where they are estimated, were not measured, or are not comparable, too; and it is neither confirmed
by a fresh process nor doubted for a noisy machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from msgspec.structs import replace

from pytest_greenops.model.marker import Action
from pytest_greenops.model.units import significant
from pytest_greenops.model.verdict import Outcome, QualityChange, Verdict


class Known(NamedTuple):
    """What a baseline holds of a test's qualities: each session's, and what was accepted first."""

    sessions: Sequence[Mapping[str, float]] = ()
    first: Mapping[str, float] = {}


#: Less than files keep of a figure: so much more than its limit is no drop beyond it.
_ROUNDING = 1e-9
_DIGITS = 9


def hold(
    verdict: Verdict,
    told: Mapping[str, float],
    accepted: Known,
    limit: float | None,
    action: Action,
) -> Verdict:
    """A verdict on joules, once the quality has been held against that of the baseline.

    told      by name, what the test tells
    accepted  the same of the baseline
    limit     the largest drop that is allowed; None where none is set, and nothing is judged
    action    what a drop does

    A drop beyond the limit is a regression, however little energy was used. Only an exceeded
    budget that fails its test is as grave.
    """
    if limit is None:
        return verdict
    qualities = changes(told, accepted.sessions, limit, accepted.first)
    judged = replace(verdict, qualities=qualities)
    over = verdict.outcome is Outcome.OVER_BUDGET and verdict.action == "fail"
    if over or not judged.drops:
        return judged
    red = verdict.outcome is Outcome.REGRESSED and verdict.action == "fail"
    return replace(
        judged,
        outcome=Outcome.REGRESSED,
        of_joules=verdict.outcome,
        action="fail" if red else action,
    )


def changes(
    told: Mapping[str, float],
    accepted: Sequence[Mapping[str, float]],
    limit: float,
    first: Mapping[str, float] = MappingProxyType({}),
) -> tuple[QualityChange, ...]:
    """Each quality that the test tells, or that the baseline's sessions hold, by name.

    The reference is the mean over the sessions that hold it: of training without a seed one session
    may have been a lucky one. Both sides are rounded as files keep them. `first` are the values
    that were accepted first.
    """
    names = sorted({*told, *(name for quality in accepted for name in quality)})
    return tuple(
        replace(
            change := _change(name, told.get(name), accepted, limit),
            since_anchor=_since(first.get(name), change.value),
        )
        for name in names
    )


def settled(
    told: Mapping[str, float], accepted: Sequence[Mapping[str, float]], limit: float
) -> set[str]:
    """Names of qualities whose earlier values hold no more, once this run is accepted.

    Those that moved by more than the limit, either way: what is accepted is the baseline; and those
    that are not told any more. One that is no finite number cannot take the place of another.
    """
    return {
        quality.name
        for quality in changes(told, accepted, limit)
        if quality.baseline is not None
        and (quality.name not in told or (quality.value is not None and _moved(quality)))
    }


def _moved(quality: QualityChange) -> bool:
    return quality.relative is None or abs(quality.relative) > quality.limit + _ROUNDING


def _change(
    name: str, told: float | None, accepted: Sequence[Mapping[str, float]], limit: float
) -> QualityChange:
    known = [quality[name] for quality in accepted if name in quality]
    baseline = _rounded(math.fsum(known) / len(known)) if known else None
    value = None if told is None else _rounded(told)
    if baseline is None or value is None:
        broken = baseline is not None and told is not None
        return QualityChange(name, limit, value, baseline, exceeded=broken)
    if baseline == 0:
        relative = 0.0 if value == 0 else None
        return QualityChange(name, limit, value, baseline, relative, exceeded=value < 0)
    relative = _share(value, baseline)
    exceeded = -relative > limit + _ROUNDING
    return QualityChange(name, limit, value, baseline, relative, exceeded)


def _share(value: float, of: float) -> float:
    return (value - of) / abs(of)


def _since(first: float | None, value: float | None) -> float | None:
    """The change since the first accepted value; None where either is missing, or that is 0."""
    return round(_share(value, first), _DIGITS) if first and value is not None else None


def _rounded(value: float) -> float | None:
    """As files keep it; None of what is no finite number."""
    return float(significant(value)) if math.isfinite(value) else None
