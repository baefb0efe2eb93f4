"""The control workload: the same work in every run, whose joules show changes of the machine."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from pytest_greenops.judge.stats import trimmed_mean
from pytest_greenops.model.measurement import CONTROL_KINDS, MICROJOULES
from pytest_greenops.sensors.base import EdgeSensor, on_our_clock
from pytest_greenops.sensors.clock import SYSTEM_CLOCK, Clock
from pytest_greenops.sensors.instruments import Instruments

#: The control workload takes at most this share of the rounds that it accompanies.
SHARE = 0.05
#: How often the kernel runs in a sample of a counter: about 30 ms in all. Shorter ones have larger
#: errors at their edges, longer ones are further apart. An estimate has exact edges, so it takes
#: single calls, which show more of the moments of a machine.
CALLS = 3
#: How long one call takes, until one has shown it.
CALL_S = 0.01


def kernel(steps: int = 30_000, seed: int = 16_807, modulus: int = 2**31 - 1) -> int:
    """Do fixed work on one core for about 10 ms: arithmetic, and sorting beyond the caches."""
    number, numbers = seed, []
    for _ in range(steps):  # the generator of Park and Miller, Comm. ACM 31 (1988) 1192-1201
        number = number * seed % modulus
        numbers.append(number)
    numbers.sort()
    return numbers[steps // 2]


class _Sample(NamedTuple):
    """The energy of one call of the kernel by counter, after a number of rounds."""

    rounds: int
    energy_uj: dict[str, float]


class Control:
    """The control workload of one measurement: samples between its rounds.

    Slow phases of a machine come and go within seconds, so samples of another minute would show
    little. Only counters that can be read without waiting, and that move within a sample, are used:
    those of CPUs and their memory.
    """

    def __init__(self, instruments: Instruments, clock: Clock = SYSTEM_CLOCK) -> None:
        self._instruments = instruments
        self._clock = clock
        self._rounds = 0
        self._left_s = 0.0
        self._call_s = CALL_S
        sources = {sensor.source for sensor in instruments.sensors}
        self._calls = 1 if sources == {"estimated"} else CALLS
        self._samples: list[_Sample] = []

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(
            domain.name
            for sensor in self._instruments.sensors
            if not isinstance(sensor, EdgeSensor) and on_our_clock(sensor)
            if sensor.update_period_s <= CALLS * CALL_S
            for domain in sensor.domains
            if domain.counted and domain.kind in CONTROL_KINDS
        )

    def accompany(self, seconds: float) -> None:
        """Follow a round of `seconds`: take a sample once the share of all rounds allows one."""
        self._rounds += 1
        self._left_s += SHARE * seconds
        if self._left_s >= self._calls * self._call_s:
            self._sample(self._calls)

    def complete(self) -> None:
        """Take what the share allows, at least one call, if there is no sample yet."""
        calls = int(self._left_s / self._call_s)
        if calls and not self._samples:
            self._sample(calls)

    def _sample(self, calls: int) -> None:
        """Do the work, fewer calls if they take long, and keep its energy.

        Do nothing if no counter would see it.
        """
        if not self._names:
            return
        now_ns, made, taken_s = self._clock.now_ns, 0, 0.0
        begun_ns, before = now_ns(), self._instruments.read()
        while made < calls and (not made or taken_s * (made + 1) / made <= self._left_s):
            kernel()
            made, taken_s = made + 1, (now_ns() - begun_ns) * 1e-9
        window = self._instruments.window(before, self._instruments.read())
        self._left_s -= taken_s
        self._call_s = taken_s / made
        energy_uj = {name: window.energy_uj.get(name, 0) / made for name in self._names}
        self._samples.append(_Sample(self._rounds, energy_uj))

    def joules(self, rounds: int) -> dict[str, float]:
        """Return the joules of one call, by counter that moved, over samples of the last rounds.

        Samples of earlier rounds, which were dropped, count only if there are no others.
        """
        late = [each for each in self._samples if each.rounds > self._rounds - rounds]
        samples = (late or self._samples) if rounds else []
        found = {
            name: trimmed_mean([sample.energy_uj[name] for sample in samples])
            for name in (self._names if samples else ())
        }
        return {name: uj * MICROJOULES for name, uj in found.items() if uj > 0}


class NoControl(Control):
    """No control workload: of a job of several ranks, whose ranks would have to wait for it."""

    def accompany(self, seconds: float) -> None:
        """Take no sample."""

    def complete(self) -> None:
        """Take no sample."""
