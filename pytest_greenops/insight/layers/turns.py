"""Modules replayed in turns: as often as a window of the counters needs, in a few rounds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pytest_greenops.insight.layers.module_state import undisturbed
from pytest_greenops.insight.layers.replay import Replay
from pytest_greenops.insight.layers.sites import Site
from pytest_greenops.measure.self_checks import edge_error
from pytest_greenops.measure.trip import Trip
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.measurement import Round
from pytest_greenops.sensors.instruments import Instruments

#: Every module is replayed in so many rounds, in turns with the others: what the machine does
#: meanwhile then moves all of them alike.
ROUNDS = 5
#: A window is at least so long, and so long that its edges are known to this share of it.
WINDOW_S, EDGES = 0.03, 0.05
#: How much one step of the calibration may grow the number of replays.
GROWTH = 100


class Replayer:
    """Replays modules in windows of a run's instruments; models are as they were after it.

    deadline_s  on the clock of `time.monotonic`: no window is opened later
    """

    def __init__(
        self,
        torch: Any,
        roots: Sequence[Site],
        instruments: Instruments,
        synchronize: Callable[[], None],
        deadline_s: float,
    ) -> None:
        self._torch = torch
        self._roots = roots
        self._instruments = instruments
        self._synchronize = synchronize
        self._deadline_s = deadline_s

    def calibrate(self, replay: Replay) -> None:
        """Warm up, and grow the replays of a window until it is long enough for the counters."""
        self._window(replay, replay.see_whether_it_writes)
        while True:
            round_ = self._window(replay, replay.window)
            short = WINDOW_S / max(round_.seconds, 1e-9)
            short = max(short, edge_error(round_, self._instruments.domains) / EDGES)
            if short <= 1 or replay.iterations >= replay.most:
                return
            wanted = math.ceil(replay.iterations * min(max(short * 1.2, 1.5), GROWTH))
            replay.iterations = min(wanted, replay.most)

    def round(self, replay: Replay) -> None:
        """One window of a calibrated module."""
        round_ = self._window(replay, replay.window)
        counted = round_.energy_uj.items()
        replay.energy_uj.append({name: uj / round_.iterations for name, uj in counted})

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Leave the models, and the random numbers that come next, as they are."""
        with undisturbed(self._torch, [root.module for root in self._roots]):
            yield

    def _put_back(self) -> None:
        """Make the models what they were when the work was done that is replayed."""
        for root in self._roots:
            if root.state is None:
                continue
            if root.state.weights_changed:
                raise GreenopsError(
                    "the test gave its model other weights after it was measured; give them to a "
                    "copy of it"
                )
            root.state.put_back()

    def _window(self, replay: Replay, work: Callable[[Trip], None]) -> Round:
        if time.monotonic() > self._deadline_s:
            raise TooLong
        self._put_back()
        trip = Trip(self._instruments, self._synchronize, replay.iterations)
        name = replay.site.name
        with self._instruments.watching(None):
            try:
                work(trip)
            except Exception as error:
                said = " ".join(str(error).split()) or type(error).__name__
                raise GreenopsError(f"{name} cannot be called again by itself ({said})") from error
        if trip.missing:
            raise GreenopsError(next(iter(trip.missing.values())))
        return trip.rounds()[name]


class TooLong(GreenopsError):
    """There is no time for what is left to replay."""

    def __init__(self) -> None:
        super().__init__("its replays take longer than they may; give more with --energy-max-time")


def measure(
    torch: Any,
    roots: Sequence[Site],
    parts: Sequence[Site],
    instruments: Instruments,
    synchronize: Callable[[], None],
    *,
    max_time_s: float = math.inf,
    progress: Callable[[int, int], None] = lambda done, most: None,
) -> Mapping[int, dict[str, float]]:
    """Joules of the calls of each module, by the `id` of its site and by energy counter.

    roots  the models as a whole: replayed before and after their parts in each round, for all
           else is held against them

    Raises `GreenopsError` where a module cannot be replayed, a counter fails, or time runs out
    before the first round is done.
    """
    whole = [Replay(torch, site, kind) for site in roots for kind in site.kinds.values()]
    inner = [site for site in parts if all(site is not root for root in roots)]
    replays = [*whole, *(Replay(torch, s, kind) for s in inner for kind in s.kinds.values())]
    deadline_s = time.monotonic() + max_time_s
    replayer = Replayer(torch, roots, instruments, synchronize, deadline_s)
    with replayer.undisturbed():
        for replay in replays:
            replayer.calibrate(replay)
        for number in range(1, ROUNDS + 1):
            try:
                for replay in (*replays, *whole):
                    replayer.round(replay)
            except TooLong:
                if number == 1:
                    raise
                break
            progress(number, ROUNDS)
    joules: dict[int, dict[str, float]] = {}
    for replay in replays:
        summed = joules.setdefault(id(replay.site), {})
        for name, value in replay.joules.items():
            summed[name] = summed.get(name, 0.0) + value
    return joules
