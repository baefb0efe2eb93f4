"""Results in the formats of other programs: Bencher, github-action-benchmark, CSV, and more."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from pytest_greenops.model.place import Places
from pytest_greenops.model.result import Result, Results
from pytest_greenops.model.units import significant
from pytest_greenops.report import figures
from pytest_greenops.report.code_quality import Finding, findings
from pytest_greenops.report.measures import Measure, measures, names, shortened, unit_of
from pytest_greenops.report.openmetrics import FIRST_LINE, openmetrics
from pytest_greenops.report.reasons import ESTIMATE_BAND


class Metric(msgspec.Struct, omit_defaults=True):
    """A figure in the Bencher Metric Format, https://bencher.dev/docs/reference/bencher-metric-format."""

    value: float
    lower_value: float | None = None
    upper_value: float | None = None


class Bench(msgspec.Struct, omit_defaults=True):
    """An entry of `customSmallerIsBetter`, https://github.com/benchmark-action/github-action-benchmark."""

    name: str
    unit: str
    value: float
    range: str | None = None
    extra: str | None = None


class Format(NamedTuple):
    """A format: how results are written, and whether some content is a file of it."""

    write: Callable[[Results, Places], str]
    holds: Callable[[bytes], bool]


#: The longest unit in the name of a measure, of which Bencher takes 64 characters.
_OF = 24
#: The columns of a CSV file.
_FACTS = ("test", "measurement", "verdict", "estimated", "domain", "rounds", "unit")
_FIGURES = (
    *("energy_joules", "energy_low_joules", "energy_high_joules", "energy_per_unit_joules"),
    *("power_watts", "duration_seconds", "carbon_grams"),
    *("energy_change_ratio", "energy_change_low_ratio", "energy_change_high_ratio"),
    *("work_flop", "work_moved_bytes", "work_peak_bytes", "work_calls", "work_change_ratio"),
)


def bencher(document: Results, places: Places) -> str:
    """Return the Bencher Metric Format: by test, by measure, a value with its interval."""
    tests = {
        name: {
            _slug(each): Metric(each.value, each.low, each.high)
            for each in measures(result)
            if each.name != "energy_domain_joules"
        }
        for name, result in zip(names(document.results), document.results, strict=True)
    }
    return _json({name: figures for name, figures in tests.items() if figures})


def action_benchmark(document: Results, places: Places) -> str:
    """Return the entries of `customSmallerIsBetter`: energy and counted work of each test."""
    found = []
    for name, result in zip(names(document.results), document.results, strict=True):
        for each in measures(result):
            if each.cost:
                extra = [f"verdict: {result.verdict.outcome.value}"]
                extra += [f"estimated, {ESTIMATE_BAND}"] if each.estimated else []
                spread = None
                if each.low is not None and each.high is not None:
                    spread = f"± {significant((each.high - each.low) / 2)}"
                title = f"{name} | {_slug(each)}"
                found.append(Bench(title, each.unit, each.value, spread, "\n".join(extra)))
    return _json(found)


def table(document: Results, places: Places) -> str:
    """Return CSV (RFC 4180): a row for each measurement, an empty cell for what is not known."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*_FACTS, *_FIGURES])
    for result in document.results:
        known: dict[str, float] = {}
        for each in measures(result):
            of_other_unit = each.name == "energy_per_unit_joules" and each.of != unit_of(result)
            if of_other_unit or each.name == "energy_domain_joules":
                continue
            known[each.name] = each.value
            stem, _, unit = each.name.rpartition("_")
            ends = {f"{stem}_low_{unit}": each.low, f"{stem}_high_{unit}": each.high}
            known |= {name: end for name, end in ends.items() if end is not None}
        cells = (significant(known[name]) if name in known else "" for name in _FIGURES)
        writer.writerow([*_facts(result), *cells])
    return out.getvalue()


#: The formats by their names.
FORMATS: dict[str, Format] = {
    "bencher": Format(bencher, lambda data: _decodes(data, dict[str, dict[str, Metric]])),
    "github-action-benchmark": Format(action_benchmark, lambda data: _decodes(data, list[Bench])),
    "openmetrics": Format(
        lambda document, places: openmetrics(document),
        lambda data: data.startswith(FIRST_LINE.encode()),
    ),
    "csv": Format(table, lambda data: data.startswith(",".join(_FACTS).encode())),
    "codequality": Format(
        lambda document, places: _json(findings(document, places)),
        lambda data: _decodes(data, list[Finding]),
    ),
}


def _facts(result: Result) -> list[str]:
    measured = figures.measured(result)
    estimated = str(figures.estimated(result)).lower() if measured else ""
    rounds = str(sum(map(len, result.sessions))) if measured else ""
    domain, unit = (result.domain, unit_of(result)) if measured else ("", "")
    word = result.verdict.outcome.value
    of = (result.test.node_id, result.name, word, estimated, domain, rounds, unit)
    return [_inert(shortened(text)) for text in of]


def _inert(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def _slug(measure: Measure) -> str:
    """Return the name of a measure: an estimate has one of its own, so that none is mixed in."""
    of = f"_{shortened(measure.of, _OF)}" if measure.of else ""
    return f"{measure.name}{of}{'_estimated' if measure.estimated else ''}"


def _json(value: object) -> str:
    built = significant(msgspec.to_builtins(value))
    return msgspec.json.format(msgspec.json.encode(built), indent=2).decode() + "\n"


def _decodes(data: bytes, kind: object) -> bool:
    try:
        msgspec.json.decode(data, type=kind)
    except (ValueError, RecursionError):
        return False
    return True
