"""The counted work of one test: in further calls after the first, or in a run without joules."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

from pytest_greenops.measure.calls import AnyTrip
from pytest_greenops.measure.synchronize import synchronize
from pytest_greenops.model.counted import Counted
from pytest_greenops.model.run_options import Options
from pytest_greenops.system import SYSTEM
from pytest_greenops.work.counting_trip import CountingTrip, PlainTrip, least_used, why_not
from pytest_greenops.work.passes import COUNTED_ONCE, ONCE_ABOVE_S, counted_windows
from pytest_greenops.work.work_facts import work_facts

_ONCE = "its work runs once only"
_NO_TORCH = "torch is not loaded"
_LEFT = "it was left before it was counted"
#: A shorter call, beside joules, is measured in two plain calls.
SHORT_S = 1.0
_FIXED = "the test sets its rounds and iterations: --energy-count=on adds three calls"


class Counting:
    """Counts each measurement of a test.

    found  what was counted by name, or why not
    facts  what decides which operators torch runs; empty before anything was counted
    """

    def __init__(
        self, options: Options, same: Callable[[float], float] = lambda seconds: seconds
    ) -> None:
        """Count as the options say; `same` lets all ranks of a job decide by the same seconds."""
        self.found: dict[str, Counted | str] = {}
        self.facts: dict[str, str] = {}
        self._left = _LEFT
        self._same = same
        measures_only = options.fresh_child and not options.count_only
        self._when = "off" if measures_only else options.counting

    def beside(
        self, trips: Iterator[AnyTrip], once: bool, fixed: bool = False
    ) -> Generator[AnyTrip]:
        """Yield the trips of a meter, and after the first those that count its work.

        once   the work must run exactly once, so that it cannot be counted beside its measurement
        fixed  the test sets how often it runs: more calls could fail it, so they must be asked for
        """
        self._left = _FIXED if fixed and self._when == "auto" else _LEFT
        for number, trip in enumerate(trips):
            began_ns = SYSTEM.monotonic_ns()
            yield trip
            if number == 0 and not once and self._left is _LEFT and self._why_not is None:
                call_s = self._same(_since_s(began_ns) / trip.iterations)
                yield from self._passes(call_s, again=not fixed)

    def alone(self, once: bool, name: str) -> Generator[AnyTrip]:
        """Yield the trips of a run that measures no joules; `name` is that of the work."""
        if once and self._why_not is None:
            yield (single := CountingTrip(self._torch, synchronize))
            self._keep([single], [], f"counted once: {_ONCE}")
            return
        first = PlainTrip(synchronize)
        began_ns = SYSTEM.monotonic_ns()
        yield first
        self.found |= dict.fromkeys(first.used or [name], _ONCE if once else _LEFT)
        if why := self._why_not:
            self.found |= dict.fromkeys(self.found, why)
        elif not once:
            yield from self._passes(self._same(_since_s(began_ns)), alone=True)

    def of(self, name: str, once: bool) -> Counted | str | None:
        """Return what was counted under a name, why not, or None if nothing should have been."""
        if name in self.found or self._when == "off":
            return self.found.get(name)
        if self._torch is None and self._when == "auto":
            return None
        return self._why_not or (_ONCE if once else self._left)

    @property
    def _torch(self) -> Any:
        """The loaded torch, or None."""
        return SYSTEM.modules.get("torch")

    @property
    def _why_not(self) -> str | None:
        """Why nothing can be counted now, or None."""
        if self._when == "off":
            return "--energy-count is off"
        return _NO_TORCH if self._torch is None else why_not(self._torch)

    def _passes(
        self, call_s: float, alone: bool = False, again: bool = False
    ) -> Generator[AnyTrip]:
        """Yield two counting trips and a plain one; of a long call one, and only where it is last.

        The last call of the work, whose value the test gets, is never one that is counted. Where
        the work failed while it was counted, and nothing else needs it again, there is no other.

        again  a short call may be plain twice: something else often disturbs one
        """
        number = 1 if call_s > ONCE_ABOVE_S else 2
        twins = [CountingTrip(self._torch, synchronize, extra=True) for _ in range(number)]
        yield from twins
        plain = []
        if not twins[-1].failed if alone else number > 1:
            plain = [PlainTrip(synchronize) for _ in range(2 if again and call_s < SHORT_S else 1)]
            yield from plain
        self._keep(twins, plain)

    def _keep(
        self, twins: list[CountingTrip], plain: list[PlainTrip], once: str = COUNTED_ONCE
    ) -> None:
        self.found |= counted_windows(twins, least_used(plain), once)
        self.facts = work_facts(self._torch)


def _since_s(began_ns: int) -> float:
    return (SYSTEM.monotonic_ns() - began_ns) * 1e-9
