"""The figures of a result for other programs: each with its unit in its name, none made up."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pytest_greenops.model.result import Result
from pytest_greenops.report import figures, interleaved_text
from pytest_greenops.report.drawing import visible

#: The longest name of a measurement, of which Bencher takes 1,024 characters, and of a unit.
_NAME, _OF = 1_000, 100


class Measure(NamedTuple):
    """A finite figure of one call.

    name      with its unit at the end: `energy_joules`
    unit      for readers: `J`
    cost      whether smaller is better, and how it compares with a former one has a meaning
    low, high its 95 % confidence interval, if it has one
    of        what it is about, if there are several: a unit of work or an energy counter, cut
    estimated whether it is estimated, not sensed
    """

    name: str
    value: float
    unit: str
    cost: bool = True
    low: float | None = None
    high: float | None = None
    of: str = ""
    estimated: bool = False


def measures(result: Result) -> Iterator[Measure]:
    """Yield every figure that a result has; of counted work none is in joules."""
    for each in (*_measured(result), *_changes(result), *_work(result)):
        if math.isfinite(each.value):
            known = all(end is not None and math.isfinite(end) for end in (each.low, each.high))
            yield each if known else each._replace(low=None, high=None)


def names(results: Sequence[Result]) -> list[str]:
    """Return a name for each result, with node id and measurement; no two are equal."""
    taken: set[str] = set()
    made = []
    for result in results:
        short = shortened(f"{result.test.node_id}{figures.label(result)}")
        name, number = short, 2
        while name in taken:
            name, number = f"{short} #{number}", number + 1
        taken.add(name)
        made.append(name)
    return made


def unit_of(result: Result) -> str:
    """Return the judged unit of work, as measures name it."""
    return shortened(result.unit, _OF)


def shortened(name: str, most: int = _NAME) -> str:
    """Return a visible name of at most `most` characters; of two that differ, the short ones do."""
    name = visible(name)
    if len(name) <= most:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:10]
    return f"{name[: most - 11]}~{digest}"


def _measured(result: Result) -> Iterator[Measure]:
    if not figures.measured(result):
        return
    guess = figures.estimated(result)
    low, high = result.interval or (None, None)
    yield Measure("energy_joules", result.joules, "J", True, low, high, estimated=guess)
    for unit, joules in figures.known_units(result).items():
        per_call = joules / result.joules if result.joules else 0.0
        low, high = (end * per_call for end in result.interval or (math.nan, math.nan))
        of = shortened(unit, _OF)
        yield Measure("energy_per_unit_joules", joules, f"J/{of}", True, low, high, of, guess)
    for domain, joules in result.by_domain.items():
        of = shortened(domain, _OF)
        yield Measure("energy_domain_joules", joules, "J", False, of=of, estimated=guess)
    yield Measure("power_watts", result.watts, "W", False, estimated=guess)
    yield Measure("duration_seconds", result.seconds, "s", False)
    if result.grams is not None:
        yield Measure("carbon_grams", result.grams, "g CO2e", estimated=guess)


def _changes(result: Result) -> Iterator[Measure]:
    guess, shift = figures.estimated(result), interleaved_text.shift_of(result.verdict)
    if shift is not None:
        change, low, high, *_ = shift
        yield Measure("energy_change_ratio", change, "", False, low, high, "", guess)
    work = result.verdict.work
    if work is not None and work.relative is not None:
        yield Measure("work_change_ratio", work.relative, "", False)


def _work(result: Result) -> Iterator[Measure]:
    if result.work is None:
        return
    of = result.work.totals
    yield Measure("work_flop", of.all_flop, "FLOP")
    yield Measure("work_moved_bytes", of.moved, "B")
    yield Measure("work_peak_bytes", of.peak_bytes, "B")
    yield Measure("work_calls", of.calls, "calls")
