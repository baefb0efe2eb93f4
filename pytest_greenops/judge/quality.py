"""The quality of a test against its baseline's, and what a drop does to a verdict.

A quality comes from the test, not from a sensor. So it is judged even if the joules are estimated,
not measured or not comparable. A fresh process does not confirm it, and a noisy machine does not
make it doubtful.
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


class AcceptedQualities(NamedTuple):
    """The qualities in a baseline: those of each session, and those of its anchor.

    first  empty if no small steps were accepted since
    """

    sessions: Sequence[Mapping[str, float]] = ()
    first: Mapping[str, float] = {}


#: Tolerance of a limit: below the precision that files keep.
_ROUNDING = 1e-9
_DIGITS = 9


def judge_quality(
    verdict: Verdict,
    reported: Mapping[str, float],
    accepted: AcceptedQualities,
    limit: float | None,
    action: Action,
) -> Verdict:
    """Return a verdict on joules, combined with the comparison of qualities.

    A drop beyond the limit is a regression, however little energy was used. Only an exceeded
    budget that fails its test takes precedence. A limit of None judges nothing.
    """
    if limit is None:
        return verdict
    qualities = changes(reported, accepted.sessions, limit, accepted.first)
    judged = replace(verdict, qualities=qualities)
    over = verdict.outcome is Outcome.OVER_BUDGET and verdict.action == "fail"
    if over or not judged.drops:
        return judged
    red = verdict.outcome is Outcome.REGRESSED and verdict.action == "fail"
    action = "fail" if red else action
    return replace(judged, outcome=Outcome.REGRESSED, of_joules=verdict.outcome, action=action)


def changes(
    reported: Mapping[str, float],
    accepted: Sequence[Mapping[str, float]],
    limit: float,
    first: Mapping[str, float] = MappingProxyType({}),
) -> tuple[QualityChange, ...]:
    """Return the change of each quality of the test or of the baseline, by name.

    The reference is the mean over the sessions that have it, since one training session without a
    seed may have been lucky. Both sides are rounded as files keep them.
    """
    names = sorted({*reported, *(name for quality in accepted for name in quality)})
    found = [_change(name, reported.get(name), accepted, limit) for name in names]
    return tuple(replace(c, since_anchor=_since(first.get(c.name), c)) for c in found)


def expired(
    reported: Mapping[str, float], accepted: Sequence[Mapping[str, float]], limit: float
) -> set[str]:
    """Return the names of qualities whose earlier values expire once this run is accepted.

    These are the qualities that moved by more than the limit in either direction, and those that
    are no longer reported. A value that is not finite does not replace another.
    """
    return {
        quality.name
        for quality in changes(reported, accepted, limit)
        if quality.baseline is not None
        and (quality.name not in reported or (quality.value is not None and _moved(quality)))
    }


def _moved(quality: QualityChange) -> bool:
    return quality.relative is None or abs(quality.relative) > quality.limit + _ROUNDING


def _change(
    name: str, reported: float | None, accepted: Sequence[Mapping[str, float]], limit: float
) -> QualityChange:
    known = [quality[name] for quality in accepted if name in quality]
    baseline = _rounded(math.fsum(known) / len(known)) if known else None
    value = None if reported is None else _rounded(reported)
    if baseline is None or value is None:
        broken = baseline is not None and reported is not None
        return QualityChange(name, limit, value, baseline, exceeded=broken)
    if baseline == 0:
        relative = 0.0 if value == 0 else None
        return QualityChange(name, limit, value, baseline, relative, exceeded=value < 0)
    relative = _share(value, baseline)
    exceeded = -relative > limit + _ROUNDING
    return QualityChange(name, limit, value, baseline, relative, exceeded)


def _share(value: float, of: float) -> float:
    return (value - of) / abs(of)


def _since(first: float | None, of: QualityChange) -> float | None:
    """Return the baseline's change since its anchor; None if one is missing, or the anchor is 0."""
    if not first or of.value is None or of.baseline is None:
        return None
    return round(_share(of.baseline, first), _DIGITS)


def _rounded(value: float) -> float | None:
    """Return a value as files keep it; None if it is not finite."""
    return float(significant(value)) if math.isfinite(value) else None
