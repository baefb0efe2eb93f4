"""The CPU time inside operators, on clocks that a test moves, without torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_greenops.system import SYSTEM
from pytest_greenops.work import time_inside
from pytest_greenops.work.time_inside import Instant, OperatorTimer, TimeInside

US = 1000
HERE, ELSEWHERE = 1, 2


class Machine:
    """The clocks of a process and of its thread, and a torch with one operator.

    plain, probed  how long that operator takes without counting and as a probe
    """

    def __init__(self) -> None:
        self.process = self.thread = self.wall = 5 * US
        self.ident = HERE
        self.plain, self.probed = 2 * US, [(7 * US, 6 * US)]
        self.modes = self.probes = 0
        tensor = SimpleNamespace(detach=lambda: self.run(self.plain))
        detach = SimpleNamespace(default=self.probe)
        self.torch = SimpleNamespace(
            empty=lambda size, device: tensor,
            ops=SimpleNamespace(aten=SimpleNamespace(detach=detach)),
            _C=SimpleNamespace(_len_torch_dispatch_stack=lambda: self.modes),
        )

    def run(self, process: int, thread: int | None = None, wall: int | None = None) -> None:
        """Let CPU time pass; by default as much in this thread, and of time."""
        self.process += process
        self.thread += process if thread is None else thread
        self.wall += process if wall is None else wall

    def probe(self, tensor: object) -> None:
        """Run the operator as a probe."""
        self.run(*self.probed[self.probes % len(self.probed)])
        self.probes += 1


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The machine whose clocks are read."""
    machine = Machine()
    clocks: dict[str, Callable[[], int]] = {
        "process_time_ns": lambda: machine.process,
        "thread_time_ns": lambda: machine.thread,
        "monotonic_ns": lambda: machine.wall,
        "get_ident": lambda: machine.ident,
    }
    monkeypatch.setattr(time_inside, "SYSTEM", replace(SYSTEM, **clocks))
    return machine


@pytest.fixture
def timer(machine: Machine) -> OperatorTimer:
    """A timer of this machine."""
    return OperatorTimer(machine.torch)


def times(
    timer: OperatorTimer, machine: Machine, *calls: tuple[int, ...], kind: Any = "add"
) -> list[tuple[int, int, int]]:
    """Return what the timer makes of calls of an operator: of process and thread, and returned."""
    found = []
    for call in calls:
        window = TimeInside()
        began = timer.begin(kind)
        machine.run(*call)
        found.append((timer.end(began, [window], kind), window.process, window.thread))
        machine.run(3 * US)  # between operators
    return found


def test_an_operator_takes_time_of_the_process_and_of_its_thread(
    timer: OperatorTimer, machine: Machine
) -> None:
    """Its own threads add to the process alone; each open window has both."""
    assert times(timer, machine, (90 * US, 40 * US)) == [(90 * US, 90 * US, 40 * US)]
    windows = [TimeInside(), TimeInside()]
    began = timer.begin()
    machine.run(50 * US)
    timer.end(began, windows)
    assert [(each.process, each.thread) for each in windows] == [(50 * US, 50 * US)] * 2


def test_operators_of_two_threads_at_once_count_once(
    timer: OperatorTimer, machine: Machine
) -> None:
    """The thread that does the counted work has its own alone."""
    window = TimeInside()
    began = timer.begin("mul")
    machine.run(10 * US)
    machine.ident = ELSEWHERE
    began_elsewhere = timer.begin("add")
    machine.run(20 * US, 0)
    machine.ident = HERE
    assert timer.end(began, [window], "mul") == 30 * US
    assert (window.process, window.thread) == (30 * US, 10 * US)
    machine.run(15 * US, 0)
    machine.ident = ELSEWHERE
    assert timer.end(began_elsewhere, [window], "add") == 35 * US
    assert (window.process, window.thread) == (45 * US, 10 * US)


def test_every_fourth_call_of_a_short_operator_is_timed(
    timer: OperatorTimer, machine: Machine
) -> None:
    """It stands for the next three, as long as none of them is much longer."""
    calls = times(timer, machine, (10 * US, 9 * US), *[(20 * US,)] * 3, (20 * US,), (5 * US,))
    first, later = (10 * US, 10 * US, 9 * US), (20 * US, 20 * US, 20 * US)
    assert calls == [first] * 4 + [later] * 2


def test_each_kind_is_timed_by_itself(timer: OperatorTimer, machine: Machine) -> None:
    """What has no kind is always timed."""
    assert times(timer, machine, (10 * US,))[0][0] == 10 * US
    assert times(timer, machine, (20 * US,), kind="mul")[0][0] == 20 * US
    assert times(timer, machine, (10 * US,), (20 * US,), kind=None)[1][0] == 20 * US


@pytest.mark.parametrize(("long_ns", "expected"), [(29_999, 29_999), (30_000, 10 * US)])
def test_every_call_of_a_long_operator_is_timed(
    timer: OperatorTimer, machine: Machine, long_ns: int, expected: int
) -> None:
    """Of 30 microseconds or more."""
    assert times(timer, machine, (long_ns,), (10 * US,))[1][0] == expected


@pytest.mark.parametrize(
    ("call", "taken_ns"),
    [
        ((60 * US,), 10 * US),
        # The process has used 3 us between the operators, which cannot be told apart.
        ((61 * US,), 61 * US),
        ((20 * US, 20 * US, 90 * US), 23 * US),
        ((20 * US, 20 * US, 60 * US), 10 * US),
    ],
    ids=["short", "long", "interrupted", "nearly"],
)
def test_a_call_that_was_not_timed_and_took_long_is_asked_for_its_time(
    timer: OperatorTimer, machine: Machine, call: tuple[int, ...], taken_ns: int
) -> None:
    """It takes what the process has used since the last timed one, or less if less time passed."""
    assert times(timer, machine, (10 * US,), call)[1] == (taken_ns,) * 3


def test_an_operator_that_became_long_is_timed_again(
    timer: OperatorTimer, machine: Machine
) -> None:
    """The next call is."""
    calls = times(timer, machine, (10 * US,), (90 * US,), (20 * US,))
    assert [taken for taken, _, _ in calls] == [10 * US, 90 * US, 20 * US]


@pytest.mark.parametrize("ends_there", [True, False])
def test_with_several_threads_every_call_is_timed(
    timer: OperatorTimer, machine: Machine, ends_there: bool
) -> None:
    """From the first operator of another thread on, whichever kind it is."""
    times(timer, machine, (10 * US,))
    machine.ident = ELSEWHERE
    began = timer.begin("add" if ends_there else "mul")
    timer.end(began, [], "mul")
    machine.ident = HERE
    assert [taken for taken, _, _ in times(timer, machine, (20 * US,), (25 * US,))] == [
        20 * US,
        25 * US,
    ]


@pytest.mark.parametrize(
    ("calls", "probes"),
    [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (16, 5), (31, 5), (32, 6), (64, 8)],
)
def test_probes_come_soon_and_then_now_and_then(
    timer: OperatorTimer, machine: Machine, calls: int, probes: int
) -> None:
    """After every 16 operators in the end."""
    for _ in range(calls):
        timer.probe()
    assert machine.probes == probes


@pytest.mark.parametrize(("ident", "modes"), [(ELSEWHERE, 0), (HERE, 1)])
def test_another_thread_and_another_mode_make_no_probe(
    timer: OperatorTimer, machine: Machine, ident: int, modes: int
) -> None:
    """What counting adds is unknown then, and taken for nothing."""
    machine.ident, machine.modes = ident, modes
    timer.probe()
    assert (machine.probes, timer.added) == (0, Instant(0, 0))


@pytest.mark.parametrize(
    ("probed", "added"),
    [
        ([(7 * US, 6 * US)], Instant(5 * US, 4 * US)),
        ([(7 * US, 6 * US), (90 * US, 80 * US), (8 * US, 7 * US)], Instant(6 * US, 5 * US)),
        ([(7 * US, 1 * US)], Instant(5 * US, 0)),
    ],
)
def test_what_counting_adds_is_what_probes_take_longer(
    timer: OperatorTimer, machine: Machine, probed: list[tuple[int, int]], added: Instant
) -> None:
    """Than the same operator without counting, which took 2 us; the median of the probes counts."""
    machine.probed = probed
    for _ in range(4):
        timer.probe()
    assert timer.added == added


def test_what_counting_adds_is_taken_off_each_operator() -> None:
    """Of the thread for its own operators only; less than nothing is nothing."""
    window = TimeInside()
    window.add(50 * US, 40 * US)
    window.add(30 * US, None)
    window.added = Instant(10 * US, 15 * US)
    assert (window.process, window.overhead, window.thread) == (60 * US, 20 * US, 25 * US)
    window.added = Instant(41 * US, 41 * US)
    assert (window.process, window.thread) == (0, 0)
