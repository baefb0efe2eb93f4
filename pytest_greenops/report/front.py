"""Quality and joules of one function's parametrizations: which of them nothing beats in both."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pytest_greenops.model.pareto import Front, Point, front
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import format_energy
from pytest_greenops.report import figures
from pytest_greenops.report.drawing import elide, wrapped
from pytest_greenops.report.reasons import Advice

#: What is said of one front takes at most so many lines of so many columns.
_LINES, _WIDTH = 2, 80
_LONGEST_NAME, _LONGEST_TEST = 20, 40


def fronts(results: Sequence[Result]) -> Iterator[Advice]:
    """One sentence for each quality that two or more measurements of one function tell."""
    alike: dict[tuple[object, ...], dict[str, Result]] = {}
    for result in results:
        if figures.measured(result) and not result.untrusted and math.isfinite(result.judged_j):
            test, estimated = result.test, figures.estimated(result)
            group = test.module, test.qualname, result.name, result.unit, result.domain, estimated
            alike.setdefault(group, {})[test.param_id or test.qualname] = result
    for members in alike.values():
        told = (quality for result in members.values() for quality in result.quality)
        for quality in dict.fromkeys(told):
            points = [
                Point(name, result.quality[quality], result.judged_j, *_interval(result))
                for name, result in members.items()
                if math.isfinite(result.quality.get(quality, math.nan))
            ]
            if len(points) > 1:
                yield Advice(_sentence(quality, next(iter(members.values())), front(points)))


def _interval(result: Result) -> tuple[float, float]:
    """Of the joules of the unit that is judged; where it is not known, they may be anything."""
    if result.interval is None or not result.joules:
        return -math.inf, math.inf
    low, high = result.interval
    scale = result.judged_j / result.joules
    return low * scale, high * scale


def _sentence(quality: str, example: Result, found: Front) -> str:
    """The whole front and what it dominates, or as much of it as there is room for."""
    for shown in range(len(found.best) + len(found.dominated), 1, -1):
        text = _told(quality, example, found, shown)
        if len(wrapped(text, _WIDTH)) <= _LINES:
            return text
    return _told(quality, example, found, 1)


def _told(quality: str, example: Result, found: Front, shown: int) -> str:
    """What is said if so many points are shown: those of the front first."""
    test = f"{example.test.qualname}{figures.label(example)}"
    best = [_point(point, example) for point in found.best[:shown]]
    left = shown - len(best)
    beaten = [
        f"{_point(each.point, example)} by {_name(each.by[0])}" for each in found.dominated[:left]
    ]
    unit = "J" if example.unit == "call" else f"J/{example.unit}"
    text = f"Pareto front ({quality}, {unit}) of {elide(test, _LONGEST_TEST)}: "
    text += _listed(best, len(found.best))
    if beaten:
        text += f"; dominated: {_listed(beaten, len(found.dominated))}"
    elif found.dominated:
        text += f"; {len(found.dominated)} dominated"
    return f"{text}."


def _listed(texts: Sequence[str], of: int) -> str:
    more = of - len(texts)
    return ", ".join(texts) + (f", and {more} more" if more else "")


def _point(point: Point, example: Result) -> str:
    mark = "~" if figures.estimated(example) else ""
    return f"{_name(point)} {point.quality:.4g} at {mark}{format_energy(point.joules)}"


def _name(point: Point) -> str:
    return elide(point.name, _LONGEST_NAME)
