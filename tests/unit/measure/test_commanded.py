"""The commanded meter: its orders, what it sends for each, its CPU, and when it is quiet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_greenops.measure import commanded
from pytest_greenops.measure.commanded import PATIENCE_S, CommandedMeter, Loop, Order, Slice
from pytest_greenops.measure.meter import Plan
from pytest_greenops.measure.trip import Trip
from pytest_greenops.model.measurement import CheckName, Measurement
from pytest_greenops.sensors import process_tree
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.system import SYSTEM
from pytest_greenops.testing import FakeSensor
from tests.unit.builders import CPU
from tests.unit.measure.lab import Lab, joules

#: CPUs on which the process may run before it is ordered to one.
BEFORE = {2, 3}
ANY = Plan((1,))


class Machine:
    """The CPU time, the children and the CPUs of a process, as the system tells them.

    spins_s  for how long threads still use a whole CPU while this one sleeps
    kept     the CPUs on which the thread was kept, in order
    """

    def __init__(self) -> None:
        self.now_ns = self.process_ns = self.thread_ns = 10**9
        self.children_s = 0.0
        self.child_lives = False
        self.spins_s = 0.0
        self.kept: list[set[int]] = []
        self.refuses = False

    def work(self, seconds: float, others_s: float = 0.0) -> None:
        """Let this thread, and others, use CPU time."""
        self.now_ns += round(seconds * 1e9)
        self.thread_ns += round(seconds * 1e9)
        self.process_ns += round((seconds + others_s) * 1e9)

    def sleep(self, seconds: float) -> None:
        """Let time pass, in which threads may spin."""
        self.now_ns += round(seconds * 1e9)
        spun_s = min(seconds, self.spins_s)
        self.spins_s -= spun_s
        self.process_ns += round(spun_s * 1e9)

    def keep(self, pid: int, cpus: set[int]) -> None:
        """Note where this thread is kept."""
        assert pid == 0
        if self.refuses:
            raise OSError("no such CPU")
        self.kept.append(set(cpus))

    def wait_for_child(self, *_: object) -> None:
        """Raise if there is no child."""
        if not self.child_lives:
            raise ChildProcessError


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a machine that replaces the real one."""
    machine = Machine()
    system = replace(
        SYSTEM,
        process_time_ns=lambda: machine.process_ns,
        thread_time_ns=lambda: machine.thread_ns,
        monotonic_ns=lambda: machine.now_ns,
        sleep=machine.sleep,
        affinity=lambda pid: set(BEFORE),
        set_affinity=machine.keep,
        ended_children=lambda: (machine.children_s, 0.0),
        waitid=machine.wait_for_child,
    )
    monkeypatch.setattr(commanded, "SYSTEM", system)
    monkeypatch.setattr(process_tree, "SYSTEM", system)
    return machine


class Orders:
    """Prepared orders, and what was sent back."""

    def __init__(self, orders: Sequence[Order]) -> None:
        self._orders = iter(orders)
        self.loops: list[Loop] = []
        self.slices: list[Slice] = []
        self.before_next: Callable[[], None] = lambda: None

    def begin(self, loop: Loop) -> None:
        """Note what is ready."""
        self.loops.append(loop)

    def next(self) -> Order | None:
        """Return the next order."""
        assert self.loops
        self.before_next()
        return next(self._orders, None)

    def done(self, slice_: Slice) -> None:
        """Note what was used."""
        self.slices.append(slice_)


class Side(Lab):
    """A lab whose meter waits for orders."""

    def __init__(self, *orders: Order, sensor: FakeSensor | None = None) -> None:
        super().__init__()
        self.sensor = sensor or self.sensor
        self.orders = Orders(orders)
        self.found: dict[str, Measurement] = {}

    def loop(self, work: Callable[[Trip], object], plan: Plan = ANY, **options: Any) -> list[Slice]:
        """Make all trips; return what was sent."""

        def enough(found: Mapping[str, Measurement], number: int) -> bool:
            self.found = dict(found)
            return True

        instruments = Instruments([self.sensor])
        orders: Any = {"orders": self.orders, "clock": self, **options}
        for trip in CommandedMeter(instruments, plan, enough, **orders).trips():
            self.trips.append(trip.iterations)
            with trip.window("call"):
                work(trip)
        return self.orders.slices

    def call(self, trip: Trip) -> None:
        """Spend 2 J in each call of 0.2 s."""
        for _ in range(trip.iterations):
            self.spend(2.0)


def test_a_trip_for_each_order(machine: Machine) -> None:
    """Each order is answered by the energy and the time of as many calls."""
    side = Side(Order(1), Order(5))
    sent = side.loop(side.call)
    assert side.trips == [1, 5]
    assert [each.rounds["call"].iterations for each in sent] == [1, 5]
    assert [each.rounds["call"].energy_uj for each in sent] == [{"cpu:0": 2e6}, {"cpu:0": 10e6}]
    assert [each.seconds for each in sent] == pytest.approx([0.2, 1.0])
    assert [each.void for each in sent] == [None, None]


def test_no_order(machine: Machine) -> None:
    """A loop that is ended at once makes no trip."""
    side = Side()
    assert (side.loop(side.call), side.trips, len(side.orders.loops)) == ([], [], 1)


@pytest.mark.parametrize(
    ("plan", "fixed"),
    [
        (Plan((1,)), (False, None, None)),
        (Plan((1,), once=True, iterations=1, warmup=0), (True, 1, 0)),
        (Plan((5,), iterations=7, warmup=2), (False, 7, 2)),
    ],
    ids=["free", "once", "the test's"],
)
def test_the_loop_says_what_the_plan_fixes(
    machine: Machine, plan: Plan, fixed: tuple[bool, int | None, int | None]
) -> None:
    """It is announced once, with its plan, its sensors and what traces the process."""
    sensor = FakeSensor(CPU, name="mine", source="estimated")
    side = Side(Order(1), Order(1), sensor=sensor)
    side.loop(side.call, plan, instrumented="coverage traces")
    [loop] = side.orders.loops
    assert (loop.once, loop.iterations, loop.warmup) == fixed
    assert (loop.domains, loop.sensors, loop.estimated) == ((CPU,), {"cpu:0": "mine"}, ("cpu:0",))
    assert (loop.edged, loop.instrumented) == (False, "coverage traces")


def test_a_void_trip_is_sent_with_its_reason(machine: Machine) -> None:
    """It has no rounds and does not end the loop."""
    side = Side(Order(1), Order(1), Order(1))

    def work(trip: Trip) -> None:
        side.call(trip)
        (side.sensor.fail if len(side.trips) == 2 else side.sensor.recover)()

    good, void, after = side.loop(work)
    assert (void.rounds, good.void) == ({}, None)
    assert void.void is not None
    assert good.rounds.keys() == {"call"}
    assert after.void is not None, "its first reading is missing"
    assert [each.iterations for each in side.found["call"].rounds] == [1]


def test_units(machine: Machine) -> None:
    """Units that the work counted arrive with the round."""
    side = Side(Order(2))

    def work(trip: Trip) -> None:
        side.call(trip)
        trip.units["word"] = 20.0

    [sent] = side.loop(work)
    assert sent.rounds["call"].units == {"word": 20.0}


def test_results_have_the_rounds(machine: Machine) -> None:
    """Once the loop has ended, the test's own results are those of all trips but the warm-up."""
    side = Side(Order(1), Order(4), Order(4))
    side.loop(side.call)
    assert joules(side.found["call"]) == [2.0, 2.0]
    assert [each.iterations for each in side.found["call"].rounds] == [4, 4]


@pytest.mark.parametrize("set_", [{"warmup": 0}, {"once": True}], ids=str)
def test_results_of_a_test_without_a_warm_up(machine: Machine, set_: dict[str, Any]) -> None:
    """The results of a test that has no warm-up have all trips."""
    side = Side(Order(1), Order(4))
    side.loop(side.call, replace(ANY, **set_))
    assert [each.iterations for each in side.found["call"].rounds] == [1, 4]


def test_a_cached_function(machine: Machine) -> None:
    """A first call that uses far more than the later ones is noted, as in any measurement."""
    side = Side(Order(1), Order(4), Order(4))
    side.loop(lambda trip: side.spend(2.0 if len(side.trips) == 1 else 1e-3))
    assert [check.name for check in side.found["call"].checks] == [CheckName.WARM_UP]


def test_cpu(machine: Machine) -> None:
    """The thread is kept on the ordered CPU for the trip, and goes where it might afterwards."""
    side = Side(Order(1, cpu=3), Order(1, cpu=3), Order(1, cpu=2), Order(1), Order(1, cpu=3))
    at_work: list[set[int]] = []
    side.loop(lambda trip: (side.call(trip), at_work.append(machine.kept[-1])))
    assert at_work == [{3}, {3}, {2}, BEFORE, {3}]
    assert machine.kept == [{3}, {2}, BEFORE, {3}, BEFORE]


def test_no_cpu(machine: Machine) -> None:
    """Without an order to, the thread is not kept anywhere."""
    side = Side(Order(1))
    side.loop(side.call)
    assert machine.kept == []


def test_cpu_of_work_that_raises(machine: Machine) -> None:
    """Its thread may go everywhere again, and nothing is sent."""
    side = Side(Order(1, cpu=3))

    def work(trip: Trip) -> None:
        raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        side.loop(work)
    assert machine.kept == [{3}, BEFORE]
    assert side.orders.slices == []


def test_a_cpu_that_is_not_allowed(machine: Machine) -> None:
    """The work goes on where it is."""
    machine.refuses = True
    side = Side(Order(1, cpu=3))
    [sent] = side.loop(side.call)
    assert sent.void is None


def test_a_system_that_keeps_no_thread_on_a_cpu(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work goes on where the system lets it: macOS has no such call."""
    monkeypatch.setattr(commanded, "SYSTEM", replace(SYSTEM, set_affinity=None))
    side = Side(Order(1, cpu=3))
    [sent] = side.loop(side.call)
    assert (sent.void, machine.kept) == (None, [])


def _thread(machine: Machine) -> None:
    machine.work(0.1, others_s=0.01)


def _short_thread(machine: Machine) -> None:
    machine.work(0.1, others_s=0.001)


def _clocks_apart(machine: Machine) -> None:
    machine.work(0.0001, others_s=0.00004)


def _ended_child(machine: Machine) -> None:
    machine.work(0.1)
    machine.children_s += 0.01


def _living_child(machine: Machine) -> None:
    machine.work(0.1)
    machine.child_lives = True


@pytest.mark.parametrize(
    ("use", "alone"),
    [
        (lambda machine: machine.work(0.1), True),
        (_thread, False),
        (_short_thread, True),
        (_clocks_apart, True),
        (_ended_child, False),
        (_living_child, False),
    ],
    ids=["alone", "thread", "short thread", "clocks apart", "ended child", "living child"],
)
def test_alone(machine: Machine, use: Callable[[Machine], None], alone: bool) -> None:
    """Work of another thread or a child is seen, what clocks differ by is not."""
    side = Side(Order(1))
    [sent] = side.loop(lambda trip: (side.call(trip), use(machine)))
    assert sent.alone is alone


def test_idle_cpu_time(machine: Machine) -> None:
    """CPU time between two trips is reported with the second, without that of the work."""
    side = Side(Order(1), Order(1), Order(1))
    side.orders.before_next = lambda: machine.work(0.03 * len(side.orders.slices))
    sent = side.loop(lambda trip: (side.call(trip), machine.work(0.1, others_s=0.2)))
    assert [each.idle_s for each in sent] == pytest.approx([0.0, 0.03, 0.06])


@pytest.mark.parametrize(
    ("spins_s", "least_s", "most_s"),
    [(0.0, 0.001, 0.01), (0.1, 0.1, 0.11), (60.0, PATIENCE_S, PATIENCE_S + 0.01)],
    ids=["quiet", "spins", "spins on"],
)
def test_settling(machine: Machine, spins_s: float, least_s: float, most_s: float) -> None:
    """An order may ask to wait until no thread spins, but not for ever."""
    side = Side(Order(1, settle=True), Order(1))
    machine.spins_s = spins_s
    began_ns = machine.now_ns
    _, after = side.loop(side.call)
    assert least_s <= (machine.now_ns - began_ns) * 1e-9 <= most_s
    assert after.idle_s == 0.0, "the wait is no idle time"


def test_no_settling(machine: Machine) -> None:
    """Without an order to, no time passes."""
    side = Side(Order(1))
    machine.spins_s, began_ns = 60.0, machine.now_ns
    side.loop(side.call)
    assert machine.now_ns == began_ns
