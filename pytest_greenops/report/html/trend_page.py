"""The page of trends as values: what changed first, then each trend with its runs and steps."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pytest_greenops.model.trend import LEAST_RUNS, Step, Trend, TrendPoint
from pytest_greenops.model.units import counted, format_energy, format_percent, significant
from pytest_greenops.model.verdict import Outcome
from pytest_greenops.report import entry, figures, trend_text
from pytest_greenops.report.entry import NONE, Count, Rounds, Text, sentence
from pytest_greenops.report.reasons import ESTIMATE_BAND

ROSE, FELL, LEVEL = "rose", "fell", "no step"
#: The order of the badges.
_ORDER = (ROSE, FELL, LEVEL)
#: Steps that are listed above the runs, which have them all.
_LISTED = 10
#: With more trends than this, each is closed until a reader opens it.
_OPEN = 4
_RED = {Outcome.REGRESSED.value, Outcome.OVER_BUDGET.value}


class Run(NamedTuple):
    """A run in the table of a trend; `step` says what changed with it, and `slug` how."""

    at: str
    commit: str
    figure: str
    span: str
    outcome: str
    slug: str = ""
    step: str = ""


class TrendEntry(NamedTuple):
    """A trend on the page: its row, and what opens below it.

    word    how the last step changed it
    figure  of the last run, and when that was
    change  of the last step, and between which commits
    number  of runs, and since when
    runs    the newest first
    """

    anchor: str
    node: Text
    name: Text
    module: Text
    word: str
    tags: tuple[str, ...]
    figure: tuple[str, str]
    change: tuple[str, str]
    number: tuple[str, str]
    rounds: Rounds | None
    reason: str
    facts: tuple[tuple[str, str], ...]
    steps: tuple[entry.Step, ...]
    kind: str
    runs: tuple[Run, ...]
    keys: tuple[str | float | None, ...]

    @property
    def slug(self) -> str:
        """The badge as a class of the style sheet."""
        return self.word.replace(" ", "-")


class TrendPage(NamedTuple):
    """Everything on the page; `facts` say which runs were asked for."""

    title: str
    headline: str
    closing: str
    created: str
    version: str
    counts: tuple[Count, ...]
    entries: tuple[TrendEntry, ...]
    opened: bool
    columns: tuple[str, ...]
    facts: Mapping[str, str]
    estimated: bool
    data: dict[str, Any]


class Written(NamedTuple):
    """How a page was made: when, in UTC, by which version, and from which runs."""

    created_at: str
    version: str
    facts: Mapping[str, str]


def trend_page_of(trends: Sequence[Trend], written: Written, nothing: str = "") -> TrendPage:
    """Return the page of some trends; `nothing` is the headline where there are none."""
    made = sorted(((_entry(trend), trend) for trend in trends), key=lambda each: each[0].keys[:2])
    found = Counter(each.word for each, _ in made)
    headline = sentence(_headline(trends) if trends else nothing)
    return TrendPage(
        title=f"{headline} – energy history",
        headline=headline,
        closing=sentence(_closing(trends)),
        created=sentence(written.created_at[:16].replace("T", " ")),
        version=sentence(written.version),
        counts=tuple(Count(word, found[word]) for word in _ORDER if found[word]),
        entries=tuple(each for each, _ in made),
        opened=len(made) <= _OPEN,
        columns=("last step", "test", "last run", "change", "runs"),
        facts={name: sentence(value) for name, value in written.facts.items()},
        estimated=any(trend.estimated for trend in trends),
        data={"tests": [_data(each, trend) for each, trend in made]},
    )


def _headline(trends: Sequence[Trend]) -> str:
    names = {trend.subject for trend in trends}
    of = f"{_cell(_name(trends[0]))}: " if len(names) == 1 else ""
    if len(trends) == 1:
        [trend] = trends
        last = trend.steps[-1] if trend.steps else None
        return f"{of}{trend_text.change_words(trend, last) if last else _unchanged(trend)}"
    stepped = sum(bool(trend.steps) for trend in trends)
    if not stepped:
        return f"{of}{'no' if of else 'No'} step in {counted(len(trends), 'trend')}"
    have = "has" if stepped == 1 else "have"
    return f"{of}{stepped} of {counted(len(trends), 'trend')} {have} a step"


def _closing(trends: Sequence[Trend]) -> str:
    if not trends:
        return ""
    runs = {point.run for trend in trends for point in trend.points}
    return (
        f"{counted(len(runs), 'run')}. Figures of another machine, domain or unit are another "
        "trend, and so are estimated joules."
    )


def _name(trend: Trend) -> str:
    return trend.subject.partition("::")[2] or trend.subject


def _entry(trend: Trend) -> TrendEntry:
    last = trend.points[-1]
    step = trend.steps[-1] if trend.steps else None
    word = _word(step)
    name, figure = _name(trend), _cell(trend_text.figure(trend, last.value))
    bisect = trend_text.bisect_command(trend)
    known = (trend.project, trend.test, trend.name, trend.machine, trend.quantity)
    return TrendEntry(
        anchor=entry.anchor(name, (*known, trend.domain, trend.unit, str(trend.estimated))),
        node=Text.of(trend.test),
        name=Text.of(name),
        module=Text.of(f"{trend.test.partition('::')[0]} · {trend.machine}"),
        word=word,
        tags=tuple(_tags(trend)),
        figure=(figure, _when(last)),
        change=(
            (format_percent(step.relative), _cell(trend_text.commits(trend, step)))
            if step
            else (NONE, "")
        ),
        number=(counted(len(trend.points), "run"), f"since {sentence(trend.points[0].at[:10])}"),
        rounds=_course(trend),
        reason=sentence(trend_text.step_words(trend, step) if step else _unchanged(trend)),
        facts=tuple(_facts(trend)),
        steps=(entry.Step("find the commit", entry.command(bisect)),) if bisect else (),
        kind="weighted work" if trend.quantity == "work" else "energy",
        runs=tuple(_runs(trend))[::-1],
        keys=(
            *(_ORDER.index(word), Text.of(trend.subject).full.lower()),
            last.value if trend.quantity == "energy" else None,
            step.relative if step else None,
            len(trend.points),
        ),
    )


def _word(step: Step | None) -> str:
    return LEVEL if step is None else ROSE if step.relative > 0 else FELL


def _unchanged(trend: Trend) -> str:
    """Return why a trend has no step."""
    runs = counted(len(trend.points), "run")
    values = [point.value for point in trend.points]
    is_work = trend.quantity == "work"
    if is_work and (min(values) > 0 or not any(values)):
        return f"the same work in {runs}"
    if not is_work and len(values) < 2 * LEAST_RUNS:
        return f"no step in {runs} (one needs {LEAST_RUNS} on each side)"
    if min(values) <= 0:
        return f"no step is looked for in {runs} (a figure is not above zero)"
    return f"no step in {runs}"


def _tags(trend: Trend) -> Iterator[str]:
    if trend.quantity == "work":
        yield "counted work"
    elif trend.domain != "total":
        yield _cell(trend.domain)
    if trend.estimated:
        yield f"estimated {ESTIMATE_BAND}"


def _course(trend: Trend) -> Rounds | None:
    values = [point.value for point in trend.points]
    if len(values) < 2:
        return None
    low, high = (trend_text.figure(trend, value) for value in (min(values), max(values)))
    return Rounds(entry.course(values), sentence(f"{counted(len(values), 'run')}, {low} to {high}"))


def _facts(trend: Trend) -> Iterator[tuple[str, str]]:
    """Yield what a trend is of, and its steps."""
    machine, of = trend_text.heading(trend)
    yield "figures", sentence(of)
    yield "machine", sentence(machine)
    yield "project", sentence(trend.project)
    omitted = max(len(trend.steps) - _LISTED, 0)
    for step in trend.steps[omitted:]:
        yield "steps", sentence(trend_text.step_words(trend, step))
    if omitted:
        yield "steps", f"{omitted} earlier ones are in the table of runs"


def _runs(trend: Trend) -> Iterator[Run]:
    """Yield the runs, the oldest first."""
    steps = {step.at: step for step in trend.steps}
    for number, point in enumerate(trend.points):
        span = NONE
        if point.low is not None and point.high is not None:
            span = figures.span(point.low, point.high, format_energy)
        accepted = ", saved" if point.saved else ""
        run = Run(
            *(_when(point), _commit(point), _cell(trend_text.figure(trend, point.value))),
            *(span, _cell(f"{point.outcome}{accepted}")),
        )
        if step := steps.get(number):
            words = sentence(trend_text.step_words(trend, step))
            run = run._replace(step=words, slug=_word(step))
        yield run


def _when(point: TrendPoint) -> str:
    return _cell(trend_text.when(point))


def _commit(point: TrendPoint) -> str:
    return NONE if point.commit is None else _cell(trend_text.commit(point))


def _cell(text: str) -> str:
    return Text.of(text).shown


def _data(made: TrendEntry, trend: Trend) -> dict[str, Any]:
    """Return what the filter, the order and the chart need; texts of runs are in the table."""
    points = trend.points
    work = trend.quantity == "work"
    unit = "" if work else "J" if trend.unit == "call" else f"J/{trend.unit}"
    text = " ".join((made.node.full, made.name.full, made.module.full, made.word, *made.tags))
    found: dict[str, Any] = {
        "keys": made.keys,
        "values": [point.value for point in points],
        "low": [point.low for point in points],
        "high": [point.high for point in points],
        "levels": list(_levels(trend)),
    }
    return {
        **significant(found),
        "text": text.lower(),
        "unit": _cell(unit),
        "kind": made.kind,
        "red": [number for number, point in enumerate(points) if point.outcome in _RED],
        "saved": [number for number, point in enumerate(points) if point.saved],
        "estimated": trend.estimated,
        "steps": [_mark(trend, step) for step in trend.steps],
    }


def _mark(trend: Trend, step: Step) -> list[Any]:
    """Return the place of a step, whether it rose, and its texts from short to long."""
    change = format_percent(step.relative)
    return [
        *(step.after, step.at, step.until, step.relative > 0, change),
        sentence(f"{trend_text.between(trend, step)}: {change}"),
        sentence(trend_text.step_words(trend, step)),
    ]


def _levels(trend: Trend) -> Iterator[tuple[int, int, float]]:
    """Yield the levels between steps: first and last run, and the geometric mean.

    Steps are changes of the mean of logarithms, so these are the levels that they compare.
    """
    edges = [0, *(step.at for step in trend.steps), len(trend.points)]
    for first, end in pairwise(edges):
        values = [point.value for point in trend.points[first:end]]
        if min(values) > 0:
            yield first, end - 1, math.exp(math.fsum(map(math.log, values)) / len(values))
