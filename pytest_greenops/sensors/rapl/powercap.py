"""The RAPL energy counters of CPU packages and their memory, in the kernel's powercap tree."""

from __future__ import annotations

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
from pytest_greenops.sensors.rapl.zones import (
    ROOT,
    Counted,
    counted_parts,
    domain,
    find_zones,
    no_package,
    parse_count,
)
from pytest_greenops.system import HeldFile, before_tests

#: The folder of the processors in the same `/sys`.
CPUS = "devices/system/cpu"
#: RAPL counters move about once a millisecond (Intel SDM vol. 3B, "Package RAPL Domain").
UPDATE_PERIOD_S = 0.001


#: Who may read a counter: a group, by a udev rule that survives a reboot. Not everyone, because
#: the power of other processes gives away what they compute (CVE-2020-8694), and nothing else:
#: everyone may read the other files of a zone, and only root may set its power limit.
GROUP = "rapl"
UDEV_RULE = (
    'SUBSYSTEM=="powercap", KERNEL=="intel-rapl*:*", ACTION=="add|change", '
    f'RUN+="/bin/chgrp {GROUP} /sys%p/energy_uj", RUN+="/bin/chmod g+r /sys%p/energy_uj"'
)
GRANT = (
    f'sudo groupadd --force {GROUP} && sudo usermod --append --groups {GROUP} "$USER" && '
    f"echo '{UDEV_RULE}' | sudo tee /etc/udev/rules.d/70-{GROUP}.rules && "
    "sudo udevadm control --reload && "
    "sudo udevadm trigger --settle --subsystem-match=powercap && "
    f"newgrp {GROUP}"
)

_LONGEST_COUNT = 32
_MIRROR_READS = 5


class _Counter(NamedTuple):
    part: Counted
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
        parts = counted_parts(find_zones(root))
        if not any(part.kind == "cpu" for part in parts):
            raise no_package(root)
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


def _open_all(
    parts: Sequence[Counted],
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
    if parse_count(text) is None:
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


def _name(part: Counted, several_dies: bool) -> str:
    if part.kind == "psys":
        return f"psys:{part.package}" if part.package else "psys"
    die = f"-die-{part.die}" if several_dies else ""
    return f"{part.kind}:{part.package}{die}"


def _count(file: HeldFile) -> int | None:
    try:
        return parse_count(file.read(_LONGEST_COUNT))
    except OSError:
        return None


def _close(files: Iterable[HeldFile]) -> None:
    for file in files:
        file.close()
