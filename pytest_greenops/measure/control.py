"""The control workload: the same work in every run, whose joules show changes of the machine."""

from __future__ import annotations

from pytest_greenops.judge.stats import trimmed_mean
from pytest_greenops.model.measurement import CONTROL_KINDS, MICROJOULES
from pytest_greenops.sensors.base import EdgeSensor, on_our_clock
from pytest_greenops.sensors.instruments import Instruments

#: How often the kernel runs after each round: about 30 ms in all.
CALLS = 3

_STEPS, _SEED, _MODULUS = 30_000, 16_807, 2**31 - 1


def kernel() -> int:
    """Do fixed work on one core for about 10 ms: arithmetic, and sorting beyond the caches."""
    number, numbers = _SEED, []
    for _ in range(_STEPS):  # the generator of Park and Miller, Comm. ACM 31 (1988) 1192-1201
        number = number * _SEED % _MODULUS
        numbers.append(number)
    numbers.sort()
    return numbers[_STEPS // 2]


class Control:
    """The control workload of one measurement: a sample after each of its rounds.

    Slow phases of a machine come and go within seconds, so samples of another minute would show
    little. Only counters that can be read without waiting are used: those of CPUs and their memory.
    """

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._names = tuple(
            domain.name
            for sensor in instruments.sensors
            if not isinstance(sensor, EdgeSensor) and on_our_clock(sensor)
            for domain in sensor.domains
            if domain.counted and domain.kind in CONTROL_KINDS
        )
        self._samples: list[dict[str, int]] = []

    def sample(self) -> None:
        """Do the work and keep its joules; do nothing if no counter would see it."""
        if not self._names:
            return
        before = self._instruments.read()
        for _ in range(CALLS):
            kernel()
        window = self._instruments.window(before, self._instruments.read())
        self._samples.append(window.energy_uj)

    def joules(self, rounds: int) -> dict[str, float]:
        """Return the joules of one call over the last `rounds` samples, by counter that moved."""
        samples = self._samples[-rounds:] if rounds else []
        found = {
            name: trimmed_mean([sample.get(name, 0) / CALLS for sample in samples])
            for name in (self._names if samples else ())
        }
        return {name: uj * MICROJOULES for name, uj in found.items() if uj > 0}
