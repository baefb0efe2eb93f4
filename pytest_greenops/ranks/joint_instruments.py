"""The sensors of all ranks of a job as one: read together, counted once per host, summed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from pytest_greenops.model.errors import OptionError, RanksApart
from pytest_greenops.model.measurement import DeviceState, Domain, Reading, Window
from pytest_greenops.ranks.peers import Peers
from pytest_greenops.sensors.base import ProcessSensor, Sensor
from pytest_greenops.sensors.instruments import Instruments


class Hosts(msgspec.Struct, frozen=True):
    """The hosts of a job: the number of each rank's, in the order of their first ranks."""

    of_rank: tuple[int, ...]

    @property
    def number(self) -> int:
        """How many there are."""
        return max(self.of_rank) + 1

    def first(self, rank: int) -> int:
        """Return the rank that reads the counters of a rank's host."""
        return self.of_rank.index(self.of_rank[rank])

    def reads(self, rank: int) -> bool:
        """Return whether a rank reads the counters of its host."""
        return self.first(rank) == rank


class _Sensors(msgspec.Struct):
    """What the sensors of one rank count.

    own    the counters of its own processes only
    cards  the GPUs that it sees, by what names each of them everywhere
    """

    domains: tuple[Domain, ...]
    sensor_of: dict[str, str]
    estimated: tuple[str, ...]
    own: tuple[str, ...]
    cards: tuple[str, ...]
    doubts: dict[str, str]


class _Joint(msgspec.Struct):
    """What all sensors count: the name of each counter, by rank and by its name there."""

    domains: tuple[Domain, ...]
    sensor_of: dict[str, str]
    estimated: tuple[str, ...]
    doubts: dict[str, str]
    names: tuple[dict[str, str], ...]


class JointInstruments(Instruments):
    """The sensors of this rank, whose windows are those of all ranks: see `Instruments`.

    A window begins when every rank is at its edge and the counters have been read, and ends when
    every rank is there again. Rank 0 gets the energy of all of them.

    names  the joint name of each counter of each rank
    """

    def __init__(self, local: Instruments, peers: Peers, hosts: Hosts) -> None:
        """Agree on what is counted; raise `OptionError` where that cannot be summed."""
        cards = [card for sensor in local.sensors for card in getattr(sensor, "uuids", ())]
        super().__init__(self._counting(local, hosts, peers.rank), local._clock)
        self._peers = peers
        own = [d.name for s in self.sensors if isinstance(s, ProcessSensor) for d in s.domains]
        mine = _Sensors(
            self.domains,
            self.sensor_of,
            self.estimated,
            tuple(own),
            tuple(cards),
            dict(self.doubts),
        )
        all_ = peers.gather("sensors", mine, _Sensors)
        joint = peers.share("counters", lambda: _joint(all_ or [], hosts), _Joint | str)
        if isinstance(joint, str):
            self.close()
            raise OptionError(joint)
        self.names = joint.names
        self._here = joint.names[peers.rank]
        self._local_domains = self.domains
        if peers.leads:
            self.domains, self.sensor_of = joint.domains, joint.sensor_of
            self.estimated, self.doubts = joint.estimated, joint.doubts
            self.rest = local.rest

    @staticmethod
    def _counting(local: Instruments, hosts: Hosts, rank: int) -> list[Sensor]:
        """Return the sensors that this rank reads; the others of its host are read by another."""
        if hosts.reads(rank):
            return list(local.sensors)
        kept: list[Sensor] = []
        for sensor in local.sensors:
            if isinstance(sensor, ProcessSensor):
                sensor.charges_waiting = False  # which passes once per host
                kept.append(sensor)
            else:
                sensor.close()
        return kept

    def begin(self, phase_s: float = 0.0) -> list[Reading]:
        """Begin a window once all ranks are here; none goes on before the counters were read."""
        self._meet("begin")
        readings = super().begin(phase_s)
        self._meet("begun")
        return readings

    def end(self) -> list[Reading]:
        """End a window once all ranks have done their work; none goes on before that is read."""
        self._meet("end")
        readings = super().end()
        self._meet("ended")
        return readings

    def read(self) -> list[Reading]:
        """Read the counters once all ranks are here, without waiting for a counter."""
        self._meet("read")
        return super().read()

    def window(self, before: Sequence[Reading], after: Sequence[Reading]) -> Window:
        """Return the energy of all ranks to rank 0, and its own to another one.

        If the ranks are apart all counters are missing, with the reason.
        """
        own = super().window(before, after)
        if len(self.names) > 1 and not self._peers.leads:
            own = replace(own, power={})
        try:
            windows = self._peers.gather("window", own, Window)
        except RanksApart as apart:
            return Window(own.seconds, {}, {domain.name: str(apart) for domain in self.domains})
        return own if windows is None else summed(windows, self.names)

    def joint_states(self, states: Sequence[Mapping[str, DeviceState]]) -> dict[str, DeviceState]:
        """Return the states of all devices by joint name, from those of each rank."""
        return {
            names[name]: state
            for names, of_rank in zip(self.names, states, strict=True)
            for name, state in of_rank.items()
            if name in names
        }

    def _meet(self, at: str) -> None:
        self._peers.share(at, lambda: None, None)


def _joint(ranks: Sequence[_Sensors], hosts: Hosts) -> _Joint | str:
    """Return what the sensors of all ranks count together, or why that cannot be summed.

    Devices keep their kind and are numbered through all hosts: `gpu:0` to `gpu:7` of the first
    host, `gpu:8` to `gpu:15` of the second. What counts the processes of one rank only is summed
    over the ranks of a host.
    """
    joint = _Joint((), {}, (), {}, tuple({} for _ in ranks))
    taken: set[str] = set()
    for rank, of_rank in enumerate(ranks):
        first = hosts.first(rank)
        reader = ranks[first]
        if not hosts.reads(rank):
            if not set(of_rank.cards) <= set(reader.cards):
                return (
                    f"rank {rank} sees a GPU that rank {first}, which reads those of their host, "
                    "does not: show all to both, without CUDA_VISIBLE_DEVICES (Slurm: "
                    "--gpu-bind=none)"
                )
            if set(of_rank.own) != set(reader.own):
                return (
                    f"rank {rank} counts {_listed(of_rank.own)} of its own processes, rank {first} "
                    f"on the same host {_listed(reader.own)}: give both the same --energy-sensors"
                )
            joint.names[rank].update({name: joint.names[first][name] for name in of_rank.own})
            continue
        for domain in of_rank.domains:
            name = _free(domain.name, taken)
            taken.add(name)
            joint.names[rank][domain.name] = name
            joint.domains += (replace(domain, name=name),)
            joint.sensor_of[name] = of_rank.sensor_of[domain.name]
            if domain.name in of_rank.estimated:
                joint.estimated += (name,)
            if domain.name in of_rank.doubts:
                joint.doubts[name] = of_rank.doubts[domain.name]
    return joint


def _free(name: str, taken: set[str]) -> str:
    """Return a name that no counter has: `cpu:2` for `cpu:0` where two are taken, `psys:1`."""
    if name not in taken:
        return name
    kind, _, number = name.rpartition(":")
    stem = kind if number.isdecimal() and kind else name
    following = 1
    while f"{stem}:{following}" in taken:
        following += 1
    return f"{stem}:{following}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"


def summed(windows: Sequence[Window], names: Sequence[Mapping[str, str]]) -> Window:
    """Return one window of all ranks: the energy of counters with the same joint name is summed.

    It lasts as long as that of rank 0. A counter that is missing in one rank is missing.
    """
    energy_uj: dict[str, int] = {}
    error_uj: dict[str, list[float]] = {}
    missing: dict[str, str] = {}
    power = {}
    for rank, (window, here) in enumerate(zip(windows, names, strict=True)):
        for name, why in window.missing.items():
            if name in here:
                missing[here[name]] = f"rank {rank}: {why}" if rank else why
        for name, uj in window.energy_uj.items():
            if name in here:
                joint = here[name]
                energy_uj[joint] = energy_uj.get(joint, 0) + uj
                error_uj.setdefault(joint, []).append(window.error_uj.get(name, 0.0))
                if name in window.power:
                    power[joint] = window.power[name]
    shared = [name for here in names for name in here.values()]
    return Window(
        windows[0].seconds,
        {name: uj for name, uj in energy_uj.items() if name not in missing},
        missing,
        {name: math.hypot(*each) for name, each in error_uj.items() if any(each)},
        {name: curve for name, curve in power.items() if shared.count(name) == 1},
    )
