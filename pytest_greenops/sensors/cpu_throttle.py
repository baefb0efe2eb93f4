"""How often Intel processors have lowered their clocks because of heat, as the kernel counts it.

Each CPU has `core_throttle_count` and `package_throttle_count` in its folder `thermal_throttle`
(drivers/thermal/intel/therm_throt.c, built with CPU_SUP_INTEL), which anyone may read. Virtual
machines, AMD processors and other architectures have none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pytest_greenops.model.measurement import DeviceState, Domain

CPUS = Path("/sys/devices/system/cpu")

_PACKAGE = re.compile(r"cpu:(\d+)")
_LONGEST_COUNT = 32


class ThrottleCounts:
    """The throttle counts of each package, read through file descriptors that are held open.

    The count of a package is read once, that of a core once for all threads that share it.
    """

    def __init__(self, cpus: Path = CPUS) -> None:
        """Open the counters below `cpus`, if the machine has any."""
        self._handles: dict[int, list[int]] = {}
        seen: set[str] = set()
        for folder in sorted(cpus.glob("cpu[0-9]*/thermal_throttle")):
            topology = folder.parent / "topology"
            with suppress(OSError, ValueError):
                package = int((topology / "physical_package_id").read_text())
                core = (topology / "thread_siblings_list").read_text().strip()
                for level, owner in (("package", f"package {package}"), ("core", core)):
                    if owner not in seen:
                        seen.add(owner)
                        counter = _opened(folder / f"{level}_throttle_count")
                        self._handles.setdefault(package, []).extend(counter)

    def states(self, domains: Iterable[Domain], whole: bool = False) -> dict[str, DeviceState]:
        """Return the state of each CPU domain with a count; `whole`: it covers all packages."""
        counts = {package: _total(of) for package, of in self._handles.items() if of}
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
        handles, self._handles = self._handles, {}
        for handle in (handle for of in handles.values() for handle in of):
            os.close(handle)


def _opened(file: Path) -> list[int]:
    """Return the handle of a counter; nothing if this processor does not have it."""
    with suppress(OSError):
        return [os.open(file, os.O_RDONLY)]
    return []


def _total(handles: Iterable[int]) -> int:
    """Return the sum of counts; that of a CPU which went offline is 0."""
    total = 0
    for handle in handles:
        with suppress(OSError, ValueError):
            total += int(os.pread(handle, _LONGEST_COUNT, 0))
    return total
