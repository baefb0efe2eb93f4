"""The meter of one side of an A/B comparison: it makes the trips that another process orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Protocol

import msgspec

from pytest_greenops.measure.garbage import Garbage
from pytest_greenops.measure.meter import Plan
from pytest_greenops.measure.observer import NoLoad, ObservedTrip, Observer
from pytest_greenops.measure.round_book import RoundBook
from pytest_greenops.measure.trip import Trip
from pytest_greenops.model.measurement import Domain, Measurement, Round
from pytest_greenops.sensors import process_tree
from pytest_greenops.sensors.clock import SYSTEM_CLOCK, Clock
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.system import SYSTEM

#: A side is quiet if it uses less than this share of a CPU in a moment of `LOOK_S`, and is waited
#: for no longer than `PATIENCE_S`: threads of OpenMP spin for up to 0.2 s after a parallel region.
QUIET, LOOK_S, PATIENCE_S = 0.05, 0.002, 0.5
#: A side works alone if other threads use less than this share of the CPU time of its process, or
#: less than this time: the clocks of a process and of its thread are not read at once.
OTHERS, OTHERS_NS = 0.02, 50_000


class Loop(msgspec.Struct, frozen=True, tag=True):
    """The side has reached a measuring loop, and waits for orders.

    once        the work must run exactly once
    iterations  calls in a window that the test itself sets; None leaves it to the orders
    warmup      trips before the first that counts, as the test sets them
    edged       whether a sensor makes edges of its own, which take longer than a short window
    instrumented  what traces this process, or None
    """

    domains: tuple[Domain, ...]
    sensors: dict[str, str]
    estimated: tuple[str, ...]
    once: bool
    iterations: int | None
    warmup: int | None
    edged: bool
    instrumented: str | None


class Order(msgspec.Struct, frozen=True, tag=True):
    """Work in one window.

    cpu     the CPU to work on; None lets the system choose
    settle  wait afterwards until this side uses no CPU time
    """

    iterations: int
    cpu: int | None = None
    settle: bool = False


class Slice(msgspec.Struct, frozen=True, tag=True):
    """What one window used, by the name of each of the work's windows.

    void     why its energy is unknown, or None
    seconds  its duration, inside and outside of windows
    idle_s   CPU time that this process used since the window before, while the other side worked
    alone    whether one thread did all the work
    """

    rounds: dict[str, Round]
    void: str | None
    seconds: float
    idle_s: float
    alone: bool


class Orders(Protocol):
    """The connection to the process that orders trips."""

    def begin(self, loop: Loop) -> None:
        """Say that the work is ready."""

    def next(self) -> Order | None:
        """Wait for an order; None ends the loop."""

    def done(self, slice_: Slice) -> None:
        """Send what a trip used."""


class CommandedMeter:
    """Makes one trip for each order; see `Meter` for the parameters that both have."""

    def __init__(
        self,
        instruments: Instruments,
        plan: Plan,
        enough: Callable[[Mapping[str, Measurement], int], bool],
        *,
        orders: Orders,
        synchronize: Callable[[], None] = lambda: None,
        instrumented: str | None = None,
        garbage: Garbage | None = None,
        clock: Clock = SYSTEM_CLOCK,
        load: object = None,
        between: object = None,
        progress: object = None,
    ) -> None:
        """Prepare a measurement.

        What orders the trips also looks at the load of the machine, has no control workload, and
        shows the progress: so these parameters of `Meter` are ignored.
        """
        self._instruments = instruments
        self._plan = plan
        self._enough = enough
        self._orders = orders
        self._instrumented = instrumented
        self._garbage = garbage or Garbage()
        self._observer = Observer(instruments, synchronize, NoLoad(), clock)
        self._book = RoundBook(instruments, plan.margin, False, instrumented)
        self._idle_since_ns: int | None = None
        self._warms_up = not plan.once and plan.warmup != 0
        self._first: ObservedTrip | None = None

    def trips(self) -> Iterator[Trip]:
        """Yield a trip for each order."""
        plan, instruments = self._plan, self._instruments
        self._garbage.collect()
        self._orders.begin(
            Loop(
                instruments.domains,
                instruments.sensor_of,
                instruments.estimated,
                plan.once,
                plan.iterations,
                plan.warmup,
                instruments.edged,
                self._instrumented,
            )
        )
        pinned = _Pinned()
        try:
            while (order := self._orders.next()) is not None:
                pinned.to(order.cpu)
                used = _Used()
                idle_ns = used.process_ns - (self._idle_since_ns or used.process_ns)
                trip = yield from self._observer.observe(order.iterations, None, self._book.lost)
                self._enter(trip)
                done = self._slice(trip, used.alone(), idle_ns)
                if order.settle:
                    _settle()
                self._idle_since_ns = SYSTEM.process_time_ns()
                self._orders.done(done)
        finally:
            pinned.to(None)
        self._enough(self._book.measurements(), 1)

    def _enter(self, trip: ObservedTrip) -> None:
        """Count a trip; the first is the warm-up once there is a second, unless there is none."""
        self._book.enter(trip)
        if trip.void:
            return
        if self._warms_up and self._first is not None:
            self._book.drop_rounds()
            self._book.end_warm_up(self._first)
            self._warms_up = False
        self._book.keep(trip)
        self._first = self._first or trip

    def _slice(self, trip: ObservedTrip, alone: bool, idle_ns: int) -> Slice:
        return Slice(
            {} if trip.void else trip.rounds,
            trip.void,
            trip.seconds,
            idle_ns * 1e-9,
            alone,
        )


class _Used:
    """The CPU time of this process, of its thread, and of its ended children, at one moment."""

    def __init__(self) -> None:
        self.process_ns, self._thread_ns = SYSTEM.process_time_ns(), SYSTEM.thread_time_ns()
        self._children = process_tree.ended_children()[:2]

    def alone(self) -> bool:
        """Return whether this thread used all CPU time since."""
        used_ns = SYSTEM.process_time_ns() - self.process_ns
        thread_ns = SYSTEM.thread_time_ns() - self._thread_ns
        children = process_tree.ended_children()[:2] != self._children
        children = children or process_tree.has_children()
        return used_ns - thread_ns <= max(OTHERS * used_ns, OTHERS_NS) and not children


class _Pinned:
    """Keeps this thread on one CPU, so that both sides work on the same one."""

    def __init__(self) -> None:
        self._before: set[int] | None = None
        self._cpu: int | None = None

    def to(self, cpu: int | None) -> None:
        """Keep the thread on a CPU from now on; None lets it go where it might go before."""
        if cpu == self._cpu or SYSTEM.set_affinity is None:
            return
        with suppress(OSError):
            if self._before is None:
                self._before = SYSTEM.affinity(0)
            SYSTEM.set_affinity(0, self._before if cpu is None else {cpu})
            self._cpu = cpu


def _settle() -> None:
    """Wait until this process uses no CPU time, or for `PATIENCE_S`."""
    until_ns = SYSTEM.monotonic_ns() + PATIENCE_S * 1e9
    while SYSTEM.monotonic_ns() < until_ns:
        before_ns, began_ns = SYSTEM.process_time_ns(), SYSTEM.monotonic_ns()
        SYSTEM.sleep(LOOK_S)
        passed_ns = SYSTEM.monotonic_ns() - began_ns
        if SYSTEM.process_time_ns() - before_ns < QUIET * passed_ns:
            return
