"""What a run needs of the job that it belongs to, in a run of one process: nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import TypeVar

from pytest_greenops.measure.meter import AnyMeter, Meter
from pytest_greenops.model.counted import Counted
from pytest_greenops.model.environment import Environment
from pytest_greenops.sensors.instruments import Instruments

T = TypeVar("T")


class Alone:
    """A run of one process, which needs no other.

    follows  whether another rank decides, judges and writes
    reads    whether this process reads the counters of its host
    """

    follows = False
    reads = True
    several = False
    work_facts: Mapping[str, str] = MappingProxyType({})
    meter: Callable[..., AnyMeter] = Meter

    def quietly(self, measure: Callable[[], T]) -> T:
        """Measure while no rank works."""
        return measure()

    def joined(self, instruments: Instruments) -> Instruments:
        """Return the sensors of all ranks as one."""
        return instruments

    def environment(self, environment: Environment) -> Environment:
        """Return the machine of all ranks."""
        return environment

    def same(self, at: str, value: float) -> float:
        """Return a number of rank 0, by which all ranks decide alike."""
        return value

    def counted(self, work: Mapping[str, Counted | str | None]) -> dict[str, Counted | str | None]:
        """Return the counted work of all ranks, by name, from that of this one."""
        return dict(work)

    def announce(self, tests: Collection[str]) -> None:
        """Say which energy tests this rank has."""

    def enter(self, test: str) -> None:
        """Begin a test."""

    def leave(self) -> None:
        """End a test."""

    def conclude(self, enforce: Callable[[], None]) -> bool:
        """Fail a test that all ranks have passed if its energy fails it, in every rank.

        Return whether it passed in all ranks.
        """
        __tracebackhide__ = True
        enforce()
        return True

    def end(self) -> None:
        """Say that no further test begins here."""

    def finish(self) -> None:
        """Wait until rank 0 has written everything."""
