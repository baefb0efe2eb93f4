"""The counted work of a model that nobody ran, and what the data sheet of a device allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pytest_greenops.model.counted import WorkTotals


class Phase(NamedTuple):
    """One counted call of a model on fake tensors, which have shapes and no values.

    name             of the phase: `prefill`
    totals           what its operators did
    parameter_bytes  size of the parameters that the call uses
    read_bytes       what it reads at least: of each parameter and input once what operators need
    notes            what the counts leave out
    """

    name: str
    totals: WorkTotals
    parameter_bytes: int
    read_bytes: int
    notes: tuple[str, ...] = ()


class Units(NamedTuple):
    """The work of one call of a phase, in a unit: 2,048 of `token`."""

    unit: str
    number: float


class DataSheet(NamedTuple):
    """What its maker says that a device does at most.

    name          `NVIDIA H100 SXM`
    source        the document and its year
    flop_per_s    operations a second in matrix products without sparsity, by dtype
    bytes_per_s   bandwidth of its memory
    memory_bytes  size of its memory
    tdp_w         thermal design power
    """

    name: str
    source: str
    flop_per_s: Mapping[str, float]
    bytes_per_s: float
    memory_bytes: float
    tdp_w: float


class DeviceBound(NamedTuple):
    """What a call takes at least on a device, by its data sheet: a bound, never a measurement.

    flop_s   time of its operations at the peak rates
    read_s   time to read its parameters and inputs once at the full bandwidth
    moved_s  time of all bytes that operators move at the full bandwidth: without fused operators
             and caches
    tdp_w    thermal design power of the device
    rates    the peak rates that `flop_s` uses, by dtype
    without  dtypes with operations that `flop_s` leaves out, since their rates are not known
    """

    flop_s: float
    read_s: float
    moved_s: float
    tdp_w: float
    rates: Mapping[str, float]
    without: tuple[str, ...]

    @property
    def time_s(self) -> float:
        """The least time of a call."""
        return max(self.flop_s, self.read_s)

    @property
    def unfused_s(self) -> float:
        """The least time of a call whose operators all read from memory and write to it."""
        return max(self.flop_s, self.moved_s)

    @property
    def energy_j(self) -> float:
        """The energy of the thermal design power in the least time."""
        return self.time_s * self.tdp_w
