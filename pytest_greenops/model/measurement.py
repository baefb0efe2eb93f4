"""From a counter to a figure: reading, window, round, measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from pytest_greenops.model.power_curve import PowerCurve

Kind = Literal["cpu", "dram", "gpu", "psys"]
Source = Literal["sensed", "estimated"]
MICROJOULES = 1e-6
#: Kinds of counters that the control workload uses: it says nothing about a GPU.
CONTROL_KINDS: tuple[Kind, ...] = ("cpu", "dram", "psys")
#: The throttle reason of a CPU whose throttle count in the kernel increased.
THERMAL_THROTTLE = "thermal throttle"
#: The throttle reason of a GPU at its power limit, in NVML's words.
POWER_CAP = "software power cap"


class Domain(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """One cumulative energy counter of the machine.

    name         `cpu:0`, `dram:0`, `gpu:1`, `psys`: unique on the machine
    kind         the judged domain that it belongs to
    range_uj     where the counter wraps to zero, in microjoules; None if it never does
    max_power_w  the highest plausible power: distinguishes one wrap from two
    counted      False if another counted domain includes it, or if it is excluded
    idle         it is excluded because the work never used this device
    """

    name: str
    kind: Kind
    range_uj: int | None = None
    max_power_w: float = 1000.0
    counted: bool = True
    idle: bool = False


class Reading(NamedTuple):
    """The counts of a sensor's domains, in order, at one monotonic time.

    time_ns    monotonic nanoseconds
    energy_uj  the counts; None for one that could not be read
    error_uj   the error of each count (95 %); empty if the sensor does not know
    why        why a count is None, by domain name, if the sensor knows
    power      what the sensor sampled since the window began, by domain name, if it did
    """

    time_ns: int
    energy_uj: Sequence[int | None]
    error_uj: Sequence[float] = ()
    why: Mapping[str, str] = MappingProxyType({})
    power: Mapping[str, PowerCurve] = MappingProxyType({})


class Window(msgspec.Struct, frozen=True, gc=False):
    """The energy between two readings of every sensor.

    energy_uj  microjoules by domain name
    missing    why a domain has no energy, by domain name
    error_uj   the error of each energy (95 %), by domain name
    power      the power of each domain that was read in between, by domain name
    """

    seconds: float
    energy_uj: dict[str, int]
    missing: dict[str, str] = {}
    error_uj: dict[str, float] = {}
    power: dict[str, PowerCurve] = {}

    @property
    def void(self) -> str | None:
        """Why a domain is missing, or None."""
        return next(iter(self.missing.values()), None)


class DeviceState(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True
):
    """What a device reports around a round; None for what it does not report.

    throttle_reasons  why its clocks were reduced; for a GPU in NVML's words
    used              whether this process or a descendant used it
    foreign           whether another process computed on it
    throttle_count    how often a CPU has throttled for heat since the kernel started
    """

    temperature_c: float | None = None
    clock_mhz: int | None = None
    power_limit_w: float | None = None
    throttle_reasons: tuple[str, ...] = ()
    used: bool | None = None
    foreign: bool | None = None
    throttle_count: int | None = None

    def after(self, before: DeviceState) -> DeviceState:
        """Return the state over a round: as it is now, with everything seen since `before`."""
        reasons = [*before.throttle_reasons, *self.throttle_reasons]
        counted = before.throttle_count
        if counted is not None and (self.throttle_count or 0) > counted:
            reasons.append(THERMAL_THROTTLE)
        used, foreign = _ever(before.used, self.used), _ever(before.foreign, self.foreign)
        distinct = tuple(dict.fromkeys(reasons))
        return replace(self, throttle_reasons=distinct, used=used, foreign=foreign)


def _ever(*seen: bool | None) -> bool | None:
    """Return whether anything was seen; None if that is unknown."""
    return True if True in seen else None if None in seen else False


class Round(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """One measured repetition: `iterations` calls over `seconds`, in `windows` windows.

    energy_uj  microjoules of all its calls, by domain name
    units      the work of all its calls, by unit name
    error_uj   the error of each energy (95 %) from the edges of its windows
    devices    the state of each device that reports one, by domain name
    power      over its measured time, for each counter that was read between the edges of windows
    """

    energy_uj: dict[str, Annotated[int, msgspec.Meta(ge=0)]]
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    iterations: Annotated[int, msgspec.Meta(gt=0)]
    windows: Annotated[int, msgspec.Meta(gt=0)] = 1
    units: dict[str, Annotated[float, msgspec.Meta(gt=0)]] = {}
    error_uj: dict[str, Annotated[float, msgspec.Meta(ge=0)]] = {}
    devices: dict[str, DeviceState] = {}
    power: dict[str, PowerCurve] = {}


class LoadShare(NamedTuple):
    """Shares of the machine's CPU time during a round, from 0 to 1.

    `others` are other processes. They include `workers`, the other workers of this run.
    """

    others: float
    steal: float
    idle: float = 1.0
    workers: float = 0.0


class Rest(NamedTuple):
    """What the counters showed while the machine was idle, before the first test.

    watts      power by domain name, for counters whose devices are known to be idle
    idle       the share of CPU time that nothing used meanwhile
    clock_mhz  of the devices that report it, by domain name
    """

    watts: Mapping[str, float] = MappingProxyType({})
    idle: float = 1.0
    clock_mhz: Mapping[str, int] = MappingProxyType({})


class CheckName(str, Enum):
    """The self-checks, by the name that reports and result files use."""

    BACKGROUND = "background thread"
    CONTENTION = "contention"
    CONTROL = "control"
    DISAGREEMENT = "disagreement"
    DRIFT = "drift"
    FRESH_SESSION = "fresh session"
    IMPLAUSIBLE = "implausible"
    INSTRUMENTED = "instrumented"
    LOST = "lost"
    THROTTLED = "throttled"
    TOO_SHORT = "too short"
    VOID = "void"
    WARM_UP = "warm-up"

    __str__ = str.__str__


class Check(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A self-check that failed.

    finding    what was found
    done       what was done about it
    untrusted  whether it forbids a verdict on the measurement
    kinds      the kinds of sensed counter that it affects; empty: all, and estimates too
    """

    name: CheckName
    finding: str
    done: str
    untrusted: bool = False
    kinds: tuple[Kind, ...] = ()


class Provenance(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The source of a figure: the sensor of each counter, and whether any is an estimate."""

    sensors: dict[str, str]
    estimated: bool


class Uncounted(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Calls of the work that are not in a round.

    before  until the first kept round: warm-up, calibration, repeated and dropped rounds
    later   after it: repeated and abandoned rounds
    """

    before: int = 0
    later: int = 0


class Measurement(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The rounds of one named piece of work, with everything needed to judge them.

    domains    the machine's energy counters, in order
    sensors    the sensor of each counter
    estimated  the counters that are estimates
    checks     the self-checks that failed
    lost       counters that failed permanently, and why; they are not in any round
    uncounted  calls of the work that are not in a round; None if unknown
    """

    name: str
    domains: tuple[Domain, ...]
    rounds: tuple[Round, ...]
    sensors: dict[str, str]
    estimated: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    lost: dict[str, str] = {}
    uncounted: Uncounted | None = None

    def selected(self, domain: str) -> tuple[str, ...]:
        """Return the counters that a judged domain sums: `total`, a kind, or one device.

        Empty if one of them was lost, since the rest is not the whole.
        """
        names = belonging(self.domains, domain)
        return () if self.lost.keys() & names else names

    def lost_of(self, domain: str) -> str | None:
        """Return why a judged domain lost a counter, or None."""
        reasons = (self.lost[name] for name in belonging(self.domains, domain) if name in self.lost)
        return next(reasons, None)

    def untrusted(self, domain: str, estimates: bool = False) -> Check | None:
        """Return the first self-check that forbids a verdict on a judged domain, if any.

        With `estimates`, include checks that affect estimates only indirectly: another process's
        joules are not in an estimate, but its use of caches and shared cores is.
        """
        names = self.selected(domain)
        for check in self.checks:
            exempt = self.estimated if check.name is CheckName.CONTENTION and not estimates else ()
            kinds = {d.kind for d in self.domains if d.name in names and d.name not in exempt}
            if check.untrusted and (not check.kinds or kinds.intersection(check.kinds)):
                return check
        return None

    def provenance(self, domain: str) -> Provenance:
        """Return the source of a judged domain's figures."""
        names = self.selected(domain)
        estimated = any(name in self.estimated for name in names)
        return Provenance({name: self.sensors[name] for name in names}, estimated)


def belonging(domains: Sequence[Domain], judged: str) -> tuple[str, ...]:
    """Return the counters of a judged domain: `total`, a kind, or one device."""
    if judged == "total":
        return tuple(d.name for d in domains if d.counted)
    by_kind = tuple(d.name for d in domains if d.kind == judged and d.counted)
    return by_kind or tuple(d.name for d in domains if d.name == judged)


def joules_per_unit(
    rounds: Sequence[Round], domains: Sequence[str], unit: str
) -> tuple[float, ...]:
    """Return the joules per unit of work in each round; the unit `call` is one iteration."""
    return tuple(
        sum(round_.energy_uj[name] for name in domains) * MICROJOULES / work_done(round_, unit)
        for round_ in rounds
    )


def work_done(round_: Round, unit: str) -> float:
    """Return the units of work of a round; the unit `call` is one iteration."""
    return round_.iterations if unit == "call" else round_.units[unit]


def by_kind(energy: Mapping[str, float], domains: Sequence[Domain]) -> dict[str, float]:
    """Sum by kind: `{'cpu:0': 1, 'cpu:1': 2}` -> `{'cpu': 3}`."""
    total: dict[str, float] = {}
    for domain in domains:
        if domain.name in energy:
            total[domain.kind] = total.get(domain.kind, 0.0) + energy[domain.name]
    return total
