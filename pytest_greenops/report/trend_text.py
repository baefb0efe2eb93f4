"""Trends as lines of a terminal: a line for each run, and the steps between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_greenops.model.advised import shell_line
from pytest_greenops.model.trend import Step, Trend, TrendPoint
from pytest_greenops.model.units import counted, format_number, format_percent
from pytest_greenops.report import figures
from pytest_greenops.report.drawing import (
    aligned,
    bar,
    column_widths,
    elide,
    hanging,
    plain,
    sparkline,
    visible,
)

_NARROWEST, _WIDEST_BAR, _LEAST_NAME, _SPARKS = 60, 40, 16, 8
#: Characters of a commit, as in all other reports.
_COMMIT = 7


def trend_lines(trends: Sequence[Trend], width: int, unicode: bool) -> Iterator[str]:
    """Yield each trend: its heading, its course, a line for each run, and its steps where they are.

    The command that finds the commit of the last increase follows.
    """
    say: Callable[[str], str] = visible if unicode else plain
    width = max(width, _NARROWEST)
    subject = None
    for number, trend in enumerate(trends):
        if number:
            yield ""
        if trend.subject != subject:
            yield _cut(say(trend.subject), width, say)
            subject = trend.subject
        for line in heading(trend):
            yield _cut(f"  {say(line)}", width, say)
        yield f"  {sparkline([p.value for p in trend.points], width - 2, unicode)}"
        yield from _runs(trend, width, unicode, say)
        if command := bisect_command(trend):
            yield "  find the commit:"
            yield f"    {say(command)}"


def overview_lines(trends: Sequence[Trend], width: int, unicode: bool) -> Iterator[str]:
    """Yield a line for each trend: runs, last figure, course, and its last step."""
    say: Callable[[str], str] = visible if unicode else plain
    width = max(width, _NARROWEST)
    rows = [_overview_row(trend, unicode, say) for trend in trends]
    widths = column_widths([*rows, ("", "", "", "", "")]) if rows else []
    if widths:
        left = width - sum(widths[1:]) - 2 * (len(widths) - 1)
        widths[0] = min(widths[0], max(left, _LEAST_NAME))
    machine = module = None
    for trend, row in zip(trends, rows, strict=True):
        if trend.machine != machine:
            if machine is not None:
                yield ""
            machine, module = trend.machine, None
            yield _cut(say(machine), width, say)
        if (of := trend.test.partition("::")[0]) != module:
            module = of
            yield _cut(f"  {say(module)}", width, say)
        name, *others = row
        yield elide(
            aligned([elide(name, widths[0], say("…")), *others], widths, (1, 2)), width, say("…")
        )
    stepped = sum(bool(trend.steps) for trend in trends)
    yield ""
    yield (
        f"energy: {counted(len(trends), 'trend')}, {stepped} with a step; "
        "each run of one: pytest-greenops history TEST"
    )


def _cut(text: str, width: int, say: Callable[[str], str]) -> str:
    """Return a line of one cell, at most so wide."""
    return aligned([elide(text, width, say("…"))], [0])


def _overview_row(trend: Trend, unicode: bool, say: Callable[[str], str]) -> tuple[str, ...]:
    last = trend.points[-1]
    course = sparkline([p.value for p in trend.points], _SPARKS, unicode)
    step = trend.steps[-1] if trend.steps else None
    what = f"{format_percent(step.relative)}  {commits(trend, step)}" if step else ""
    test = trend.subject.partition("::")[2] or trend.subject
    test = test if trend.quantity == "energy" else f"{test} (work)"
    runs = counted(len(trend.points), "run")
    return say(f"    {test}"), runs, say(figure(trend, last.value)), course, say(what)


def heading(trend: Trend) -> Iterator[str]:
    """Yield what a trend is of: the machine, then what is judged, and the runs."""
    what = "weighted work" if trend.quantity == "work" else f"energy ({trend.domain})"
    estimated = ", estimated" if trend.estimated else ""
    yield trend.machine
    yield f"{what}{estimated}, {counted(len(trend.points), 'run')}, {days(trend)}"


def days(trend: Trend) -> str:
    """Return the days of the first and the last run: `2026-11-03 to 2026-11-28`."""
    first, last = trend.points[0].at[:10], trend.points[-1].at[:10]
    return first if first == last else f"{first} to {last}"


def _runs(trend: Trend, width: int, unicode: bool, say: Callable[[str], str]) -> Iterator[str]:
    rows = [tuple(map(say, _row(trend, point))) for point in trend.points]
    widths = column_widths(rows)
    bar_width = min(_WIDEST_BAR, width - sum(widths) - 2 * len(widths) - 2)
    most = max(point.value for point in trend.points) or 1.0
    steps = {step.at: step for step in trend.steps}
    for number, (point, row) in enumerate(zip(trend.points, rows, strict=True)):
        if step := steps.get(number):
            yield from hanging("  -> ", say(step_words(trend, step)), width)
        *before, outcome = row
        drawn = bar(point.value / most, bar_width, unicode) if bar_width > 4 else ""
        cut = [*before, drawn, outcome] if drawn else [*before, outcome]
        all_widths = [*widths[:-1], bar_width, widths[-1]] if drawn else widths
        yield elide(f"  {aligned(cut, all_widths, (2, 3))}", width, say("…"))


def _row(trend: Trend, point: TrendPoint) -> tuple[str, ...]:
    """Return time, commit, figure, half of its interval, and verdict."""
    spread = ""
    if point.low is not None and point.high is not None and point.value:
        half = (point.high - point.low) / 2 / point.value
        spread = f"±{format_percent(half, signed=False)}"
    accepted = ", saved" if point.saved else ""
    return (
        when(point),
        commit(point),
        figure(trend, point.value),
        spread,
        f"{point.outcome}{accepted}",
    )


def when(point: TrendPoint) -> str:
    """Return the minute of a run, in UTC."""
    return point.at[:16].replace("T", " ")


def figure(trend: Trend, value: float) -> str:
    """Return a value of a trend: `'2.17 J/token'`, `'~2.17 J'`, `'1234'` for weighted work."""
    if trend.quantity == "work":
        return format_number(value, 4)
    return f"{'~' if trend.estimated else ''}{figures.energy(value, trend.unit)}"


def commit(point: TrendPoint) -> str:
    """Return a short commit, with `+` if files differed from it; a dash if it is unknown."""
    if point.commit is None:
        return "-"
    return point.commit[:_COMMIT] + ("+" if point.dirty else "")


def between(trend: Trend, step: Step) -> str:
    """Return the two commits between which a step happened, or the two times."""
    old, new = trend.points[step.after], trend.points[step.until]
    if old.commit is None or new.commit is None:
        return f"between {old.at[:10]} and {new.at[:10]}"
    if old.commit == new.commit:
        return f"at {commit(new)}"
    return f"between {commit(old)} and {commit(new)}"


def commits(trend: Trend, step: Step) -> str:
    """Return the same as a range of git: `3f2a91c..8bd01aa`."""
    old, new = trend.points[step.after], trend.points[step.until]
    if old.commit is None or new.commit is None:
        return new.at[:10]
    return f"{old.commit[:_COMMIT]}..{new.commit[:_COMMIT]}"


def change_words(trend: Trend, step: Step) -> str:
    """Return a step in few words: `+8.3 % between 3f2a91c and 8bd01aa`."""
    return f"{format_percent(step.relative)} {between(trend, step)}"


def step_words(trend: Trend, step: Step) -> str:
    """Return a step in words: `+8.3 % (95 % CI +6.9…+9.8 %) between 3f2a91c and 8bd01aa`."""
    interval = ""
    if step.low is not None and step.high is not None:
        span = figures.span(step.low, step.high, format_percent)
        interval = f" (95 % CI {span})"
    others = "".join(f"; {each}" for each in trend.differences(step))
    return f"{format_percent(step.relative)}{interval} {between(trend, step)}{others}"


def bisect_command(trend: Trend) -> str | None:
    """Return the command that finds the commit of the last increase, if commits may tell."""
    step = next((each for each in reversed(trend.steps) if each.relative > 0), None)
    if step is None or trend.quantity == "work":
        return None
    good, bad = trend.points[step.after].commit, trend.points[step.until].commit
    if good is None or bad is None or not trend.has_commits_between(step):
        return None
    return shell_line(
        ["pytest-greenops", "bisect", good[:_COMMIT], bad[:_COMMIT], "--", trend.test]
    )
