"""Garbage collection before a measurement: often enough, and at a bounded cost."""

from __future__ import annotations

import gc
import weakref

import pytest

from pytest_greenops.measure.garbage import Garbage
from tests.unit.builders import FakeClock

ALL = 2


class Collected(FakeClock):
    """A collector on the clock of a test: all objects take 0.2 s."""

    def __init__(self) -> None:
        super().__init__()
        self.generations: list[int] = []
        self.enabled = True
        self.garbage = Garbage(self, self.collect, lambda: self.enabled)

    def collect(self, generation: int) -> int:
        """Collect the objects of a generation."""
        self.generations.append(generation)
        self.sleep(0.2 if generation == ALL else 0.0)
        return 0


def test_a_long_test_begins_without_garbage() -> None:
    """All objects are collected before each measurement that follows much work."""
    heap = Collected()
    for _ in range(3):
        heap.garbage.collect()
        heap.sleep(10.0)
    assert heap.generations == [ALL] * 3


def test_short_tests_share_a_collection() -> None:
    """Collections of all objects take a fiftieth of the time of many short tests."""
    heap = Collected()
    for _ in range(10_000):
        heap.garbage.collect()
        heap.sleep(0.001)
    assert heap.generations == [ALL]


def test_a_collector_that_a_test_disabled_stays_off() -> None:
    """A test that switched the collector off keeps its garbage."""
    heap = Collected()
    heap.enabled = False
    heap.garbage.collect()
    assert heap.generations == []


@pytest.mark.parametrize("times", [1, 3])
def test_objects_stay_collectable(times: int) -> None:
    """A test may wait for the end of an object, and count objects, after any measurement."""

    class Ring:
        pass

    ring, garbage = Ring(), Garbage()
    ring.itself = ring  # type: ignore[attr-defined]
    for _ in range(times):
        garbage.collect()
    found, before = weakref.ref(ring), gc.get_freeze_count()
    assert any(each is ring for each in gc.get_objects())
    del ring
    gc.collect()
    assert found() is None
    assert gc.get_freeze_count() == before
