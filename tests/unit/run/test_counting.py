"""Counting the work of a test: which calls are added, what is found, and why nothing is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import pytest

from pytest_greenops.measure.calls import AnyTrip, UnmeasuredTrip
from pytest_greenops.model.counted import Counted
from pytest_greenops.model.run_options import Options
from pytest_greenops.run import counting
from pytest_greenops.run.counting import Counting

torch = pytest.importorskip("torch", reason="needs torch: make test-studies")
pytestmark = pytest.mark.needs_torch

AUTO, ON, OFF = Options(), Options(counting="on"), Options(counting="off")
ALONE = Options(counting="on", count_only=True)
ONCE = "its work runs once only"


def work() -> Any:
    """Do 2,000 floating-point operations."""
    return torch.ones(10, 10) @ torch.ones(10, 10)


def drive(trips: Iterable[AnyTrip], call: Callable[[], Any] = work, name: str = "call") -> int:
    """Call a function in each trip; return how many trips there are."""
    number = 0
    for number, trip in enumerate(trips, 1):  # noqa: B007
        with trip.window(name):
            call()
    return number


def flop(found: Counted | str | None) -> int:
    """Return the counted operations."""
    assert isinstance(found, Counted)
    return found.total.flop


def three() -> Iterable[AnyTrip]:
    """Return three trips of a meter."""
    return iter([UnmeasuredTrip() for _ in range(3)])


@pytest.mark.parametrize(
    ("short_s", "fixed", "plain"),
    [(1.0, False, 2), (0.0, False, 1), (1.0, True, 1)],
    ids=["short", "long", "fixed"],
)
def test_calls_are_added_after_the_first(
    monkeypatch: pytest.MonkeyPatch, short_s: float, fixed: bool, plain: int
) -> None:
    """Two that count, and a plain one, or two of a short call: among those of the meter."""
    monkeypatch.setattr(counting, "SHORT_S", short_s)
    count = Counting(ON)
    trips = count.beside(iter(three()), once=False, fixed=fixed)
    kinds = [type(trip).__name__ for trip, _ in zip(trips, range(9), strict=False)]
    meter = "UnmeasuredTrip"
    added = ["CountingTrip", "CountingTrip", *["PlainTrip"] * plain]
    assert kinds == [meter, *added, meter, meter]


def test_work_is_counted_beside_a_meter() -> None:
    """By the name of its window, with the facts that decide which operators run."""
    count = Counting(AUTO)
    drive(count.beside(iter(three()), once=False))
    assert flop(count.of("call", once=False)) == 2000
    assert count.facts["torch"] == torch.__version__.partition("+")[0]


def test_work_that_runs_once_is_not_counted_beside_a_meter() -> None:
    """Without joules it is, in its only call."""
    count = Counting(AUTO)
    assert drive(count.beside(iter(three()), once=True)) == 3
    assert count.of("call", once=True) == ONCE
    count = Counting(ALONE)
    assert drive(count.alone(once=True, name="call")) == 1
    found = count.of("call", once=True)
    assert flop(found) == 2000
    assert isinstance(found, Counted)
    assert found.coverage.notes == (f"counted once: {ONCE}",)


def test_without_joules_the_work_runs_four_times() -> None:
    """The first call is the warm-up, and the last one is plain."""
    count = Counting(ALONE)
    assert drive(count.alone(once=False, name="call")) == 4
    assert flop(count.of("call", once=False)) == 2000


def test_a_long_call_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says so; the last call is a plain one, whose value the test gets."""
    monkeypatch.setattr(counting, "ONCE_ABOVE_S", 0.0)
    count = Counting(ALONE)
    assert drive(count.alone(once=False, name="call")) == 3
    found = count.of("call", once=False)
    assert isinstance(found, Counted)
    assert found.coverage.notes == ("counted once: a call takes over 10 s",)


@pytest.mark.parametrize("options", [OFF, Options(fresh_child=True)], ids=["off", "fresh process"])
def test_nothing_is_counted_where_it_should_not(options: Options) -> None:
    """No call is added, and no cause is needed."""
    count = Counting(options)
    assert drive(count.beside(iter(three()), once=False)) == 3
    assert (count.of("call", once=False), count.found) == (None, {})


@pytest.mark.parametrize(("options", "cause"), [(AUTO, None), (ON, "torch is not loaded")])
def test_without_torch(
    monkeypatch: pytest.MonkeyPatch, options: Options, cause: str | None
) -> None:
    """Nothing is counted; `on` says why."""
    monkeypatch.delitem(sys.modules, "torch")
    count = Counting(options)
    assert drive(count.beside(iter(three()), once=False), call=lambda: None) == 3
    assert count.of("call", once=False) == cause
    assert drive(Counting(ALONE).alone(once=False, name="call"), call=lambda: None) == 1


def test_an_old_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not counted, even by `auto`, which says why."""
    old: Any = ModuleType("torch")
    old.__version__ = "2.4.1"
    monkeypatch.setitem(sys.modules, "torch", old)
    count = Counting(AUTO)
    assert drive(count.beside(iter(three()), once=False), call=lambda: None) == 3
    why = "torch 2.4.1 is too old to be counted: install torch 2.6 or newer"
    assert count.of("call", once=False) == why
    count = Counting(ALONE)
    assert drive(count.alone(once=False, name="call"), call=lambda: None) == 1
    assert count.of("call", once=False) == why


def test_torch_that_the_first_call_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted from then on."""
    loaded = sys.modules["torch"]
    monkeypatch.delitem(sys.modules, "torch")

    def call() -> None:
        sys.modules["torch"] = loaded
        work()

    count = Counting(AUTO)
    assert drive(count.beside(iter(three()), once=False), call) == 7
    assert flop(count.of("call", once=False)) == 2000


def test_work_that_is_left() -> None:
    """A loop that ends before it was counted has a cause instead."""
    count = Counting(ALONE)
    trips = count.alone(once=False, name="loop")
    with next(trips).window("a"):
        work()
    next(trips)
    trips.close()
    assert count.of("a", once=False) == "it was left before it was counted"


def test_calls_that_differ() -> None:
    """The cause names the operator that differs."""
    seen, ones = [], torch.ones(10, 10)

    def grows() -> None:
        seen.append(ones @ ones)
        for product in seen:
            product @ ones

    count = Counting(ALONE)
    drive(count.alone(once=False, name="call"), grows)
    found = count.of("call", once=False)
    assert found == "calls differ: aten.mm float32 3 -> 4 calls, +2 kFLOP"


def test_work_that_fails_when_it_is_repeated() -> None:
    """Without joules, it needs no further call, and its failure is only the cause."""
    calls: list[int] = []

    def once() -> None:
        calls.append(1)
        assert len(calls) == 1, "only once"

    count = Counting(ALONE)
    assert drive(count.alone(once=False, name="call"), once) == 3
    found = count.of("call", once=False)
    assert isinstance(found, str)
    assert found.startswith("a call failed while it was counted (AssertionError: only once")
