"""Strategies for the values that this package stores, made from their msgspec types."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from pytest_greenops.model.power_curve import PowerCurve

#: Text of any characters that a file in UTF-8 can hold.
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
#: Floats as files have them: of six significant digits, and finite.
_FLOATS = st.floats(-1e9, 1e9).map(lambda value: float(f"{value:.6g}"))
_POSITIVE = st.floats(1e-6, 1e6).map(lambda value: float(f"{value:.6g}"))
_MOST_INT = (1 << 62) - 1


@st.composite
def _curves(draw: st.DrawFn) -> PowerCurve:
    until_s = sorted(draw(st.lists(_POSITIVE, max_size=3)))
    watts = draw(st.lists(_POSITIVE, min_size=len(until_s), max_size=len(until_s)))
    return PowerCurve(tuple(until_s), tuple(watts))


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for the values of a type that a file or a message holds."""
    return _of(inspect.type_info(kind))


def _of(info: inspect.Type) -> st.SearchStrategy[Any]:
    found = _SIMPLE.get(type(info))
    if found is not None:
        return found(info)
    if isinstance(info, inspect.StructType):
        return _struct(info)
    if isinstance(info, inspect.NamedTupleType):
        return st.tuples(*(_of(field.type) for field in info.fields)).map(
            lambda made, kind=info.cls: kind(*made)
        )
    if isinstance(info, inspect.UnionType):
        return st.one_of(*map(_of, info.types))
    if isinstance(info, inspect.TupleType):
        return st.tuples(*map(_of, info.item_types))
    if isinstance(info, inspect.DictType):
        return st.dictionaries(_of(info.key_type), _of(info.value_type), max_size=2)
    assert isinstance(info, (inspect.VarTupleType, inspect.ListType)), info
    least = info.min_length or 0
    several = st.lists(_of(info.item_type), min_size=least, max_size=max(2, least))
    return several.map(tuple) if isinstance(info, inspect.VarTupleType) else several


def _struct(info: inspect.StructType) -> st.SearchStrategy[Any]:
    if info.cls is PowerCurve:
        return _curves()
    parts = {field.name: _of(field.type) for field in info.fields}
    return st.fixed_dictionaries(parts).map(lambda made: info.cls(**made))


def _int(info: inspect.IntType) -> st.SearchStrategy[int]:
    least = info.ge if info.ge is not None else None if info.gt is None else info.gt + 1
    return st.integers(-_MOST_INT if least is None else least, _MOST_INT)


def _float(info: inspect.FloatType) -> st.SearchStrategy[float]:
    return _FLOATS if info.ge is None and info.gt is None else _POSITIVE


_SIMPLE: dict[Any, Any] = {
    inspect.AnyType: lambda _: st.none() | st.booleans() | _FLOATS | _TEXT,
    inspect.BoolType: lambda _: st.booleans(),
    inspect.EnumType: lambda info: st.sampled_from(list(info.cls)),
    inspect.FloatType: _float,
    inspect.IntType: _int,
    inspect.LiteralType: lambda info: st.sampled_from(info.values),
    inspect.NoneType: lambda _: st.none(),
    inspect.StrType: lambda _: _TEXT,
}


def without_unknown(value: Any) -> Any:
    """Return builtins without the values that files leave out: NaN, and None."""
    if isinstance(value, dict):
        kept = {key: without_unknown(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if not _unknown(item)}
    return [without_unknown(item) for item in value] if isinstance(value, list) else value


def _unknown(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def builtins(value: Any) -> Any:
    """Return a stored value as builtins that can be compared."""
    return without_unknown(msgspec.to_builtins(value))
