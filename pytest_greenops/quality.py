"""A test's quality against that of its baseline: what it kept, and what a drop makes of a verdict.

A quality is a number of the test, not of a sensor. So it is judged whatever became of the joules:
where they are estimated, were not measured, or are not comparable, too; and it is neither confirmed
by a fresh process nor doubted for a noisy machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from pytest_greenops.model.figures import significant
from pytest_greenops.model.marker import Action
from pytest_greenops.model.verdict import Outcome, QualityChange, Verdict

#: Less than files keep of a figure: so much more than its limit is no drop beyond it.
_ROUNDING = 1e-9


def hold(
    verdict: Verdict,
    told: Mapping[str, float],
    accepted: Sequence[Mapping[str, float]],
    limit: float | None,
    action: Action,
) -> Verdict:
    """A verdict on joules, once the quality has been held against that of the baseline.

    told      by name, what the test tells; nothing is judged before it tells something
    accepted  the same of each baseline session
    limit     the largest drop that is allowed; None where none is set
    action    what a drop does

    A drop beyond the limit is a regression, however little energy was used. Only an exceeded
    budget that fails its test is as grave.
    """
    if limit is None or not told:
        return verdict
    qualities = changes(told, accepted, limit)
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
    told: Mapping[str, float], accepted: Sequence[Mapping[str, float]], limit: float
) -> tuple[QualityChange, ...]:
    """Each quality that the test tells, or that the baseline's sessions hold, by name.

    The reference is the mean over the sessions that hold it: of training without a seed one session
    may have been a lucky one. Both sides are rounded as files keep them.
    """
    names = sorted({*told, *(name for quality in accepted for name in quality)})
    return tuple(_change(name, told.get(name), accepted, limit) for name in names)


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
    relative = (value - baseline) / abs(baseline)
    exceeded = -relative > limit + _ROUNDING
    return QualityChange(name, limit, value, baseline, relative, exceeded)


def _rounded(value: float) -> float | None:
    """As files keep it; None of what is no finite number."""
    return float(significant(value)) if math.isfinite(value) else None
