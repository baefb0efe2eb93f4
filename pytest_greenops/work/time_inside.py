"""CPU time inside operators, without what counting adds to it."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import Any, NamedTuple

from pytest_greenops.system import SYSTEM

#: After how many operators a probe is made; the first probes come sooner.
_PROBE_EVERY = 16
#: Calls by which the time of a probe without counting is measured.
_PLAIN_CALLS = 50


class Instant(NamedTuple):
    """CPU time in nanoseconds: of this process, and of the thread that asks."""

    process: int
    thread: int


class TimeInside:
    """CPU time inside the operators of a window, in nanoseconds.

    process  of this process
    thread   of the thread that does the counted work
    added    what counting adds to each operator, of either
    """

    def __init__(self) -> None:
        self._process = self._thread = self._calls = self._calls_here = 0
        self.added = Instant(0, 0)

    def add(self, process: int, thread: int | None) -> None:
        """Add an operator; `thread` is None if another thread called it."""
        self._process += process
        self._calls += 1
        if thread is not None:
            self._thread += thread
            self._calls_here += 1

    @property
    def process(self) -> int:
        """CPU time of this process."""
        return max(0, self._process - self.overhead)

    @property
    def overhead(self) -> int:
        """CPU time of this process that counting adds to all operators."""
        return self._calls * self.added.process

    @property
    def thread(self) -> int:
        """CPU time of the thread that does the counted work."""
        return max(0, self._thread - self._calls_here * self.added.thread)


class OperatorTimer:
    """Measures the CPU time inside operators; that of several threads at once counts once.

    What counting adds is seen by probes: calls of an operator that does almost nothing, now and
    then between the others, when the caches are as they are for those.
    """

    def __init__(self, torch: Any) -> None:
        self._tensor = torch.empty(1, device="cpu")
        self._detach = torch.ops.aten.detach.default
        self._modes = torch._C._len_torch_dispatch_stack
        self._lock = SYSTEM.allocate_lock()
        self._thread = SYSTEM.get_ident()
        self._running = self._counted_until = self._calls = 0
        self._probes: list[Instant] = []
        began = SYSTEM.process_time_ns()
        for _ in range(_PLAIN_CALLS):
            self._tensor.detach()
        self._plain = (SYSTEM.process_time_ns() - began) // _PLAIN_CALLS

    def begin(self) -> tuple[int, int]:
        """Begin an operator: return the CPU time of this process and of this thread."""
        return SYSTEM.process_time_ns(), SYSTEM.thread_time_ns()

    def end(self, began: tuple[int, int], windows: Iterable[TimeInside]) -> int:
        """Add an operator to the windows that are open; return the CPU time inside it."""
        thread: int | None = SYSTEM.thread_time_ns() - began[1]
        now = SYSTEM.process_time_ns()
        if SYSTEM.get_ident() != self._thread:
            thread = None
        with self._lock:
            since = max(began[0], self._counted_until)
            self._counted_until = now
            for window in windows:
                window.add(max(0, now - since), thread)
        return now - began[0]

    def probe(self) -> None:
        """Measure what counting adds, if it is time for that."""
        self._calls += 1
        early = self._calls & (self._calls - 1) == 0
        if not early and self._calls % _PROBE_EVERY:
            return
        if SYSTEM.get_ident() == self._thread and not self._modes():  # no other mode would see it
            probe = TimeInside()
            began = self.begin()
            self._detach(*(self._tensor,), **{})
            self.end(began, [probe])
            self._probes.append(Instant(probe.process, probe.thread))

    @property
    def added(self) -> Instant:
        """What counting adds to one operator."""
        if not self._probes:
            return Instant(0, 0)
        medians = (int(median(times)) for times in zip(*self._probes, strict=True))
        return Instant(*(max(0, each - self._plain) for each in medians))
