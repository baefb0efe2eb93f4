"""Work whose joules a simulated sensor knows, for tests that replace whatever it could call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from pytest_greenops import Energy
from pytest_greenops.model.measurement import Domain, Reading, Source

T = TypeVar("T")


class Spent:
    """What the simulated machine has used so far."""

    def __init__(self) -> None:
        self.energy_uj = 0
        self.time_ns = 0


SPENT = Spent()


class SpentSensor:
    """A sensor that reads it."""

    name = "spent"
    source: Source = "sensed"
    method = "spent by the work of tests"
    update_period_s = 0.001
    domains = (Domain("cpu:0", "cpu"),)

    def read(self) -> Reading:
        """Return the count now."""
        return Reading(SPENT.time_ns, [SPENT.energy_uj])

    def close(self) -> None:
        """Do nothing."""


def work(steps: int = 3000) -> int:
    """Return a sum, by code that calls no other function: 2 J in 0.1 s of the simulated sensor."""
    SPENT.energy_uj += 2_000_000
    SPENT.time_ns += 100_000_000
    total = 0
    for number in range(steps):
        total += number
    return total


def measured(energy: Energy, function: Callable[..., T] = work, *args: Any) -> T:
    """Call a function through the plugin: three trips with `--energy`, one call without."""
    return energy.pedantic(function, args=args, rounds=2, iterations=1)


def forbidden(*_: object, **__: object) -> Any:
    """Stand in for a function that the test forbids."""
    raise AssertionError("forbidden here")


class Forbidden:
    """A context in which functions of a module cannot be called; it calls none itself."""

    def __init__(self, module: Any, *names: str, by: Callable[..., Any] = forbidden) -> None:
        self._space = vars(module)
        self._kept = [(name, self._space[name]) for name in names if name in self._space]
        self._by = by

    def __enter__(self) -> None:
        for name, _ in self._kept:
            self._space[name] = self._by

    def __exit__(self, *_: object) -> None:
        for name, function in self._kept:
            self._space[name] = function


def forbid(monkeypatch: pytest.MonkeyPatch, module: Any, *names: str) -> None:
    """Forbid functions of a module."""
    for name in names:
        monkeypatch.setattr(module, name, forbidden, raising=False)
