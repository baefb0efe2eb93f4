"""The handle `energy` that a test holds. Without `--energy` it runs everything once, unmeasured."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

import pytest

if TYPE_CHECKING:
    from pytest_greenops.model.result import Result

P = ParamSpec("P")
T = TypeVar("T")
#: Where an item keeps the handle of its test, which the fixture `energy` gives out.
HANDLE: pytest.StashKey[Energy] = pytest.StashKey()


class Trip(Protocol):
    """One trip through the work: `iterations` repetitions inside windows."""

    iterations: int
    units: dict[str, float]

    def window(self, name: str) -> AbstractContextManager[None]:
        """Measure what happens inside."""


class Energy:
    """Measures the energy of calls, loops and windows of one test."""

    def __init__(self, trial: Any, enabled: bool) -> None:
        self._trial = trial
        self._claimed: set[str] = set()
        self._trip: Trip | None = None
        self._seen: set[str] = set()
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
        """Call a function with a set-up outside the window; see `Named.pedantic`."""
        __tracebackhide__ = True
        return self.named("call").pedantic(function, **settings)

    def named(self, name: str) -> Named:
        """A measurement under its own name, so that a test can have several."""
        return Named(self._trial, name, self._claim)

    def rounds(self) -> Iterator[int]:
        """Repeat a loop as often as the measurement needs; its windows are `energy.measure`."""
        __tracebackhide__ = True
        if any(callable(amount) for amount in self._trial.units.values()):
            raise TypeError(
                "energy.units: in energy.rounds() there is no result to count from; give a number"
            )
        number = 0
        own: set[str] = set()
        try:
            for trip in self._trial.passes():
                self._trip = trip
                for _ in range(trip.iterations):
                    self._seen = set()
                    yield number
                    number += 1
                    for name in self._seen - own:
                        self._claim(name)
                    own |= self._seen
                trip.units = self._trial.work(None, trip.iterations)
        finally:
            self._trip = None

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """One window: inside `energy.rounds()` one of each round, outside of it the only one."""
        __tracebackhide__ = True
        if self._trip is None:
            with self.named(name).once():
                yield
            return
        if name in self._seen:
            raise ValueError(
                f"energy.measure: {name!r} is measured twice in one round; give each its own name"
            )
        self._seen.add(name)
        with self._trip.window(name):
            yield

    def units(self, **units: float | Callable[[Any], float]) -> None:
        """Say how much work one call does: `units(sample=64)`, or counted from its result."""
        __tracebackhide__ = True
        for name, amount in units.items():
            if not callable(amount) and not (isinstance(amount, (int, float)) and amount > 0):
                raise ValueError(
                    f"energy.units: {name}={amount!r} is no amount of work; give a number above 0"
                )
        self._trial.units = dict(units)

    def quality(self, **quality: float) -> None:
        """Keep the quality of what was computed (accuracy, loss, …) beside its joules."""
        self._trial.quality.update({name: float(value) for name, value in quality.items()})

    @property
    def results(self) -> Mapping[str, Result]:
        """What was measured so far, by name; `call` where none was given."""
        results: Mapping[str, Result] = self._trial.results
        return results

    def _claim(self, name: str) -> None:
        __tracebackhide__ = True
        if name in self._claimed:
            raise ValueError(
                f"energy: {name!r} is measured twice in this test; give each measurement its own "
                'name: energy.named("another")(...)'
            )
        self._claimed.add(name)


class Named:
    """One measurement of a test, under one name."""

    def __init__(self, trial: Any, name: str, claim: Callable[[str], None]) -> None:
        self._trial = trial
        self._name = name
        self._claim = claim

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function as often as the measurement needs, and return what it returned last."""
        __tracebackhide__ = True
        if inspect.iscoroutinefunction(function):
            raise TypeError(_ASYNC.format(function=getattr(function, "__name__", function)))
        for trip in self._passes():
            with trip.window(self._name):
                for _ in range(trip.iterations):
                    value = function(*args, **kwargs)
            if inspect.iscoroutine(value):
                value.close()
                raise TypeError(_ASYNC.format(function=getattr(function, "__name__", function)))
            trip.units = self._trial.work(value, trip.iterations)
        return value

    async def acall(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Await a coroutine function as often as the measurement needs."""
        __tracebackhide__ = True
        for trip in self._passes():
            with trip.window(self._name):
                for _ in range(trip.iterations):
                    value = await function(*args, **kwargs)
            trip.units = self._trial.work(value, trip.iterations)
        return value

    def pedantic(
        self,
        function: Callable[..., T],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        setup: Callable[[], Any] | None = None,
        rounds: int | None = None,
        warmup_rounds: int | None = None,
        iterations: int | None = None,
    ) -> T:
        """Call a function with a set-up before each call, outside the window.

        `setup` may return nothing, then `args` and `kwargs` are used; or a pair of a tuple and a
        dict, which are used instead; or anything else, which is the one argument. What is not
        given of `rounds`, `warmup_rounds` and `iterations` the meter decides.
        """
        __tracebackhide__ = True
        passes = self._passes(rounds=rounds, warmup=warmup_rounds, iterations=iterations)
        for trip in passes:
            if setup is None:
                with trip.window(self._name):
                    for _ in range(trip.iterations):
                        value = function(*args, **(kwargs or {}))
            else:
                for _ in range(trip.iterations):
                    given, named = _arguments(setup(), args, kwargs or {})
                    with trip.window(self._name):
                        value = function(*given, **named)
            trip.units = self._trial.work(value, trip.iterations)
        return value

    @contextmanager
    def once(self) -> Iterator[None]:
        """One window that cannot be repeated."""
        __tracebackhide__ = True
        passes = self._passes(rounds=1)
        trip = next(passes)
        with trip.window(self._name):
            yield
        trip.units = self._trial.work(None, trip.iterations)
        next(passes, None)

    def _passes(self, **plan: int | None) -> Iterator[Trip]:
        __tracebackhide__ = True
        self._claim(self._name)
        passes: Iterator[Trip] = self._trial.passes(self._name, **plan)
        return passes


class _PlainTrip:
    """The one trip that an unmeasured test makes."""

    def __init__(self) -> None:
        self.iterations = 1
        self.units: dict[str, float] = {}

    def window(self, name: str) -> AbstractContextManager[None]:
        return nullcontext()


class PlainTrial:
    """Stands where a trial would: everything runs once, nothing is measured."""

    def __init__(self) -> None:
        self.units: dict[str, Any] = {}
        self.quality: dict[str, float] = {}
        self.results: Mapping[str, Result] = _Unmeasured()

    def passes(self, name: str | None = None, **plan: int | None) -> Iterator[_PlainTrip]:
        """One trip."""
        yield _PlainTrip()

    def work(self, value: Any, iterations: int) -> dict[str, float]:
        """Nothing is divided by it."""
        return {}


class _Unmeasured(dict[str, "Result"]):
    """No results: a test that goes on to read one is skipped from there, for it passed so far."""

    def __missing__(self, name: str) -> Result:
        pytest.skip(f"reads energy.results[{name!r}], which only pytest --energy measures")


_ASYNC = "energy({function}): a coroutine function; write: await energy.acall({function}, ...)"


@contextmanager
def measured_whole(item: pytest.Item) -> Iterator[None]:
    """Let the item's function be measured as a call, for a test that does not ask for the fixture.

    It is repeated with the same fixture values; their set-up stays outside.
    """
    function, handle = getattr(item, "obj", None), item.stash[HANDLE]
    if function is None or "energy" in getattr(item, "fixturenames", ()):
        yield
        return
    call = handle.acall if inspect.iscoroutinefunction(function) else handle
    item.obj = _wrapped(function, call)  # type: ignore[attr-defined]
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


def _arguments(
    made: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    if made is None:
        return args, kwargs
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], dict):
        return tuple(made[0]), made[1]
    return (made,), {}
