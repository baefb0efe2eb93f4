"""One trip through the measured work: its windows, summed by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import DeviceState, Reading, Round, Window
from pytest_greenops.model.power_curve import joined
from pytest_greenops.sensors.clock import SYSTEM_CLOCK, Clock
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.system import Originals

#: Work that could keep in step with the samples of power is spread over this many windows. Each
#: begins a quarter of the period later: 25 ms for a period of 100 ms, as Yang, Adamek and Armour
#: do ("Part-time Power Measurements: nvidia-smi's Lack of Attention", SC 2024).
STEPPED_WINDOWS, STEP = 16, 0.25


class Trip:
    """One trip through the work, which repeats it `iterations` times inside windows.

    units    the work of all its iterations, by unit name; the code that does the work sums it
    lost     why counters are ignored, by name; it may grow
    stepped  whether its windows begin at different phases of what a sensor samples
    failure  why the energy of its windows is unknown, if a sensor or a device raised an error
    """

    extra = False

    def __init__(
        self,
        instruments: Instruments,
        synchronize: Callable[[], None],
        iterations: int,
        *,
        stepped: bool = False,
        lost: Mapping[str, str] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Prepare a trip; counters in `lost`, which may grow later, are ignored."""
        self.stepped = stepped
        self.iterations = iterations
        self.units: dict[str, float] = {}
        self._windows: dict[str, list[Window]] = {}
        self._instruments = instruments
        self._synchronize = synchronize
        self._clock = clock
        self._begun_ns, self._opened = clock.now_ns(), 0
        self.failure: str | None = None
        self.lost = {} if lost is None else lost
        self._depth = 0
        self._left = False

    def batches(self, together: bool = True) -> Iterator[int]:
        """Yield the iterations of each window: all in one if they can be done `together`.

        Work that could keep in step with a counter is spread over windows of different phases.
        """
        if not together:
            yield from [1] * self.iterations
            return
        windows = min(STEPPED_WINDOWS, self.iterations) if self.stepped else 1
        for window in range(windows):
            yield (self.iterations + window) // windows

    @contextmanager
    def window(self, name: str) -> Iterator[None]:
        """Measure what happens inside, and add it to the other windows of this name.

        Both edges wait for work that is queued on a device. A window inside another one does not
        wait for a counter, since the outer one would contain the wait.
        """
        self._wait()
        outermost = self._depth == 0
        before = self._edge(outermost, self._begin)
        self._depth += 1
        try:
            yield
            if not self._left:
                self._wait()
        except BaseException:
            if outermost and not self._left:  # a sensor that samples meanwhile must stop
                self._edge(outermost, self._instruments.end)
            raise
        finally:
            self._depth -= 1
        if self._left:
            return
        after = self._edge(outermost, self._instruments.end)
        windows = self._windows.setdefault(name, [])
        if before is not None and after is not None:
            with Originals(in_window=True):
                windows.append(self._instruments.window(before, after))

    def _wait(self) -> None:
        """Wait for queued work, or keep why that fails: a test may have replaced the framework."""
        try:
            self._synchronize()
        except Exception as error:
            self.failure = f"waiting for a device failed ({type(error).__name__}: {error})"

    def _edge(self, outermost: bool, read: Callable[[], list[Reading]]) -> list[Reading] | None:
        """Return a reading of each sensor at an edge; None, with the failure kept, if one raises.

        The test goes on: that it is measured does not change how it ends.
        """
        try:
            with Originals(in_window=True):
                return read() if outermost else self._instruments.read()
        except Exception as error:
            self.failure = f"a sensor failed ({type(error).__name__}: {error})"
            return None

    def _begin(self) -> list[Reading]:
        return self._instruments.begin(self._until_phase_s())

    def leave(self) -> None:
        """End the window that is open: what follows is not measured by this trip."""
        if self._depth and not self._left:
            self._edge(True, self._instruments.end)
        self._left = True

    def _until_phase_s(self) -> float:
        """Return how long to wait for the phase of the next window, a step after the last."""
        if not self.stepped:
            return 0.0
        period_s = self._instruments.phase_period_s
        self._opened += 1
        phase_s = self._opened * STEP * period_s
        return (phase_s - (self._clock.now_ns() - self._begun_ns) * 1e-9) % period_s

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the windows. Raises `GreenopsError` if the work opened none."""
        if not self._windows:
            raise GreenopsError(
                "energy.rounds(): no window was opened in the loop; put the measured work into "
                '`with energy.measure("name"):`'
            )
        return tuple(self._windows)

    @property
    def missing(self) -> dict[str, str]:
        """Why a counter that is not lost has no energy for one of the windows, by domain name."""
        return {
            domain: why
            for windows in self._windows.values()
            for window in windows
            for domain, why in window.missing.items()
            if domain not in self.lost
        }

    def rounds(self, devices: Mapping[str, DeviceState] | None = None) -> dict[str, Round]:
        """Return the round of each name, by the counters that are known in all its windows."""
        states = dict(devices or {})
        known = ((name, windows) for name, windows in self._windows.items() if windows)
        return {name: self._round(windows, states) for name, windows in known}

    def _round(self, windows: Sequence[Window], devices: dict[str, DeviceState]) -> Round:
        known = [
            domain
            for domain in windows[0].energy_uj
            if domain not in self.lost and all(domain in window.energy_uj for window in windows)
        ]
        return Round(
            energy_uj={
                domain: sum(window.energy_uj[domain] for window in windows) for domain in known
            },
            seconds=math.fsum(window.seconds for window in windows),
            iterations=self.iterations,
            windows=len(windows),
            units=dict(self.units),
            error_uj={
                domain: math.hypot(*(window.error_uj[domain] for window in windows))
                for domain in known
                if domain in windows[0].error_uj
            },
            devices=devices,
            power={
                domain: joined([w.power[domain] for w in windows], [w.seconds for w in windows])
                for domain in known
                if all(domain in window.power for window in windows)
            },
        )
