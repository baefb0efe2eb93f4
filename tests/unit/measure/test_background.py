"""Threads of this process that compute beside the measured work."""

from __future__ import annotations

import threading

import pytest

from pytest_greenops.measure.background import LOOK_S, BackgroundThreads, cpu_times
from pytest_greenops.measure.self_checks import background
from tests.unit.builders import rounds


class Threads:
    """Threads with prepared shares of a CPU, in a time of their own."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.used_ns = {7: 0, 8: 0}
        self.shares = {7: 0.0, 8: 0.0}
        self.slept_s = 0.0

    def read(self) -> dict[int, tuple[str, int]]:
        """Return names and CPU times."""
        return {number: (f"thread {number}", ns) for number, ns in self.used_ns.items()}

    def sleep(self, seconds: float) -> None:
        """Rest while the threads go on."""
        self.slept_s += seconds
        self.run(seconds)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ns += round(seconds * 1e9)
        for number, share in self.shares.items():
            self.used_ns[number] += round(seconds * share * 1e9)


@pytest.mark.parametrize(
    ("during", "after", "found", "looked"),
    [
        (0.0, 0.0, None, False),
        (0.01, 1.0, None, False),
        (1.0, 0.0, None, True),
        (1.0, 0.1, None, True),
        (1.0, 1.0, "thread 8", True),
        (0.3, 0.9, "thread 8", True),
    ],
)
def test_a_thread_that_goes_on_is_found(
    during: float, after: float, found: str | None, looked: bool
) -> None:
    """One that rests with the work belongs to it; nothing waits where no thread computed."""
    threads = Threads()
    watch = BackgroundThreads(threads.read, lambda: threads.now_ns, threads.sleep)
    watch.start()
    threads.shares[8] = during
    threads.run(0.2)
    threads.shares[8] = after
    assert watch.stop() == found
    assert threads.slept_s == (LOOK_S if looked else 0.0)


def test_a_thread_that_the_work_starts_is_not_looked_at() -> None:
    """It was not there before the measurement."""
    threads = Threads()
    watch = BackgroundThreads(threads.read, lambda: threads.now_ns, threads.sleep)
    watch.start()
    threads.used_ns[9], threads.shares[9] = 0, 1.0
    threads.run(0.2)
    assert watch.stop() is None


def test_real_threads_are_seen_by_name() -> None:
    """Python knows the name of a thread, and Linux its CPU time."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait, name="waits")
    thread.start()
    try:
        assert cpu_times()[thread.native_id or 0][0] == "waits"
    finally:
        over.set()
        thread.join()
    assert thread.native_id not in cpu_times()


def test_many_such_rounds_forbid_a_verdict() -> None:
    """A single round in many is trimmed off; the check names the thread."""
    assert background([], rounds(n=5)) is None
    few, most = background(["spin"], rounds(n=10)), background(["spin"] * 4, rounds(n=5))
    assert few
    assert not few.untrusted
    assert most
    assert most.untrusted
    assert most.finding == (
        "thread 'spin' of this process computed during 4 of 5 rounds, and went on when nothing was "
        "measured"
    )
