"""The RAPL energy counters of CPU packages and their memory, in the kernel's powercap tree."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import DeviceState, Domain, Kind, Reading, Source
from pytest_greenops.sensors.clock import SYSTEM_CLOCK, Clock
from pytest_greenops.sensors.cpu_throttle import ThrottleCounts
from pytest_greenops.sensors.system_files import matching
from pytest_greenops.system import HeldFile, before_tests

ROOT = Path("/sys/class/powercap")
#: The folder of the processors in the same `/sys`.
CPUS = "devices/system/cpu"
#: RAPL counters move about once a millisecond (Intel SDM vol. 3B, "Package RAPL Domain").
UPDATE_PERIOD_S = 0.001

#: Watts that a zone cannot exceed for as long as it takes to wrap, if the kernel names no power.
#: cpu: twice the 500 W of the largest sockets sold (Xeon 6980P, EPYC 9965). dram: 24 DIMMs, a
#: full socket, at 16 W each. psys: the 1.6 kW that a supply can give from a 100 to 120 V
#: outlet. Servers draw more, but count it in whole joules over a range that hardly ever wraps.
MAX_POWER_W: dict[Kind, float] = {"cpu": 1000.0, "dram": 400.0, "psys": 1600.0}
#: `constraint_0_max_power_uw` is the TDP (THERMAL_SPEC_POWER in the kernel's intel_rapl_common.c):
#: a 15 W part, like the Core i7-1255U, may draw 55 W, so at least four times the TDP is safe.
_OVER_TDP = 4.0
#: How far a zone may exceed the highest power it names, if that is above `MAX_POWER_W`.
_OVER_NAMED = 1.5
#: A power that a zone names is not believed if it is above this many times `MAX_POWER_W`.
_MOST_NAMED = 10.0

#: Who may read a counter: a group, by a udev rule that survives a reboot. Not everyone, because
#: unprivileged reading of these counters is CVE-2020-8694.
GROUP = "rapl"
UDEV_RULE = (
    'SUBSYSTEM=="powercap", KERNEL=="intel-rapl*:*", ACTION=="add|change", '
    f'RUN+="/bin/chgrp {GROUP} /sys%p/energy_uj /sys%p/max_energy_range_uj", '
    'RUN+="/bin/chmod g+r /sys%p/energy_uj /sys%p/max_energy_range_uj"'
)
GRANT = (
    f'sudo groupadd --force {GROUP} && sudo usermod --append --groups {GROUP} "$USER" && '
    f"echo '{UDEV_RULE}' | sudo tee /etc/udev/rules.d/70-{GROUP}.rules && "
    "sudo udevadm control --reload && "
    "sudo udevadm trigger --settle --subsystem-match=powercap && "
    f"newgrp {GROUP}"
)

_MSR = "intel-rapl"
_ZONE_ID = re.compile(r"(intel-rapl(?:-mmio)?)((?::[0-9a-f]+)*)")
_PACKAGE = re.compile(r"package-(\d+)(?:-die-(\d+))?")
_PSYS = re.compile(r"psys(?:-(\d+))?")
_KINDS: tuple[Kind, ...] = ("cpu", "dram", "psys")
_LONGEST_COUNT = 32
_MIRROR_READS = 5


class Zone(NamedTuple):
    """A powercap zone: its control type, numbers from the top down, folder and name."""

    control: str
    numbers: tuple[int, ...]
    path: Path
    name: str


class _Counted(NamedTuple):
    """What a zone counts: a kind of energy, of a package or of one of its dies."""

    kind: Kind
    package: int
    die: int | None
    path: Path


class _Counter(NamedTuple):
    part: _Counted
    file: HeldFile


class PowercapSensor:
    """Cumulative RAPL counts, in microjoules, read through files that are held open."""

    name = "powercap"
    source: Source = "sensed"
    method = "cumulative RAPL counters, read from powercap"
    update_period_s = UPDATE_PERIOD_S

    def __init__(
        self,
        domains: Sequence[Domain],
        files: Sequence[HeldFile],
        throttle: ThrottleCounts,
        clock: Clock = SYSTEM_CLOCK,
        left_out: Mapping[str, SensorUnavailable] = MappingProxyType({}),
    ) -> None:
        self._clock = clock
        self.left_out = left_out
        self.domains = tuple(domains)
        self._files = tuple(files)
        self._throttle = throttle

    def read(self) -> Reading:
        """Return the counts now, in microjoules; None for a counter without a number."""
        time_ns = self._clock.now_ns()
        return Reading(time_ns, [_count(file) for file in self._files])

    def states(self) -> dict[str, DeviceState]:
        """Return how often each package was slowed down by heat, if the kernel counts it."""
        return self._throttle.states(self.domains)

    def close(self) -> None:
        """Close the counters; a later reading holds None for each of them."""
        self._throttle.close()
        _close(self._files)


@before_tests
def open_sensor(root: Path = ROOT, clock: Clock = SYSTEM_CLOCK) -> PowercapSensor:
    """Open the package, dram and psys counters of a powercap tree; raise `SensorUnavailable`.

    Memory that cannot be read is left out: it is in no total then.
    """
    try:
        parts = _parts(find_zones(root))
        if not any(part.kind == "cpu" for part in parts):
            raise _no_package(root)
    except OSError as error:
        raise SensorUnavailable(f"{error.filename} cannot be read: {error.strerror}") from None
    opened, left_out = _open_all(parts)
    counters = _without_mirrors(opened, clock)
    dies = Counter((part.kind, part.package) for part, _ in counters)
    domains = [
        domain(_name(part, dies[part.kind, part.package] > 1), part.kind, part.path)
        for part, _ in counters
    ]
    throttle = ThrottleCounts(root.parents[1] / CPUS)
    return PowercapSensor(domains, [file for _, file in counters], throttle, clock, left_out)


@before_tests
def find_zones(root: Path) -> list[Zone]:
    """Return every zone of a powercap tree once, ordered by control type and number.

    The kernel shows a zone twice, nested and as a link at the top, and numbers it in hexadecimal.
    Its folder's name contains its parents' numbers, so it identifies the zone. Raises `OSError`.
    """
    found: dict[str, Zone] = {}
    seen: set[str] = set()
    pending = [root] if _is_folder(root) else []
    while pending:
        for entry in sorted(pending.pop(0).iterdir()):
            match = _ZONE_ID.fullmatch(entry.name)
            if match is None or entry.name in seen or not os.path.isdir(entry):
                continue
            seen.add(entry.name)
            pending.append(entry)
            if os.path.exists(entry / "name"):
                numbers = tuple(int(number, 16) for number in match[2].split(":")[1:])
                name = (entry / "name").read_text(errors="replace").strip()
                found[entry.name] = Zone(match[1], numbers, entry, name)
    return sorted(found.values())


def domain(name: str, kind: Kind, zone: Path) -> Domain:
    """Return the domain that a zone's folder describes, with its range and its plausible power.

    A range that is unreadable or zero is None, so that a wrap makes a window void.
    """
    range_uj = _number(zone / "max_energy_range_uj") or None
    return Domain(name, kind, range_uj, _max_power_w(zone, kind), counted=kind != "psys")


def _parts(zones: Sequence[Zone]) -> list[_Counted]:
    """Return the zones to read: no core or uncore, which are in their package; no package twice."""
    owners = {
        (zone.control, zone.numbers): (int(match[1]), None if match[2] is None else int(match[2]))
        for zone in zones
        if (match := _PACKAGE.fullmatch(zone.name))
    }
    msr_packages = {package for (control, _), (package, _) in owners.items() if control == _MSR}
    parts: dict[tuple[Kind, int, int | None], _Counted] = {}
    for zone in zones:
        part = _part(zone, owners)
        # intel-rapl-mmio shows again, through another interface, what an MSR zone counts.
        if part and (zone.control == _MSR or part.package not in msr_packages):
            parts.setdefault(part[:3], part)
    return sorted(
        parts.values(),
        key=lambda p: (_KINDS.index(p.kind), p.package, -1 if p.die is None else p.die),
    )


def _part(
    zone: Zone, owners: dict[tuple[str, tuple[int, ...]], tuple[int, int | None]]
) -> _Counted | None:
    own = owners.get((zone.control, zone.numbers))
    parent = owners.get((zone.control, zone.numbers[:-1]))
    psys = _PSYS.fullmatch(zone.name)
    if own:
        return _Counted("cpu", *own, zone.path)
    if zone.name == "dram" and parent:
        return _Counted("dram", *parent, zone.path)
    return _Counted("psys", int(psys[1] or 0), None, zone.path) if psys else None


@before_tests
def _is_folder(path: Path) -> bool:
    """Return whether a path is a folder; raise `OSError` if that may not be known."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


@before_tests
def _no_package(root: Path) -> SensorUnavailable:
    if not _is_folder(root):
        reason = "is not there: this system shows no RAPL counters, as a virtual machine does"
        return SensorUnavailable(f"{root} {reason}", absent=True)
    if any(
        _ZONE_ID.fullmatch(entry.name) and not os.path.exists(entry) for entry in root.iterdir()
    ):
        reason = f"the RAPL zones in {root} lead nowhere: a container runtime hides them"
        fix = "start the container with --security-opt systempaths=unconfined"
        return SensorUnavailable(reason, fix)
    names = [zone.name for zone in find_zones(root)]
    if names:
        return SensorUnavailable(f"{root} has no package zone, only {', '.join(names)}")
    reason = "has no RAPL zone: a virtual machine has none, bare metal needs its kernel module"
    return SensorUnavailable(f"{root} {reason}", "sudo modprobe intel_rapl_msr", absent=True)


def _open_all(
    parts: Sequence[_Counted],
) -> tuple[list[_Counter], dict[str, SensorUnavailable]]:
    """Return the counters, and why those of memory or psys are left out, if they are.

    Packages are complete without memory and psys, but not without one another. Memory is complete
    with that of each package.
    """
    counters: list[_Counter] = []
    left_out: dict[Kind, SensorUnavailable] = {}
    for part in parts:
        if part.kind in left_out:
            continue
        try:
            counters.append(_Counter(part, _open(part.path / "energy_uj")))
        except SensorUnavailable as problem:
            if part.kind == "cpu":
                _close(file for _, file in counters)
                raise
            left_out[part.kind] = problem
            _close(file for other, file in counters if other.kind == part.kind)
            counters = [counter for counter in counters if counter.part.kind != part.kind]
    return counters, {f"powercap {kind}": problem for kind, problem in left_out.items()}


def _open(path: Path) -> HeldFile:
    file = None
    try:
        file = HeldFile(str(path))
        text = file.read(_LONGEST_COUNT)
    except OSError as error:
        _close([] if file is None else [file])
        if isinstance(error, PermissionError):
            raise SensorUnavailable(f"{path} may be read by root alone", GRANT) from None
        raise SensorUnavailable(f"{path} cannot be read: {error.strerror}") from None
    if _parse(text) is None:
        _close([file])
        raise SensorUnavailable(f"{path} contains {text!r}, which is not a count")
    return file


def _without_mirrors(counters: Sequence[_Counter], clock: Clock) -> list[_Counter]:
    """Drop each die that shows the counter of a die before it, as EPYC and Threadripper do."""
    kept: list[_Counter] = []
    for _, group in groupby(counters, lambda c: (c.part.kind, c.part.package)):
        dies: list[_Counter] = []
        for counter in group:
            if any(_mirrors(die.file, counter.file, clock) for die in dies):
                _close([counter.file])
            else:
                dies.append(counter)
        kept += dies
    return kept


def _mirrors(first: HeldFile, other: HeldFile, clock: Clock) -> bool:
    """Return whether two counters are one: reads of the first enclose those of the other.

    The majority of reads decides, because an update or a wrap may come between two of them.
    """
    enclosed = 0
    for number in range(_MIRROR_READS):
        if number:
            clock.sleep(UPDATE_PERIOD_S)
        low, value, high = _count(first), _count(other), _count(first)
        if low is not None and value is not None and high is not None:
            enclosed += low <= value <= high
    return 2 * enclosed > _MIRROR_READS


def _name(part: _Counted, several_dies: bool) -> str:
    if part.kind == "psys":
        return f"psys:{part.package}" if part.package else "psys"
    die = f"-die-{part.die}" if several_dies else ""
    return f"{part.kind}:{part.package}{die}"


@before_tests
def _max_power_w(zone: Path, kind: Kind) -> float:
    """Return a power that the zone cannot exceed for long, in watts.

    If it were too low, a wrap would be missed; if too high, long windows would be void. So it is a
    multiple of the highest power that the zone names, limited to the constant of its kind unless
    the zone itself names more.
    """
    named_uw = (_number(file) or 0 for file in matching(zone, "constraint_*_max_power_uw"))
    # No zone draws this much: firmware that knows no power may name any.
    believed_w = [uw * 1e-6 for uw in named_uw if uw * 1e-6 <= _MOST_NAMED * MAX_POWER_W[kind]]
    named_w = max(believed_w, default=0.0)
    if not named_w:
        return MAX_POWER_W[kind]
    return max(min(_OVER_TDP * named_w, MAX_POWER_W[kind]), _OVER_NAMED * named_w)


@before_tests
def _number(file: Path) -> int | None:
    try:
        return _parse(file.read_bytes())
    except OSError:
        return None


def _count(file: HeldFile) -> int | None:
    try:
        return _parse(file.read(_LONGEST_COUNT))
    except OSError:
        return None


def _parse(text: bytes) -> int | None:
    # The kernel ends a number with a newline; without it digits are missing.
    if text[-1:] == b"\n" and text[:-1].isdigit():
        return int(text)
    return None


def _close(files: Iterable[HeldFile]) -> None:
    for file in files:
        file.close()
