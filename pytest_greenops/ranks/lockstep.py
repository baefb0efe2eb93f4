"""The meters of a job: rank 0 decides how often the work runs, and all ranks run it as often."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from pytest_greenops.measure.garbage import Garbage
from pytest_greenops.measure.meter import Meter, Plan
from pytest_greenops.measure.observer import NoLoad, ObservedTrip, Observer
from pytest_greenops.measure.trip import Trip
from pytest_greenops.model.errors import RanksApart
from pytest_greenops.model.measurement import DeviceState, LoadShare, Measurement
from pytest_greenops.ranks.joint_instruments import JointInstruments
from pytest_greenops.ranks.peers import Peers
from pytest_greenops.sensors.clock import SYSTEM_CLOCK, Clock

Enough = Callable[[Mapping[str, Measurement], int], bool]


class _Next(msgspec.Struct, frozen=True, tag="next"):
    """The next trip: its iterations, and whether its windows begin at different phases."""

    iterations: int
    stepped: bool


class _End(msgspec.Struct, frozen=True, tag="end"):
    """No trip follows: what all of them measured."""

    measurements: dict[str, Measurement]


class _Done(msgspec.Struct):
    """What one rank saw of a trip, besides its energy."""

    units: dict[str, float]
    failure: str | None
    devices: dict[str, DeviceState]
    share: LoadShare
    thread: str | None


def joined(peers: Peers, instruments: JointInstruments, trip: ObservedTrip) -> ObservedTrip:
    """Return a trip as all ranks saw it to rank 0, and as this one did to another.

    The units of work are summed. What was worst on any host counts: load, a failure, a thread.
    """
    own = _Done(trip.trip.units, trip.trip.failure, trip.devices, trip.share, trip.thread)
    try:
        ranks = peers.gather("trip done", own, _Done)
    except RanksApart as apart:
        trip.trip.failure = str(apart)
        return trip
    if ranks is None:
        return trip
    units: dict[str, float] = {}
    for each in ranks:
        for name, amount in each.units.items():
            units[name] = units.get(name, 0.0) + amount
    trip.trip.units = units
    failed = (f"rank {n}: {each.failure}" for n, each in enumerate(ranks) if each.failure and n)
    trip.trip.failure = own.failure or next(failed, None)
    threads = (f"{each.thread} of rank {n}" for n, each in enumerate(ranks) if each.thread and n)
    others, steal, idle, workers = zip(*(each.share for each in ranks), strict=True)
    return ObservedTrip(
        trip.trip,
        instruments,
        LoadShare(max(others), max(steal), min(idle), max(workers)),
        instruments.joint_states([each.devices for each in ranks]),
        trip.seconds,
        own.thread or next(threads, None),
    )


class LeadingMeter:
    """The meter of rank 0: a `Meter` whose trips all ranks make."""

    def __init__(
        self,
        instruments: JointInstruments,
        plan: Plan,
        enough: Enough,
        *,
        peers: Peers,
        **more: Any,
    ) -> None:
        """Prepare a measurement; see `Meter`."""
        join = _Joined(peers, instruments)
        self._peers = peers
        self._meter = Meter(instruments, plan, enough, joined=join, **more)

    def trips(self) -> Iterator[Trip]:
        """Yield every trip once all ranks know of it; raise `RanksApart` with the reason."""
        for trip in self._meter.trips():
            self._peers.tidy()
            following = _Next(trip.iterations, trip.stepped)
            self._peers.share("trip", lambda following=following: following, None)  # type: ignore[misc]
            yield trip
        measured = _End(self._meter.measurements())
        self._peers.share("trip", lambda: measured, None)


class FollowingMeter:
    """The meter of another rank: it makes the trips of rank 0, and gets what they measured."""

    def __init__(
        self,
        instruments: JointInstruments,
        plan: Plan,
        enough: Enough,
        *,
        peers: Peers,
        synchronize: Callable[[], None] = lambda: None,
        load: Any = None,
        garbage: Garbage | None = None,
        clock: Clock = SYSTEM_CLOCK,
        **_: object,
    ) -> None:
        """Prepare a measurement; see `Meter`, of which rank 0 does all else."""
        self._peers = peers
        self._looks = len(plan.looks)
        self._enough = enough
        self._garbage = garbage or Garbage()
        join = _Joined(peers, instruments)
        self._observer = Observer(instruments, synchronize, load or NoLoad(), clock, join)

    def trips(self) -> Iterator[Trip]:
        """Yield every trip that rank 0 makes; raise `RanksApart` with the reason."""
        self._garbage.collect()
        while True:
            order: Any = self._peers.share("trip", lambda: None, _Next | _End)
            if isinstance(order, _End):
                self._enough(order.measurements, self._looks)
                return
            self._observer.stepped = order.stepped
            yield from self._observer.observe(order.iterations, None, {})


class _Joined:
    """The function that makes a trip one of all ranks."""

    def __init__(self, peers: Peers, instruments: JointInstruments) -> None:
        self._peers, self._instruments = peers, instruments

    def __call__(self, trip: ObservedTrip) -> ObservedTrip:
        """Return the trip of all ranks."""
        return joined(self._peers, self._instruments, trip)
