"""NVIDIA cards that are not there: a small `libnvidia-ml.so.1` and the script that it follows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("nvml.c")
POSSIBLE = sys.platform == "linux" and shutil.which("cc") is not None


@dataclass(frozen=True)
class Card:
    """One card: power in watts from a second on, the tick of its counter in seconds.

    fail  after how many reads its counter returns which error
    mig   the id of the one instance it is split into
    """

    uuid: str = "GPU-1111aaaa-0000-0000-0000-000000000000"
    name: str = "Simulated A"
    power_w: tuple[tuple[float, float], ...] = ((0.0, 100.0),)
    tick_s: float = 0.005
    limit_w: float = 300.0
    counter: bool = True
    fail: tuple[int, int] | None = None
    mig: str | None = None

    def joules_until(self, seconds: float) -> float:
        """What the card has drawn since the start of its script."""
        ends = [start for start, _ in self.power_w[1:]] + [seconds]
        return sum(
            watts * (min(end, seconds) - start)
            for (start, watts), end in zip(self.power_w, ends, strict=True)
            if start < seconds
        )

    def statements(self) -> list[str]:
        """The lines of the script that make this card; `nvml.c` says what they mean."""
        lines = [f"card {self.uuid} {self.name}", f"tick {self.tick_s}", f"limit {self.limit_w}"]
        lines += [f"power {start} {watts}" for start, watts in self.power_w]
        lines += ["counter off"] * (not self.counter)
        lines += [f"fail {self.fail[0]} {self.fail[1]}"] if self.fail else []
        return lines + ([f"mig {self.mig}"] if self.mig else [])


def build(folder: Path) -> Path:
    """Compile the library into a folder, for `LD_LIBRARY_PATH`; returns the folder."""
    options = ["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror", "-O2"]
    library = folder / "libnvidia-ml.so.1"
    command = ["cc", *options, "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True)
    return folder


def environment(
    library: Path,
    script: Path,
    cards: Sequence[Card],
    start_s: float | None = None,
    init_error: int = 0,
) -> Mapping[str, str]:
    """Write the script, and say what a process needs to see these cards.

    start_s     when the script's time is zero, on the monotonic clock; None: when NVML is started
    init_error  what `nvmlInit` returns
    """
    lines = [f"init {init_error}"]
    lines += [] if start_s is None else [f"start {start_s:.9f}"]
    lines += [line for card in cards for line in card.statements()]
    script.write_text("\n".join([*lines, ""]))
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CUDA_")}
    return {**plain, "LD_LIBRARY_PATH": str(library), "SIMULATED_NVML": str(script)}
