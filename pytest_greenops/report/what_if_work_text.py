"""Answers about models that nobody ran: their counted work, and bounds from data sheets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pytest_greenops.model.device_bound import DataSheet, DeviceBound, Phase, Units
from pytest_greenops.model.units import (
    format_duration,
    format_energy,
    format_flop,
    format_memory,
    format_power,
)
from pytest_greenops.report.drawing import aligned, column_widths, wrapped

#: How the rate of a dtype is meant where there are two.
_EXACTLY = {"float32": "float32 (not TF32)"}


class _Row(NamedTuple):
    """A figure of one call; `shared` says that it is shared out among the units of the call."""

    label: str
    value: float
    form: Callable[[float], str]
    shared: bool = True


def heading_lines(factory: str, dtype: str, width: int) -> Iterator[str]:
    """Yield what was counted, and how."""
    yield from wrapped(
        f"work: COUNTED on fake tensors, not measured: {factory}, default dtype {dtype}", width
    )


def phase_lines(
    phase: Phase, units: Units | None, limit: DeviceBound | None, width: int
) -> Iterator[str]:
    """Yield the work of a call; per unit too, and the bounds, if there are any."""
    head = [phase.name, "per call"]
    if units is not None:
        head.append(f"per {units.unit}")
    rows = [head, *(_cells(row, units) for row in _work(phase))]
    if limit is not None:
        rows.append(["bound, not a measurement", *("" for _ in head[1:])])
        rows += [_cells(row, units) for row in _bounds(limit)]
    widths = column_widths(rows)
    yield ""
    yield from (aligned(row, widths, right=range(1, len(head))) for row in rows)
    for note in phase.notes:
        yield from wrapped(f"work: {phase.name}: {note}", width)


def data_sheet_lines(
    device: DataSheet, phases: Sequence[Phase], bounds: Sequence[DeviceBound], width: int
) -> Iterator[str]:
    """Yield where the bounds come from, and what they leave out."""
    rates = {dtype: rate for limit in bounds for dtype, rate in limit.rates.items()}
    figures = [f"{format_flop(rate)}/s in {_EXACTLY.get(d, d)}" for d, rate in rates.items()]
    figures += [f"{format_memory(device.bytes_per_s)}/s", f"{format_power(device.tdp_w)} TDP"]
    yield ""
    yield from wrapped(
        f"bound, not a measurement: from the data sheet of one {device.name} ({device.source}): "
        f"{', '.join(figures)}. A call takes at least this time: FLOP at these rates, or reading "
        "parameters and inputs once. The energy is that of the TDP in this time: a longer call may "
        "use more, and a call at less power less.",
        width,
    )
    for sentence in _left_out(device, phases, bounds):
        yield from wrapped(f"bound: {sentence}", width)


def _work(phase: Phase) -> Iterator[_Row]:
    totals = phase.totals
    for dtype, flop in sorted(totals.flop.items(), key=lambda each: -each[1]):
        yield _Row(f"  FLOP in {dtype}", flop, format_flop)
    yield _Row("  bytes moved by operators", totals.moved, format_memory)
    yield _Row("  parameters and inputs, read once", phase.read_bytes, format_memory)
    yield _Row("  size of the parameters", phase.parameter_bytes, format_memory, shared=False)
    yield _Row("  peak memory of tensors it makes", totals.peak_bytes, format_memory, shared=False)
    yield _Row("  calls of operators", totals.calls, "{:,.0f}".format, shared=False)


def _bounds(limit: DeviceBound) -> Iterator[_Row]:
    if limit.rates:
        yield _Row("  FLOP at the peak rates", limit.flop_s, format_duration)
    yield _Row("  parameters and inputs, read once", limit.read_s, format_duration)
    yield _Row("  time at least", limit.time_s, format_duration)
    yield _Row("  energy at TDP, in that time", limit.energy_j, format_energy)
    yield _Row("  time at least, if nothing is fused", limit.unfused_s, format_duration)


def _cells(row: _Row, units: Units | None) -> list[str]:
    cells = [row.label, row.form(row.value)]
    if units is not None:
        cells.append(row.form(row.value / units.number) if row.shared else "")
    return cells


def _left_out(
    device: DataSheet, phases: Sequence[Phase], bounds: Sequence[DeviceBound]
) -> Iterator[str]:
    for dtype in sorted({dtype for limit in bounds for dtype in limit.without}):
        yield f"the data sheet has no rate for {dtype}: its FLOP are left out"
    largest = max(max(phase.read_bytes, phase.parameter_bytes) for phase in phases)
    if largest > device.memory_bytes:
        yield (
            f"parameters and inputs take {format_memory(largest)}, and one device has "
            f"{format_memory(device.memory_bytes)}: the bound is for one device, as if they did "
            "fit; N devices take at least 1/N of the time"
        )
