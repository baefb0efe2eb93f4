"""What is said of a test's quality: what it kept of its baseline's, and how much it may lose."""

from __future__ import annotations

from pytest_greenops.model.result import Result
from pytest_greenops.model.units import DIGITS, format_percent
from pytest_greenops.model.verdict import QualityChange

#: A smaller share than this is told with the digits that it has: `-0.012 %`.
_SMALL = 1e-3


def kept(result: Result, then: str = ", baseline {}") -> str:
    """`'kept accuracy 0.90, baseline 0.94 (-4.3 %, limit -1 %)'`, of each that dropped."""
    return f"kept {' and '.join(held(drop, then) for drop in result.verdict.drops)}"


def told(result: Result) -> str:
    """Every quality of a result, beside its baseline where it was held against one."""
    judged = {quality.name: quality for quality in result.verdict.qualities}
    plain = {name: f"{name} {value:g}" for name, value in result.quality.items()}
    return ", ".join({**plain, **{name: held(each) for name, each in judged.items()}}.values())


def held(quality: QualityChange, then: str = ", baseline {}") -> str:
    """`'accuracy 0.90, baseline 0.94 (-4.3 %, limit -1 %)'`; `then` is how a baseline is told."""
    now, before = _alike(quality)
    if quality.baseline is None:
        return f"{quality.name} {now}, no baseline (limit {limit(quality)})"
    return f"{quality.name} {now}{then.format(before)} ({moved(quality)}, limit {limit(quality)})"


def moved(quality: QualityChange) -> str:
    """How far it is from its baseline: `'-4.3 %'`."""
    if quality.value is None:
        return "broken" if quality.exceeded else "not told any more"
    if quality.relative is None:
        return "below 0" if quality.exceeded else "above 0"
    share = quality.relative
    small = 0 < abs(share) < _SMALL
    return f"{share * 100:+.2g} %" if small else format_percent(share)


def limit(quality: QualityChange) -> str:
    """The largest drop as a change: `'-1 %'`."""
    return f"{-quality.limit * 100 or 0:g} %"


def unheld(result: Result) -> str | None:
    """Why a drop of quality that is limited could not be judged, and the mend; None if it could."""
    qualities = [quality for quality in result.verdict.qualities if quality.unheld]
    broken = [quality.name for quality in qualities if quality.broken]
    new = [q.name for q in qualities if q.baseline is None and not q.broken]
    gone = [quality.name for quality in qualities if quality.baseline is not None]
    parts = [f"{name} is no finite number" for name in broken]
    if gone:
        again = ", ".join(f"{name}=..." for name in gone)
        parts.append(
            f"its baseline has {', '.join(gone)}, which it does not tell any more: "
            f"energy.quality({again}), or accept that"
        )
    if new:
        parts.append(f"its baseline has no {' and no '.join(new)} to hold it against; accept one")
    return "; ".join(parts) or None


def _alike(quality: QualityChange) -> tuple[str, str]:
    """Value and baseline with as many decimals as either needs: `('0.90', '0.94')`."""
    figures = [quality.value, quality.baseline]
    texts = ["" if figure is None else f"{figure:.{DIGITS}g}" for figure in figures]
    if not any("e" in text for text in texts):
        decimals = max(len(text.partition(".")[2]) for text in texts)
        texts = ["" if figure is None else f"{figure:.{decimals}f}" for figure in figures]
    return texts[0] or ("no finite number" if quality.broken else "not told"), texts[1]
