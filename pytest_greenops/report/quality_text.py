"""Sentences about quality: what a test lost of it, and what it costs in joules."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pytest_greenops.model.pareto import Front, Point, front
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import DIGITS, format_energy, format_number, format_percent
from pytest_greenops.model.verdict import QualityChange
from pytest_greenops.report import figures
from pytest_greenops.report.drawing import elide, wrapped

#: A smaller share than this is printed with two significant digits: `-0.012 %`.
_SMALL = 1e-3
#: The sentence about a Pareto front takes at most this many lines, of this many columns.
_LINES, _WIDTH = 2, 80
_LONGEST_NAME, _LONGEST_TEST = 20, 40


def drops(result: Result, baseline: str = ", baseline {}") -> str:
    """Return `'reached accuracy 0.90, baseline 0.94 (-4.3 %, limit -1 %)'`, for all drops."""
    return f"reached {' and '.join(comparison(drop, baseline) for drop in result.verdict.drops)}"


def overview(result: Result) -> str:
    """Return every quality of a result, compared with its baseline if it has a limit."""
    plain = {name: f"{name} {format_number(value, 6)}" for name, value in result.quality.items()}
    judged = {each.name: comparison(each) for each in result.verdict.qualities}
    return ", ".join({**plain, **judged}.values())


def comparison(quality: QualityChange, baseline: str = ", baseline {}") -> str:
    """Return `'accuracy 0.90, baseline 0.94 (-4.3 %, limit -1 %)'`."""
    now, before = _same_decimals(quality)
    if quality.baseline is None:
        return f"{quality.name} {now}, no baseline (limit {limit(quality)})"
    changed = f"({moved(quality)}, limit {limit(quality)})"
    return f"{quality.name} {now}{baseline.format(before)} {changed}"


def moved(quality: QualityChange) -> str:
    """Return the change over the baseline: `'-4.3 %'`."""
    if quality.value is None:
        return "broken" if quality.exceeded else "not reported any more"
    if quality.relative is None:
        return "below 0" if quality.exceeded else "above 0"
    share = quality.relative
    small = 0 < abs(share) < _SMALL
    return format_percent(share, digits=2 if small else None)


def limit(quality: QualityChange) -> str:
    """Return the largest allowed drop as a change: `'-1 %'`."""
    return format_percent(-quality.limit or 0.0, signed=False, digits=6)


def not_judged(result: Result) -> str | None:
    """Return why a limited quality could not be judged, with the fix, or None."""
    qualities = [quality for quality in result.verdict.qualities if quality.unheld]
    new = [q.name for q in qualities if q.baseline is None and not q.broken]
    gone = [quality.name for quality in qualities if quality.baseline is not None]
    parts = [f"{quality.name} is not a finite number" for quality in qualities if quality.broken]
    if gone:
        again = ", ".join(f"{name}=..." for name in gone)
        parts.append(
            f"the baseline has {', '.join(gone)}, but the test does not report it any more: call "
            f"energy.quality({again}), or save a baseline without it"
        )
    if new:
        parts.append(f"the baseline has no {' and no '.join(new)} to compare with; save one")
    return "; ".join(parts) or None


def _same_decimals(quality: QualityChange) -> tuple[str, str]:
    """Return value and baseline with the same number of decimals: `('0.90', '0.94')`."""
    values = [quality.value, quality.baseline]
    texts = ["" if value is None else f"{value:.{DIGITS}g}" for value in values]
    if not any("e" in text for text in texts):
        decimals = max(len(text.partition(".")[2]) for text in texts)
        texts = ["" if value is None else f"{value:.{decimals}f}" for value in values]
    return texts[0] or ("not a finite number" if quality.broken else "not reported"), texts[1]


def fronts(results: Sequence[Result]) -> Iterator[str]:
    """Yield a sentence for each quality of several measurements of the same function."""
    return (_front(*found) for found in found_fronts(results))


def found_fronts(results: Sequence[Result]) -> Iterator[tuple[str, Result, Front]]:
    """Yield each quality of several measurements of one function, one of them, and the front."""
    for members in alike(results):
        names = (quality for result in members.values() for quality in result.quality)
        for quality in dict.fromkeys(names):
            points = [
                Point(name, result.quality[quality], result.judged_j, *_interval(result))
                for name, result in members.items()
                if math.isfinite(result.quality.get(quality, math.nan))
            ]
            if len(points) > 1:
                yield quality, next(iter(members.values())), front(points)


def alike(results: Sequence[Result]) -> Iterator[dict[str, Result]]:
    """Yield the measurements of each function that are comparable, by their parameters."""
    groups: dict[tuple[object, ...], dict[str, Result]] = {}
    for result in results:
        if figures.measured(result) and not result.untrusted and math.isfinite(result.judged_j):
            test, estimated = result.test, figures.estimated(result)
            group = test.module, test.qualname, result.name, result.unit, result.domain, estimated
            groups.setdefault(group, {})[test.param_id or test.qualname] = result
    yield from groups.values()


def _interval(result: Result) -> tuple[float, float]:
    """Return the interval of the joules per judged unit; unbounded if it is unknown."""
    if result.interval is None or not result.joules:
        return -math.inf, math.inf
    low, high = result.interval
    scale = result.judged_j / result.joules
    return low * scale, high * scale


def _front(quality: str, example: Result, found: Front) -> str:
    """Return a sentence about the front and the dominated points, as far as it fits."""
    for shown in range(len(found.best) + len(found.dominated), 1, -1):
        text = _sentence(quality, example, found, shown)
        if len(wrapped(text, _WIDTH)) <= _LINES:
            return text
    return _sentence(quality, example, found, 1)


def _sentence(quality: str, example: Result, found: Front, shown: int) -> str:
    """Return the sentence with this many points, those of the front first."""
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
    return (
        f"{_name(point)} {format_number(point.quality, 4)} at {mark}{format_energy(point.joules)}"
    )


def _name(point: Point) -> str:
    return elide(point.name, _LONGEST_NAME)
