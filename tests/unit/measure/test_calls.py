"""Functions, coroutines and windows that are repeated in trips, and what each trip is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_greenops.measure import calls
from pytest_greenops.measure.calls import (
    NamedMeasurement,
    OpenWindow,
    Repetitions,
    UnmeasuredTrip,
    add_work,
    result_of,
)
from pytest_greenops.measure.given import Amount, counted_work
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.result import Result


class SomeTrip:
    """A trip that notes its windows, and makes its calls in two batches if it may."""

    def __init__(self, log: list[Any], iterations: int, extra: bool = False) -> None:
        self.iterations = iterations
        self.units: dict[str, float] = {}
        self.extra = extra
        self._log = log

    def batches(self, together: bool = True) -> Iterator[int]:
        """Yield all in one window, or each call in its own."""
        yield from [self.iterations] if together else [1] * self.iterations

    @contextmanager
    def window(self, name: str) -> Iterator[None]:
        """Note both edges."""
        self._log.append(f"open {name}")
        yield
        self._log.append(f"close {name}")

    def leave(self) -> None:
        """Note it."""
        self._log.append("leave")


class SomeTrial:
    """A trial of prepared trips, which notes what it was asked for."""

    repetition = 0
    results: Mapping[str, Result] = {}

    def __init__(self, *iterations: int, extra: bool = False, **units: Amount) -> None:
        self.units: dict[str, Amount] = dict(units)
        self.log: list[Any] = []
        self.made = [SomeTrip(self.log, number, extra) for number in iterations]
        self.plan: dict[str, Any] = {}
        self.ended: object = None

    def trips(self, name: str | None = None, **plan: Any) -> Generator[SomeTrip]:
        """Yield the trips; keep the plan, and how the work ended."""
        self.plan = {"name": name, **plan}
        try:
            yield from self.made
        except BaseException as error:
            self.ended = error
            raise
        self.ended = "complete"

    def leave_whole(self) -> bool:
        """Return that no whole test is measured."""
        return False

    def work(self, value: Any, iterations: int) -> dict[str, float]:
        """Return the work of some calls."""
        return {unit: n * iterations for unit, n in counted_work(self.units, value).items()}

    def add_quality(self, quality: Mapping[str, float]) -> None:
        """Do nothing."""

    def measurement(self, **options: Any) -> NamedMeasurement:
        """Return the measurement `call` of this trial."""
        return NamedMeasurement(
            self, "call", lambda name: self.log.append(f"claim {name}"), **options
        )


class Noted(Repetitions):
    """Repetitions that note when they begin and end."""

    def __init__(self, log: list[Any], together: bool = True, failed: bool = False) -> None:
        self.failed = failed
        self._log = log
        self._together = together

    @property
    def together(self) -> bool:
        """Return what the test set."""
        return self._together

    @contextmanager
    def repeated(self, unseen: bool = False) -> Iterator[None]:
        """Note both ends."""
        self._log.append(f"repeat{' unseen' * unseen}")
        yield
        self._log.append("repeated")

    def begin(self) -> None:
        """Note it."""
        self._log.append("begin")

    def calls(self, number: int) -> Iterator[Iterable[int]]:
        """Yield the first call, and then the others."""
        yield range(1)
        yield range(number - 1)


def double(x: int, *, more: int = 0) -> int:
    """Return a result that depends on all arguments."""
    return 2 * x + more


async def adouble(x: int, *, more: int = 0) -> int:
    """Return the same from a coroutine function."""
    return 2 * x + more


def called(trial: SomeTrial, **options: Any) -> int:
    """Measure a function."""
    return trial.measurement(**options)(double, 3, more=1)


def awaited(trial: SomeTrial, **options: Any) -> int:
    """Measure a coroutine function."""
    return asyncio.run(trial.measurement(**options).acall(adouble, 3, more=1))


BOTH = pytest.mark.parametrize("measure", [called, awaited])


@contextmanager
def hidden(error: type[BaseException]) -> Iterator[pytest.ExceptionInfo[Any]]:
    """Expect an error, in whose traceback pytest shows no line of ours."""
    with pytest.raises(error) as raised:
        yield raised
    shown, traceback = [], raised.tb
    while traceback is not None:
        frame, traceback = traceback.tb_frame, traceback.tb_next
        ours = frame.f_globals.get("__name__") == calls.__name__
        if ours and frame.f_locals.get("__tracebackhide__") is not True:
            shown.append(frame.f_code.co_name)
    assert shown == []


# --- functions and coroutines ----------------------------------------------------------------


@BOTH
def test_a_function_is_called_as_often_as_trips_say(measure: Callable[..., int]) -> None:
    """All calls of a trip lie in one window; the last result is returned."""
    trial = SomeTrial(1, 3)
    assert measure(trial) == 7
    assert trial.log == ["claim call", "open call", "close call", "open call", "close call"]
    assert trial.plan["name"] == "call"
    assert trial.plan["whole"] is False
    assert trial.ended == "complete"


@BOTH
def test_a_whole_test_is_measured_as_one(measure: Callable[..., int]) -> None:
    """Its trial knows that the test may measure by itself."""
    trial = SomeTrial(1)
    measure(trial, whole=True)
    assert trial.plan["whole"] is True


@BOTH
def test_work_is_added_to_the_trip(measure: Callable[..., int]) -> None:
    """Units that no result counts are those of all calls of a window."""
    trial = SomeTrial(1, 3, sample=64.0)
    measure(trial)
    assert [trip.units for trip in trial.made] == [{"sample": 64.0}, {"sample": 192.0}]


@BOTH
def test_work_that_results_count_needs_a_window_for_each_call(measure: Callable[..., int]) -> None:
    """The results of several calls in one window would be lost."""
    trial = SomeTrial(3, token=lambda out: out, sample=2.0)
    measure(trial)
    assert trial.log.count("open call") == 3
    assert trial.made[0].units == {"token": 21.0, "sample": 6.0}


@BOTH
@pytest.mark.parametrize(("together", "windows"), [(True, 1), (False, 3)])
def test_repetitions_decide_what_is_called_together(
    measure: Callable[..., int], together: bool, windows: int
) -> None:
    """Each batch begins outside of its window; parts of it lie inside."""
    trial = SomeTrial(3)
    measure(trial, repetitions=Noted(trial.log, together))
    window = ["begin", "open call", "close call"]
    assert trial.log == ["claim call", "repeat", *window * windows, "repeated"]


@BOTH
def test_work_that_has_failed_is_not_repeated(measure: Callable[..., int]) -> None:
    """Its result is returned after the window in which it failed."""
    trial = SomeTrial(1, 1)
    assert measure(trial, repetitions=Noted(trial.log, failed=True)) == 7
    assert trial.log.count("open call") == 1
    assert isinstance(trial.ended, GeneratorExit)


@pytest.mark.parametrize("extra", [False, True])
@pytest.mark.parametrize("coroutine", [False, True])
def test_one_result_is_alive(extra: bool, coroutine: bool) -> None:
    """The result of the call before is freed, unless a call may fail that is made in addition."""
    alive: list[int] = []
    most: list[int] = []

    class Large:
        def __init__(self) -> None:
            alive.append(1)
            most.append(len(alive))

        def __del__(self) -> None:
            alive.pop()

    async def amake() -> Large:
        return Large()

    trial = SomeTrial(3, extra=extra)
    if coroutine:
        asyncio.run(trial.measurement().acall(amake))
    else:
        trial.measurement()(Large)
    assert max(most) == (2 if extra else 1)


def test_a_result_that_has_not_run_is_refused() -> None:
    """So is the one of a coroutine function, and a function that should be awaited."""
    with hidden(TypeError) as raised:
        SomeTrial(1).measurement()(lambda: map(len, []))
    assert "f returns a map object" in str(raised.value)

    async def rows() -> object:
        return map(len, [])

    with hidden(TypeError) as raised:
        asyncio.run(SomeTrial(1).measurement().acall(rows))
    assert str(raised.value).startswith("energy(rows): rows returns a map object")
    with hidden(TypeError) as raised:
        _ = SomeTrial(1).measurement()(rows)
    assert str(raised.value).startswith("energy(rows): rows is a coroutine function")


def test_what_another_plugin_has_timed_may_return_anything() -> None:
    """Its own calls returned the same, and its repetitions here leave no records."""

    class Timed(NamedMeasurement):
        timed = True

    trial = SomeTrial(1)
    measurement = Timed(trial, "call", lambda name: None, Noted(trial.log))
    assert list(measurement(lambda: map(len, ["ab"]))) == [2]
    assert trial.log[0] == "repeat unseen"


def test_what_is_no_function_is_refused() -> None:
    """The error names the method that was called."""
    with hidden(TypeError) as raised:
        SomeTrial(1).measurement()(3)
    assert str(raised.value).startswith("energy(3): expected a function and its arguments")
    with hidden(TypeError) as raised:
        asyncio.run(SomeTrial(1).measurement().acall(3))
    assert str(raised.value).startswith("energy.acall(3): expected a function")


@BOTH
def test_the_trial_learns_what_the_work_raises(
    measure: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can end the measurement with it; the test fails with the same exception."""
    trial = SomeTrial(1, b=lambda value: 1 / 0)
    with hidden(ZeroDivisionError) as raised:
        measure(trial)
    assert trial.ended is raised.value


def test_an_error_of_the_work_stays_one_where_a_trial_ignores_it() -> None:
    """A trial that ends normally when it learns of an error hides none."""

    class Calm(SomeTrial):
        def trips(self, name: str | None = None, **plan: Any) -> Generator[SomeTrip]:
            for trip in self.made:
                try:
                    yield trip
                except ZeroDivisionError:
                    yield trip

    with pytest.raises(ZeroDivisionError):
        Calm(1).measurement()(lambda: 1 // 0)


# --- pedantic --------------------------------------------------------------------------------


def test_a_plan_of_the_test_is_passed_on() -> None:
    """The meter chooses what is not set."""
    trial = SomeTrial(1)
    trial.measurement().pedantic(double, (1,), rounds=20, warmup_rounds=2, iterations=4)
    assert trial.plan == {
        **{"name": "call", "whole": False},
        **{"rounds": 20, "warmup": 2, "iterations": 4},
    }
    trial.measurement().pedantic(double, (1,))
    assert [trial.plan[name] for name in ("rounds", "warmup", "iterations")] == [None] * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"setup": 3}, "energy.pedantic(setup=3): expected a function"),
        ({"teardown": "x"}, "energy.pedantic(teardown='x'): expected a function"),
        ({"args": 3}, "energy.pedantic(args=3): expected a tuple: args=(x,)"),
        ({"args": "x"}, "energy.pedantic(args='x'): expected a tuple: args=(x,)"),
        ({"kwargs": [1]}, "energy.pedantic(kwargs=[1]): expected a dict"),
        ({"rounds": 0}, "energy.pedantic(rounds=0): expected a whole number >= 1"),
        (
            {"warmup_rounds": -1},
            "energy.pedantic(warmup_rounds=-1): expected a whole number >= 0",
        ),
        ({"iterations": 0}, "energy.pedantic(iterations=0): expected a whole number >= 1"),
    ],
)
def test_a_wrong_argument_is_named(options: dict[str, Any], message: str) -> None:
    """Nothing is measured then, and the name stays free."""
    trial = SomeTrial(1)
    with hidden(Exception) as raised:
        trial.measurement().pedantic(double, **{"args": (1,), **options})
    assert str(raised.value) == message
    assert trial.log == []


def test_no_warm_up_is_a_number_of_rounds() -> None:
    """Zero is allowed, and is not the choice of the meter."""
    trial = SomeTrial(1)
    trial.measurement().pedantic(double, [1], warmup_rounds=0)
    assert trial.plan["warmup"] == 0


def test_set_up_and_teardown_lie_outside_of_the_window() -> None:
    """They surround each call, and all get the same arguments."""
    trial = SomeTrial(2)
    log = trial.log

    def setup() -> tuple[tuple[int], dict[str, int]]:
        log.append("setup")
        return (len(log),), {"more": 1}

    def teardown(x: int, more: int) -> None:
        log.append(("teardown", x, more))

    result = trial.measurement().pedantic(double, setup=setup, teardown=teardown)
    assert result == 2 * 6 + 1
    assert log == [
        *("claim call", "setup", "open call", "close call", ("teardown", 2, 1)),
        *("setup", "open call", "close call", ("teardown", 6, 1)),
    ]


@pytest.mark.parametrize("role", ["setup", "teardown"])
def test_either_of_them_separates_the_calls(role: str) -> None:
    """Each call has its own window then."""
    trial = SomeTrial(3)
    trial.measurement().pedantic(double, (1,), {"more": 2}, **{role: lambda *_, **__: None})
    assert trial.log.count("open call") == 3


def test_a_set_up_that_returns_nothing_keeps_the_arguments() -> None:
    """Another one replaces them for this call alone."""
    made = iter([None, 5, None])
    seen: list[tuple[int, int]] = []

    def work(x: int, more: int = 0) -> None:
        seen.append((x, more))

    SomeTrial(3).measurement().pedantic(work, (1,), {"more": 2}, setup=lambda: next(made))
    assert seen == [(1, 2), (5, 0), (1, 2)]


@pytest.mark.parametrize(
    ("plan", "repeated"),
    [
        ({"rounds": 1}, False),
        ({"rounds": 1, "iterations": 1, "warmup_rounds": 0}, False),
        ({"rounds": 1, "iterations": 2}, True),
        ({"rounds": 1, "warmup_rounds": 1}, True),
        ({"rounds": 2}, True),
        ({}, True),
    ],
)
def test_what_runs_once_is_not_repeated(plan: dict[str, int], repeated: bool) -> None:
    """Its records are those of a plain call."""
    trial = SomeTrial(1)
    trial.measurement(repetitions=Noted(trial.log)).pedantic(double, (1,), **plan)
    assert ("repeat" in trial.log) == repeated


# --- windows ---------------------------------------------------------------------------------


def test_a_window_is_measured_once() -> None:
    """The code inside cannot be repeated; its work is counted from the result it assigns."""
    trial = SomeTrial(1, token=lambda out: len(out), sample=2.0)
    with trial.measurement(repetitions=Noted(trial.log)).once() as window:
        trial.log.append("work")
        window.result = "abc"
    assert trial.log == ["claim call", "open call", "work", "close call"]
    assert trial.plan == {"name": "call", "whole": False, "rounds": 1}
    assert trial.made[0].units == {"token": 3.0, "sample": 2.0}
    assert trial.ended == "complete"


def test_an_error_in_a_window_ends_its_measurement() -> None:
    """The trial learns of it."""
    trial = SomeTrial(1)
    error = ZeroDivisionError()
    with hidden(ZeroDivisionError), trial.measurement().once():
        raise error
    assert trial.ended is error
    assert trial.made[0].units == {}


@pytest.mark.parametrize(("results", "number"), [([], "no"), (["a", "b"], "2")])
def test_work_is_counted_from_exactly_one_result(results: list[str], number: str) -> None:
    """The error says how many windows have one, and how to assign it."""
    windows = [OpenWindow() for _ in range(3)]
    for window, result in zip(windows, results, strict=False):
        window.result = result
    trial = SomeTrial(1, sample=2.0, token=len)
    with pytest.raises(GreenopsError) as raised:
        result_of(trial, windows)
    assert str(raised.value) == (
        f"energy.units: token is counted from a result, but {number} windows have one; assign it "
        'in exactly one: with energy.measure("name") as window: ...; window.result = ...'
    )
    windows[0].result = windows[1].result = None
    windows[1] = OpenWindow()
    assert result_of(trial, windows) is None


def test_no_result_is_needed_for_work_that_is_set() -> None:
    """Nothing is counted from it."""
    window = OpenWindow()
    window.result = "abc"
    assert result_of(SomeTrial(1, sample=2.0), [window]) is None
    assert result_of(SomeTrial(1, token=len), [window]) == "abc"


# --- what measures nothing -------------------------------------------------------------------


def test_an_unmeasured_trip_runs_the_work_once() -> None:
    """All its methods do nothing."""
    trip = UnmeasuredTrip()
    assert (trip.iterations, trip.units, trip.extra) == (1, {}, False)
    assert list(trip.batches()) == list(trip.batches(together=False)) == [1]
    with trip.window("call"):
        trip.leave()
    add_work(trip, {"token": 2.0})
    add_work(trip, {"token": 3.0, "sample": 1.0})
    assert trip.units == {"token": 5.0, "sample": 1.0}


def test_plain_repetitions_keep_no_records() -> None:
    """They begin each repetition of a loop, whose windows lie inside of it."""
    begun = []

    class Begun(Repetitions):
        def begin(self) -> None:
            begun.append(1)

    plain = Repetitions()
    assert (plain.together, plain.failed) == (True, False)
    assert [list(part) for part in plain.calls(3)] == [[0, 1, 2]]
    with plain.repeated():
        plain.begin()
        plain.leave()
    rounds = Begun().rounds(3)
    assert (next(rounds), len(begun)) == (0, 1)
    assert list(rounds) == [0, 0]
    assert len(begun) == 3
