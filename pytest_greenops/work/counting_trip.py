"""Trips through the work that count it, in the place of a trip of the meter."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Any, NamedTuple

from pytest_greenops.sensors.cpu_estimate.estimate import best_count
from pytest_greenops.system import SYSTEM
from pytest_greenops.work.dispatch import Dispatch, Tally
from pytest_greenops.work.module_paths import ModulePaths


class CountingTrip:
    """A trip through the work that counts what torch does in each of its windows.

    units    the work that its call did, by unit name
    tallies  what was counted, by the name of the window
    failed   why the work of a window was not completed, by its name
    notes    what the counts leave out, for readers: `compiled parts were counted as if eager`
    extra    whether a failure of its call ends only this trip
    """

    iterations = 1

    def __init__(self, torch: Any, synchronize: Callable[[], None], *, extra: bool = False) -> None:
        """Prepare; an `extra` call, besides those that the test needs, never fails the test."""
        self.units: dict[str, float] = {}
        self.tallies: dict[str, Tally] = {}
        self.failed: dict[str, str] = {}
        self.notes: list[str] = []
        self.extra = extra
        self._stack = ExitStack()
        self._torch = torch
        self._synchronize = synchronize
        self._paths = ModulePaths(torch)
        self._dispatch = Dispatch(torch, self._paths.now)
        self._depth = 0

    def batches(self, together: bool = True) -> Iterator[int]:
        """Yield one repetition."""
        yield 1

    @contextmanager
    def window(self, name: str) -> Iterator[None]:
        """Count what happens inside, for this window and for those around it.

        An exception of an extra call ends its window only: if the work fails without being counted
        too, the next call shows that. What cannot be counted here runs as it is.
        """
        self._wait()
        tally = self.tallies.setdefault(name, Tally())
        outermost = not self._depth
        if outermost and (error := self._prepared()):
            self.failed[name] = _in_words(error)
            yield
            return
        try:
            self._depth += 1
            self._dispatch.open.append(tally)
            try:
                yield
                self._wait()
            finally:
                self._dispatch.close(tally)
                self._depth -= 1
                if outermost:
                    self._stack.close()
        except Exception as error:
            self.failed[name] = _in_words(error)
            if not self.extra:
                raise

    def leave(self) -> None:
        """Stop counting: what follows is another measurement."""
        self._stack.close()
        self.tallies.clear()

    def _wait(self) -> None:
        """Wait for queued work; a test may have replaced the framework, which is its own matter."""
        with suppress(Exception):
            self._synchronize()

    def _prepared(self) -> Exception | None:
        """Enter what counts; return why that failed, with nothing entered."""
        try:
            self._prepare(self._stack)
        except Exception as error:
            self._stack.close()
            return error
        return None

    def _prepare(self, stack: ExitStack) -> None:
        """Enter what counts: nothing of it is left when the outermost window ends."""
        stack.enter_context(_eager(self._torch))
        if SYSTEM.collects_garbage():
            SYSTEM.disable_garbage()
            stack.callback(SYSTEM.enable_garbage)
        stack.enter_context(_noted_compilers(self._note))
        stack.enter_context(self._paths.entered())
        stack.enter_context(_counted_threads(self._dispatch, self._outlived))
        stack.enter_context(self._dispatch.mode())

    def _outlived(self) -> None:
        self._note(OUTLIVED)

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def _in_words(error: Exception) -> str:
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _eager(torch: Any) -> AbstractContextManager[Any]:
    """Return a context in which nothing is compiled, so that it can still be compiled afterwards.

    What is called in a dispatch mode for the first time would never be compiled. The compiler is
    not loaded for that: without it nothing is compiled.
    """
    if "torch._dynamo" not in SYSTEM.modules:
        return nullcontext()
    entered: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return entered


def why_not(torch: Any) -> str | None:
    """Return why this version of torch cannot be counted, or None if it can be.

    Older ones raise an error where compiled code is called while operators are counted.
    """
    if hasattr(getattr(torch, "compiler", None), "set_stance"):
        return None
    return f"torch {torch.__version__} is too old to be counted: install torch 2.6 or newer"


COMPILED = "compiled parts were counted as if they ran eagerly"
UNKNOWN_IF_COMPILED = "this version of torch does not tell whether parts are compiled"
OUTLIVED = "a thread that the call starts goes on after it"


@contextmanager
def _counted_threads(
    dispatch: Dispatch, outlived: Callable[[], None], thread_class: Any = threading.Thread
) -> Iterator[None]:
    """Count the operators of threads that start inside, too; note one that goes on afterwards."""
    original = thread_class._bootstrap_inner  # `run` may be that of a subclass
    running: set[int] = set()

    def counted(thread: Any) -> Any:
        running.add(id(thread))
        try:
            with dispatch.mode():
                return original(thread)
        finally:
            running.discard(id(thread))

    thread_class._bootstrap_inner = counted
    try:
        yield
    finally:
        thread_class._bootstrap_inner = original
        if running:
            outlived()


@contextmanager
def _noted_compilers(note: Callable[[str], None]) -> Iterator[None]:
    """Note if something is called that `torch.compile` would compile, or if that is not known."""
    dynamo: Any = SYSTEM.modules.get("torch._dynamo.eval_frame")
    original = getattr(dynamo, "_callback_from_stance", None)
    if original is None:
        if dynamo is not None:
            note(UNKNOWN_IF_COMPILED)
        yield
        return

    def noted(callback: Any) -> Any:
        if callable(callback):
            note(COMPILED)
        return original(callback)

    dynamo._callback_from_stance = noted
    try:
        yield
    finally:
        dynamo._callback_from_stance = original


class CpuTime(NamedTuple):
    """CPU time in nanoseconds: of this process and its descendants, of this process, of one thread.

    The thread is the one that enters the window.
    """

    tree: int = 0
    process: int = 0
    thread: int = 0

    def __sub__(self, earlier: CpuTime) -> CpuTime:
        """Return what was used since an earlier reading."""
        return CpuTime(*(now - then for now, then in zip(self, earlier, strict=True)))


class PlainTrip:
    """A trip through the work that measures its CPU time, which counts are compared with.

    units  the work that its call did, by unit name
    used   CPU time by the name of the window
    """

    iterations = 1
    extra = False

    def __init__(self, synchronize: Callable[[], None]) -> None:
        self.units: dict[str, float] = {}
        self.used: dict[str, CpuTime] = {}
        self._synchronize = synchronize
        self._tree_ns = best_count()
        self._left = False

    def batches(self, together: bool = True) -> Iterator[int]:
        """Yield one repetition."""
        yield 1

    @contextmanager
    def window(self, name: str) -> Iterator[None]:
        """Measure CPU time inside."""
        with suppress(Exception):
            self._synchronize()
        before = self._now()
        yield
        if self._left:
            return
        with suppress(Exception):
            self._synchronize()
        used, known = self._now() - before, self.used.get(name, CpuTime())
        self.used[name] = CpuTime(*map(sum, zip(used, known, strict=True)))

    def leave(self) -> None:
        """End the window that is open: what follows is another measurement."""
        self._left = True

    def _now(self) -> CpuTime:
        return CpuTime(self._tree_ns(), SYSTEM.process_time_ns(), SYSTEM.thread_time_ns())


def least_used(trips: Sequence[PlainTrip]) -> dict[str, CpuTime] | None:
    """Return the CPU time of each window in the trip that used least; None without trips.

    What disturbs a call only adds to it: other processes in the caches, threads that spin.
    """
    names = dict.fromkeys(name for trip in trips for name in trip.used)
    used = {name: [trip.used[name] for trip in trips if name in trip.used] for name in names}
    return {name: min(found, key=lambda each: each.tree) for name, found in used.items()} or None
