"""How often Intel processors have lowered their clocks because of heat, as the kernel counts it.

Each CPU has `core_throttle_count` and `package_throttle_count` in its folder `thermal_throttle`
(drivers/thermal/intel/therm_throt.c, built with CPU_SUP_INTEL), which anyone may read. Virtual
machines, AMD processors and other architectures have none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pytest_greenops.model.measurement import DeviceState, Domain
from pytest_greenops.sensors.system_files import matching
from pytest_greenops.system import HeldFile, before_tests

CPUS = Path("/sys/devices/system/cpu")

_PACKAGE = re.compile(r"cpu:(\d+)")
_LONGEST_COUNT = 32


class ThrottleCounts:
    """The throttle counts of each package, read through files that are held open.

    The count of a package is read once, that of a core once for all threads that share it.
    """

    @before_tests
    def __init__(self, cpus: Path = CPUS) -> None:
        """Open the counters below `cpus`, if the machine has any."""
        self._files: dict[int, list[HeldFile]] = {}
        seen: set[str] = set()
        for folder in matching(cpus, "cpu[0-9]*/thermal_throttle"):
            topology = folder.parent / "topology"
            with suppress(OSError, ValueError):
                package = int((topology / "physical_package_id").read_text())
                core = (topology / "thread_siblings_list").read_text().strip()
                for level, owner in (("package", f"package {package}"), ("core", core)):
                    if owner not in seen:
                        seen.add(owner)
                        counter = _opened(folder / f"{level}_throttle_count")
                        self._files.setdefault(package, []).extend(counter)

    def states(self, domains: Iterable[Domain], whole: bool = False) -> dict[str, DeviceState]:
        """Return the state of each CPU domain with a count; `whole`: it covers all packages."""
        counts = {package: _total(of) for package, of in self._files.items() if of}
        if whole and counts:
            counts = {0: sum(counts.values())}
        packages = {domain.name: _PACKAGE.match(domain.name) for domain in domains}
        return {
            name: DeviceState(throttle_count=counts[int(package[1])])
            for name, package in packages.items()
            if package and int(package[1]) in counts
        }

    def close(self) -> None:
        """Close the counters; later states are empty."""
        files, self._files = self._files, {}
        for file in (file for of in files.values() for file in of):
            file.close()


def _opened(path: Path) -> list[HeldFile]:
    """Return the file of a counter; nothing if this processor does not have it."""
    with suppress(OSError):
        return [HeldFile(str(path))]
    return []


def _total(files: Iterable[HeldFile]) -> int:
    """Return the sum of counts; that of a CPU which went offline is 0."""
    total = 0
    for file in files:
        with suppress(OSError, ValueError):
            total += int(file.read(_LONGEST_COUNT))
    return total
