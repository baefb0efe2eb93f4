"""From a counter to a figure: reading, window, round, measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple

import msgspec
import msgspec.structs

Kind = Literal["cpu", "dram", "gpu", "psys"]
Source = Literal["sensed", "estimated"]
MICROJOULES = 1e-6
#: Kinds of counters that the control workload speaks for: it says nothing about a GPU.
CONTROL_KINDS: tuple[Kind, ...] = ("cpu", "dram", "psys")
#: Why the clock of a processor was held down, where the kernel has counted that it was.
THERMAL_THROTTLE = "thermal throttle"
#: Why that of a card was, which keeps to its power limit: in NVML's words.
POWER_CAP = "software power cap"


class Domain(msgspec.Struct, frozen=True, omit_defaults=True):
    """One cumulative energy counter of the machine.

    name         `cpu:0`, `dram:0`, `gpu:1`, `psys`: unique on the machine
    kind         which of the judged domains it belongs to
    range_uj     where the counter wraps to zero, in microjoules; None where it never does
    max_power_w  the highest power that is plausible: tells one wrap from two
    counted      False where another counted domain holds it already, or where it stands apart
    idle         it stands apart for the work never used this device
    """

    name: str
    kind: Kind
    range_uj: int | None = None
    max_power_w: float = 1000.0
    counted: bool = True
    idle: bool = False


class Reading(NamedTuple):
    """The counts of a sensor's domains, in their order, at one monotonic time.

    energy_uj  a count that could not be read is None
    error_uj   how far each count may be off (95 %); empty where the sensor does not tell
    why        why a count is None, by domain name, where the sensor knows
    """

    time_ns: int
    energy_uj: Sequence[int | None]
    error_uj: Sequence[float] = ()
    why: Mapping[str, str] = MappingProxyType({})


class Window(msgspec.Struct, frozen=True):
    """The energy between two readings of every sensor.

    energy_uj  microjoules by domain name
    missing    why nothing can be said of a domain that is not among them, by domain name
    error_uj   how far each energy may be off (95 %), by domain name
    """

    seconds: float
    energy_uj: dict[str, int]
    missing: dict[str, str] = {}
    error_uj: dict[str, float] = {}

    @property
    def void(self) -> str | None:
        """Why it is not whole, or None."""
        return next(iter(self.missing.values()), None)


class DeviceState(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a device tells of itself around a round; None where it does not.

    throttle_reasons  why its clocks were held down: of a card in NVML's words
    used              whether this process or a descendant had work on it
    foreign           whether a process of somebody else computed on it
    throttle_count    how often a processor has lowered its clock for heat since the kernel started
    """

    temperature_c: float | None = None
    clock_mhz: int | None = None
    power_limit_w: float | None = None
    throttle_reasons: tuple[str, ...] = ()
    used: bool | None = None
    foreign: bool | None = None
    throttle_count: int | None = None

    def after(self, before: DeviceState) -> DeviceState:
        """The state over a round: as it is now, with all that was seen before it or since."""
        reasons = [*before.throttle_reasons, *self.throttle_reasons]
        counted = before.throttle_count
        if counted is not None and (self.throttle_count or 0) > counted:
            reasons.append(THERMAL_THROTTLE)
        return msgspec.structs.replace(
            self,
            throttle_reasons=tuple(dict.fromkeys(reasons)),
            used=_ever(before.used, self.used),
            foreign=_ever(before.foreign, self.foreign),
        )


def _ever(*seen: bool | None) -> bool | None:
    """Whether anything was seen; None where it may have been."""
    return True if True in seen else None if None in seen else False


class Round(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One measured repetition: `iterations` calls over `seconds`, in `windows` windows.

    energy_uj  microjoules of all its calls, by domain name
    units      the work that all its calls did, by unit name
    error_uj   how far each energy may be off (95 %) for the edges of its windows
    devices    the state of each device that can tell, by domain name
    """

    energy_uj: dict[str, Annotated[int, msgspec.Meta(ge=0)]]
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    iterations: Annotated[int, msgspec.Meta(gt=0)]
    windows: Annotated[int, msgspec.Meta(gt=0)] = 1
    units: dict[str, Annotated[float, msgspec.Meta(gt=0)]] = {}
    error_uj: dict[str, Annotated[float, msgspec.Meta(ge=0)]] = {}
    devices: dict[str, DeviceState] = {}


class LoadShare(NamedTuple):
    """What others took of the machine's CPU time during a round, and what nobody used: 0 to 1."""

    others: float
    steal: float
    idle: float = 1.0


class Rest(NamedTuple):
    """What the counters showed while the machine rested, before the first test.

    watts      power by domain name, of the counters whose devices are known to have rested
    idle       the share of the CPUs that nothing used meanwhile
    clock_mhz  of the devices that tell it, by domain name
    """

    watts: Mapping[str, float] = MappingProxyType({})
    idle: float = 1.0
    clock_mhz: Mapping[str, int] = MappingProxyType({})


class CheckName(str, Enum):
    """The self-checks, by the name that reports and result files use."""

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

    __str__ = str.__str__


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A self-check that failed.

    finding    what was seen
    done       what was done about it
    untrusted  True where no verdict may rest on this measurement
    kinds      the kinds of sensed counter that it spoils; empty means every one, estimates too
    """

    name: CheckName
    finding: str
    done: str
    untrusted: bool = False
    kinds: tuple[Kind, ...] = ()


class Provenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a figure comes from: the sensor of each counter in it, and whether any estimates."""

    sensors: dict[str, str]
    estimated: bool


class Uncounted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Calls of the work that are in no round.

    before  until the first that is kept: warm-up, calibration, rounds made again or dropped
    later   after it: rounds made again, or given up
    """

    before: int = 0
    later: int = 0


class Measurement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rounds of one named piece of work, with all that is needed to judge them.

    domains    the machine's energy counters in this measurement, in their order
    sensors    which sensor read each counter
    estimated  the counters behind which no sensor stands
    checks     the self-checks that did not hold
    lost       counters that failed for good meanwhile, and why: they are in no round
    uncounted  calls of the work that are in no round; None where that is not known
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
        """Names of the counters that a judged domain sums: `total`, a kind, or one device.

        None at all where one of them was lost: a part is not the whole.
        """
        names = belonging(self.domains, domain)
        return () if self.lost.keys() & names else names

    def lost_of(self, domain: str) -> str | None:
        """Why a judged domain lacks a counter that it had, or None."""
        reasons = (self.lost[name] for name in belonging(self.domains, domain) if name in self.lost)
        return next(reasons, None)

    def untrusted(self, domain: str, estimates: bool = False) -> Check | None:
        """The first self-check that forbids a verdict on a judged domain, if any.

        estimates  ask whether it spoils estimates of those kinds too, though less: a neighbour's
                   joules are not in them, but its wear on caches and shared cores is
        """
        names = self.selected(domain)
        for check in self.checks:
            exempt = self.estimated if check.name is CheckName.CONTENTION and not estimates else ()
            kinds = {d.kind for d in self.domains if d.name in names and d.name not in exempt}
            if check.untrusted and (not check.kinds or kinds.intersection(check.kinds)):
                return check
        return None

    def provenance(self, domain: str) -> Provenance:
        """Where the figures of a judged domain come from."""
        names = self.selected(domain)
        return Provenance(
            {name: self.sensors[name] for name in names},
            any(name in self.estimated for name in names),
        )


def belonging(domains: Sequence[Domain], judged: str) -> tuple[str, ...]:
    """Names of the counters that a judged domain holds: `total`, a kind, or one device."""
    if judged == "total":
        return tuple(d.name for d in domains if d.counted)
    by_kind = tuple(d.name for d in domains if d.kind == judged and d.counted)
    return by_kind or tuple(d.name for d in domains if d.name == judged)


def joules_per_unit(
    rounds: Sequence[Round], domains: Sequence[str], unit: str
) -> tuple[float, ...]:
    """Joules of one unit of work in each round; the unit `call` is one iteration."""
    return tuple(
        sum(round_.energy_uj[name] for name in domains) * MICROJOULES / work_done(round_, unit)
        for round_ in rounds
    )


def work_done(round_: Round, unit: str) -> float:
    """How many units of work a round did; the unit `call` is one iteration."""
    return round_.iterations if unit == "call" else round_.units[unit]


def by_kind(energy: Mapping[str, float], domains: Sequence[Domain]) -> dict[str, float]:
    """Sum what belongs to one kind: `{'cpu:0': 1, 'cpu:1': 2}` -> `{'cpu': 3}`."""
    total: dict[str, float] = {}
    for domain in domains:
        if domain.name in energy:
            total[domain.kind] = total.get(domain.kind, 0.0) + energy[domain.name]
    return total
