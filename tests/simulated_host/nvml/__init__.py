"""Simulated NVIDIA cards: a small `libnvidia-ml.so.1` and the script that it follows."""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.simulated_host import native, power, simulated_clock
from tests.simulated_host.power import PowerOverTime
from tests.simulated_host.simulated_clock import SimulatedClock

if TYPE_CHECKING:
    import pytest

SOURCES = Path(__file__).parent
POSSIBLE = native.POSSIBLE
#: What `nvmlInit` returns on a machine without cards.
DRIVER_NOT_LOADED = 9

#: Values in steps: a second, and the value from then on.
Steps = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Card:
    """One card; times are seconds of its script, power and all `Steps` are from a second on.

    tick_s         how often its counter moves; 0: at once
    phase_s        how long after each multiple of the tick
    jitter         how late each tick is at most, as a share of a tick
    start_mj       the count at time zero, in millijoules
    gain           the share of the energy that it counts
    counter        whether it has a counter
    stick_s        when its counter stops moving
    reset_s        when its counter starts again from zero
    fail           after how many reads its counter returns an error, and the error
    fail_between   from, to, and the error that reads of energy and power return
    instant        whether it reports its instantaneous power
    average_s      the time of which its other power is the mean
    power_tick_s   how often its powers are renewed; 0: at once
    power_lag_s    how old they are
    power_gain     the share of the power that it reports
    power_noise    how far each new power is off at most, as a share
    read_cost_s    how long a read of energy or power takes
    limit_w        its power limit; `limit_at_w` changes it
    throttle       the bits of what limits its clocks
    temperature_c  points in time, with straight lines between them
    processes      what computes on it, 0 for the process that asks; None: unsupported
    mig            the ids of its MIG instances
    ecc            whether its memory corrects errors; None: unsupported
    lost_s         when it is lost: each call fails from then on
    deny_s         when calls start to fail for lack of permission
    """

    uuid: str = "GPU-1111aaaa-0000-0000-0000-000000000000"
    name: str = "Simulated A"
    power_w: PowerOverTime = ((0.0, 100.0),)
    tick_s: float = 0.005
    phase_s: float = 0.0
    jitter: float = 0.0
    start_mj: int = 0
    gain: float = 1.0
    counter: bool = True
    stick_s: float = math.inf
    reset_s: float = math.inf
    fail: tuple[int, int] | None = None
    fail_between: tuple[tuple[float, float, int], ...] = ()
    instant: bool = True
    average_s: float = 1.0
    power_tick_s: float = 0.0
    power_lag_s: float = 0.0
    power_gain: float = 1.0
    power_noise: float = 0.0
    read_cost_s: float = 0.0
    limit_w: float = 300.0
    limit_at_w: Steps = ()
    throttle: tuple[tuple[float, int], ...] = ()
    temperature_c: Steps = ()
    clock_mhz: Steps = ()
    processes: tuple[int, ...] | None = ()
    mig: str | tuple[str, ...] | None = None
    ecc: bool | None = None
    lost_s: float = math.inf
    deny_s: float = math.inf

    def watts_at(self, seconds: float) -> float:
        """Return what the card draws at a time of its script."""
        return power.watts_at(self.power_w, seconds)

    def joules_until(self, seconds: float) -> float:
        """Return what the card has drawn since the start of its script."""
        return power.joules_until(self.power_w, seconds)

    def joules(self, from_s: float, to_s: float) -> float:
        """Return what the card draws between two times of its script, whatever it shows."""
        return self.joules_until(to_s) - self.joules_until(from_s)

    def last_tick_s(self, seconds: float, index: int = 0) -> float:
        """Return when its counter last moved; `index` is the card's place in the script."""
        if self.tick_s <= 0:
            return seconds
        number = math.floor((seconds - self.phase_s) / self.tick_s)
        moment = self._tick_moment_s(number, index)
        return moment if moment <= seconds else self._tick_moment_s(number - 1, index)

    def _tick_moment_s(self, number: int, index: int) -> float:
        late = self.jitter * power.share(index, number)
        return self.phase_s + (number + late) * self.tick_s

    def count_mj_at(self, seconds: float, index: int = 0) -> int:
        """Return what its counter shows at a time; `index` is its place in the script."""
        live_s = min(seconds, self.stick_s)
        joules = self.joules_until(self.last_tick_s(live_s, index))
        if live_s >= self.reset_s:
            return int(1000 * self.gain * max(0.0, joules - self.joules_until(self.reset_s)))
        return int(self.start_mj + 1000 * self.gain * joules)

    def statements(self) -> list[str]:
        """Return the script of this card; `card.c` explains it."""
        numbers = {
            "tick": self.tick_s,
            "phase": self.phase_s,
            "jitter": self.jitter,
            "count": self.start_mj,
            "gain": self.gain,
            "stick": self.stick_s,
            "reset": self.reset_s,
            "average": self.average_s,
            "power_tick": self.power_tick_s,
            "power_lag": self.power_lag_s,
            "power_gain": self.power_gain,
            "power_noise": self.power_noise,
            "read_cost": self.read_cost_s * 1e6,
            "limit": self.limit_w,
            "ecc": -1 if self.ecc is None else int(self.ecc),
            "lost": self.lost_s,
            "deny": self.deny_s,
        }
        several: dict[str, Sequence[tuple[float, ...]]] = {
            "power": self.power_w,
            "limit_at": self.limit_at_w,
            "throttle": self.throttle,
            "temperature": self.temperature_c,
            "clock": self.clock_mhz,
            "fail": [self.fail] if self.fail else [],
            "fail_between": self.fail_between,
            "process": [(process,) for process in self.processes or ()],
        }
        switches = {
            "counter": self.counter,
            "instant": self.instant,
            "processes": self.processes is not None,
        }
        instances = (self.mig,) if isinstance(self.mig, str) else self.mig or ()
        return [
            f"card {self.uuid} {self.name}",
            *(f"{word} {number!r}" for word, number in numbers.items()),
            *(
                " ".join([word, *map(repr, values)])
                for word, rows in several.items()
                for values in rows
            ),
            *(f"{word} {'on' if on else 'off'}" for word, on in switches.items()),
            *(f"mig {instance}" for instance in instances),
        ]


def build(folder: Path) -> Path:
    """Compile the library into a folder, for `LD_LIBRARY_PATH`; return the folder."""
    native.compile_library(SOURCES, folder / "libnvidia-ml.so.1")
    return folder


def environment(
    library: Path,
    script: Path,
    cards: Sequence[Card],
    start_s: float | None = None,
    init_error: int = 0,
    cuda: int = 0,
) -> Mapping[str, str]:
    """Write the script, and return the environment of a process that sees these cards.

    Args:
        library: the folder of the library.
        script: the file to write.
        cards: the cards, in the order of the PCI bus.
        start_s: when the script's time is zero, on the monotonic clock; None: at nvmlInit.
        init_error: what `nvmlInit` returns.
        cuda: the version of CUDA that the driver reports: 12040 is 12.4; 0: none.
    """
    write_script(script, cards, start_s, init_error, cuda)
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CUDA_")}
    return {**plain, "LD_LIBRARY_PATH": str(library), "SIMULATED_NVML": str(script)}


def write_script(
    script: Path,
    cards: Sequence[Card],
    start_s: float | None = None,
    init_error: int = 0,
    cuda: int = 0,
) -> None:
    """Write what the library reads; see `environment`."""
    lines = [f"init {init_error}", f"cuda {cuda}"]
    lines += [] if start_s is None else [f"start {start_s:.9f}"]
    lines += [line for card in cards for line in card.statements()]
    script.write_text("\n".join([*lines, ""]), errors="surrogateescape")
    Path(f"{script}.drawn").write_bytes(b"")


def load(
    patch: pytest.MonkeyPatch,
    folder: Path,
    cards: Sequence[Card],
    clock: SimulatedClock,
    start_s: float | None = None,
    init_error: int = 0,
) -> Any:
    """Show these cards to pynvml in this process, on a simulated clock; return pynvml.

    It loads a copy of the library, which has cards and times of its own.
    """
    import pynvml

    number = sum(1 for _ in folder.glob("libnvidia-ml.*.so"))
    library = native.compile_library(SOURCES, folder / f"libnvidia-ml.{number}.so")
    script = folder / f"script.{number}"
    write_script(script, cards, start_s, init_error)
    for name in [name for name in os.environ if name.startswith("CUDA_")]:
        patch.delenv(name)
    patch.setenv("SIMULATED_NVML", str(script))
    patch.setenv(simulated_clock.VARIABLE, str(clock.file))
    patch.setattr(pynvml, "nvmlLib", ctypes.CDLL(str(library)))
    patch.setattr(pynvml, "_nvmlLib_refcount", 0)
    patch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    return pynvml


class Work:
    """Work that sets the power of a simulated card from now on.

    NVML has to be initialised. Only one work at a time may do so, and only if the script has no
    later power.
    """

    def __init__(self, index: int = 0) -> None:
        import pynvml

        self._library = pynvml.nvmlLib
        self._library.simulated_draw.argtypes = [ctypes.c_uint, ctypes.c_double]
        self._library.simulated_draw.restype = ctypes.c_double
        self._library.simulated_joules.argtypes = [ctypes.c_uint]
        self._library.simulated_joules.restype = ctypes.c_double
        self._index = index

    def draw(self, watts: float) -> float:
        """Set the power from now on; return the joules that the card has drawn until now."""
        joules: float = self._library.simulated_draw(self._index, watts)
        if joules < 0:
            raise RuntimeError(f"card {self._index} cannot draw {watts} W now")
        return joules

    def joules(self) -> float:
        """Return the joules that the card has drawn until now."""
        joules: float = self._library.simulated_joules(self._index)
        return joules
