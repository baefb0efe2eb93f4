"""The load of other processes, tested with real processes."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_greenops.machine import gaps, load
from pytest_greenops.machine.load import (
    RESOLUTION_S,
    CpuTime,
    LoadProbe,
    LoadShare,
    _MachineTime,
)
from pytest_greenops.sensors.cpu_estimate.estimate import below_ns
from pytest_greenops.system import SYSTEM

CPUS = os.cpu_count() or 1
#: The kernel samples the load of the machine, and counts that of a process exactly.
SAMPLING = 0.05
BURN = "import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass\n"
#: Leave a busy process behind that is nobody's child, and print its id.
ORPHAN = (
    "import subprocess, sys\n"
    "busy = subprocess.Popen([sys.executable, '-c', 'while True: pass'], start_new_session=True,\n"
    "    stdout=subprocess.DEVNULL)\n"
    "print(busy.pid, flush=True)\n"
)


def probe_of(*readings: CpuTime, cpus: int = 4) -> LoadProbe:
    """Return a probe that reads these counts in turn."""
    return LoadProbe(iter(readings).__next__, cpus)


def share_of(machine_s: float, own_s: float, stolen_s: float = 0.0, window_s: float = 1.0) -> float:
    """Return the others' share of 4 CPUs that were busy for this time in a window."""
    start, stop = CpuTime(100, 50, 7, 3), CpuTime(100 + window_s, 50 + machine_s, 7, 3 + own_s)
    probe = probe_of(start, stop)
    probe.start()
    return probe.stop().others


def test_others_use_the_rest_of_the_busy_time() -> None:
    """Of 2 busy CPU seconds in a second of 4 CPUs, 0.5 are ours: others have 1.5 of 4."""
    assert share_of(2.0, 0.5) == pytest.approx((1.5 - RESOLUTION_S) / 4)


@pytest.mark.parametrize("rounding_s", [-0.02, -0.01, 0.01, 0.02])
def test_rounding_is_not_taken_for_others(rounding_s: float) -> None:
    """In a window of 0.1 s, where the kernel's rounding is 5 % of 4 CPUs, the share is zero."""
    assert share_of(0.1 + rounding_s, 0.1, window_s=0.1) == 0.0


def test_other_load_is_seen_in_a_short_window() -> None:
    """In a window of 0.1 s, another process that keeps one of 4 CPUs busy is well over 3 %."""
    assert share_of(0.2, 0.1, window_s=0.1) == pytest.approx(0.2)


def test_steal_is_not_the_load_of_others() -> None:
    """Time that the hypervisor took is steal, and is not counted as other processes."""
    probe = probe_of(CpuTime(0, 1, 0.5, 1), CpuTime(1, 2, 0.51, 2))
    probe.start()
    share = probe.stop()
    assert share.others == 0.0
    assert share.steal == pytest.approx(0.01 / 4)


def test_shares_stay_within_nothing_and_all() -> None:
    """An empty window, or counts that decreased, give shares between 0 and 1."""
    for stop in (CpuTime(0, 0, 0, 0), CpuTime(1, -3, -3, 0), CpuTime(1, 90, 90, 0)):
        probe = probe_of(CpuTime(0, 0, 0, 0), stop)
        probe.start()
        assert all(0 <= share <= 1 for share in probe.stop())
    assert share_of(90, 0) == 1.0


def test_can_be_used_for_one_round_after_another() -> None:
    """Each start begins a new window."""
    readings = [CpuTime(0, 0, 0, 0), CpuTime(1, 4, 0, 0), CpuTime(2, 8, 0, 0), CpuTime(3, 8, 0, 0)]
    probe = probe_of(*readings)
    probe.start()
    assert probe.stop().others > 0.9
    probe.start()
    assert probe.stop().others == 0.0


@pytest.mark.parametrize("content", ["", "cpu  0 0 0 0 0 0 0 0 0 0\n", "cpu\n", "cpu  ? ~\n"])
def test_a_machine_that_tells_no_cpu_time_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    """What others do is unknown then, and measuring goes on."""
    (tmp_path / "stat").write_text(content)
    monkeypatch.setattr(_MachineTime, "_shared", _MachineTime(str(tmp_path / "stat")))
    probe = LoadProbe()
    probe.start()
    assert probe.stop() == LoadShare(0.0, 0.0)
    assert "its CPU time cannot be read" in str(gaps({"cpu": "one"})["other load"])


def test_a_machine_that_tells_its_cpu_time_has_no_gap() -> None:
    """A named processor and a readable load need no word."""
    assert gaps({"cpu": "one"}) == {}


def test_workers_of_the_run_are_part_of_the_others() -> None:
    """Their share is known, so that they are not taken for strangers."""
    probe = probe_of(CpuTime(0, 0, 0, 0, 5), CpuTime(1, 3, 0, 1, 6))
    probe.start()
    share = probe.stop()
    assert share.workers == 0.25
    assert share.others == pytest.approx(0.5, abs=RESOLUTION_S)


def test_the_time_of_workers_is_that_of_the_siblings_of_a_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The controller's other children count; the process that asks does not."""
    with burn(0.2) as worker, burn(0.2):
        time.sleep(0.1)
        monkeypatch.setattr(load, "SYSTEM", replace(SYSTEM, getpid=lambda: worker.pid))
        others_s = load._workers_s(os.getpid())
        assert 0.0 < others_s < below_ns(os.getpid())[0] * 1e-9


def test_must_be_started() -> None:
    """A probe that was not started raises an error."""
    with pytest.raises(RuntimeError, match="start"):
        LoadProbe().stop()


@pytest.fixture
def other_process() -> Iterator[int]:
    """Return the id of a busy process that is not a descendant of this one."""
    started = subprocess.run(
        [sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True, check=True
    )
    pid = int(started.stdout)
    yield pid
    os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the clock of another process")
def test_sees_another_busy_process(other_process: int) -> None:
    """The share of others includes at least the CPU time of such a process."""
    clock = (~other_process << 3) | 2
    probe = LoadProbe()
    probe.start()
    start_s, used_s = time.monotonic(), time.clock_gettime(clock)
    time.sleep(0.5)
    used_s, window_s = time.clock_gettime(clock) - used_s, time.monotonic() - start_s
    share = probe.stop().others
    assert used_s > 0
    assert share >= used_s / (window_s * CPUS) - SAMPLING


def busy_threads() -> None:
    """Keep every CPU busy with threads: hashing releases the interpreter's lock."""
    end_s, block = time.monotonic() + 0.6, b"x" * 1_000_000

    def work() -> None:
        while time.monotonic() < end_s:
            hashlib.sha256(block)

    threads = [threading.Thread(target=work) for _ in range(CPUS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def ended_children() -> None:
    """Keep every CPU busy with children, and wait for them."""
    for child in [burn(0.6) for _ in range(CPUS)]:
        child.wait()


def burn(seconds: float) -> subprocess.Popen[bytes]:
    """Start a child that keeps a CPU busy."""
    return subprocess.Popen([sys.executable, "-c", BURN.format(seconds=seconds)])


def used_s() -> float:
    """Return the CPU seconds of this process and of the children that it waited for."""
    return sum(
        sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )


def most_that_others_had(own_s: float, window_s: float) -> float:
    """Return an upper bound of the others' share, with a tolerance."""
    return 1 - own_s / (window_s * CPUS) + SAMPLING


@pytest.mark.parametrize("work", [busy_threads, ended_children])
def test_own_work_is_not_the_others(work: Callable[[], None]) -> None:
    """CPU time of own threads and ended children is not counted as that of others."""
    probe = LoadProbe()
    start_s, own_s = time.monotonic(), used_s()
    probe.start()
    work()
    share = probe.stop().others
    own_s, window_s = used_s() - own_s, time.monotonic() - start_s
    assert own_s > 0.05 * window_s * CPUS
    assert share <= most_that_others_had(own_s, window_s)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the clocks of other processes")
def test_living_children_are_not_the_others() -> None:
    """CPU time of children that are still alive is not counted as that of others."""
    children = [burn(30) for _ in range(CPUS)]
    clocks = [(~child.pid << 3) | 2 for child in children]
    try:
        time.sleep(0.2)
        probe = LoadProbe()
        start_s, before_s = time.monotonic(), sum(map(time.clock_gettime, clocks))
        probe.start()
        time.sleep(0.5)
        share = probe.stop().others
        own_s = sum(map(time.clock_gettime, clocks)) - before_s
        window_s = time.monotonic() - start_s
    finally:
        for child in children:
            child.kill()
            child.wait()
    assert own_s > 0.05 * window_s * CPUS
    assert share <= most_that_others_had(own_s, window_s)


def test_is_cheap() -> None:
    """A reading takes less than a thousandth of the shortest round."""
    probe = LoadProbe()
    probe.start()
    costs_s = []
    for _ in range(50):
        start_s = time.process_time()
        probe.start()
        costs_s.append(time.process_time() - start_s)
    assert min(costs_s) < 0.0005
