"""Loads of a card: a fixed matrix product, steady or in pulses, and rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from benchmarks.accuracy.gpu_trace import Phase
from pytest_greenops.model.errors import GreenopsError

#: The shortest call whose launch cost is negligible, ...
CALL_S = 0.0005
#: ... so the matrix grows to at most the last size, which fits into any card's memory.
SIZES = (1024, 2048, 4096, 8192)
WARM_UP_S = 1.0


class Load(Protocol):
    """Work for a card.

    words   description of a call
    call_s  duration of one of many calls in a row
    """

    words: str
    call_s: float

    def calls(self, number: int) -> None:
        """Make this many calls and wait for them."""

    def until(self, monotonic_s: float) -> None:
        """Make calls until a time of the monotonic clock, and wait for the last."""


class Part(NamedTuple):
    """A part of a schedule: `duty` is the share of each period in which the card is busy."""

    seconds: float
    duty: float
    period_s: float = 0.0


def wait_until(monotonic_s: float) -> None:
    """Rest until a time of the monotonic clock."""
    time.sleep(max(0.0, monotonic_s - time.monotonic()))


def pulses(load: Load, period_s: float, duty: float, number: int) -> None:
    """Play this many pulses, each with its rest, on a time grid that does not drift."""
    start_s = time.monotonic()
    for pulse in range(number):
        load.until(start_s + (pulse + duty) * period_s)
        wait_until(start_s + (pulse + 1) * period_s)


def play(load: Load, schedule: Sequence[Part]) -> list[Phase]:
    """Play the parts in order and return the phase of each."""
    phases = []
    for part in schedule:
        start_ns = time.monotonic_ns()
        if part.period_s:
            pulses(load, part.period_s, part.duty, max(1, round(part.seconds / part.period_s)))
        elif part.duty:
            load.until(start_ns * 1e-9 + part.seconds)
        else:
            wait_until(start_ns * 1e-9 + part.seconds)
        phases.append(Phase(start_ns, time.monotonic_ns(), part.duty, part.period_s))
    return phases


@contextmanager
def busy(load: Load, settle_s: float) -> Iterator[None]:
    """Keep the card busy in another thread, from `settle_s` before the block on."""
    stopped = threading.Event()

    def work() -> None:
        while not stopped.is_set():
            load.until(time.monotonic() + 0.05)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        time.sleep(settle_s)
        yield
    finally:
        stopped.set()
        thread.join()


class Matmul:
    """A square matrix product on torch's first CUDA card, in bf16 if supported, else fp32.

    size  rows of the matrices; None grows them until a call takes half a millisecond

    Raises `GreenopsError` if torch is missing or has no CUDA card.
    """

    def __init__(self, size: int | None = None) -> None:
        self._torch = torch = _cuda_torch()
        self._dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
        for self.size in (size,) if size else SIZES:
            self._make(self.size)
            self.call_s = self._time()
            if self.call_s >= CALL_S:
                break
        self.until(time.monotonic() + WARM_UP_S)
        self.call_s = self._time()
        kind = str(self._dtype).removeprefix("torch.")
        self.words = f"torch.matmul of {self.size} x {self.size}, {kind}"

    def calls(self, number: int) -> None:
        """Queue this many calls and wait for the last."""
        for _ in range(number):
            self._call()
        self._torch.cuda.synchronize()

    def until(self, monotonic_s: float) -> None:
        """Keep one call queued ahead, so that the card never waits for Python."""
        event = self._torch.cuda.Event
        running, queued = event(), event()
        while time.monotonic() < monotonic_s:
            self._call()
            queued.record()
            running.synchronize()
            running, queued = queued, running
        self._torch.cuda.synchronize()

    def _make(self, size: int) -> None:
        torch = self._torch
        torch.manual_seed(0)
        self._a, self._b = torch.randn(2, size, size, device="cuda", dtype=self._dtype)
        self._c = torch.empty_like(self._a)

    def _call(self) -> None:
        self._torch.matmul(self._a, self._b, out=self._c)

    def _time(self, number: int = 50) -> float:
        """Return the seconds of one of many calls, after a few that load the kernels."""
        self.calls(3)
        begun_s = time.monotonic()
        self.calls(number)
        return (time.monotonic() - begun_s) / number


def _cuda_torch() -> Any:
    try:
        import torch
    except ImportError:
        raise GreenopsError("torch is not installed; fix: pip install torch") from None
    if not torch.cuda.is_available():
        built = torch.version.cuda or "none"
        raise GreenopsError(
            f"torch {torch.__version__} sees no CUDA card (its CUDA: {built}); "
            "fix: install a CUDA build of torch that fits the driver"
        )
    return torch
