"""What the page draws when a test is opened: plain values for JSON, with few points."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from pytest_greenops.model.measurement import joules_per_unit
from pytest_greenops.model.pareto import Front
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import (
    counted,
    format_energy,
    format_number,
    format_percent,
    significant,
)
from pytest_greenops.report import figures, interleaved_text
from pytest_greenops.report.html.pair_data import pairs_of, table_of_pairs
from pytest_greenops.report.html.plain_table import PlainTable, cell
from pytest_greenops.report.html.power_data import as_read, means_of_rounds, table_of_power
from pytest_greenops.report.html.work_data import ROWS, Data, tables_of_changes, work_of

#: The most rounds of all sessions of a test.
_ROUNDS = 200
#: The most parts of power over time of a test; fewer on a page of many tests.
_PARTS, _PARTS_OF_A_PAGE, _LEAST_PARTS = 200, 60_000, 20
#: The most rows of a table that the page has for those without scripts: pairs, parts of power over
#: time, and changes of counted work.
_PAIRS_IN_PLAIN, _PARTS_IN_PLAIN, _CHANGES_IN_PLAIN = 30, 10, 10


def parts_of(number: int) -> int:
    """Return how many parts of power over time a test may show on a page of this many."""
    return max(_LEAST_PARTS, min(_PARTS, _PARTS_OF_A_PAGE // max(number, 1)))


def plain_tables(result: Result) -> Iterator[PlainTable]:
    """Yield what a reader without scripts sees of the charts of a measurement."""
    if pairs := table_of_pairs(result):
        yield pairs.cut(_PAIRS_IN_PLAIN)
    if figures.measured(result):
        yield table_of_power(result, _PARTS_IN_PLAIN).cut(_PARTS_IN_PLAIN)
    yield from (table.cut(_CHANGES_IN_PLAIN) for table in tables_of_changes(result))


def charts_of(result: Result, parts: int = _PARTS) -> Data:
    """Return what the charts of one measurement show; what it lacks has no key.

    parts  the most parts of its power over time
    """
    found: Data = {}
    if figures.measured(result):
        found |= {
            "rounds": _rounds(result),
            "power": _power(result),
            "read": as_read(result, parts),
            "kinds": _judged_kinds(result),
            "domains": _domains(result),
            "joules": result.joules,
            "estimated": figures.estimated(result),
            "domain": "" if result.domain == "total" else cell(result.domain),
        }
        if result.carbon is not None:
            found["carbon"] = [result.carbon.grams_per_kwh, result.carbon.pue]
    if compared := list(_changes(result)):
        found["changes"] = compared
    if result.explained is not None and result.explained.layers:
        found["layers"] = _layers(result)
    found["pairs"] = pairs_of(result)
    texts = work_of(result)
    return {key: value for key, value in {**significant(found), **texts}.items() if value}


def front_data(quality: str, example: Result, front: Front) -> Data:
    """Return the points of a Pareto front, and what they dominate."""
    mark = "~" if figures.estimated(example) else ""

    def shown(point: Any) -> list[Any]:
        text = f"{format_number(point.quality, 4)} at {mark}{format_energy(point.joules)}"
        return [cell(point.name), point.quality, point.joules, text]

    test = f"{example.test.module}::{example.test.qualname}{figures.label(example)}"
    found: Data = significant(
        {
            "title": cell(test),
            "quality": cell(quality),
            "unit": cell(_unit(example)),
            "estimated": figures.estimated(example),
            "front": [shown(point) for point in front.best],
            "dominated": [[*shown(each.point), cell(each.by[0].name)] for each in front.dominated],
        }
    )
    return found


def _unit(result: Result) -> str:
    return "J" if result.unit == "call" else f"J/{result.unit}"


def _rounds(result: Result) -> Data:
    """Return joules by round and session, with the level and the limit of the baseline."""
    names = tuple(result.provenance.sensors)
    sessions = []
    for rounds in result.sessions:
        done = [r for r in rounds if result.unit == "call" or r.units.get(result.unit, 0) > 0]
        sessions.append(list(joules_per_unit(done[: _most(result)], names, result.unit)))
    of = figures.tally(result)
    if any(len(rounds) > _most(result) for rounds in result.sessions):
        of += f", the first {_most(result)} of each session"
    found: Data = {"unit": cell(_unit(result)), "sessions": sessions, "of": of}
    change = result.verdict.change
    if change is not None and not interleaved_text.deciding(result.verdict):
        found["baseline"] = change.baseline_j
        found["limit"] = change.baseline_j * (1 + change.margin)
        found["low"] = change.baseline_j * (1 + change.low)
        found["high"] = change.baseline_j * (1 + change.high)
    budget = [each for each in result.verdict.limits if each.quantity == "energy"]
    if budget and budget[0].unit == result.unit:
        found["budget"] = budget[0].limit
    return found


def _power(result: Result) -> list[list[list[float]]]:
    """Return, for each session, the measured time until the end of each round and its watts."""
    names = tuple(result.provenance.sensors)
    return [means_of_rounds(rounds[: _most(result)], names) for rounds in result.sessions]


def _most(result: Result) -> int:
    """Return how many rounds of each session are shown."""
    return max(_ROUNDS // len(result.sessions), 1)


def _domains(result: Result) -> dict[str, float]:
    """Return the joules of one call by kind, unless they are constant shares of an estimate."""
    kinds = figures.counted_kinds(result)
    constant = result.provenance.estimated and kinds.keys() <= {"cpu", "dram"}
    return {} if constant else kinds


def _judged_kinds(result: Result) -> dict[str, float]:
    """Return the joules of one call by kind, over the judged domain, as `whatif` has them."""
    kinds: dict[str, float] = {}
    of = {domain.name: domain.kind for domain in result.domains}
    for name in result.provenance.sensors:
        if name in result.by_domain and name in of:
            kinds[of[name]] = kinds.get(of[name], 0.0) + result.by_domain[name]
    return kinds


def _changes(result: Result) -> Iterator[list[Any]]:
    """Yield each comparison: with what, figures, whether it decides, and its cells as text."""
    ab, change = result.verdict.interleaved, result.verdict.change
    decides = interleaved_text.deciding(result.verdict) is not None
    if ab is not None and ab.relative is not None and ab.low is not None and ab.high is not None:
        label = f"A/B against {ab.label}, {counted(ab.pairs, 'pair')}"
        yield _compared(label, (ab.relative, ab.low, ab.high, ab.margin), decides)
    if change is not None:
        known = (change.relative, change.low, change.high, change.margin)
        label = f"stored baseline, {counted(change.sessions, 'session')}"
        yield _compared(label, known, not decides)


def _compared(label: str, known: tuple[float, float, float, float], decides: bool) -> list[Any]:
    relative, low, high, margin = known
    span, limit = figures.span(low, high, format_percent), figures.margin(margin)
    cells = [cell(label), format_percent(relative), span, limit, "decides" if decides else ""]
    return [cells, *known]


def _layers(result: Result) -> list[list[Any]]:
    """Return name, class, joules now and in the baseline, share of all, and change."""
    explained = result.explained
    assert explained is not None
    whole = explained.whole_j or math.inf
    rows: list[list[Any]] = [
        [
            *(cell(each.name), cell(each.kind), each.joules, each.baseline_j),
            figures.used(each.joules / whole),
            "" if each.change is None else format_percent(each.change),
        ]
        for each in explained.layers[:ROWS]
    ]
    if rest := explained.layers[ROWS:]:
        joules = math.fsum(each.joules for each in rest)
        rows.append([f"{len(rest)} more", "", joules, None, figures.used(joules / whole), ""])
    return rows
