"""The handle `energy` that a test holds. Without `--energy` it runs everything once, unmeasured."""

from __future__ import annotations

import functools
import inspect
import math
import reprlib
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import pytest

from pytest_greenops.measure.calls import (
    Amount,
    AnyTrial,
    AnyTrip,
    NamedMeasurement,
    OpenWindow,
    add_work,
    result_of,
)

if TYPE_CHECKING:
    from pytest_greenops.model.result import Result

P = ParamSpec("P")
T = TypeVar("T")
#: Where an item keeps the handle of its test, which the fixture `energy` gives out.
HANDLE: pytest.StashKey[Energy] = pytest.StashKey()


class Energy:
    """Measures the energy of calls, loops and windows of one test."""

    def __init__(self, trial: AnyTrial, enabled: bool) -> None:
        self._trial = trial
        self._claimed: set[str] = set()
        self._trip: AnyTrip | None = None
        self._opened: set[str] = set()
        self._measured: dict[str, OpenWindow] = {}
        self._failed_in = 0
        self.enabled = enabled

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function as often as the measurement needs, and return what it returned last.

        Raises `TypeError` for a coroutine function: those are for `await energy.acall(...)`.
        """
        __tracebackhide__ = True
        return self.named("call")(function, *args, **kwargs)

    async def acall(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The same for a coroutine function."""
        __tracebackhide__ = True
        return await self.named("call").acall(function, *args, **kwargs)

    def pedantic(self, function: Callable[..., T], **settings: Any) -> T:
        """Call a function with a set-up outside the window; see `NamedMeasurement.pedantic`."""
        __tracebackhide__ = True
        return self.named("call").pedantic(function, **settings)

    def named(self, name: str) -> NamedMeasurement:
        """A measurement under its own name, so that a test can have several."""
        return NamedMeasurement(self._trial, name, self._claim)

    def rounds(self) -> Iterator[int]:
        """Repeat a loop as often as the measurement needs; its windows are `energy.measure`."""
        __tracebackhide__ = True
        number = 0
        own: set[str] = set()
        trips = self._trial.trips()
        try:
            for trip in trips:
                self._trip = trip
                for _ in range(trip.iterations):
                    self._opened, self._measured, self._failed_in = set(), {}, 0
                    yield number
                    if number == 0:
                        own = set(self._measured)
                        for name in self._measured:
                            self._claim(name)
                    for name in sorted(own ^ set(self._measured)):
                        raise ValueError(
                            f"energy.rounds(): {name!r} is not measured in every round; measure "
                            "it in each, or in a loop of its own"
                        )
                    number += 1
                    windows = self._measured.values()
                    add_work(trip, self._trial.work(result_of(self._trial, windows), 1))
        finally:
            self._trip = None
            self._measured = {}
            trips.close()
            self._trial.repetition = self._failed_in

    @contextmanager
    def measure(self, name: str) -> Iterator[OpenWindow]:
        """One window: inside `energy.rounds()` one of each round, outside of it the only one.

        Units that are counted from a result are counted from what its `result` is set to.
        """
        __tracebackhide__ = True
        if self._trip is None:
            with self.named(name).once() as window:
                yield window
            return
        if name in self._opened:
            raise ValueError(
                f"energy.measure: {name!r} is measured twice in one round; give each its own name"
            )
        self._opened.add(name)
        window = OpenWindow()
        try:
            with self._trip.window(name):
                yield window
        except BaseException:
            self._opened.discard(name)
            self._failed_in = self._trial.repetition
            raise
        self._measured[name] = window

    def units(self, **units: Amount) -> None:
        """Say how much work one call does: `units(sample=64)`, or counted from its result."""
        __tracebackhide__ = True
        if "call" in units:
            raise ValueError("energy.units: the name 'call' is taken, by a call; choose another")
        amounts = {name: _amount(name, amount) for name, amount in units.items()}
        if self.enabled:
            self._trial.units = amounts

    def quality(self, **quality: float) -> None:
        """Keep the quality of what was computed beside its joules.

        Higher is better: tell a loss or an error as its negative, `quality(loss=-0.31)`. The
        marker's `max_quality_drop` limits how far it may fall below the baseline's. Raises
        `ValueError` for what is no number.
        """
        __tracebackhide__ = True
        told = {}
        for name, value in quality.items():  # no comprehension: its frame would be shown
            told[name] = _told(name, value)
        self._trial.quality.update(told)

    @property
    def results(self) -> Mapping[str, Result]:
        """What was measured so far, by name; `call` where none was given."""
        return self._trial.results

    def _claim(self, name: str) -> None:
        __tracebackhide__ = True
        if name in self._claimed:
            raise ValueError(
                f"energy: {name!r} is measured twice in this test; give each measurement its own "
                'name: energy.named("another")(...)'
            )
        self._claimed.add(name)


def _amount(name: str, amount: Any) -> Any:
    """An amount of work, in a number of any library."""
    if callable(amount):
        return amount
    work = _number(amount)
    if work is None or not 0 < work < math.inf:
        raise ValueError(
            f"energy.units: {name}={amount!r} is no amount of work; give a number above 0"
        )
    return work


def _told(name: str, value: Any) -> float:
    """A quality, in a number of any library; one that is not finite is one too."""
    __tracebackhide__ = True
    told = _number(value)
    if told is None:
        shown = " ".join(reprlib.repr(value).split())
        raise ValueError(
            f"energy.quality: {name}={shown} is no quality; give a number, higher being better"
        )
    return told


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None


@contextmanager
def measured_whole(item: pytest.Item) -> Iterator[None]:
    """Let the item's function be measured as a call, for a test that does not ask for the fixture.

    It is repeated with the same fixture values; their set-up stays outside.
    """
    function, handle = getattr(item, "obj", None), item.stash.get(HANDLE, None)
    if function is None or handle is None or "energy" in getattr(item, "fixturenames", ()):
        yield
        return
    call = handle.acall if inspect.iscoroutinefunction(function) else handle
    item.obj = wrapped = _wrapped(function, call)  # type: ignore[attr-defined]
    case = getattr(item, "instance", None)
    if getattr(case, "_testMethodName", None) == item.name:  # unittest looks it up by itself
        setattr(case, item.name, wrapped)
    try:
        yield
    finally:
        item.obj = function  # type: ignore[attr-defined]


def _wrapped(function: Callable[..., Any], call: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def acall(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            return await call(function, *args, **kwargs)

        return acall

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        return call(function, *args, **kwargs)

    return plain


class _PlainTrip:
    """The one trip that an unmeasured test makes."""

    def __init__(self) -> None:
        self.iterations = 1
        self.units: dict[str, float] = {}

    def batches(self, together: bool = True) -> Iterator[int]:
        yield 1

    def window(self, name: str) -> AbstractContextManager[None]:
        return nullcontext()


class PlainTrial:
    """Stands where a trial would: everything runs once, nothing is measured."""

    def __init__(self) -> None:
        self.units: dict[str, Amount] = {}
        self.quality: dict[str, float] = {}
        self.repetition = 0
        self.results: Mapping[str, Result] = _Unmeasured()

    def trips(self, name: str | None = None, **plan: int | None) -> Generator[_PlainTrip]:
        """One trip."""
        yield _PlainTrip()

    def work(self, value: Any, iterations: int) -> dict[str, float]:
        """Nothing is divided by it."""
        return {}


class _Unmeasured(dict[str, "Result"]):
    """No results: a test that goes on to read one is skipped from there, for it passed so far."""

    def __missing__(self, name: str) -> Result:
        pytest.skip(f"reads energy.results[{name!r}], which only pytest --energy measures")
