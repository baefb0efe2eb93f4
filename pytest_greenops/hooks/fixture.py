"""The handle `energy` of a test. Without `--energy` it runs everything once, unmeasured."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import pytest

from pytest_greenops.measure.calls import (
    AnyTrial,
    AnyTrip,
    NamedMeasurement,
    OpenWindow,
    Repetitions,
    UnmeasuredTrip,
    add_work,
    result_of,
)
from pytest_greenops.measure.given import (
    Amount,
    checked_amount,
    checked_name,
    counted_work,
    number,
)
from pytest_greenops.model.errors import GreenopsError, shown

if TYPE_CHECKING:
    from pytest_greenops.model.result import Result

P = ParamSpec("P")
T = TypeVar("T")


class Energy:
    """Measures the energy of calls, loops and windows of one test, if `enabled` by `--energy`."""

    def __init__(
        self, trial: AnyTrial, enabled: bool, repetitions: Repetitions | None = None
    ) -> None:
        self.enabled = enabled
        self._trial = trial
        self._repetitions = repetitions or Repetitions()
        self._claimed: set[str] = set()
        self._round: _Round | None = None
        self._failed_in = 0
        self._ended: str | None = None

    @property
    def used(self) -> bool:
        """Return whether anything was measured, or began to be."""
        return bool(self._claimed)

    def end(self, test: str) -> None:
        """Refuse what is measured or reported from now on: the results of the test are final."""
        self._ended = test

    def whole(self) -> NamedMeasurement:
        """Return the measurement of a whole test, which ends if the test uses this handle."""
        return NamedMeasurement(self._trial, "call", lambda name: None, self._repetitions, True)

    def timed(self, name: str) -> NamedMeasurement:
        """Return the measurement of work that another plugin has timed before."""
        measurement = self.named(name)
        measurement.timed = True
        return measurement

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function as often as the measurement needs, and return its last result.

        Raises `TypeError` for a coroutine function: write `await energy.acall(...)`.
        """
        __tracebackhide__ = True
        return self.named("call")(function, *args, **kwargs)

    async def acall(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Await a coroutine function as often as the measurement needs; return its last result."""
        __tracebackhide__ = True
        return await self.named("call").acall(function, *args, **kwargs)

    def pedantic(
        self,
        function: Callable[..., T],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> T:
        """Call a function with a set-up outside the window; see `NamedMeasurement.pedantic`."""
        __tracebackhide__ = True
        return self.named("call").pedantic(function, args, kwargs, **settings)

    def named(self, name: str) -> NamedMeasurement:
        """Return a measurement with its own name, so that a test can have several.

        It is called like the fixture: `energy.named("encode")(function, ...)`, and has `acall` and
        `pedantic`.
        """
        __tracebackhide__ = True
        checked = checked_name("energy.named", name)
        return NamedMeasurement(self._trial, checked, self._claim, self._repetitions)

    def rounds(self) -> Iterator[int]:
        """Repeat a loop as often as the measurement needs; its windows are `energy.measure`."""
        __tracebackhide__ = True
        self._require_running()
        self._leave_whole()
        number = 0
        expected: set[str] = set()
        trips = self._trial.trips()
        try:
            with self._repetitions.repeated():
                for trip in trips:
                    for _ in self._repetitions.rounds(trip.iterations):
                        self._round, self._failed_in = _Round(trip), 0
                        yield number
                        measured = self._round.measured
                        if number == 0:
                            expected = set(measured)
                            for name in measured:
                                self._claim(name)
                        for name in sorted(expected ^ set(measured)):
                            raise ValueError(
                                f"energy.rounds(): {name!r} is not measured in every round; "
                                "measure it in each, or in a loop of its own"
                            )
                        number += 1
                        result = result_of(self._trial, measured.values())
                        add_work(trip, self._trial.work(result, 1))
                        if self._repetitions.failed:
                            return
        finally:
            self._round = None
            trips.close()
            self._trial.repetition = self._failed_in

    @contextmanager
    def measure(self, name: str) -> Iterator[OpenWindow]:
        """Measure one window: of each round inside `energy.rounds()`, else a single one.

        Units that are counted from a result use the window's `result`.
        """
        __tracebackhide__ = True
        name = checked_name("energy.measure", name)
        if self._round is None:
            with self.named(name).once() as window:
                yield window
            return
        if name in self._round.opened:
            raise ValueError(
                f"energy.measure: {name!r} is measured twice in one round; give each its own name"
            )
        self._round.opened.add(name)
        window, current = OpenWindow(), self._round
        try:
            with current.trip.window(name):
                yield window
        except BaseException:
            current.opened.discard(name)
            self._failed_in = self._trial.repetition
            raise
        current.measured[name] = window

    def units(self, **units: Amount) -> None:
        """Set the work that one call does: a number, or a function of its result.

        The first unit is judged, unless the budget of the test has `per`.
        """
        __tracebackhide__ = True
        self._require_running()
        if "call" in units:
            raise ValueError("energy.units(call=...): the name 'call' is reserved; choose another")
        amounts = {}
        for name, amount in units.items():  # a comprehension would show its frame
            unit = checked_name("energy.units", name)
            amounts[unit] = checked_amount(unit, amount)
        self._trial.units = amounts

    def quality(self, **quality: float) -> None:
        """Keep the quality of what was computed with its joules; higher is better.

        Give a loss or an error as its negative: `quality(loss=-0.31)`. The marker's
        `max_quality_drop` limits how far it may fall below the baseline's. Raises `ValueError`
        if a value is not a number.
        """
        __tracebackhide__ = True
        self._require_running()
        values = {}
        for name, value in quality.items():
            quality_name = checked_name("energy.quality", name)
            values[quality_name] = _quality(quality_name, value)
        self._trial.add_quality(values)

    @property
    def results(self) -> Mapping[str, Result]:
        """Return what was measured so far, by name; `call` by default."""
        results = self._trial.results
        if not getattr(self._trial, "counts_only", False):
            return results
        partial: Mapping[str, Any] = {name: _WithoutJoules(r) for name, r in results.items()}
        return partial

    def _claim(self, name: str) -> None:
        __tracebackhide__ = True
        self._require_running()
        if name in self._claimed:
            raise ValueError(
                f"energy: {name!r} is measured twice in this test; give each measurement its own "
                'name: energy.named("another")(...)'
            )
        self._leave_whole()
        self._claimed.add(name)

    def _require_running(self) -> None:
        __tracebackhide__ = True
        if self._ended is not None:
            raise GreenopsError(
                f"energy: {self._ended} has ended, and its results are final; measure in the test "
                "or in the set-up of its fixtures, not in their teardown or later"
            )

    def _leave_whole(self) -> None:
        """End the measurement of the whole test, in which the test now measures by itself."""
        if self._trial.leave_whole():
            self._repetitions.leave()


class _Round:
    """One round of `energy.rounds()`: its trip, and the windows opened and measured in it."""

    def __init__(self, trip: AnyTrip) -> None:
        self.trip = trip
        self.opened: set[str] = set()
        self.measured: dict[str, OpenWindow] = {}


def _quality(name: str, value: Any) -> float:
    """Return a quality as a float, which may be NaN or infinite."""
    __tracebackhide__ = True
    quality = number(value)
    if quality is None:
        raise ValueError(
            f"energy.quality({name}={shown(value)}): expected a number, higher is better"
        )
    return quality


# --- with --energy-count-only ----------------------------------------------------------------


class JoulesRead(pytest.skip.Exception):  # type: ignore[misc, name-defined]
    """A test reads joules that this run does not measure: the rest of it is skipped."""


class _WithoutJoules:
    """A result of which joules, power, time and rounds are not known; reading them skips."""

    _UNKNOWN = frozenset(
        ("joules", "judged_j", "watts", "seconds", "by_domain", "per_unit", "interval", "rounds")
    )

    def __init__(self, result: Result) -> None:
        self._result = result

    def __getattr__(self, name: str) -> Any:
        if name in self._UNKNOWN:
            read = f"energy.results[{self._result.name!r}].{name}"
            raise JoulesRead(f"reads {read}, which --energy-count-only does not measure")
        return getattr(self._result, name)


# --- without --energy ------------------------------------------------------------------------


class UnmeasuredTrial:
    """The trial of a test in a run without `--energy`: everything runs once."""

    def __init__(self) -> None:
        self.units: dict[str, Amount] = {}
        self.repetition = 0
        self.results: Mapping[str, Result] = _NoResults()

    def trips(
        self, name: str | None = None, *, whole: bool = False, **plan: int | None
    ) -> Generator[AnyTrip]:
        """Yield the only trip."""
        yield UnmeasuredTrip()

    def leave_whole(self) -> bool:
        """Return that no whole test is measured."""
        return False

    def work(self, value: Any, iterations: int) -> dict[str, float]:
        """Return the work of a call, counted as in a run that measures."""
        return counted_work(self.units, value)

    def add_quality(self, quality: Mapping[str, float]) -> None:
        """Ignore the quality."""


class _NoResults(dict[str, "Result"]):
    """No results: reading one skips the rest of the test, which has passed so far."""

    def __missing__(self, name: str) -> Result:
        pytest.skip(f"reads energy.results[{name!r}], which only pytest --energy measures")
