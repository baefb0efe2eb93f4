"""The energy counter of a card, followed from tick to tick."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pytest_greenops.sensors.base import EDGE_ERROR
from pytest_greenops.sensors.clock import Clock
from pytest_greenops.sensors.nvidia.card_counter import CardCounter
from pytest_greenops.sensors.nvidia.visible_cards import Card
from pytest_greenops.sensors.ticks import (
    POWER_ERROR,
    RESOLUTION_UJ,
    USUAL_PERIOD_S,
    Edge,
    PowerSample,
    Tick,
    Ticker,
    count_after,
    count_at_rest,
    count_between,
)

#: A tick is sharp if its time is known to this share of the period.
SHARP = 0.05
#: Power before a window is that of an idle card if it is at most this share of the window's.
RESTING = 0.7
_STUCK = "it is stuck (reload the driver)"
_UJ_PER_MJ = 1000


class TickingCounter(CardCounter):
    """An energy counter that moves in ticks, `period_s` apart."""

    def __init__(self, nvml: Any, card: Card, handle: Any, clock: Clock) -> None:
        super().__init__(nvml, card, handle)
        self.clock = clock
        self.period_s = USUAL_PERIOD_S
        self.ticker = Ticker()
        self.watts: float | None = None

    def look(self) -> Tick | None:
        """Read the counter and the power; return a tick if the counter moved since the last look.

        Afterwards `watts` is the power, `why` is why the counter could not be read.
        """
        try:
            tick = self.ticker.look(self._read_uj, self.clock)
        except self.nvml.NVMLError as error:
            self.fail(error)
            return None
        self.why = self.watts = None
        with suppress(self.nvml.NVMLError):
            self.watts = self.power.watts()
        return tick

    def start(self) -> Beginning:
        """Prepare a window, which begins after a tick."""
        return Beginning(self)

    def count_now(self) -> Edge | None:
        """Return the count now, which is late by up to a tick; None if it cannot be read."""
        self.look()
        return None if self.why else self.late_count()

    def late_count(self) -> Edge:
        """Return the last count, which misses up to a tick of any power that the card may draw."""
        late_uj = self.domain.max_power_w * self.period_s * 1e6
        return Edge(self.ticker.count_uj or 0, EDGE_ERROR * late_uj)

    def count_without_tick(self) -> Edge | None:
        """Return the count of a card that draws almost nothing; any other counter is stuck."""
        if self.why is None and self.watts is not None:
            if self.watts * self.period_s * 1e6 < RESOLUTION_UJ:
                return Edge(self.ticker.count_uj or 0, RESOLUTION_UJ)
            self.why = f"does not move although the card draws {self.watts:.0f} W: {_STUCK}"
        self.why = self.why or f"does not move: {_STUCK}"
        return None

    def _read_uj(self) -> int:
        return int(self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle)) * _UJ_PER_MJ


class Watch:
    """The ticks and the power of a counter since a moment.

    A tick that comes with the first look happened earlier, at an unknown time, and is not used.

    waits  whether a tick is awaited: a card without work is not worth the wait
    """

    def __init__(self, counter: TickingCounter) -> None:
        self.counter = counter
        self.waits = counter.used is not False
        self.ticks: list[Tick] = []
        self.samples: list[PowerSample] = []
        self.look()
        self.ticks.clear()

    def look(self) -> None:
        """Read the counter and the power again."""
        if tick := self.counter.look():
            self.ticks.append(tick)
        if self.counter.why is None and self.counter.watts is not None:
            self.samples.append(PowerSample(self.counter.clock.now_ns(), self.counter.watts))

    @property
    def pointless(self) -> bool:
        """Whether no tick is awaited, since the card has no work or cannot be read."""
        return self.counter.why is not None or not self.waits

    def edge_without_tick(self) -> Edge | None:
        """Return the count if no tick was seen or awaited."""
        if self.counter.why or self.waits:
            return self.counter.count_without_tick()
        return self.counter.late_count()

    def power(self, time_ns: int) -> list[PowerSample]:
        """Return the sampled power; none drawn if the card reports no power."""
        return self.samples or [PowerSample(time_ns, 0.0)]


class Beginning(Watch):
    """A window that is about to begin: with a sharp tick its count is known."""

    @property
    def done(self) -> bool:
        """Whether a sharp tick was seen, or none is awaited."""
        sharp_ns = SHARP * self.counter.period_s * 1e9
        return self.pointless or bool(self.ticks and self.ticks[-1].half_ns <= sharp_ns)

    def open(self, begin_ns: int) -> Opened:
        """Open the window at `begin_ns`."""
        if self.pointless or not self.ticks:
            return Opened(self.counter, begin_ns, self.edge_without_tick(), exact=False)
        edge = count_after(self.ticks[-1], begin_ns, self.power(begin_ns))
        return Opened(self.counter, begin_ns, edge, exact=True)


class Opened:
    """A window that has begun; `exact` if its first count is known by a tick."""

    def __init__(
        self, counter: TickingCounter, begin_ns: int, edge: Edge | None, exact: bool
    ) -> None:
        self.edge = edge
        self.begin_ns = begin_ns
        self.exact = exact
        self.resting_w = counter.watts
        self._counter = counter

    def end(self, end_ns: int) -> Ending:
        """End the window at `end_ns`."""
        return Ending(self._counter, self, end_ns)


class Ending(Watch):
    """A window that has ended: the next tick, or the next two, show its energy."""

    def __init__(self, counter: TickingCounter, opened: Opened, end_ns: int) -> None:
        super().__init__(counter)
        self._opened = opened
        self._end_ns = end_ns

    @property
    def done(self) -> bool:
        """Whether the ticks since the end are enough.

        One is enough if the card is known to be idle since then. Else the power until the next tick
        is that of the card.
        """
        return self.pointless or len(self.ticks) > 1 or (bool(self.ticks) and self._rests)

    def edge(self) -> Edge | None:
        """Return the count at the end of the window, by the ticks after it."""
        if self.pointless or not self.ticks:
            return self.edge_without_tick()
        first, samples = self.ticks[0], self.power(self._end_ns)
        if len(self.ticks) > 1 and not self._rests:
            reported_w = samples[-1].watts if self.counter.power.instant else None
            return count_between(first, self.ticks[1], self._end_ns, reported_w)
        edge = count_at_rest(first, self._end_ns, samples)
        doubt_uj = 0 if self._rests else first.count_uj - edge.count_uj
        return Edge(edge.count_uj, edge.error_uj + abs(doubt_uj))

    @property
    def _rests(self) -> bool:
        """Whether the card reports its power of before the window, and drew more in the window.

        Otherwise both power readings may be late, and of the same work.
        """
        begun, resting_w = self._opened, self._opened.resting_w
        if not (self.counter.power.instant and self.samples and begun.exact and resting_w):
            return False
        assert begun.edge
        counted_uj = self.ticks[0].count_uj - begun.edge.count_uj
        mean_w = counted_uj / (self.ticks[0].time_ns - begun.begin_ns) * 1e3
        back = abs(self.samples[-1].watts - resting_w) <= 2 * POWER_ERROR * resting_w
        return back and resting_w <= RESTING * mean_w
