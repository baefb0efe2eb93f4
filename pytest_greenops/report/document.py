"""Results for programs: the JSON document of a run, and the properties of a test."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec

from pytest_greenops.model.advised import PLAIN, Caller
from pytest_greenops.model.counted import WorkRecord
from pytest_greenops.model.errors import encodable
from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.result import FleetResults, Result, Results
from pytest_greenops.model.units import significant
from pytest_greenops.model.verdict import Change
from pytest_greenops.model.work_verdict import WorkVerdict
from pytest_greenops.report import work_text
from pytest_greenops.report.drawing import visible
from pytest_greenops.report.figures import estimated, known_units, measured
from pytest_greenops.report.reasons import reason

Property = str | float | int


def to_json(results: Results) -> bytes:
    """Return the results as JSON: sorted keys, indented, floats with six significant digits.

    Values that are unknown or not finite are omitted.
    """
    return _laid_out(_document(results))


def fleet_to_json(fleet: FleetResults) -> bytes:
    """Return the results of several machines as JSON, each as `to_json` has them."""
    return _laid_out({"schema": fleet.schema, "machines": [*map(_document, fleet.machines)]})


def _document(results: Results) -> Any:
    document = significant(without_unknown(msgspec.to_builtins(results)))
    for each, result in zip(document["results"], results.results, strict=True):
        each["test"]["node_id"] = encodable(result.test.node_id)
    return document


def _laid_out(document: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2) + b"\n"


def properties(result: Result, caller: Caller = PLAIN) -> list[tuple[str, Property]]:
    """Return every value of a result by name, for JUnit XML: `('energy.joules', 3.1)`.

    The name of a measurement other than `call` is included: `energy.prefill.joules`.
    """
    return [
        (_property(result.name, name), significant(value))
        for name, value in _figures(result, caller)
    ]


@lru_cache(maxsize=1024)
def _property(measurement: str, name: str) -> str:
    """Return the full name of a property: one text for all tests, which a run keeps."""
    return visible(f"energy.{name}" if measurement == "call" else f"energy.{measurement}.{name}")


def _figures(result: Result, caller: Caller) -> Iterator[tuple[str, Property]]:
    yield "verdict", result.verdict.outcome.value
    yield "reason", reason(result, caller)
    if result.checks:
        yield "checks", "; ".join(check.name for check in result.checks)
    if measured(result):
        yield from _measured(result)
    if result.verdict.change is not None:
        yield from _change(result.verdict.change)
    if result.verdict.interleaved is not None:
        yield from _interleaved(result.verdict.interleaved)
    if result.verdict.confirmed is not None:
        yield "confirmed", result.verdict.confirmed
    for quality in result.verdict.qualities:
        yield f"max_quality_drop.{quality.name}", quality.limit
        if quality.baseline is not None:
            yield f"quality_baseline.{quality.name}", quality.baseline
        if quality.relative is not None:
            yield f"quality_change.{quality.name}", quality.relative
    for limit in result.verdict.limits:
        yield f"limit.{limit.quantity}", limit.limit
        yield f"used.{limit.quantity}", limit.used
    if result.verdict.work is not None:
        yield from _work(result.verdict.work, result.work)
    yield "action", result.verdict.action
    yield "saved", result.saved


def _work(verdict: WorkVerdict, work: WorkRecord | None) -> Iterator[tuple[str, Property]]:
    yield "work", verdict.outcome.value
    known = {"work_change": verdict.relative, "work_cause": verdict.largest or verdict.cause}
    if work is not None:
        known["work_coverage"] = work.coverage.share
        known["work_not_counted"] = work_text.left_out(work.coverage)
        known |= {"work_flop": work.totals.all_flop, "work_moved_bytes": work.totals.moved}
        known |= {"work_calls": work.totals.calls, "work_peak_bytes": work.totals.peak_bytes}
        known["work_weighted"] = work.weighted
    yield from ((name, value) for name, value in known.items() if value is not None)
    yield "max_work", verdict.margin
    yield from ((f"work_limit.{each.quantity}", each.limit) for each in verdict.limits)


def _measured(result: Result) -> Iterator[tuple[str, Property]]:
    yield "joules", result.joules
    if result.interval is not None:
        yield "interval_low", result.interval[0]
        yield "interval_high", result.interval[1]
    yield "watts", result.watts
    yield "seconds", result.seconds
    yield "domain", result.domain
    yield "unit", result.unit
    yield "rounds", sum(map(len, result.sessions))
    if result.fresh:
        yield "sessions", len(result.sessions)
    yield "estimated", estimated(result)
    if result.grams is not None:
        yield "grams_co2e", result.grams
    if result.carbon is not None:
        yield "carbon_intensity", result.carbon.grams_per_kwh
        yield "pue", result.carbon.pue
        if result.carbon.region is not None:
            yield "region", result.carbon.region
    yield from ((f"per_unit.{name}", value) for name, value in known_units(result).items())
    yield from ((f"by_domain.{name}", value) for name, value in result.by_domain.items())
    yield from ((f"quality.{name}", value) for name, value in result.quality.items())


def _change(change: Change) -> Iterator[tuple[str, Property]]:
    yield "change", change.relative
    yield "change_low", change.low
    yield "change_high", change.high
    yield "smallest_change", change.smallest
    yield "max_increase", change.margin
    yield "baseline", change.baseline_j
    yield "baseline_sessions", change.sessions
    yield "provisional", change.provisional
    if change.since_anchor is not None:
        yield "since_anchor", change.since_anchor
    if change.p_value is not None:
        yield "p_value", change.p_value
    if change.taken_out is not None:
        yield "taken_out", change.taken_out


def _interleaved(ab: Interleaved) -> Iterator[tuple[str, Property]]:
    figures = {
        "cause": ab.cause,
        "change": ab.relative,
        "change_low": ab.low,
        "change_high": ab.high,
        "smallest_change": ab.smallest,
        "baseline": ab.baseline_j,
    }
    yield "ab_ref", ab.ref
    yield "ab_commit", ab.commit
    yield "ab_verdict", ab.outcome.value
    yield from ((f"ab_{name}", value) for name, value in figures.items() if value is not None)
    yield "ab_max_increase", ab.margin
    yield "ab_pairs", ab.pairs
    yield "ab_starts", ab.starts


def without_unknown(value: Any) -> Any:
    """Return a tree of builtins without entries that are not finite numbers."""
    if isinstance(value, dict):
        return {key: without_unknown(item) for key, item in value.items() if _finite(item)}
    return [without_unknown(item) for item in value] if isinstance(value, list | tuple) else value


def _finite(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)
