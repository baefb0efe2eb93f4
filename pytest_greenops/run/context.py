"""What all trials of a run share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pytest_greenops import machine
from pytest_greenops.baselines.store import Store
from pytest_greenops.baselines.work_store import WorkStore
from pytest_greenops.judge.case import Rules
from pytest_greenops.judge.suite import control_history
from pytest_greenops.measure.control import Control
from pytest_greenops.measure.garbage import Garbage
from pytest_greenops.measure.meter import AnyMeter, Meter
from pytest_greenops.measure.observer import Load
from pytest_greenops.model.baseline import Baseline, Series, TestKey
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.run_options import Options
from pytest_greenops.ranks.alone import Alone
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.system import SYSTEM

#: A lock waits for no longer; a longer limit is not meant.
_LONGEST_WAIT_S = 3600.0


@dataclass(frozen=True)
class Probes:
    """Functions that inspect the machine and this process for each measurement."""

    load: Callable[[], Load] = field(default_factory=lambda: machine.LoadProbe)
    instrumented: Callable[[], str | None] = machine.instrumented
    conditions: Callable[[], Mapping[str, str]] = machine.conditions
    control: Callable[[Instruments], Control] = Control


class Turn:
    """Lets one thread measure at a time: counters cannot tell the threads of a process apart."""

    def __init__(self) -> None:
        self._lock = SYSTEM.allocate_lock()
        self._thread: int | None = None
        self._taken = 0

    @property
    def is_mine(self) -> bool:
        """Whether this thread measures."""
        return self._thread == SYSTEM.get_ident()

    def take(self, limit_s: float) -> int:
        """Wait for the measurement of another thread, and return what gives the turn back.

        A measurement of this thread that was left, but waits to be continued, loses its turn.

        Raises `GreenopsError` if that of another thread takes longer than twice `limit_s`.
        """
        taken = None
        self.end()
        while not self._lock.acquire(timeout=min(limit_s, _LONGEST_WAIT_S)):
            if taken == self._taken:
                raise GreenopsError(
                    "energy: another thread has been measuring for too long; measure in one thread "
                    "after the other, and let no measured work wait for another measurement"
                )
            taken = self._taken
        self._thread, self._taken = SYSTEM.get_ident(), self._taken + 1
        return self._taken

    def end(self) -> None:
        """Let another thread measure, if this one was left while it measured."""
        if self.is_mine:
            self.give(self._taken)

    def give(self, turn: int) -> None:
        """Let another thread measure, if this turn is not over yet."""
        if self._thread is not None and turn == self._taken:
            self._thread = None
            self._lock.release()


class AcceptedSeries:
    """The series of some baselines, which are decoded again each time."""

    def __init__(self, baselines: Mapping[Path, Baseline]) -> None:
        self._baselines = baselines

    def __iter__(self) -> Iterator[Series]:
        """Yield every series."""
        for baseline in self._baselines.values():
            yield from baseline.measurements.values()


@dataclass(frozen=True)
class RunContext:
    """Sensors, baselines, rules and options of a run.

    accepted   series of this machine's baselines: of a sample, if there are very many
    collected  the tests of the run, which distinguish a renamed test from a new one
    turn       which thread may measure
    meter      makes the meter of a measurement
    team       the ranks that measure together, if this process is one of several
    progress   shows what is measured, how many rounds are done, and at most how many there are
    """

    instruments: Instruments
    environment: Environment
    store: Store
    rules: Rules
    options: Options
    accepted: Iterable[Series] = ()
    collected: Collection[TestKey] = ()
    progress: Callable[[str, int, int], None] = field(default=lambda label, done, most: None)
    probes: Probes = field(default_factory=Probes)
    turn: Turn = field(default_factory=Turn)
    meter: Callable[..., AnyMeter] = Meter
    garbage: Garbage = field(default_factory=Garbage)
    team: Alone = field(default_factory=Alone)
    _histories: dict[frozenset[str], Sequence[Sequence[float]]] = field(default_factory=dict)

    def control_history(self, counters: frozenset[str]) -> Sequence[Sequence[float]]:
        """Return what the control workloads of earlier runs used over some counters, read once."""
        if counters not in self._histories:
            self._histories[counters] = control_history(self.accepted, counters)
        return self._histories[counters]

    @cached_property
    def work_store(self) -> WorkStore:
        """The accepted work of all tests, beside the baselines of this machine."""
        return self.store.work_store()

    @cached_property
    def orphans(self) -> Mapping[tuple[str, str], Baseline]:
        """The first baseline without a collected test, by module and function of its test."""
        return {
            (orphan.test.module, orphan.test.qualname): orphan
            for orphan in reversed(list(self.store.orphans(self.collected)))
        }
