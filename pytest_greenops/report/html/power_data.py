"""The power of a measurement over its measured time: by round, and as a counter was read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pytest_greenops.model.measurement import MICROJOULES, Round
from pytest_greenops.model.power_curve import PowerCurve, joined
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import counted, format_duration, format_power
from pytest_greenops.report.html.plain_table import PlainTable, cell

#: A chart shows four digits at most.
_DIGITS = 4
_TITLE = "Power over the measured time, as it was read"
_HEAD = ("counter", "process", "until ", "mean power ")


class Curve(NamedTuple):
    """The power of one counter in one session, whose number is 0 for the run's own process."""

    counter: str
    session: int
    power: PowerCurve

    @property
    def process(self) -> str:
        """The session in words."""
        return _process(self.session)


def _process(session: int) -> str:
    return f"fresh process {session}" if session else "this run's process"


def means_of_rounds(rounds: Sequence[Round], names: Sequence[str]) -> list[list[float]]:
    """Return the measured time until the end of each round, and its mean power."""
    points, elapsed_s = [], 0.0
    for each in rounds:
        elapsed_s += each.seconds
        joules = sum(each.energy_uj[name] for name in names) * MICROJOULES
        if each.seconds:
            points.append([elapsed_s, joules / each.seconds])
    return points


def as_read(result: Result, most: int) -> dict[str, Any] | None:
    """Return the power of counters that were read between the edges of windows, if there are any.

    All curves have at most about `most` parts together.
    """
    curves = list(_curves(result, most))
    if not curves:
        return None
    shown = [
        [cell(each.counter), each.session, _short(each.power.until_s), _short(each.power.watts)]
        for each in curves
    ]
    return {"words": _words(curves), "curves": shown}


def table_of_power(result: Result, most: int) -> PlainTable:
    """Return the same as a table of about `most` rows; without any, the mean of each round."""
    curves = list(_curves(result, most))
    if not curves:
        words = "mean of each round over the measured time; the time between rounds is left out"
        return PlainTable("Power by round", words, _HEAD[1:], list(_rows_of_rounds(result)))
    rows = [
        (cell(each.counter), each.process, format_duration(until_s), format_power(watts))
        for each in curves
        for until_s, watts in zip(each.power.until_s, each.power.watts, strict=True)
    ]
    return PlainTable(_TITLE, _words(curves), _HEAD, rows)


def _rows_of_rounds(result: Result) -> Iterator[tuple[str, ...]]:
    for place, rounds in enumerate(result.sessions):
        for until_s, watts in means_of_rounds(rounds, tuple(result.provenance.sensors)):
            yield _process(place), format_duration(until_s), format_power(watts)


def _words(curves: Sequence[Curve]) -> str:
    names = ", ".join(dict.fromkeys(cell(each.counter) for each in curves))
    ends = [(0.0, *each.power.until_s) for each in curves]
    longest_s = max(later - until for each in ends for until, later in pairwise(each))
    parts = counted(sum(len(each.power.until_s) for each in curves), "mean")
    return (
        f"{names}, read while windows were open: {parts} of up to {format_duration(longest_s)}, in "
        "which shorter peaks are flat; the time between rounds is left out"
    )


def _curves(result: Result, most: int) -> Iterator[Curve]:
    known = [
        (name, place, rounds)
        for place, rounds in enumerate(result.sessions)
        for name in dict.fromkeys(name for round_ in rounds for name in round_.power)
    ]
    for name, place, rounds in known:
        parts = [(_in_round(each, name), each.seconds) for each in rounds if each.seconds]
        whole = joined([curve for curve, _ in parts], [seconds for _, seconds in parts])
        if whole.until_s:
            yield Curve(name, place, whole.thinned(max(most // len(known), 1)))


def _in_round(round_: Round, name: str) -> PowerCurve:
    """Return the power of a counter in a round: its mean where it was read at the edges alone."""
    if name in round_.power:
        return round_.power[name]
    joules = round_.energy_uj.get(name, 0) * MICROJOULES
    return PowerCurve.of_counts([(round_.seconds, joules)])


def _short(values: Sequence[float]) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in values]
