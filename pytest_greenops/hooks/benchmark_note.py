"""What a benchmark says of itself, as values that JSON has types for."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import pytest

from pytest_greenops.hooks import selection
from pytest_greenops.measure.given import checked_amount
from pytest_greenops.model.errors import encodable, shown
from pytest_greenops.model.result import Benchmark

#: Deeper values, and integers of more bits, are texts.
_DEPTH, _BITS = 8, 63


def note_of(item: pytest.Item, fixture: Any) -> Benchmark | None:
    """Return what a test says of itself by its fixture `benchmark`, or by the marker alone."""
    marks = map(item.get_closest_marker, selection.BENCHMARK_NAMES)
    mark = next((mark for mark in marks if mark is not None), None)
    if mark is None and fixture is None:
        return None
    callspec = getattr(item, "callspec", None)
    group = getattr(fixture, "group", None) or (mark.kwargs.get("group") if mark else None)
    return Benchmark(
        plugin=_plugin_of(fixture) if fixture else None,
        name=_text(getattr(fixture, "name", item.name)),
        group=None if group is None else _text(group),
        params=_plain(callspec.params) if callspec else {},
        extra_info=_plain(extra_info_of(fixture)),
    )


def extra_info_of(fixture: Any) -> dict[Any, Any]:
    """Return what a test has put into the extra_info of its fixture, if it still is a mapping."""
    extra_info = getattr(fixture, "extra_info", None)
    return dict(extra_info) if isinstance(extra_info, Mapping) else {}


def _plugin_of(fixture: Any) -> str:
    """Return the name of a fixture's plugin: `pytest-benchmark`."""
    return type(fixture).__module__.partition(".")[0].replace("_", "-")


def units_of(fixture: Any, names: Iterable[tuple[str, str]]) -> dict[str, float]:
    """Return the work of a call by unit: the numbers under these keys of a fixture's extra_info.

    names  the key and the unit; a value that is no amount of work counts nothing
    """
    units, extra_info = {}, extra_info_of(fixture)
    for key, unit in names:
        value = extra_info.get(key)
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            continue
        with suppress(ValueError):
            checked_amount(unit, float(value))
            units[unit] = float(value)
    return units


def _plain(value: Any, depth: int = _DEPTH) -> Any:
    """Return a value as JSON has it; what has no type there is a short text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, numbers.Integral) and int(value).bit_length() <= _BITS:
        return int(value)
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return float(value)
    if depth and isinstance(value, Mapping):
        return {_text(key): _plain(each, depth - 1) for key, each in value.items()}
    if depth and isinstance(value, list | tuple):
        return [_plain(each, depth - 1) for each in value]
    if isinstance(named := getattr(value, "__name__", None), str):
        return _text(named)  # a function or a class, by the name that pytest has for it in an id
    return _text(shown(value))


def _text(value: Any) -> str:
    return encodable(value if isinstance(value, str) else shown(value))
