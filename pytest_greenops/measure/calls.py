"""A function under a name, called as often as its measurement needs."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Awaitable, Callable, Collection, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ParamSpec, Protocol, TypeVar

from pytest_greenops.model.errors import GreenopsError

P = ParamSpec("P")
T = TypeVar("T")
#: The result of a window that was given none.
_NO_RESULT: Any = object()


class AnyTrip(Protocol):
    """One trip through the work: `iterations` repetitions inside windows."""

    iterations: int
    units: dict[str, float]

    def batches(self, together: bool = True) -> Iterator[int]:
        """How many repetitions to do in each window."""

    def window(self, name: str) -> AbstractContextManager[None]:
        """Measure what happens inside."""


class OpenWindow:
    """What `energy.measure` hands out: give it the `result` that units are counted from."""

    def __init__(self) -> None:
        self.result: Any = _NO_RESULT


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
                for calls in trip.batches(together=not counts_results(self._trial)):
                    with trip.window(self._name):
                        for _ in range(calls):
                            value = await function(*args, **kwargs)
                    add_work(trip, self._trial.work(value, calls))
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
                together = setup is None and not counts_results(self._trial)
                for calls in trip.batches(together):
                    if setup is not None:
                        given, named = _arguments(setup(), args, kwargs or {})
                    with trip.window(self._name):
                        for _ in range(calls):
                            value = function(*given, **named)
                    _refuse_lazy(value, function)
                    add_work(trip, self._trial.work(value, calls))
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
            add_work(trip, self._trial.work(handed_over(self._trial, [window]), trip.iterations))
            next(passes, None)

    @contextmanager
    def _passes(self, **plan: int | None) -> Iterator[Iterator[AnyTrip]]:
        """The trips, which are ended at once by what is raised in them."""
        __tracebackhide__ = True
        self._claim(self._name)
        passes: Generator[AnyTrip] = self._trial.trips(self._name, **plan)
        try:
            yield passes
        except BaseException as error:
            passes.throw(error)
            raise


def counts_results(trial: Any) -> bool:
    """Whether a unit of work is counted from results."""
    return any(callable(amount) for amount in trial.units.values())


def handed_over(trial: Any, windows: Collection[OpenWindow]) -> Any:
    """The result that the windows of one round were given, where a unit is counted from it."""
    if not counts_results(trial):
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


def add_work(trip: AnyTrip, work: Mapping[str, float]) -> None:
    """Add the work of one call, or one loop, to that of its trip."""
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


def _arguments(
    made: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    if made is None:
        return args, kwargs
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], dict):
        return tuple(made[0]), made[1]
    return (made,), {}
