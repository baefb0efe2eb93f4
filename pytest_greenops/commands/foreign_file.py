"""Reading results of other tools: the format is recognised by the content of a file.

Formats, from the tools' own sources (2026-11-29): pytest-benchmark 5.3 (`--benchmark-json`, and
`.benchmarks/`), pytest-energy-reporter 0.5 (`--save-energy-report`), pytest-codecarbon 1.0 and
codecarbon 3.3 (`emissions.csv`).
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from pytest_greenops.baselines import whole_file
from pytest_greenops.model.errors import ResultsError, encodable, shown
from pytest_greenops.model.imported import Recording, Source
from pytest_greenops.model.units import JOULES

Document = TypeVar("Document")
_KNOWN = (
    "expected JSON of pytest-benchmark or pytest-energy-reporter, or emissions.csv of codecarbon "
    "or pytest-codecarbon"
)
_MOST_BYTES = 64 << 20
#: No time in seconds and no energy in joules is larger.
_MOST = 1e12
_DATE = re.compile(r"\d{4}-\d\d-\d\d(T| |$)")
#: Columns that every version of codecarbon writes.
_COLUMNS = {"timestamp", "project_name", "duration", "energy_consumed"}


class _Stats(msgspec.Struct):
    min: float
    median: float
    rounds: int | None = None


class _Benchmark(msgspec.Struct):
    fullname: str
    stats: _Stats


class _Benchmarks(msgspec.Struct):
    """The document of pytest-benchmark; times in seconds."""

    benchmarks: list[_Benchmark]
    datetime: str = ""


class _Case(msgspec.Struct):
    name: str
    execution_time: list[float]
    energy: list[float]


class _Cases(msgspec.Struct):
    cases: list[_Case]
    date: str = ""


class _EnergyReport(msgspec.Struct):
    """The document of pytest-energy-reporter; times in milliseconds, energies in joules."""

    results: _Cases


def read(path: Path) -> Source:
    """Read a file of another tool; raises `ResultsError`, one line with the file."""
    try:
        data = whole_file.read_bytes(path, _MOST_BYTES, streams=True)
    except FileNotFoundError as error:
        raise ResultsError(
            f"{path}: cannot be read ({error.strerror}); name an existing file"
        ) from None
    except whole_file.FileProblem as problem:
        raise ResultsError(f"{path}: {problem.why}; name another file") from None
    try:
        text = whole_file.without_mark(data).decode()
        wanted = _of_json(text) if text.lstrip().startswith("{") else _of_csv(text)
    except (ValueError, RecursionError, OverflowError, csv.Error) as error:
        why = "too deeply nested" if isinstance(error, RecursionError) else str(error)
        raise ResultsError(
            f"{path}: damaged ({encodable(why)[:200]}); write it anew with its tool"
        ) from None
    if wanted is None:
        raise ResultsError(f"{path}: unknown format: {_KNOWN}")
    if isinstance(wanted, str):
        raise ResultsError(f"{path}: {wanted}")
    kind, recordings = wanted
    checked = [_checked(each) for each in recordings]
    found = tuple(recording for recording, _ in checked)
    return Source(str(path), kind, found, tuple(line for _, lines in checked for line in lines))


def _of_json(text: str) -> tuple[str, list[Recording]] | str | None:
    """Return the tool and what it recorded; or why this file is not for here; None if unknown."""
    found = json.loads(text)  # unlike JSON, some of these files have NaN
    if "benchmarks" in found:
        return "pytest-benchmark", list(_benchmarks(_typed(found, _Benchmarks)))
    results = found.get("results")
    if isinstance(results, dict) and "cases" in results:
        return "pytest-energy-reporter", list(_cases(_typed(found, _EnergyReport).results))
    if "schema" in found and isinstance(results, list):
        return "results of pytest-greenops, not of another tool; name them by --results=PATH"
    return None


def _typed(found: Mapping[str, Any], kind: type[Document]) -> Document:
    return msgspec.convert(found, type=kind)


def _benchmarks(document: _Benchmarks) -> Iterator[Recording]:
    for each in document.benchmarks:
        stats = each.stats
        yield Recording(
            each.fullname,
            at=document.datetime,
            runs=stats.rounds,
            min_s=stats.min,
            median_s=stats.median,
        )


def _cases(document: _Cases) -> Iterator[Recording]:
    for each in document.cases:
        times_s = [time_ms / 1000 for time_ms in each.execution_time]
        least, middle = (_of_all(times_s, of) for of in (min, median))
        yield Recording(
            each.name,
            at=document.date,
            runs=len(times_s),
            min_s=least,
            median_s=middle,
            joules=_of_all(each.energy, median),
        )


def _of_all(values: Sequence[float], of: Callable[[Sequence[float]], float]) -> float | None:
    """Return what `of` finds in values; NaN if one of them is no number, None if there are none."""
    if not values:
        return None
    return of(values) if all(map(math.isfinite, values)) else math.nan


def _of_csv(text: str) -> tuple[str, list[Recording]] | None:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    header = rows.fieldnames or ()
    if not _COLUMNS.issubset(header):
        return None
    # pandas writes a first column without a name, the number of the row.
    kind = "pytest-codecarbon" if header[0] == "" else "codecarbon"
    return kind, [
        Recording(
            row["project_name"] or "",
            at=row["timestamp"] or "",
            median_s=_number(row["duration"]),
            kwh=_number(row["energy_consumed"]),
        )
        for row in rows
    ]


def _number(text: str | None) -> float | None:
    """Return the number in a cell, None if it is empty; raises `ValueError`."""
    try:
        return float(text) if text and text.strip() else None
    except ValueError:
        raise ValueError(f"{shown(text)}: expected a number") from None


def _checked(found: Recording) -> tuple[Recording, list[str]]:
    """Return a recording without the values that are no time or energy, and a line for each."""
    joules = found.joules if found.kwh is None else found.kwh * JOULES["kWh"]
    values = {"time": found.median_s, "shortest time": found.min_s, "energy": joules}
    bad = {
        name: value
        for name, value in values.items()
        if value is not None and not 0 <= value <= _MOST
    }
    lines = [f"{name} of {encodable(found.name)}: {value:g}" for name, value in bad.items()]
    kept = {name: None if name in bad else value for name, value in values.items()}
    return replace(
        found,
        name=encodable(found.name),
        at=found.at[:19].replace(" ", "T") if _DATE.match(found.at) else "",
        min_s=kept["shortest time"],
        median_s=kept["time"],
        joules=kept["energy"],
        kwh=None if "energy" in bad else found.kwh,
    ), lines
