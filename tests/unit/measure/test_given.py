"""What a test hands to its measurements: what is accepted, and the error for what is not."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from fractions import Fraction
from functools import partial
from multiprocessing.pool import ThreadPool
from types import TracebackType
from typing import Any

import pytest

from pytest_greenops.measure import given
from pytest_greenops.model.errors import GreenopsError


def refused(error: type[Exception], function: Callable[..., object], *args: Any) -> str:
    """Return the message of an error, of which a traceback shows no line of ours."""
    with pytest.raises(error) as raised:
        function(*args)
    assert shown_frames(raised.tb) == []
    return str(raised.value)


def shown_frames(traceback: TracebackType | None) -> list[str]:
    """Return which functions of `given` a traceback of pytest would show."""
    found = []
    while traceback is not None:
        frame = traceback.tb_frame
        hidden = frame.f_locals.get("__tracebackhide__")
        if frame.f_globals.get("__name__") == given.__name__ and hidden is not True:
            found.append(frame.f_code.co_name)
        traceback = traceback.tb_next
    return found


async def fetch(url: str) -> str:
    """Do nothing."""
    return url


# --- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["encode", "two words", "größe", "n" * 200])
def test_a_name_of_printable_characters_is_kept(name: str) -> None:
    """A name has at most 200 characters of any language."""
    assert given.checked_name("energy.named", name) == name


def test_a_name_of_a_subclass_becomes_text() -> None:
    """What a library made of text may behave unlike text."""

    class Loud(str):
        def __str__(self) -> str:
            return self.upper()

    name = given.checked_name("energy.named", Loud("encode"))
    assert (type(name), name) == (str, "encode")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (3, "energy.named(3): expected a name as text, such as 'encode'"),
        (None, "energy.named(None): expected a name as text, such as 'encode'"),
    ],
)
def test_a_name_is_text(name: object, message: str) -> None:
    """The error shows what was given, and an example."""
    assert refused(TypeError, given.checked_name, "energy.named", name) == message


@pytest.mark.parametrize(
    "name", ["", "  ", "a\nb", "\x1b[31m", "a\x85", "\ud800", "\u2028", "\u2029"]
)
def test_a_name_can_be_printed(name: str) -> None:
    """Controls, lone surrogates and line separators break a line of a report."""
    message = refused(ValueError, given.checked_name, "energy.units", name)
    assert message.startswith("energy.units(")
    assert message.endswith("): expected a name of printable characters")


def test_a_name_fits_on_a_screen() -> None:
    """A name of 201 characters is too long, and is shown in short."""
    message = refused(ValueError, given.checked_name, "energy.named", "n" * 201)
    assert message.startswith("energy.named('nnn")
    assert message.endswith("): expected a name of at most 200 characters")
    assert len(message) < 120


# --- amounts of work -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((3, 3.0), (Fraction(1, 2), 0.5), (True, 1.0), ("3", None), (b"3", None), (None, None)),
        *((bytearray(b"3"), None), ([1], None)),
    ],
)
def test_a_number_is_what_becomes_a_float(value: object, expected: float | None) -> None:
    """Numbers of any library count; text does not, even if Python could read it."""
    assert given.number(value) == expected


@pytest.mark.parametrize("amount", [1e-30, 0.5, 64, 1e30])
def test_work_is_a_number_that_joules_can_be_divided_by(amount: float) -> None:
    """It is within 30 orders of magnitude."""
    assert given.checked_amount("token", amount) == amount
    assert given.counted_work({"token": amount}, None) == {"token": amount}


EXPECTED = [
    (0, "0", "expected a number > 0"),
    (-1, "-1", "expected a number > 0"),
    (float("nan"), "nan", "expected a number > 0"),
    ("64", "'64'", "expected a number > 0"),
    (1e-31, "1e-31", "expected a number from 1e-30 to 1e+30"),
    (1e31, "1e+31", "expected a number from 1e-30 to 1e+30"),
]


@pytest.mark.parametrize(("amount", "shown", "expected"), EXPECTED)
def test_other_work_is_refused(amount: Any, shown: str, expected: str) -> None:
    """The error says what is allowed, whether the test set the work or it was counted."""
    assert refused(ValueError, given.checked_amount, "token", amount) == (
        f"energy.units(token={shown}): {expected}"
    )
    assert refused(GreenopsError, given.counted_work, {"token": amount}, None) == (
        f"energy.units: counted {shown} token in a call; {expected}"
    )


def test_work_is_counted_from_the_result_of_a_call() -> None:
    """A function gets the result; a number is the same in each call."""
    assert given.checked_amount("token", len) is len
    units = {"token": given.checked_amount("token", len), "request": 8.0}
    assert given.counted_work(units, "abc") == {"token": 3.0, "request": 8.0}


# --- functions -------------------------------------------------------------------------------


def test_a_function_is_given_without_calling_it() -> None:
    """The error for a result shows how to write the call."""
    given.require_function("energy", len)
    assert refused(TypeError, given.require_function, "energy", 3) == (
        "energy(3): expected a function and its arguments; write: energy(f, x), without calling f"
    )


def test_a_coroutine_was_called_already() -> None:
    """It is closed, so that Python does not warn that nobody awaits it."""
    called = fetch("x")
    assert refused(TypeError, given.require_function, "energy.acall", called) == (
        "energy.acall(coroutine): it was called already; write: await energy.acall(f)"
    )
    with pytest.raises(RuntimeError, match="cannot reuse"):
        called.send(None)


def test_a_coroutine_function_is_awaited() -> None:
    """A call of it would only make a coroutine."""
    given.reject_coroutine_function(len)
    assert refused(TypeError, given.reject_coroutine_function, fetch) == (
        "energy(fetch): fetch is a coroutine function; write: await energy.acall(fetch, ...)"
    )


def test_a_coroutine_function_without_a_name_is_shown() -> None:
    """A partial function has no name."""
    message = refused(TypeError, given.reject_coroutine_function, partial(fetch, "x"))
    assert message.startswith("energy(functools.partial(<function fetch at ")


# --- rounds, warm-up, iterations -------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "least"),
    [
        *(("rounds", 1, 1), ("rounds", 1_000_000, 1), ("warmup_rounds", 0, 0), ("rounds", None, 1)),
        ("iterations", 1_000_001, 1),
    ],
)
def test_whole_numbers_set_the_plan(name: str, value: int | None, least: int) -> None:
    """None leaves the choice to the meter; only iterations may be more than a million."""
    assert given.whole_number(name, value, least) == value


@pytest.mark.parametrize(
    ("name", "value", "least", "message"),
    [
        ("rounds", 0, 1, "energy.pedantic(rounds=0): expected a whole number >= 1"),
        ("warmup_rounds", -1, 0, "energy.pedantic(warmup_rounds=-1): expected a whole number >= 0"),
        ("rounds", 2.0, 1, "energy.pedantic(rounds=2.0): expected a whole number >= 1"),
        ("rounds", True, 1, "energy.pedantic(rounds=True): expected a whole number >= 1"),
        ("rounds", "x", 0, "energy.pedantic(rounds='x'): expected a whole number >= 0"),
        ("rounds", 1_000_001, 1, "energy.pedantic(rounds=1000001): expected at most 1000000"),
    ],
)
def test_other_numbers_are_refused(name: str, value: object, least: int, message: str) -> None:
    """The error has the keyword, the value and what is allowed."""
    assert refused(ValueError, given.whole_number, name, value, least) == message


# --- results that have not run ---------------------------------------------------------------


def rows(number: int) -> Iterator[int]:
    """Yield some rows."""
    yield from range(number)


async def pages() -> AsyncIterator[int]:
    """Yield a page."""
    yield 1


@pytest.mark.parametrize(
    ("result", "what"),
    [
        (rows(3), "a generator"),
        (map(len, []), "a map object"),
        (filter(None, []), "a filter object"),
        (zip([], strict=True), "a zip object"),
        (enumerate([]), "a enumerate object"),
        (itertools.chain([1]), "a chain object"),
        (itertools.groupby([1]), "a groupby object"),
    ],
)
def test_an_iterator_that_computes_later_is_refused(result: object, what: str) -> None:
    """No window would contain its work."""
    assert refused(TypeError, given.reject_lazy_result, result, rows) == (
        f"energy(rows): rows returns {what}, which has not run; write: "
        "energy(lambda: list(rows(...)))"
    )


@pytest.mark.parametrize(
    "result", [itertools.count(), itertools.repeat(1), iter([1]), range(3), [1], None, 3]
)
def test_what_has_run_is_a_result(result: object) -> None:
    """So are counters, which compute nothing, and iterators over what is there."""
    given.reject_lazy_result(result, rows)


def test_functions_without_a_useful_name() -> None:
    """A lambda is `f`; another function without a name is shown as it is."""

    class Model:
        def __repr__(self) -> str:
            return "Model()"

        def __call__(self) -> Iterator[int]:
            return rows(3)

    message = refused(TypeError, given.reject_lazy_result, rows(3), lambda: rows(3))
    assert message.startswith("energy(f): f returns a generator")
    message = refused(TypeError, given.reject_lazy_result, rows(3), Model())
    assert message.startswith("energy(Model()): Model() returns a generator")


def test_a_coroutine_is_refused_and_closed() -> None:
    """A function may return one without being a coroutine function."""
    called = fetch("x")
    assert refused(TypeError, given.reject_lazy_result, called, rows) == (
        "energy(rows): rows is a coroutine function; write: await energy.acall(rows, ...)"
    )
    with pytest.raises(RuntimeError, match="cannot reuse"):
        called.send(None)


def test_an_async_generator_is_refused() -> None:
    """Only a loop in a coroutine function runs it."""
    assert refused(TypeError, given.reject_lazy_result, pages(), rows) == (
        "energy(rows): rows returns an async generator, which has not run; await "
        "energy.acall() of a coroutine function that loops over it"
    )


def test_a_future_is_a_result_when_it_is_done() -> None:
    """Before that, another thread still computes."""
    later: Future[int] = Future()
    assert refused(TypeError, given.reject_lazy_result, later, rows) == (
        "energy(rows): rows returns a Future that is not done; write: "
        "energy(lambda: rows(...).result())"
    )
    later.set_result(1)
    given.reject_lazy_result(later, rows)


def test_a_future_of_a_loop_is_awaited() -> None:
    """Before it is done, only a coroutine function can wait for it."""
    loop = asyncio.new_event_loop()
    later = loop.create_future()
    waits = "await energy.acall() of a coroutine function that awaits it"
    assert refused(TypeError, given.reject_lazy_result, later, rows) == (
        f"energy(rows): rows returns a Future that is not done; write: {waits}"
    )
    later.set_result(1)
    given.reject_lazy_result(later, rows)
    loop.close()


def test_the_result_of_a_pool_is_fetched() -> None:
    """It is a result once a worker has computed it."""
    with ThreadPool(1) as pool:
        ready = pool.apply_async(int)
        assert ready.get() == 0
        given.reject_lazy_result(ready, rows)
        pool.close()
        pool.join()
    ready._event.clear()  # type: ignore[attr-defined]
    assert refused(TypeError, given.reject_lazy_result, ready, rows) == (
        "energy(rows): rows returns a ApplyResult that is not done; write: "
        "energy(lambda: rows(...).get())"
    )


def test_anything_else_that_can_be_awaited_has_not_run() -> None:
    """Libraries have futures of their own."""

    class Later:
        def __await__(self) -> Iterator[None]:
            yield

    message = refused(TypeError, given.reject_lazy_result, Later(), rows)
    assert message.startswith("energy(rows): rows returns a Later that is not done; write: await")


# --- arguments from a set-up -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "args", "kwargs"),
    [
        (None, (1,), {"a": 2}),
        (((3, 4), {"b": 5}), (3, 4), {"b": 5}),
        (([3, 4], {}), (3, 4), {}),
        ((3, {"b": 5}), ((3, {"b": 5}),), {}),
        (((3,), 4), (((3,), 4),), {}),
        (((3,), {}, 5), (((3,), {}, 5),), {}),
        ([(3,), {}], ([(3,), {}],), {}),
        ("text", ("text",), {}),
    ],
)
def test_a_set_up_replaces_the_arguments(made: object, args: object, kwargs: object) -> None:
    """None keeps them, a pair of tuple and dict replaces both, all else is the only argument."""
    assert given.arguments_of(made, (1,), {"a": 2}) == (args, kwargs)
