"""The zones of the powercap tree that count energy: which there are, and what each describes."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pytest_greenops.model.environment import fact_text
from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import Domain, Kind
from pytest_greenops.sensors.system_files import matching
from pytest_greenops.system import before_tests

ROOT = Path("/sys/class/powercap")

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

_MSR = "intel-rapl"

_ZONE_ID = re.compile(r"(intel-rapl(?:-mmio)?)((?::[0-9a-f]+)*)")

_PACKAGE = re.compile(r"package-([0-9]{1,9})(?:-die-([0-9]{1,9}))?")

_PSYS = re.compile(r"psys(?:-([0-9]{1,9}))?")

#: The longest number that 64 bits hold, and the newline after it.
_LONGEST = 21

_KINDS: tuple[Kind, ...] = ("cpu", "dram", "psys")


class Zone(NamedTuple):
    """A powercap zone: its control type, numbers from the top down, folder and name."""

    control: str
    numbers: tuple[int, ...]
    path: Path
    name: str


class Counted(NamedTuple):
    """What a zone counts: a kind of energy, of a package or of one of its dies."""

    kind: Kind
    package: int
    die: int | None
    path: Path


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
                name = " ".join(fact_text((entry / "name").read_bytes()).split())
                found[entry.name] = Zone(match[1], numbers, entry, name)
    return sorted(found.values())


def domain(name: str, kind: Kind, zone: Path) -> Domain:
    """Return the domain that a zone's folder describes, with its range and its plausible power.

    A range that is unreadable or zero is None, so that a wrap makes a window void.
    """
    range_uj = _number(zone / "max_energy_range_uj") or None
    return Domain(name, kind, range_uj, _max_power_w(zone, kind), counted=kind != "psys")


def counted_parts(zones: Sequence[Zone]) -> list[Counted]:
    """Return the zones to read: no core or uncore, which are in their package; no package twice."""
    owners = {
        (zone.control, zone.numbers): (int(match[1]), None if match[2] is None else int(match[2]))
        for zone in zones
        if (match := _PACKAGE.fullmatch(zone.name))
    }
    msr_packages = {package for (control, _), (package, _) in owners.items() if control == _MSR}
    parts: dict[tuple[Kind, int, int | None], Counted] = {}
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
) -> Counted | None:
    own = owners.get((zone.control, zone.numbers))
    parent = owners.get((zone.control, zone.numbers[:-1]))
    psys = _PSYS.fullmatch(zone.name)
    if own:
        return Counted("cpu", *own, zone.path)
    if zone.name == "dram" and parent:
        return Counted("dram", *parent, zone.path)
    return Counted("psys", int(psys[1] or 0), None, zone.path) if psys else None


@before_tests
def _is_folder(path: Path) -> bool:
    """Return whether a path is a folder; raise `OSError` if that may not be known."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


@before_tests
def no_package(root: Path) -> SensorUnavailable:
    """Return why a tree has no package zone, and the fix."""
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
        return parse_count(file.read_bytes())
    except OSError:
        return None


def parse_count(text: bytes) -> int | None:
    """Return the number in a file of the kernel, or None."""
    # The kernel ends a number with a newline; without it digits are missing.
    if text[-1:] == b"\n" and text[:-1].isdigit() and len(text) <= _LONGEST:
        return int(text)
    return None
