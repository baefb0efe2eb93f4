"""The estimate: CPU time of the process tree, and the watts by which it is multiplied."""

from __future__ import annotations

import errno
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import IO, NamedTuple

import psutil
import pytest

from pytest_greenops.model.errors import OptionError, SensorUnavailable
from pytest_greenops.model.measurement import Reading
from pytest_greenops.sensors import process_tree
from pytest_greenops.sensors.base import difference
from pytest_greenops.sensors.cpu_estimate import estimate
from pytest_greenops.sensors.cpu_estimate.core_watts import DEFAULT_WATTS, CorePower, core_power
from pytest_greenops.sensors.cpu_estimate.estimate import EstimateSensor
from pytest_greenops.system import SYSTEM
from tests.unit.builders import FakeClock

ROOT = Path(__file__).parents[4]
ONE_WATT = CorePower(1.0, "a test")
COUNTS = [
    pytest.param(
        estimate.tree_cpu_time_ns,
        id="linux",
        marks=pytest.mark.skipif(sys.platform != "linux", reason="reads Linux' lists of children"),
    ),
    pytest.param(estimate.tree_cpu_time_portable_ns, id="portable"),
]
each_count = pytest.mark.parametrize("cpu_time_ns", COUNTS)

#: Burns CPU seconds, prints a line, and lives on until its input ends.
BURN = "import sys, time\nwhile time.process_time() < {seconds}: pass\nprint(flush=True)\n"
LIVE_ON = "sys.stdin.read()"
#: A child that does no work itself: its own child burns, ends, and is waited for.
DELEGATE = (
    "import subprocess, sys\n"
    "subprocess.run([sys.executable, '-c', {program!r}], stdout=subprocess.DEVNULL)\n"
    "print(flush=True)\nsys.stdin.read()"
)
GENERATIONS = ["child", "grandchild"]


def sensor_of(cpu_time_ns: Callable[[], int]) -> EstimateSensor:
    """Return a sensor of one joule for a CPU second, so that joules are seconds."""
    return EstimateSensor(ONE_WATT, 0.0, cpu_time_ns)


def joules(sensor: EstimateSensor, before: Reading, after: Reading) -> float:
    """Return the joules of the core in a window that must not be void."""
    window = difference(sensor.domains, before, after)
    assert window.void is None
    return window.energy_uj["cpu:0"] * 1e-6


def start(program: str) -> subprocess.Popen[str]:
    """Start a Python program with pipes to talk to it."""
    return subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def pipe(stream: IO[str] | None) -> IO[str]:
    """Return a pipe that must exist."""
    assert stream is not None
    return stream


@each_count
def test_counts_own_work(cpu_time_ns: Callable[[], int]) -> None:
    """CPU time of this process is multiplied by the watts of a busy core."""
    sensor = sensor_of(cpu_time_ns)
    before, start_s = sensor.read(), time.process_time()
    sum(range(10_000_000))
    after, burnt_s = sensor.read(), time.process_time() - start_s
    waited_s = (after.time_ns - before.time_ns) * 1e-9
    expected_j = burnt_s + estimate.WAITING_SHARE * waited_s
    assert joules(sensor, before, after) == pytest.approx(expected_j, rel=0.05)


@each_count
@pytest.mark.parametrize("lives", [True, False], ids=["living", "ended"])
@pytest.mark.parametrize("program", [BURN.format(seconds=0.3) + LIVE_ON, DELEGATE], ids=GENERATIONS)
def test_counts_descendants(cpu_time_ns: Callable[[], int], program: str, lives: bool) -> None:
    """Work of a child counts, with its own children's, while it lives and once it has ended."""
    sensor = sensor_of(cpu_time_ns)
    before, own_s = sensor.read(), time.process_time()
    with start(program.format(program=BURN.format(seconds=0.3))) as child:
        pipe(child.stdout).readline()
        after, living_s = sensor.read(), time.process_time() - own_s
        pipe(child.stdin).close()
    if not lives:
        after, living_s = sensor.read(), time.process_time() - own_s
    assert 0.28 < joules(sensor, before, after) - living_s < 0.6


def test_child_that_ends_is_counted_once() -> None:
    """A child's work is the same before it ends, before it is waited for, and afterwards."""
    sensor = sensor_of(estimate.tree_cpu_time_ns)
    readings = [sensor.read()]
    with start(BURN.format(seconds=0.3) + LIVE_ON) as child:
        pipe(child.stdout).readline()
        readings.append(sensor.read())
        pipe(child.stdin).close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        readings.append(sensor.read())
    readings.append(sensor.read())
    steps_j = [joules(sensor, *pair) for pair in pairwise(readings)]
    assert steps_j[0] > 0.28
    assert sum(steps_j[1:]) < 0.1


class Threads(FakeClock):
    """A process whose reading thread computes all the time, and whose others may."""

    def __init__(self, others: int) -> None:
        super().__init__()
        self._others = others

    def own_ns(self) -> int:
        """Return the CPU time of the thread that reads."""
        return self.time_ns

    def all_ns(self) -> int:
        """Return the CPU time of all threads; that of others moves in ticks of 10 ms."""
        return self.time_ns + self._others * (self.time_ns // 10_000_000 * 10_000_000)


@pytest.mark.parametrize(("others", "least_s", "most_s"), [(0, 0.0, 5e-6), (2, 2e-3, 32e-3)])
def test_edges_are_exact_unless_others_run(others: int, least_s: float, most_s: float) -> None:
    """The reader's own CPU time is exact to microseconds; that of others is late by a tick."""
    clock = Threads(others)
    sensor = EstimateSensor(ONE_WATT, 0.0, clock.all_ns, clock, clock.own_ns)
    for _ in range(100):
        before = sensor.read()
        clock.sleep(0.0085)
        after = sensor.read()
        window = difference(sensor.domains, before, after)
    assert after.error_uj[0] > 0
    assert least_s < window.error_uj["cpu:0"] * 1e-6 < most_s


def test_neighbour_is_not_counted() -> None:
    """Work of a process that is not a descendant is not included."""
    count = f"import time; from {estimate.__name__} import *; "
    shown = "print((tree_cpu_time_ns() - time.process_time_ns()) / 1e9)"
    with start(BURN.format(seconds=0.3) + LIVE_ON) as busy:
        pipe(busy.stdout).readline()
        sibling = subprocess.run(
            [sys.executable, "-c", count + shown], cwd=ROOT, capture_output=True, text=True
        )
        pipe(busy.stdin).close()
    assert abs(float(sibling.stdout)) < 0.01


WORKER = """
import os, sys, time
os.sched_setaffinity(0, {sys_cpu})
from pytest_greenops.sensors.base import difference
from pytest_greenops.sensors.cpu_estimate.estimate import open_sensor
sensor = open_sensor()
def work():
    sum(number * number for number in range(2_000_000))
for _ in sys.stdin:
    work()  # the caches of a CPU that was idle are cold
    started_s, before = time.process_time(), sensor.read()
    work()
    window = difference(sensor.domains, before, sensor.read())
    used_s = time.process_time() - started_s
    print(sum(window.energy_uj.values()) / used_s, window.seconds / used_s, flush=True)
"""
NEIGHBOUR = "import os\nos.sched_setaffinity(0, {sys_cpu})\nwhile True: pass"


@pytest.fixture
def neighbour() -> Iterator[subprocess.Popen[str]]:
    """A process that would take half of the last CPU, but is stopped."""
    process = start(NEIGHBOUR.format(sys_cpu={max(os.sched_getaffinity(0))}))
    os.kill(process.pid, signal.SIGSTOP)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.real_time
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs to share one CPU")
def test_busy_neighbour_is_not_charged(neighbour: subprocess.Popen[str]) -> None:
    """A neighbour that takes every other second adds only the share of waiting, within 1 %.

    The joules are those of a second of CPU time: how many of these the work takes beside a
    neighbour is up to the machine, whose caches are shared.
    """
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER.format(sys_cpu={max(os.sched_getaffinity(0))})],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )

    def work() -> tuple[float, float]:
        pipe(worker.stdin).write("go\n")
        pipe(worker.stdin).flush()
        used_uj, seconds = pipe(worker.stdout).readline().split()
        return float(used_uj), float(seconds)

    alone, shared = [], []
    with worker:
        for _ in range(11):
            alone.append(work())
            os.kill(neighbour.pid, signal.SIGCONT)
            shared.append(work())
            os.kill(neighbour.pid, signal.SIGSTOP)
        pipe(worker.stdin).close()
    assert statistics.median(b[1] / a[1] for a, b in zip(alone, shared, strict=True)) > 1.2
    charged_uj = [
        [used_uj / (1 + estimate.WAITING_SHARE * seconds) for used_uj, seconds in windows]
        for windows in (alone, shared)
    ]
    ratio = statistics.median(b / a for a, b in zip(*charged_uj, strict=True))
    assert ratio == pytest.approx(1.0, abs=0.01)


def known_process(monkeypatch: pytest.MonkeyPatch, stat: bytes) -> None:
    """Let process 7 have run for 5 s and 123 ns, with a stat of these fields."""
    running_ns, files = {(~7 << 3) | 2: 5_000_000_123}, {"/proc/7/stat": stat}
    system = SimpleNamespace(
        clock_gettime_ns=running_ns.__getitem__, read_file=files.__getitem__, clock_ticks=100
    )
    monkeypatch.setattr(estimate, "SYSTEM", system)


def test_the_time_of_a_process_includes_its_ended_children(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own has nanoseconds; theirs, in user and system mode, hundredths of a second."""
    known_process(monkeypatch, b"7 (a ) 9 9) S 1 7 7 0 -1 0 0 0 0 0 900 90 200 51 20 0 1 0\n")
    assert estimate.process_ns(7) == 5_000_000_123 + 2_510_000_000


@pytest.mark.parametrize(
    "stat",
    [
        b"",
        b"7 (x) S 1 7 7 0 -1 0 0 0 0 0 900 90 200\n",
        b"7 (x) S 1 7 7 0 -1 0 0 0 0 0 900 90 ? 51\n",
        b"7 (x) S 1 7 7 0 -1 0 0 0 0 0 900 90 -200 51\n",
    ],
)
def test_a_process_without_times_has_none(monkeypatch: pytest.MonkeyPatch, stat: bytes) -> None:
    """It is not taken for one whose children used nothing."""
    known_process(monkeypatch, stat)
    with pytest.raises(OSError, match="/proc/7/stat has no CPU time of its children"):
        estimate.process_ns(7)


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """The nanoseconds of the processes below this one: 2 and 3, and 4 below 2. 3 s have ended."""
    system = replace(
        SYSTEM,
        getpid=lambda: 1,
        process_time_ns=lambda: 5,
        ended_children=lambda: (1.0, 2.0, 400.0),
    )
    used_ns = {2: 10, 3: 200, 4: 3000}

    def process_ns(pid: int) -> int:
        if pid not in used_ns:
            raise ProcessLookupError(errno.ESRCH, "No such process")
        return used_ns[pid]

    monkeypatch.setattr(estimate, "SYSTEM", system)
    monkeypatch.setattr(process_tree, "SYSTEM", system)
    monkeypatch.setattr(process_tree, "has_children", lambda: bool(used_ns))
    below = {1: [2, 3], 2: [4]}
    monkeypatch.setattr(process_tree, "children", lambda pid: below.get(pid, []))
    monkeypatch.setattr(estimate, "process_ns", process_ns)
    return used_ns


def test_all_who_ended_and_all_who_live_are_the_tree(tree: dict[int, int]) -> None:
    """With this process; a part of the tree can be left out."""
    assert estimate.tree_cpu_time_ns() == 3_000_003_215
    assert estimate.below_ns(1) == (3210, True)
    assert estimate.below_ns(1, without=(2,)) == (200, True)
    assert estimate.below_ns(1, without=(3,)) == (3010, True)
    tree.clear()
    assert estimate.tree_cpu_time_ns() == 3_000_000_005


def test_a_process_that_ended_meanwhile_is_not_forgotten(tree: dict[int, int]) -> None:
    """The count says that it is not whole, and it is repeated; the others are in it."""
    del tree[3]
    assert estimate.below_ns(1) == (3010, False)
    assert estimate.tree_cpu_time_ns() == 3_000_003_015


def test_without_a_descriptor_there_is_no_time(
    tree: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tree that cannot be read is not one that ended."""

    def full(pid: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(estimate, "process_ns", full)
    with pytest.raises(OSError, match="Too many open files"):
        estimate.tree_cpu_time_ns()


@pytest.mark.parametrize(
    ("listed", "count"),
    [(True, estimate.tree_cpu_time_ns), (False, estimate.tree_cpu_time_portable_ns)],
)
def test_psutil_counts_where_the_kernel_has_no_lists(
    monkeypatch: pytest.MonkeyPatch, listed: bool, count: Callable[[], int]
) -> None:
    """The lists are faster, and are read where they are."""
    monkeypatch.setattr(process_tree, "listed", lambda: listed)
    assert estimate.best_count() is count


class Times(NamedTuple):
    """The seconds that a process has used, and its ended children."""

    user: float
    system: float
    children_user: float
    children_system: float


class Descendant(NamedTuple):
    """A process as psutil knows it: its times, or None if it ended meanwhile."""

    seconds: tuple[float, float, float, float] | None

    def cpu_times(self) -> Times:
        """Return its times, and those of its ended children."""
        if self.seconds is None:
            raise SYSTEM.psutil_error("gone")
        return Times(*self.seconds)


def test_psutil_counts_all_who_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each generation, with their ended children; one that ended meanwhile hides no other."""
    child, grandchild = Descendant((1.0, 0.5, 0.25, 0.125)), Descendant((4.0, 2.0, 0.0, 0.0))
    below = {False: [Descendant(None), child], True: [Descendant(None), child, grandchild]}
    here = SimpleNamespace(children=lambda recursive=False: below[recursive])
    system = replace(
        SYSTEM,
        psutil_process=lambda: here,
        process_time_ns=lambda: 7,
        ended_children=lambda: (10.0, 20.0, 300.0),
    )
    monkeypatch.setattr(estimate, "SYSTEM", system)
    monkeypatch.setattr(process_tree, "SYSTEM", system)
    assert estimate.tree_cpu_time_portable_ns() == 37_875_000_007


def test_psutil_that_knows_no_descendants_is_an_error_of_the_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the reason that it gives."""

    def fails() -> None:
        raise psutil.NoSuchProcess(7)

    monkeypatch.setattr(estimate, "SYSTEM", replace(SYSTEM, psutil_process=fails))
    with pytest.raises(OSError, match=r"process no longer exists \(pid=7\)"):
        estimate.tree_cpu_time_portable_ns()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (OSError("access denied"), "access denied"),
    ],
)
def test_a_reading_without_cpu_time_says_when_and_why(error: OSError, words: str) -> None:
    """It has no count of any domain."""
    clock = FakeClock()

    def fails() -> int:
        raise error

    sensor = EstimateSensor(ONE_WATT, 0.0, fails, clock)
    clock.sleep(2.0)
    why = f"could not be estimated: CPU time cannot be read ({words})"
    expected = Reading(clock.now_ns(), [None, None], why={"cpu:0": why, "dram:0": why})
    assert sensor.read() == expected


def test_a_reading_is_work_and_a_share_of_the_wait() -> None:
    """Of 5 W and 0.5 W of memory; a rank that charges no waiting has the work alone."""
    clock, counts_ns = FakeClock(), iter([0, 0, 2_000_000_000, 4_000_000_000])
    clock.sleep(1000.0)
    sensor = EstimateSensor(CorePower(5.0, "a test"), 0.5, lambda: next(counts_ns), clock)
    assert sensor.read().energy_uj == [0, 0]
    clock.sleep(3.0)
    waited_w = estimate.WAITING_SHARE * 3.0
    charged_uj = [round(waited_w * 5e6), round(waited_w * 5e5)]
    assert sensor.read().energy_uj == pytest.approx(charged_uj, abs=1)
    sensor.charges_waiting = False
    reading = sensor.read()
    assert (reading.time_ns, reading.energy_uj) == (clock.now_ns(), [10_000_000, 1_000_000])


def test_heat_of_any_package_is_a_state_of_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimate does not know where its process runs, so the counts of all are added."""
    counts = SimpleNamespace(
        states=lambda domains, whole: {d.name: whole for d in domains}, close=lambda: None
    )
    monkeypatch.setattr(estimate, "ThrottleCounts", lambda: counts)
    assert sensor_of(lambda: 0).states() == {"cpu:0": True, "dram:0": True}


def test_waiting_is_charged_a_little() -> None:
    """A window of waiting costs the waiting share of a busy core."""
    sensor = EstimateSensor(CorePower(100.0, "a test"), 10.0, lambda: 0)
    before = sensor.read()
    time.sleep(0.01)
    after = sensor.read()
    window = difference(sensor.domains, before, after)
    expected_uj = 100.0 * estimate.WAITING_SHARE * window.seconds * 1e6
    assert window.energy_uj["cpu:0"] == pytest.approx(expected_uj, abs=1)
    assert window.energy_uj["dram:0"] == pytest.approx(expected_uj / 10, abs=1)


def test_memory_is_charged_like_the_core() -> None:
    """CPU time is multiplied by the watts of memory too, in a domain of its own."""
    counts_ns = iter([0, 2_000_000_000])
    sensor = EstimateSensor(CorePower(4.0, "a test"), 1.5, lambda: next(counts_ns))
    window = difference(sensor.domains, sensor.read(), sensor.read())
    assert [domain.kind for domain in sensor.domains] == ["cpu", "dram"]
    assert window.energy_uj["cpu:0"] == pytest.approx(8_000_000, rel=0.001)
    assert window.energy_uj["dram:0"] == pytest.approx(3_000_000, rel=0.001)


def test_never_goes_back() -> None:
    """Readings only grow while children come and go."""
    sensor = sensor_of(estimate.tree_cpu_time_ns)
    readings = [sensor.read()]
    for _ in range(5):
        children = [start(BURN.format(seconds=0.02)) for _ in range(3)]
        readings += [sensor.read() for _ in range(50)]
        for child in children:
            child.communicate()
            readings.append(sensor.read())
    counts = [reading.energy_uj[0] for reading in readings]
    assert counts == sorted(counts, key=lambda count: count or 0)
    assert all(isinstance(count, int) for count in counts)


def test_lost_descendant_voids_the_window() -> None:
    """If the count goes back, the window is void."""
    counts_ns = iter([3_000_000_000, 1_000_000_000])
    sensor = sensor_of(lambda: next(counts_ns))
    before, after = sensor.read(), sensor.read()
    assert difference(sensor.domains, before, after).void == (
        "cpu:0 went back and its range is not known"
    )


def cpuinfo(**fields: object) -> dict[str, str]:
    """Return fields of `/proc/cpuinfo`; underscores in the names stand for blanks."""
    return {name.replace("_", " "): str(value) for name, value in fields.items()}


def test_watts_come_from_the_family() -> None:
    """A CPU whose name is hidden is known by its family and model numbers."""
    guest = {"vendor_id": "AuthenticAMD", **cpuinfo(cpu_family=25, model=17, model_name="AMD EPYC")}
    assert core_power(guest) == CorePower(360 / 96, "AMD EPYC 9004: 360 W / 96 cores of the 9654")


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("AMD EPYC 7551 32-Core Processor", "AMD EPYC 7001"),
        ("AMD Ryzen 7 1800X Eight-Core Processor", "AMD Ryzen 1000"),
        ("AMD Ryzen Threadripper 1950X 16-Core Processor", "AMD Ryzen Threadripper 1000"),
    ],
)
def test_the_name_separates_families_of_the_same_numbers(name: str, family: str) -> None:
    """If a server and a desktop share their numbers, the name decides."""
    cpu = {"vendor_id": "AuthenticAMD", **cpuinfo(cpu_family=23, model=1, model_name=name)}
    assert core_power(cpu).basis.startswith(f"{family}: ")


def test_arm_is_known_by_its_part() -> None:
    """Arm processors have an implementer and a part instead of vendor and model."""
    arm = cpuinfo(CPU_implementer="0x41", CPU_architecture=8, CPU_part="0xd0c")
    assert core_power(arm).basis.startswith("Arm Neoverse N1: 210 W / 80 cores")


def test_threads_that_share_a_core_are_charged_less() -> None:
    """With two threads a core, a busy thread counts for three quarters of a core."""
    cpu = {"vendor_id": "GenuineIntel", **cpuinfo(cpu_family=6, model=79, cpu_cores=14)}
    alone = core_power({**cpu, "siblings": "14"})
    shared = core_power({**cpu, "siblings": "28"})
    assert shared.watts == pytest.approx(0.75 * alone.watts)
    assert shared.basis == f"{alone.basis}, x 0.75 for two threads a core"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 999\nmodel name\t: New\n", "New"),
        ("processor\t: 0\n", "this CPU"),
        ("", "this CPU"),
        (None, "this CPU"),
    ],
)
def test_an_unknown_cpu_is_named(tmp_path: Path, text: str | None, name: str) -> None:
    """A CPU not in the table or without `/proc/cpuinfo` gets a default; the method has the fix."""
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    method = estimate.open_sensor(cpuinfo=tmp_path / "cpuinfo").method
    assert method.startswith(
        f"CPU time x {DEFAULT_WATTS} W per busy core "
        f"(a default: {name} is not in the table; set energy_cpu_watts)"
    )


def test_first_of_many_processors_counts(tmp_path: Path) -> None:
    """The fields are those of the first processor in the file."""
    known = "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 79\n"
    (tmp_path / "cpuinfo").write_text(f"{known}\n{known.replace('79', '999')}\n")
    assert "Intel Xeon E5 v4" in estimate.open_sensor(cpuinfo=tmp_path / "cpuinfo").method


def test_users_watts_take_the_tables_place() -> None:
    """`energy_cpu_watts` is used unchanged, and named as the source."""
    sensor = estimate.open_sensor(7.5)
    assert sensor.method.startswith("CPU time x 7.5 W per busy core (energy_cpu_watts)")
    assert (sensor.name, sensor.source) == ("estimate", "estimated")


def test_memory_of_unknown_size_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The method, which is compared, says that its energy is missing."""

    def forbidden() -> None:
        raise PermissionError(13, "Permission denied", "/proc/meminfo")

    monkeypatch.setattr(psutil, "virtual_memory", forbidden)
    assert estimate.open_sensor(7.5).method.endswith("and no memory: its size is unknown")


def test_a_machine_that_tells_no_cpu_time_has_no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is that of the system, with the fix."""

    def forbidden() -> None:
        raise SYSTEM.psutil_error("no rights")

    monkeypatch.setattr(estimate, "SYSTEM", replace(SYSTEM, psutil_process=forbidden))
    monkeypatch.setattr(estimate, "best_count", lambda: estimate.tree_cpu_time_portable_ns)
    with pytest.raises(
        SensorUnavailable, match=r"CPU time cannot be read .*; fix: let this process"
    ):
        estimate.open_sensor(7.5)


@pytest.mark.parametrize("watts", [0.0, -3.0, 1e300, float("nan"), float("inf")])
def test_watts_that_no_core_uses_are_refused(watts: float) -> None:
    """The error has the value as the user wrote it."""
    with pytest.raises(OptionError, match=r"energy_cpu_watts=.*: expected 0.001 W to 10 kW"):
        estimate.open_sensor(watts)
