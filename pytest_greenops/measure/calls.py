"""Named measurements: a function that is called as often as its measurement needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast

from pytest_greenops.measure.given import (
    Amount,
    arguments_of,
    reject_coroutine_function,
    reject_lazy_result,
    require_function,
    whole_number,
)
from pytest_greenops.model.errors import GreenopsError, shown

if TYPE_CHECKING:
    from pytest_greenops.model.result import Result

P = ParamSpec("P")
T = TypeVar("T")
#: The result of a window to which none was assigned.
_NO_RESULT: Any = object()


class AnyTrip(Protocol):
    """One trip through the work: `iterations` repetitions in windows, which do work in `units`.

    extra  whether a failure of its call ends only this trip: the test keeps the result before it
    """

    iterations: int
    units: dict[str, float]
    extra: bool

    def batches(self, together: bool = True) -> Iterator[int]:
        """Yield the number of repetitions in each window."""

    def window(self, name: str) -> AbstractContextManager[None]:
        """Measure what happens inside."""

    def leave(self) -> None:
        """End the window that is open: what follows is not measured by this trip."""


class UnmeasuredTrip:
    """One trip that measures nothing: the work runs once."""

    extra = False

    def __init__(self) -> None:
        self.iterations = 1
        self.units: dict[str, float] = {}

    def batches(self, together: bool = True) -> Iterator[int]:
        """Yield the only window's single repetition."""
        yield 1

    def window(self, name: str) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()

    def leave(self) -> None:
        """Do nothing."""


class AnyTrial(Protocol):
    """One run of one test, measured or not, as the test sees it.

    units       the work of one call, by unit name
    repetition  the number of the trip in progress, from 1; 0 outside of trips
    """

    units: dict[str, Amount]
    repetition: int

    @property
    def results(self) -> Mapping[str, Result]:
        """What has been measured so far, by name."""

    def trips(
        self,
        name: str | None = None,
        *,
        rounds: int | None = None,
        warmup: int | None = None,
        iterations: int | None = None,
        whole: bool = False,
    ) -> Generator[AnyTrip]:
        """Yield trips through the work until its measurement is complete.

        `name` is that of the only window; None if the work names its windows itself. The test sets
        `rounds`, `warmup` and `iterations`; None leaves the choice to the plan. The work of a
        `whole` test may measure by itself in its first trip, which ends this measurement.
        """

    def leave_whole(self) -> bool:
        """End the measurement of a whole test in its first trip; return whether there is one."""

    def work(self, value: Any, iterations: int) -> dict[str, float]:
        """Return the work of `iterations` calls, one of which returned `value`, by unit."""

    def add_quality(self, quality: Mapping[str, float]) -> None:
        """Keep the quality of what the test computed, by name."""


class OpenWindow:
    """The value of `with energy.measure(...) as window`: takes a `result` to count units from."""

    def __init__(self) -> None:
        self.result: Any = _NO_RESULT


class Repetitions:
    """How what is repeated leaves the records of a single repetition; this one keeps none.

    failed  whether a part of the work has failed without an exception: it is not repeated further
    """

    failed = False

    @property
    def together(self) -> bool:
        """Whether several calls may be made in one window: the work cannot tell them apart."""
        return True

    def repeated(self, unseen: bool = False) -> AbstractContextManager[None]:
        """Measure inside; what is `unseen` leaves no records at all."""
        return nullcontext()

    def leave(self) -> None:
        """End the measurement of a whole test that measures by itself."""

    def begin(self) -> None:
        """Begin a repetition, or a batch of them, outside of its window."""

    def calls(self, number: int) -> Iterator[Iterable[int]]:
        """Yield the calls of one batch, in one part or several."""
        yield range(number)

    def rounds(self, number: int) -> Iterator[int]:
        """Yield a number of repetitions whose windows lie inside of them."""
        for _ in range(number):
            self.begin()
            for part in self.calls(1):
                yield from part


class NamedMeasurement:
    """One measurement of a test, under its own name.

    timed  whether another plugin has timed the same work before: any result of it is one, and its
           repetitions here leave no records
    """

    timed = False

    def __init__(
        self,
        trial: AnyTrial,
        name: str,
        claim: Callable[[str], None],
        repetitions: Repetitions | None = None,
        whole: bool = False,
    ) -> None:
        """Note what to measure; see `AnyTrial.trips` for `whole`."""
        self._trial = trial
        self._name = name
        self._claim = claim
        self._repetitions = repetitions or Repetitions()
        self._whole = whole

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function as often as the measurement needs, and return its last result."""
        __tracebackhide__ = True
        return self.pedantic(function, args, kwargs)

    async def acall(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Await a coroutine function as often as the measurement needs."""
        __tracebackhide__ = True
        require_function("energy.acall", function)
        no_value = cast("T", None)
        with self._trips() as trips:
            for trip in trips:
                together = self._repetitions.together and not counts_results(self._trial)
                for calls in trip.batches(together):
                    self._repetitions.begin()
                    with trip.window(self._name):
                        for part in self._repetitions.calls(calls):
                            for _ in part:
                                if not trip.extra:
                                    value = no_value  # one result is alive, as in a plain call
                                value = await function(*args, **kwargs)
                    reject_lazy_result(value, function)
                    add_work(trip, self._trial.work(value, calls))
                    if self._repetitions.failed:
                        return value
        return value

    def pedantic(
        self,
        function: Callable[..., T],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        setup: Callable[[], Any] | None = None,
        teardown: Callable[..., Any] | None = None,
        rounds: int | None = None,
        warmup_rounds: int | None = None,
        iterations: int | None = None,
    ) -> T:
        """Call a function with a set-up before and a teardown after each call, outside the window.

        `setup` returns None, a pair of a tuple and a dict that replace `args` and `kwargs`, or the
        only argument. `teardown` gets the arguments of the call, if that did not fail. The meter
        chooses the rounds and iterations that are None.
        """
        __tracebackhide__ = True
        require_function("energy", function)
        reject_coroutine_function(function)
        for role, given_function in (("setup", setup), ("teardown", teardown)):
            if given_function is not None and not callable(given_function):
                raise TypeError(
                    f"energy.pedantic({role}={shown(given_function)}): expected a function"
                )
        if not isinstance(args, tuple | list):
            raise TypeError(f"energy.pedantic(args={shown(args)}): expected a tuple: args=(x,)")
        if not isinstance(kwargs, Mapping | None):
            raise TypeError(f"energy.pedantic(kwargs={shown(kwargs)}): expected a dict")
        plan = {
            "rounds": whole_number("rounds", rounds, least=1),
            "warmup": whole_number("warmup_rounds", warmup_rounds, least=0),
            "iterations": whole_number("iterations", iterations, least=1),
        }
        given, named = tuple(args), kwargs or {}
        no_value = cast("T", None)
        with self._trips(**plan) as trips:
            for trip in trips:
                together = setup is teardown is None and not counts_results(self._trial)
                together = together and self._repetitions.together
                for calls in trip.batches(together):
                    self._repetitions.begin()
                    if setup is not None:
                        given, named = arguments_of(setup(), tuple(args), kwargs or {})
                    with trip.window(self._name):
                        for part in self._repetitions.calls(calls):
                            for _ in part:
                                if not trip.extra:
                                    value = no_value  # one result is alive, as in a plain call
                                value = function(*given, **named)
                    if not self.timed:
                        reject_lazy_result(value, function)
                    if teardown is not None:
                        teardown(*given, **named)
                    add_work(trip, self._trial.work(value, calls))
                    if self._repetitions.failed:
                        return value
        return value

    @contextmanager
    def once(self) -> Iterator[OpenWindow]:
        """Measure one window that cannot be repeated."""
        __tracebackhide__ = True
        window = OpenWindow()
        with self.single(window) as opened, opened:
            yield window

    @contextmanager
    def single(self, window: OpenWindow) -> Iterator[AbstractContextManager[None]]:
        """Prepare to measure one window that cannot be repeated, and yield what opens it."""
        __tracebackhide__ = True
        with self._trips(rounds=1) as trips:
            trip = next(trips)
            yield trip.window(self._name)
            add_work(trip, self._trial.work(result_of(self._trial, [window]), trip.iterations))
            next(trips, None)

    @contextmanager
    def _trips(self, **plan: int | None) -> Iterator[Iterator[AnyTrip]]:
        """Yield the trips, and raise in their generator what the work raises."""
        __tracebackhide__ = True
        self._claim(self._name)
        trips = self._trial.trips(self._name, **plan, whole=self._whole)
        once = plan.get("rounds") == 1 and not plan.get("warmup")
        once = once and plan.get("iterations") in (None, 1)
        try:
            with nullcontext() if once else self._repetitions.repeated(self.timed):
                yield trips
        except BaseException as error:
            trips.throw(error)
            raise
        trips.close()


def counts_results(trial: AnyTrial) -> bool:
    """Return whether a unit of work is counted from results."""
    for amount in trial.units.values():  # noqa: SIM110  (the test may have replaced `any`)
        if callable(amount):
            return True
    return False


def result_of(trial: AnyTrial, windows: Collection[OpenWindow]) -> Any:
    """Return the result assigned to a window of one round; None if no unit is counted from it.

    Raises `GreenopsError` unless exactly one window has a result.
    """
    if not counts_results(trial):
        return None
    results = [window.result for window in windows if window.result is not _NO_RESULT]
    if len(results) != 1:
        unit = next(name for name, amount in trial.units.items() if callable(amount))
        raise GreenopsError(
            f"energy.units: {unit} is counted from a result, but {len(results) or 'no'} windows "
            'have one; assign it in exactly one: with energy.measure("name") as window: ...; '
            "window.result = ..."
        )
    return results[0]


def add_work(trip: AnyTrip, work: Mapping[str, float]) -> None:
    """Add the work of one call, or of one loop, to its trip."""
    for unit, amount in work.items():
        trip.units[unit] = trip.units.get(unit, 0.0) + amount
