"""Weights that make one number of counted work, so that it can be limited: `weights v1`.

They weigh, and measure nothing: the sum has no unit, and no joules are made of it. One is the
weight of an operation in single precision.
"""

from __future__ import annotations

from pytest_greenops.model.counted import Amount, Counted, Operator

VERSION = "v1"
#: One operation, by the first dtype of its operands. Rounded from a first trial's CPU seconds on an
#: AMD EPYC (Zen 5): 7.5 ps in float32, 2.5 ps in bfloat16, 21 ps in float64, 10 ps a byte, 1.2 us
#: a call. `make work-fidelity` fits them anew, and gives bytes and calls more weight. On GPUs the
#: peak rates of data sheets are further apart: on NVIDIA's B200 float64 costs twice float32, and
#: bfloat16 3 % of it. 8-bit floats were not timed, as CPUs compute them in other dtypes: the same
#: data sheet has twice the rate of bfloat16 (4,500 and 2,250 TFLOP/s, dense).
FLOP = {
    **{"float64": 3.0, "complex128": 3.0, "float32": 1.0, "complex64": 1.0},
    **{"bfloat16": 0.33, "float16": 0.33, "complex32": 0.33},
    **{"int8": 0.25, "uint8": 0.25, "qint8": 0.25, "quint8": 0.25},
    **dict.fromkeys(("float8_e4m3fn", "float8_e5m2"), 0.17),
    **dict.fromkeys(("float8_e4m3fnuz", "float8_e5m2fnuz"), 0.17),
}
#: Operations in a dtype that is not listed: as in single precision.
OTHER_FLOP = 1.0
#: One byte read or written by an operator without FLOPs, and by one that has some.
BYTE, BYTE_OF_PRODUCT = 1.33, 0.67
#: One call of an operator, whatever its size, and one view.
CALL = 160_000.0


def weighted(counted: Counted) -> float:
    """Return the weighted sum of the work of one call; it has no unit."""
    return sum(weight(operator, amount) for operator, amount in counted.operators.items())


def weight(operator: Operator, amount: Amount) -> float:
    """Return what one operator contributes to the weighted sum."""
    return _weight(amount, FLOP.get(operator.dtype, OTHER_FLOP))


def weight_of_module(amount: Amount) -> float:
    """Return about what one module contributes to it: the dtypes of its FLOPs are not known."""
    return _weight(amount, OTHER_FLOP)


def _weight(amount: Amount, flop: float) -> float:
    byte = BYTE_OF_PRODUCT if amount.flop else BYTE
    calls = amount.calls + amount.views
    return flop * amount.flop + byte * amount.moved + CALL * calls
