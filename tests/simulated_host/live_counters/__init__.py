"""RAPL counters that move: a process reads the count of the moment from their files."""

from __future__ import annotations

import errno
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.simulated_host import native, power
from tests.simulated_host.power import PowerOverTime
from tests.simulated_host.powercap_tree import INTEL_RANGE_UJ

SOURCES = Path(__file__).parent


@dataclass(frozen=True)
class LiveZone:
    """The counter of one zone; times are seconds of its script, power is from a second on.

    tick_s     how often it moves; 0: at once
    phase_s    how long after each multiple of the tick
    unit_uj    it moves by multiples of this; 0: by any amount
    start_uj   the count at the first second of its power
    range_uj   where it wraps to zero; None: nowhere, and the tree shows no range
    stick_s    when it stops moving
    tears      from, to, and how many characters are missing at the end of its text
    failures   from, to, and the errno with which a read fails
    deny_s     when reads start to fail for lack of permission
    """

    power_w: PowerOverTime = ((0.0, 50.0),)
    tick_s: float = 0.001
    phase_s: float = 0.0
    unit_uj: float = 0.0
    start_uj: int = 0
    range_uj: int | None = INTEL_RANGE_UJ
    stick_s: float = math.inf
    tears: tuple[tuple[float, float, int], ...] = ()
    failures: tuple[tuple[float, float, int], ...] = ()
    deny_s: float = math.inf

    def watts_at(self, seconds: float) -> float:
        """Return what the zone draws at a time of its script."""
        return power.watts_at(self.power_w, seconds)

    def joules_until(self, seconds: float) -> float:
        """Return what the zone has drawn since the start of its script."""
        return power.joules_until(self.power_w, seconds)

    def joules(self, from_s: float, to_s: float) -> float:
        """Return what the zone draws between two times of its script, whatever it shows."""
        return self.joules_until(to_s) - self.joules_until(from_s)

    def last_tick_s(self, seconds: float) -> float:
        """Return when the counter last moved, up to a time."""
        return power.last_multiple(seconds - self.phase_s, self.tick_s) + self.phase_s

    def energy_uj_at(self, seconds: float) -> int:
        """Return the count that the zone shows at a time, if its text is whole."""
        joules = self.joules_until(self.last_tick_s(min(seconds, self.stick_s)))
        count = int(power.last_multiple(self.start_uj + 1e6 * joules, self.unit_uj))
        return count % self.range_uj if self.range_uj else count

    def statements(self) -> list[str]:
        """Return the script of this counter; `live_counters.c` explains it."""
        numbers = {
            "tick": self.tick_s,
            "phase": self.phase_s,
            "unit": self.unit_uj,
            "count": self.start_uj,
            "range": self.range_uj or 0,
            "stick": self.stick_s,
        }
        failures = [*self.failures]
        if self.deny_s < math.inf:
            failures.append((self.deny_s, math.inf, errno.EACCES))
        spans = {"tear": self.tears, "fail": failures}
        return [
            *(f"{word} {number!r}" for word, number in numbers.items()),
            *(f"power {start!r} {watts!r}" for start, watts in self.power_w),
            *(
                f"{word} {from_s!r} {to_s!r} {value}"
                for word, rows in spans.items()
                for from_s, to_s, value in rows
            ),
        ]


def build(folder: Path) -> Path:
    """Compile the library into a folder, for `environment`; return its path."""
    return native.compile_library(SOURCES, folder / "live_counters.so")


def environment(
    library: Path, script: Path, zones: Mapping[Path, LiveZone], start_s: float
) -> Mapping[str, str]:
    """Write the script; return the environment of a process that sees the counters move.

    Args:
        library: the compiled library.
        script: the file to write.
        zones: the live counters, by the existing `energy_uj` file of each.
        start_s: when the script's time is zero, on the monotonic clock.
    """
    lines = [f"start {start_s:.9f}"]
    for file, zone in zones.items():
        identity = file.stat()
        lines += [f"zone {identity.st_dev} {identity.st_ino}", *zone.statements()]
    script.write_text("\n".join([*lines, ""]))
    return {"LD_PRELOAD": str(library), "SIMULATED_POWERCAP": str(script)}
