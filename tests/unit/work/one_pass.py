"""One counting pass through some work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make test-studies")

from pytest_greenops.model.counted import Amount, Operator  # noqa: E402
from pytest_greenops.work.counting_trip import CountingTrip  # noqa: E402
from pytest_greenops.work.dispatch import Tally  # noqa: E402


def pass_through(work: Callable[[], Any]) -> CountingTrip:
    """Return a trip that counted some work in one window, `call`."""
    trip = CountingTrip(torch, lambda: None)
    with trip.window("call"):
        work()
    return trip


def counted(work: Callable[[], Any], warm: bool = False) -> Tally:
    """Return what some work did; a `warm` call comes before."""
    if warm:
        work()
    return pass_through(work).tallies["call"]


def flop(work: Callable[[], Any]) -> int:
    """Return the operations of some work."""
    return sum(amount.flop for amount in counted(work).operators.values())


def of(tally: Tally, name: str) -> Amount:
    """Return what the operators of a name did together: `aten.mm`."""
    found = (amount for operator, amount in tally.operators.items() if operator.name == name)
    return sum(found, Amount())


def names(tally: Tally) -> set[str]:
    """Return the names of the operators."""
    return {operator.name for operator in tally.operators}


def operators(tally: Tally, name: str) -> set[Operator]:
    """Return the operators of a name."""
    return {operator for operator in tally.operators if operator.name == name}
