"""Bounds of time and energy from data sheets: `time >= max(FLOP / peak rate, bytes / bandwidth)`.

The roofline of Williams, Waterman and Patterson (Communications of the ACM 52(4), 2009, 65-76). The
bytes are those that every implementation must read: each parameter and input once. The energy is
that of the thermal design power in the least time.

Rates are those of matrix products without sparsity, in FLOP/s and B/s. NVIDIA's data sheets of the
H100 and later devices print rates with sparsity, which are twice as high. float32 is computed as
such and not as TF32, as in PyTorch's matrix products by default; its convolutions may use TF32.
"""

from __future__ import annotations

import math

from pytest_greenops.model.device_bound import DataSheet, DeviceBound, Phase
from pytest_greenops.model.errors import InsightError, nearest

_HOPPER = {
    **{"float64": 66.9e12, "float32": 66.9e12, "float16": 989.4e12, "bfloat16": 989.4e12},
    **{"float8_e4m3fn": 1978.9e12, "int8": 1978.9e12},
}
#: By the names that users write: name, source, peak rates, bandwidth, memory, power.
DEVICES = {
    "v100": DataSheet(
        *("NVIDIA V100 SXM2 32 GB", "NVIDIA V100 data sheet, 2020"),
        {"float64": 7.8e12, "float32": 15.7e12, "float16": 125e12},
        *(900e9, 32e9, 300.0),
    ),
    "a100": DataSheet(
        *("NVIDIA A100 SXM 80 GB", "NVIDIA A100 data sheet, 2021"),
        {
            **{"float64": 19.5e12, "float32": 19.5e12, "float16": 312e12, "bfloat16": 312e12},
            "int8": 624e12,
        },
        *(2039e9, 80e9, 400.0),
    ),
    "h100": DataSheet(
        *("NVIDIA H100 SXM", "NVIDIA H100 data sheet, 2023", _HOPPER),
        *(3.35e12, 80e9, 700.0),
    ),
    "h200": DataSheet(
        *("NVIDIA H200 SXM", "NVIDIA H200 data sheet, 2023", _HOPPER),
        *(4.8e12, 141e9, 700.0),
    ),
    "l40s": DataSheet(
        *("NVIDIA L40S", "NVIDIA L40S data sheet, 2023"),
        {
            **{"float32": 91.6e12, "float16": 362.05e12, "bfloat16": 362.05e12},
            **{"float8_e4m3fn": 733e12, "int8": 733e12},
        },
        *(864e9, 48e9, 350.0),
    ),
    "b200": DataSheet(
        *("NVIDIA B200 at 1,000 W", "NVIDIA Blackwell technical brief, 2024"),
        {
            **{"float64": 40e12, "float32": 80e12, "float16": 2250e12, "bfloat16": 2250e12},
            **{"float8_e4m3fn": 4500e12, "int8": 4500e12},
        },
        *(8e12, 192e9, 1000.0),
    ),
}
#: Dtypes that are computed at the rate of another one.
_SAME_RATE = {"complex64": "float32", "complex128": "float64", "float8_e5m2": "float8_e4m3fn"}


def data_sheet(device: str) -> DataSheet:
    """Return the data sheet of a device by its name in lower or upper case.

    Raises `InsightError` for a device that is not in the table.
    """
    known = DEVICES.get(device.strip().lower())
    if known is None:
        meant = nearest(device.strip().lower(), DEVICES)
        hint = f"; did you mean {meant}?" if meant else ""
        raise InsightError(
            f"no data sheet is known for device {device!r}: expected {', '.join(DEVICES)}{hint}"
        )
    return known


def bound(phase: Phase, device: DataSheet) -> DeviceBound:
    """Return what a device of this data sheet takes at least for one call."""
    flop = phase.totals.flop
    known = {dtype: device.flop_per_s.get(_SAME_RATE.get(dtype, dtype)) for dtype in flop}
    rates = {dtype: rate for dtype, rate in known.items() if rate is not None}
    return DeviceBound(
        flop_s=math.fsum(flop[dtype] / rate for dtype, rate in rates.items()),
        read_s=phase.read_bytes / device.bytes_per_s,
        moved_s=phase.totals.moved / device.bytes_per_s,
        tdp_w=device.tdp_w,
        rates=rates,
        without=tuple(dtype for dtype in flop if dtype not in rates),
    )
