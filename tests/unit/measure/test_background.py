"""Threads of this process that compute beside the measured work."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from pytest_greenops.measure import background as module
from pytest_greenops.measure.background import LOOK_S, BackgroundThreads, cpu_times
from pytest_greenops.measure.self_checks import background
from pytest_greenops.system import SYSTEM
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
        (0.05, 0.3, "thread 8", True),
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


def test_the_busiest_thread_is_named() -> None:
    """The order in which threads were started does not matter."""
    threads = Threads()
    watch = BackgroundThreads(threads.read, lambda: threads.now_ns, threads.sleep)
    watch.start()
    threads.shares = {7: 1.0, 8: 0.5}
    threads.run(0.2)
    assert watch.stop() == "thread 7"


def test_a_thread_that_ends_with_the_work_does_not_go_on() -> None:
    """It may have been the only one."""
    threads = Threads()
    watch = BackgroundThreads(threads.read, lambda: threads.now_ns, threads.sleep)
    watch.start()
    threads.shares = {7: 1.0, 8: 0.5}
    threads.run(0.2)
    del threads.used_ns[7], threads.shares[7]
    assert watch.stop() == "thread 8"
    del threads.used_ns[8], threads.shares[8]
    assert watch.stop() is None


def test_a_thread_that_cannot_be_looked_at_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some have no number of the system yet, have ended, are this one, or are ours."""
    kinds = [
        SimpleNamespace(native_id=None, name="begins"),
        SimpleNamespace(native_id=20, name="ended"),
        SimpleNamespace(native_id=30, name="pytest-greenops-sampler"),
        SimpleNamespace(name="of a stub"),
        SimpleNamespace(native_id=50, name="here"),
        SimpleNamespace(native_id=60, name="spins"),
        SimpleNamespace(native_id=70),
    ]

    def clock_gettime_ns(clock: int) -> int:
        try:
            return {-482: 6, -562: 7, -242: 3, -402: 5}[clock]
        except KeyError:
            raise OSError("it has ended") from None

    system = replace(SYSTEM, clock_gettime_ns=clock_gettime_ns, get_ident=lambda: 4)
    monkeypatch.setattr(module, "SYSTEM", system)
    monkeypatch.setattr(module, "_ACTIVE", dict(enumerate(kinds)))
    assert cpu_times() == {60: ("spins", 6), 70: ("", 7)}
    monkeypatch.setattr(module, "SYSTEM", replace(system, clock_gettime_ns=None))
    assert cpu_times() == {}


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
