"""Weights that make one number of counted work, so that it can be limited: `weights v1`.

They weigh, and measure nothing: the sum has no unit, and no joules are made of it. One is the
weight of an operation in single precision.
"""

from __future__ import annotations

from pytest_greenops.model.counted import Amount, Counted, Operator

VERSION = "v1"
#: One operation, by the first dtype of its operands. All weights are rounded from the CPU seconds
#: that `make work-fidelity` fits on an AMD EPYC (Zen 5), see docs/evidence/work.md: 11.5 ps in
#: float32, 4.7 ps in bfloat16, 1.8 ps in int8, 68 ps a byte, 56 ps a byte of a product, 4.7 us a
#: call, 1 us a view. float64 took 18 ps there, but vector units have half the rate of float32. On
#: GPUs the peak rates of data sheets are further apart: on NVIDIA's B200 float64 costs twice
#: float32, and bfloat16 3 % of it. 8-bit floats were not timed, as CPUs compute them in other
#: dtypes: the same data sheet has twice the rate of bfloat16 (4,500 and 2,250 TFLOP/s, dense).
FLOP = {
    **{"float64": 2.0, "complex128": 2.0, "float32": 1.0, "complex64": 1.0},
    **{"bfloat16": 0.4, "float16": 0.4, "complex32": 0.4},
    **{"int8": 0.16, "uint8": 0.16, "qint8": 0.16, "quint8": 0.16},
    **dict.fromkeys(("float8_e4m3fn", "float8_e5m2"), 0.2),
    **dict.fromkeys(("float8_e4m3fnuz", "float8_e5m2fnuz"), 0.2),
}
#: Operations in a dtype that is not listed: as in single precision.
OTHER_FLOP = 1.0
#: One byte read or written by an operator without FLOPs, and by one that has some.
BYTE, BYTE_OF_PRODUCT = 6.0, 5.0
#: One call of an operator, whatever its size, and one view.
CALL, VIEW = 400_000.0, 80_000.0


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
    calls = CALL * amount.calls + VIEW * amount.views
    return flop * amount.flop + byte * amount.moved + calls
