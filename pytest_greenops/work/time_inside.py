"""CPU time inside operators, without what counting adds to it."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import Any, NamedTuple

from pytest_greenops.system import SYSTEM

#: After how many operators a probe is made; the first probes come sooner.
_PROBE_EVERY = 16
#: Operators are short below this many nanoseconds of CPU time: not every call of them is timed.
_SHORT_NS = 30_000
#: How many calls of a short operator a timed one stands for, besides itself.
_NOT_TIMED = 3
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


class _Short:
    """The last timed call of a short operator, and how many further calls it stands for."""

    __slots__ = ("left", "process", "thread")

    def __init__(self, process: int, thread: int) -> None:
        self.process, self.thread = process, thread
        self.left = _NOT_TIMED


class OperatorTimer:
    """Measures the CPU time inside operators; that of several threads at once counts once.

    The clocks of CPU time are calls of the kernel, which take as long as a small operator does. So
    where only one thread calls operators, every fourth call of a short one stands for the others;
    a clock that takes nothing tells if one of those is longer.

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
        self._next_probe = 1
        self._probes: list[Instant] = []
        self._process_ns, self._thread_ns = SYSTEM.process_time_ns, SYSTEM.thread_time_ns
        self._clock_ns, self._get_ident = SYSTEM.monotonic_ns, SYSTEM.get_ident
        self._alone = True
        self._short: dict[Any, _Short] = {}
        began = self._process_ns()
        for _ in range(_PLAIN_CALLS):
            self._tensor.detach()
        self._plain = (self._process_ns() - began) // _PLAIN_CALLS

    def begin(self, kind: Any = None) -> tuple[int, int | _Short]:
        """Begin an operator: return the CPU time of this process and of this thread.

        Of a call that is not timed: the time, and the call that stands for it.
        """
        short = self._short.get(kind)
        if short is not None and short.left and self._alone:
            if self._get_ident() == self._thread:
                short.left -= 1
                return self._clock_ns(), short
            self._alone = False
        return self._process_ns(), self._thread_ns()

    def end(
        self, began: tuple[int, int | _Short], windows: Iterable[TimeInside], kind: Any = None
    ) -> int:
        """Add an operator to the windows that are open; return the CPU time inside it."""
        first, second = began
        if isinstance(second, _Short):
            taken, here = second.process, second.thread
            wall = self._clock_ns() - first
            if wall > 2 * _SHORT_NS:  # it was interrupted, or is longer this time
                self._short.pop(kind, None)
                taken = here = min(wall, max(0, self._process_ns() - self._counted_until))
            for window in windows:
                window.add(taken, here)
            return taken
        thread: int | None = self._thread_ns() - second
        now = self._process_ns()
        if self._get_ident() != self._thread:
            thread, self._alone = None, False
        with self._lock:
            since = max(first, self._counted_until)
            self._counted_until = now
            for window in windows:
                window.add(max(0, now - since), thread)
        if thread is not None and kind is not None and now - first < _SHORT_NS:
            self._short[kind] = _Short(now - first, thread)
        return now - first

    def probe(self) -> None:
        """Measure what counting adds, if it is time for that."""
        self._calls += 1
        if self._calls < self._next_probe:
            return
        self._next_probe += min(self._next_probe, _PROBE_EVERY)
        if self._get_ident() == self._thread and not self._modes():  # no other mode would see it
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
