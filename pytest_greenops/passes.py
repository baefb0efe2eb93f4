"""One trip through the work that is measured: the windows opened in it, added up by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import Round, Window
from pytest_greenops.sensors.base import Instruments


class Pass:
    """One trip through the work: repeat it `iterations` times, inside windows.

    units  how much work all its iterations did, by unit name; added up by whoever does it
    """

    def __init__(
        self, instruments: Instruments, synchronize: Callable[[], None], iterations: int
    ) -> None:
        self.iterations = iterations
        self.units: dict[str, float] = {}
        self._windows: dict[str, list[Window]] = {}
        self._instruments = instruments
        self._synchronize = synchronize

    @contextmanager
    def window(self, name: str) -> Iterator[None]:
        """Measure what happens inside, and add it to what this pass knows of `name`.

        Work that is queued on a device is waited for at both edges.
        """
        instruments = self._instruments
        self._synchronize()
        before = instruments.read()
        yield
        self._synchronize()
        after = instruments.read()
        self._windows.setdefault(name, []).append(instruments.window(before, after))

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
    def void(self) -> str | None:
        """Why nothing can be said of one of its windows, or None."""
        windows = (window for windows in self._windows.values() for window in windows)
        return next((window.void for window in windows if window.void), None)

    def rounds(self) -> dict[str, Round]:
        """What each name used in this pass, none of whose windows is void."""
        return {
            name: Round(
                energy_uj={
                    domain: sum(window.energy_uj[domain] for window in windows)
                    for domain in windows[0].energy_uj
                },
                seconds=math.fsum(window.seconds for window in windows),
                iterations=self.iterations,
                windows=len(windows),
                units=dict(self.units),
            )
            for name, windows in self._windows.items()
        }
