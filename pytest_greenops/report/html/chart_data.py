"""What the page draws when a test is opened: plain values for JSON, with few points."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_greenops.model.counted import Amount
from pytest_greenops.model.measurement import MICROJOULES, Round, joules_per_unit
from pytest_greenops.model.pareto import Front
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import (
    counted,
    format_energy,
    format_flop,
    format_memory,
    format_number,
    format_percent,
    significant,
)
from pytest_greenops.report import figures, interleaved_text
from pytest_greenops.report.entry import Text

#: The most rounds of all sessions of a test, and the most operators, modules and layers.
_ROUNDS, _ROWS = 200, 25

Data = dict[str, Any]


def charts_of(result: Result) -> Data:
    """Return what the charts of one measurement show; what it lacks has no key."""
    found: Data = {}
    texts: Data = {}
    if figures.measured(result):
        found |= {
            "rounds": _rounds(result),
            "power": _power(result),
            "kinds": _judged_kinds(result),
            "domains": _domains(result),
            "joules": result.joules,
            "estimated": figures.estimated(result),
            "domain": "" if result.domain == "total" else _cell(result.domain),
        }
        if result.carbon is not None:
            found["carbon"] = [result.carbon.grams_per_kwh, result.carbon.pue]
    if compared := list(_changes(result)):
        found["changes"] = compared
    if result.explained is not None and result.explained.layers:
        found["layers"] = _layers(result)
    if result.work is not None:
        operators = {
            " ".join(filter(None, (o.name, o.dtypes, o.device if o.device != "cpu" else ""))): (
                o.amount
            )
            for o in result.work.operators
        }
        texts["operators"] = _amounts(operators)
        modules = {name or "(outside modules)": of for name, of in result.work.modules.items()}
        texts["modules"] = _amounts(modules)
    if (work := result.verdict.work) is not None:
        texts["work_changes"] = [_cell(line) for line in work.changes[:_ROWS]]
        texts["module_changes"] = [_cell(line) for line in work.modules[:_ROWS]]
    return {key: value for key, value in {**significant(found), **texts}.items() if value}


def front_data(quality: str, example: Result, front: Front) -> Data:
    """Return the points of a Pareto front, and what they dominate."""
    mark = "~" if figures.estimated(example) else ""

    def shown(point: Any) -> list[Any]:
        text = f"{format_number(point.quality, 4)} at {mark}{format_energy(point.joules)}"
        return [_cell(point.name), point.quality, point.joules, text]

    test = f"{example.test.module}::{example.test.qualname}{figures.label(example)}"
    found: Data = significant(
        {
            "title": _cell(test),
            "quality": _cell(quality),
            "unit": _cell(_unit(example)),
            "estimated": figures.estimated(example),
            "front": [shown(point) for point in front.best],
            "dominated": [[*shown(each.point), _cell(each.by[0].name)] for each in front.dominated],
        }
    )
    return found


def _cell(text: str) -> str:
    return Text.of(text).shown


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
    found: Data = {"unit": _cell(_unit(result)), "sessions": sessions, "of": of}
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
    return [_session_power(rounds[: _most(result)], names) for rounds in result.sessions]


def _most(result: Result) -> int:
    """Return how many rounds of each session are shown."""
    return max(_ROUNDS // len(result.sessions), 1)


def _session_power(rounds: Sequence[Round], names: Sequence[str]) -> list[list[float]]:
    points, elapsed_s = [], 0.0
    for each in rounds:
        elapsed_s += each.seconds
        joules = sum(each.energy_uj[name] for name in names) * MICROJOULES
        if each.seconds:
            points.append([elapsed_s, joules / each.seconds])
    return points


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
    cells = [_cell(label), format_percent(relative), span, limit, "decides" if decides else ""]
    return [cells, *known]


def _layers(result: Result) -> list[list[Any]]:
    """Return name, class, joules now and in the baseline, share of all, and change."""
    explained = result.explained
    assert explained is not None
    whole = explained.whole_j or math.inf
    rows: list[list[Any]] = [
        [
            *(_cell(each.name), _cell(each.kind), each.joules, each.baseline_j),
            figures.used(each.joules / whole),
            "" if each.change is None else format_percent(each.change),
        ]
        for each in explained.layers[:_ROWS]
    ]
    if rest := explained.layers[_ROWS:]:
        joules = math.fsum(each.joules for each in rest)
        rows.append([f"{len(rest)} more", "", joules, None, figures.used(joules / whole), ""])
    return rows


def _amounts(of: Mapping[str, Amount]) -> Data:
    """Return the largest amounts as text, and how many there are in all."""
    largest = sorted(of, key=lambda name: (-of[name].flop, -of[name].moved, name))
    rows = [
        [
            _cell(name),
            f"{of[name].calls:,}" + (f" + {of[name].views:,} views" if of[name].views else ""),
            format_flop(of[name].flop) if of[name].flop else "",
            format_memory(of[name].read),
            format_memory(of[name].written),
        ]
        for name in largest[:_ROWS]
    ]
    return {"rows": rows, "of": len(largest)} if rows else {}
