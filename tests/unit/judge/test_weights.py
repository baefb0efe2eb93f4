"""The weights of counted work."""

from __future__ import annotations

import pytest

from pytest_greenops.judge.weights import OTHER_FLOP, weight
from pytest_greenops.model.counted import Amount
from tests.unit.works import calls, operator

FLOAT8 = ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"]


@pytest.mark.parametrize("name", ["bfloat16", "quint8", "int8", *FLOAT8])
def test_narrow_dtypes_weigh_less_than_single_precision(name: str) -> None:
    """Operations in 8 bits weigh no more than those in 16."""
    narrow, single, half = (
        weight(operator(f"aten.mm {each}"), calls(1, 1000)) for each in (name, "float32", "float16")
    )
    assert narrow <= half < single


def test_a_dtype_without_a_weight_counts_as_single_precision() -> None:
    """A new kind of dtype is not ignored."""
    assert OTHER_FLOP == 1.0
    work = calls(1, 1000)
    assert weight(operator("aten.mm float4"), work) == weight(operator("aten.mm float32"), work)


@pytest.mark.parametrize(
    ("amount", "weighs"),
    [
        (Amount(calls=1), 160_000),
        (Amount(views=2), 320_000),
        (Amount(calls=1, views=1, read=600, written=400), 321_330),
        (Amount(calls=1, flop=1000, read=600, written=400), 161_670),
    ],
)
def test_bytes_weigh_less_beside_operations(amount: Amount, weighs: float) -> None:
    """A call weighs 160,000; a byte 1.33 alone, and 0.67 where the operator computes something."""
    assert weight(operator("aten.mm float32"), amount) == pytest.approx(weighs, rel=1e-12)
