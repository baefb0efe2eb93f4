"""How often processors have lowered their clocks for heat, as the kernel counts it on Intel's.

`core_throttle_count` and `package_throttle_count` in the folder `thermal_throttle` of each CPU
(drivers/thermal/intel/therm_throt.c, built with CPU_SUP_INTEL): anyone may read them. Virtual
machines, AMD's processors and other architectures have none.
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
    """The counts of each package, through file descriptors that are held open.

    A package's own count is read once, that of a core once for all threads that share it.
    """

    def __init__(self, cpus: Path = CPUS) -> None:
        """Counters below `cpus`; none where the machine has none."""
        self._handles: dict[int, list[int]] = {}
        seen: set[str] = set()
        for folder in sorted(cpus.glob("cpu[0-9]*/thermal_throttle")):
            topology = folder.parent / "topology"
            with suppress(OSError, ValueError):
                package = int((topology / "physical_package_id").read_text())
                core = (topology / "thread_siblings_list").read_text().strip()
                for level, whose in (("package", f"package {package}"), ("core", core)):
                    if whose not in seen:
                        seen.add(whose)
                        counter = _opened(folder / f"{level}_throttle_count")
                        self._handles.setdefault(package, []).extend(counter)

    def states(self, domains: Iterable[Domain], whole: bool = False) -> dict[str, DeviceState]:
        """The state of each CPU domain by its name, of those whose package tells.

        whole  a domain stands for all packages
        """
        counts = {package: _total(of) for package, of in self._handles.items() if of}
        if whole and counts:
            counts = {0: sum(counts.values())}
        states = {}
        for domain in domains:
            package = _PACKAGE.match(domain.name)
            if package and int(package[1]) in counts:
                count = counts[int(package[1])]
                states[domain.name] = DeviceState(throttle_count=count)
        return states

    def close(self) -> None:
        """Close the counters: from now on nothing is told."""
        handles, self._handles = self._handles, {}
        for handle in (handle for of in handles.values() for handle in of):
            os.close(handle)


def _opened(file: Path) -> list[int]:
    """The handle of a counter; none of one that this processor has not."""
    with suppress(OSError):
        return [os.open(file, os.O_RDONLY)]
    return []


def _total(handles: Iterable[int]) -> int:
    """A count that cannot be read, of a CPU that went offline, counts as none."""
    total = 0
    for handle in handles:
        with suppress(OSError, ValueError):
            total += int(os.pread(handle, _LONGEST_COUNT, 0))
    return total
