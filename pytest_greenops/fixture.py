"""The handle `energy` that a test holds. Without `--energy` it runs everything once, unmeasured."""

from __future__ import annotations

import functools
import inspect
import math
import numbers
from collections.abc import Awaitable, Callable, Collection, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

import pytest

from pytest_greenops.model.errors import GreenopsError

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


class OpenWindow:
    """What `energy.measure` hands out: give it the `result` that units are counted from."""

    def __init__(self) -> None:
        self.result: Any = _NO_RESULT


class Energy:
    """Measures the energy of calls, loops and windows of one test."""

    def __init__(self, trial: Any, enabled: bool) -> None:
        self._trial = trial
        self._claimed: set[str] = set()
        self._trip: Trip | None = None
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
        """Call a function with a set-up outside the window; see `Named.pedantic`."""
        __tracebackhide__ = True
        return self.named("call").pedantic(function, **settings)

    def named(self, name: str) -> Named:
        """A measurement under its own name, so that a test can have several."""
        return Named(self._trial, name, self._claim)

    def rounds(self) -> Iterator[int]:
        """Repeat a loop as often as the measurement needs; its windows are `energy.measure`."""
        __tracebackhide__ = True
        number = 0
        own: set[str] = set()
        passes: Generator[Trip] = self._trial.passes()
        try:
            for trip in passes:
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
                    _add(trip, self._trial.work(_handed_over(self._trial, windows), 1))
        finally:
            self._trip = None
            self._measured = {}
            passes.close()
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

    def units(self, **units: float | Callable[[Any], float]) -> None:
        """Say how much work one call does: `units(sample=64)`, or counted from its result."""
        __tracebackhide__ = True
        if "call" in units:
            raise ValueError("energy.units: the name 'call' is taken, by a call; choose another")
        amounts = {name: _amount(name, amount) for name, amount in units.items()}
        if self.enabled:
            self._trial.units = amounts

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
        return self.pedantic(function, args, kwargs)

    async def acall(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Await a coroutine function as often as the measurement needs."""
        __tracebackhide__ = True
        with self._passes() as passes:
            for trip in passes:
                calls = 1 if _counts_results(self._trial) else trip.iterations
                for _ in range(trip.iterations // calls):
                    with trip.window(self._name):
                        for _ in range(calls):
                            value = await function(*args, **kwargs)
                    _add(trip, self._trial.work(value, calls))
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
        _refuse_async(function)
        _refuse_below(1, rounds=rounds, iterations=iterations)
        _refuse_below(0, warmup_rounds=warmup_rounds)
        plan = {"rounds": rounds, "warmup": warmup_rounds, "iterations": iterations}
        given, named = args, kwargs or {}
        with self._passes(**plan) as passes:
            for trip in passes:
                together = setup is None and not _counts_results(self._trial)
                calls = trip.iterations if together else 1
                for _ in range(trip.iterations // calls):
                    if setup is not None:
                        given, named = _arguments(setup(), args, kwargs or {})
                    with trip.window(self._name):
                        for _ in range(calls):
                            value = function(*given, **named)
                    _refuse_lazy(value, function)
                    _add(trip, self._trial.work(value, calls))
        return value

    @contextmanager
    def once(self) -> Iterator[OpenWindow]:
        """One window that cannot be repeated."""
        __tracebackhide__ = True
        window = OpenWindow()
        with self._passes(rounds=1) as passes:
            trip = next(passes)
            with trip.window(self._name):
                yield window
            _add(trip, self._trial.work(_handed_over(self._trial, [window]), trip.iterations))
            next(passes, None)

    @contextmanager
    def _passes(self, **plan: int | None) -> Iterator[Iterator[Trip]]:
        """The trips, which are ended at once by what is raised in them."""
        __tracebackhide__ = True
        self._claim(self._name)
        passes: Generator[Trip] = self._trial.passes(self._name, **plan)
        try:
            yield passes
        except BaseException as error:
            passes.throw(error)
            raise


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
        self.repetition = 0
        self.results: Mapping[str, Result] = _Unmeasured()

    def passes(self, name: str | None = None, **plan: int | None) -> Generator[_PlainTrip]:
        """One trip."""
        yield _PlainTrip()

    def work(self, value: Any, iterations: int) -> dict[str, float]:
        """Nothing is divided by it."""
        return {}


class _Unmeasured(dict[str, "Result"]):
    """No results: a test that goes on to read one is skipped from there, for it passed so far."""

    def __missing__(self, name: str) -> Result:
        pytest.skip(f"reads energy.results[{name!r}], which only pytest --energy measures")


#: The result of a window that was given none.
_NO_RESULT: Any = object()


def _amount(name: str, amount: Any) -> Any:
    """An amount of work, in a number of any library."""
    if callable(amount):
        return amount
    try:
        work = math.nan if isinstance(amount, str | bytes) else float(amount)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        work = math.nan
    if not 0 < work < math.inf:
        raise ValueError(
            f"energy.units: {name}={amount!r} is no amount of work; give a number above 0"
        )
    return work


def _counts_results(trial: Any) -> bool:
    return any(callable(amount) for amount in trial.units.values())


def _handed_over(trial: Any, windows: Collection[OpenWindow]) -> Any:
    """The result that the windows of one round were given, where a unit is counted from it."""
    if not _counts_results(trial):
        return None
    results = [window.result for window in windows if window.result is not _NO_RESULT]
    if len(results) != 1:
        unit = next(name for name, amount in trial.units.items() if callable(amount))
        raise GreenopsError(
            f"energy.units: {unit} is counted from a result, and {len(results) or 'no'} windows "
            'were given one; give it to one of them: with energy.measure("name") as window: ...; '
            "window.result = ..."
        )
    return results[0]


def _add(trip: Trip, work: Mapping[str, float]) -> None:
    for unit, amount in work.items():
        trip.units[unit] = trip.units.get(unit, 0.0) + amount


def _refuse_below(least: int, **settings: Any) -> None:
    __tracebackhide__ = True
    for name, value in settings.items():
        whole = value is None or isinstance(value, numbers.Integral)
        if not whole or (value is not None and int(value) < least):
            raise ValueError(
                f"energy.pedantic: {name}={value!r} is out of range; give a whole number of at "
                f"least {least}"
            )


def _refuse_async(function: Callable[..., Any]) -> None:
    __tracebackhide__ = True
    if inspect.iscoroutinefunction(function):
        raise TypeError(_ASYNC.format(function=getattr(function, "__name__", function)))


def _refuse_lazy(value: Any, function: Callable[..., Any]) -> None:
    """Refuse what has not run when it is returned: its work would be in no window."""
    __tracebackhide__ = True
    name = getattr(function, "__name__", function)
    if inspect.iscoroutine(value):
        value.close()
        raise TypeError(_ASYNC.format(function=name))
    if inspect.isgenerator(value):
        raise TypeError(
            f"energy({name}): returns a generator, which has not run; write: "
            f"energy(lambda: list({name}(...)))"
        )
    if inspect.isasyncgen(value):
        raise TypeError(
            f"energy({name}): returns an async generator, which has not run; await energy.acall() "
            "of a coroutine function that loops over it"
        )


_ASYNC = "energy({function}): a coroutine function; write: await energy.acall({function}, ...)"


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


def _arguments(
    made: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    if made is None:
        return args, kwargs
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], dict):
        return tuple(made[0]), made[1]
    return (made,), {}
