"""The control workload: the same work in every run, whose joules tell how the machine is today."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from pytest_greenops.meter import Load, Meter, Plan
from pytest_greenops.model.baseline import Series
from pytest_greenops.model.measurement import MICROJOULES, Check, Kind, Measurement
from pytest_greenops.model.units import format_percent
from pytest_greenops.sensors.base import on_our_clock
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.stats import trimmed_mean
from pytest_greenops.suite import control_shift

ROUNDS = 5
#: What it says is of one moment: it is measured again for a test that begins so much later.
LASTS_S = 60.0
#: It may take so long, where rounds have to be long for a slow counter.
MOST_S = 3.0
#: What it has to do with: a control on the CPU says nothing of a GPU.
KINDS: tuple[Kind, ...] = ("cpu", "dram", "psys")

_STEPS, _SEED, _MODULUS = 30_000, 16_807, 2**31 - 1


def kernel() -> int:
    """Fixed work for one core, some 10 ms: arithmetic, and sorting what caches hold badly."""
    number, numbers = _SEED, []
    for _ in range(_STEPS):  # the generator of Park and Miller, Comm. ACM 31 (1988) 1192-1201
        number = number * _SEED % _MODULUS
        numbers.append(number)
    numbers.sort()
    return numbers[_STEPS // 2]


class Control(NamedTuple):
    """What the control workload tells of a moment.

    joules  of one call, by counter; empty where it could not be measured
    check   what speaks against the whole run, if anything does
    """

    joules: Mapping[str, float] = {}
    check: Check | None = None


class ControlWorkload:
    """Measures the control workload as tests begin, at most once a minute.

    accepted  every series of this machine's baselines, whose sessions had controls of their own
    trusting  whether a run is believed whatever its control says: one that saves what it finds
    """

    def __init__(
        self,
        instruments: Instruments,
        accepted: Iterable[Series],
        load: Callable[[], Load],
        trusting: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._instruments = instruments
        self._accepted = tuple(accepted)
        self._load = load
        self._trusting = trusting
        self._clock = clock
        self._until_s = float("-inf")
        self._now = Control()

    def now(self) -> Control:
        """The control of this moment."""
        if self._clock() >= self._until_s:
            joules = self._joules()
            self._now = Control(joules, self._check(joules))
            self._until_s = self._clock() + LASTS_S
        return self._now

    def _joules(self) -> dict[str, float]:
        """Of one call, by counter of a CPU or its memory; empty where none can be trusted."""
        names = [
            domain.name
            for sensor in self._instruments.sensors
            for domain in sensor.domains
            if domain.counted and domain.kind in KINDS and on_our_clock(sensor)
        ]
        measured = self._measured() if names else None
        if (
            measured is None
            or not measured.rounds
            or any(measured.untrusted(name) for name in names)
        ):
            return {}
        found = {
            name: trimmed_mean([r.energy_uj.get(name, 0) / r.iterations for r in measured.rounds])
            for name in names
        }
        return {name: uj * MICROJOULES for name, uj in found.items() if uj > 0}

    def _measured(self) -> Measurement | None:
        plan = Plan(looks=(ROUNDS,), least=ROUNDS, max_time_s=MOST_S)
        self._instruments.judge_by("total")  # not by what the last test named
        meter = Meter(self._instruments, plan, lambda seen, look: True, load=self._load())
        for trip in meter.passes():
            for calls in trip.batches():
                with trip.window("control"):
                    for _ in range(calls):
                        kernel()
        return meter.measurements().get("control")

    def _check(self, joules: Mapping[str, float]) -> Check | None:
        shift = control_shift(self._accepted, joules)
        if shift is None or shift.trusted:
            return None
        return Check(
            "control",
            f"fixed work used {format_percent(shift.change)} against earlier runs, which differ "
            f"by up to {format_percent(shift.allowed, signed=False)}: the machine has changed",
            "told, and saved" if self._trusting else "no verdict on it",
            untrusted=not self._trusting,
            kinds=KINDS,
        )
