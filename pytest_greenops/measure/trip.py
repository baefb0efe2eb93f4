"""One trip through the work that is measured: the windows opened in it, added up by name."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import DeviceState, Round, Window
from pytest_greenops.sensors.instruments import Instruments

#: Work that could keep in step with the samples of power is spread over so many windows, each of
#: which begins a quarter of the period later in it: 25 ms for a period of 100 ms, as Yang, Adamek
#: and Armour use ("Part-time Power Measurements: nvidia-smi's Lack of Attention", SC 2024).
STEPPED_WINDOWS, STEP = 16, 0.25


class Trip:
    """One trip through the work: repeat it `iterations` times, inside windows.

    units    how much work all its iterations did, by unit name; added up by whoever does it
    stepped  whether its windows begin at unlike phases of what a sensor samples
    """

    def __init__(
        self,
        instruments: Instruments,
        synchronize: Callable[[], None],
        iterations: int,
        *,
        stepped: bool = False,
        lost: Mapping[str, str] | None = None,
    ) -> None:
        """`lost` names counters that are known to be lost: nothing is missing without them."""
        self.stepped = stepped
        self.iterations = iterations
        self.units: dict[str, float] = {}
        self._windows: dict[str, list[Window]] = {}
        self._instruments = instruments
        self._synchronize = synchronize
        self._begun_s, self._opened = time.monotonic(), 0
        self._lost = {} if lost is None else lost
        self._depth = 0

    def batches(self, together: bool = True) -> Iterator[int]:
        """How many iterations to do in each window: all in one, if they can be done `together`.

        Work that could keep in step with a counter is spread over windows of unlike phase.
        """
        if not together:
            yield from [1] * self.iterations
            return
        windows = min(STEPPED_WINDOWS, self.iterations) if self.stepped else 1
        for window in range(windows):
            yield (self.iterations + window) // windows

    @contextmanager
    def window(self, name: str) -> Iterator[None]:
        """Measure what happens inside, and add it to what this pass knows of `name`.

        Work that is queued on a device is waited for at both edges. A window inside another one
        waits for no counter: that would be in the outer one.
        """
        instruments = self._instruments
        self._synchronize()
        outermost = self._depth == 0
        before = instruments.begin(self._until_phase_s()) if outermost else instruments.read()
        self._depth += 1
        try:
            yield
            self._synchronize()
        except BaseException:
            if outermost:  # what samples while a window is open must not go on
                instruments.end()
            raise
        finally:
            self._depth -= 1
        after = instruments.end() if outermost else instruments.read()
        self._windows.setdefault(name, []).append(instruments.window(before, after))

    def _until_phase_s(self) -> float:
        """How long to wait for the phase of the next window: a step later than the one before."""
        if not self.stepped:
            return 0.0
        period_s = self._instruments.phase_period_s
        self._opened += 1
        phase_s = self._opened * STEP * period_s
        return (phase_s - (time.monotonic() - self._begun_s)) % period_s

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which windows were opened.

        Raises `GreenopsError` where the work opened none at all.
        """
        if not self._windows:
            raise GreenopsError(
                "energy.rounds(): no window was opened in the loop; put the work that is to be "
                'measured into `with energy.measure("name"):`'
            )
        return tuple(self._windows)

    @property
    def missing(self) -> dict[str, str]:
        """Why a counter says nothing of one of the windows, by domain name: of those not lost."""
        return {
            domain: why
            for windows in self._windows.values()
            for window in windows
            for domain, why in window.missing.items()
            if domain not in self._lost
        }

    def rounds(self, devices: Mapping[str, DeviceState] | None = None) -> dict[str, Round]:
        """What each name used in this pass, of the counters that vouch for all of its windows.

        devices  the state of the devices over the pass, by domain name
        """
        return {
            name: self._round(windows, dict(devices or {}))
            for name, windows in self._windows.items()
        }

    def _round(self, windows: Sequence[Window], devices: dict[str, DeviceState]) -> Round:
        known = [
            domain
            for domain in windows[0].energy_uj
            if domain not in self._lost and all(domain in window.energy_uj for window in windows)
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
        )
