"""The handle `energy`: what it accepts, and what it refuses in one line, measured or not."""

from __future__ import annotations

import asyncio
import csv
import io
import itertools
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock

import numpy as np
import pytest

from pytest_greenops.hooks.fixture import Energy, UnmeasuredTrial
from pytest_greenops.model.errors import GreenopsError


class Hostile:
    """A value whose every conversion fails."""

    def __float__(self) -> float:
        raise ZeroDivisionError

    __repr__ = __str__ = __index__ = __eq__ = __bool__ = __float__
    __hash__ = None


@pytest.fixture
def energy() -> Energy:
    """Return the handle of a run without `--energy`, which refuses what the other refuses."""
    return Energy(UnmeasuredTrial(), enabled=False)


def work(*args: Any, **kwargs: Any) -> Any:
    """Return the arguments."""
    return args, kwargs


def refused(act: Callable[[], object]) -> str:
    """Return the message of a refusal, which is one printable line."""
    with pytest.raises((TypeError, ValueError, GreenopsError)) as raised:
        act()
    message = str(raised.value)
    assert message.isprintable()
    assert message.startswith("energy")
    return message


# --- names -----------------------------------------------------------------------------------

NO_TEXT = [8, None, b"encode", Path("encode"), np.float64(1.0), math.nan, ["a"], Hostile()]
NO_NAME = ["", "  ", "n" * 201, "a\nb", "\x1b[31m", "tab\t", "caf\udce9.wav", "a\u2028b", "\x00"]


@pytest.mark.parametrize("name", [*NO_TEXT, *NO_NAME], ids=lambda name: type(name).__name__)
def test_a_name_is_short_printable_text(energy: Energy, name: Any) -> None:
    """Anything else is refused where it is given, not when the results are written."""
    assert "expected a name" in refused(lambda: energy.named(name))
    with pytest.raises((TypeError, ValueError), match="expected a name"), energy.measure(name):
        pass
    if isinstance(name, str):
        assert "expected a name" in refused(lambda: energy.units(**{name: 1}))
        assert "expected a name" in refused(lambda: energy.quality(**{name: 1}))


def test_any_printable_name_is_accepted(energy: Energy) -> None:
    """Names may differ only by case, and may be of a subclass of `str`."""
    for name in ("encode", "Encode", "::error::x", "größe 3", "名前", np.str_("array"), "n" * 200):
        assert energy.named(name)(work, name) == ((name,), {})


# --- figures ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "limits"),
    [
        *((value, "> 0") for value in (0, -1, math.nan, "8", b"8", bytearray(b"8"), None, [1])),
        *((value, "> 0") for value in (Hostile(), 1j, Path("8"), np.array([1.0, 2.0]), 10**400)),
        *((value, "from 1e-30 to 1e+30") for value in (math.inf, 1e308, 1e-300)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_amount_of_work_divides_joules(energy: Energy, amount: Any, limits: str) -> None:
    """A number that makes joules per unit infinite, or zero, is refused."""
    message = refused(lambda: energy.units(sample=amount))
    assert message.startswith("energy.units(sample=")
    assert message.endswith(f"expected a number {limits}")


def test_counted_work_is_checked_without_energy_too(energy: Energy) -> None:
    """A unit that is counted from results is counted once in a run that measures nothing."""
    energy.units(token=lambda result: None)
    assert refused(lambda: energy(work)) == (
        "energy.units: counted None token in a call; expected a number > 0"
    )


@pytest.mark.parametrize("value", ["0.9", None, b"1", Hostile(), 1j, 10**400, [0.9]])
def test_a_quality_is_a_number(energy: Energy, value: Any) -> None:
    """Whatever is no number is named with its value."""
    message = refused(lambda: energy.quality(accuracy=value))
    assert message.startswith("energy.quality(accuracy=")


# --- calls -----------------------------------------------------------------------------------


def test_pedantic_has_the_same_arguments_under_every_name(energy: Energy) -> None:
    """`args` and `kwargs` may be given by position or by name."""
    assert energy.pedantic(work, (1,), {"b": 2}) == ((1,), {"b": 2})
    assert energy.named("other").pedantic(work, (1,), {"b": 2}) == ((1,), {"b": 2})
    assert energy.named("more").pedantic(work, setup=lambda: (5, {})) == (((5, {}),), {})
    assert energy.named("end").pedantic(work, (1,), teardown=lambda one: None) == ((1,), {})
    assert energy.named("np").pedantic(work, rounds=np.int64(3), iterations=np.int64(2)) == ((), {})


@pytest.mark.parametrize("role", ["setup", "teardown"])
def test_what_surrounds_a_call_is_a_function(energy: Energy, role: str) -> None:
    """A set-up or a teardown that was called already is named."""
    message = refused(lambda: energy.pedantic(work, **{role: 5}))
    assert message == f"energy.pedantic({role}=5): expected a function"


@pytest.mark.parametrize(
    "settings",
    [
        *({"rounds": value} for value in (0, -1, 1.0, "3", True, math.nan, 10**9, Hostile())),
        *({"warmup_rounds": value} for value in (-1, "x")),
        *({"iterations": value} for value in (0, 2.5, b"1")),
        *({"args": value} for value in (5, "text", b"ab", {1})),
        *({"kwargs": value} for value in (5, [("a", 1)])),
        {"setup": 5},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_a_setting_of_a_wrong_kind_is_named(energy: Energy, settings: dict[str, Any]) -> None:
    """The message has the setting with its value, and what is expected."""
    assert refused(lambda: energy.pedantic(work, **settings)).startswith(
        f"energy.pedantic({next(iter(settings))}="
    )


def test_only_functions_are_called(energy: Energy) -> None:
    """The result of a call is often passed in place of the function."""
    assert refused(lambda: energy(5)) == (
        "energy(5): expected a function and its arguments; write: energy(f, x), without calling f"
    )


@pytest.mark.filterwarnings("error")
def test_a_coroutine_in_place_of_its_function_is_refused(energy: Energy) -> None:
    """It is closed, so Python does not warn about it at some later time."""

    async def fetch() -> None: ...

    assert "await energy.acall" in refused(lambda: asyncio.run(energy.acall(fetch())))


# --- results that have not run ---------------------------------------------------------------

DATA = [1, 2, 3]


@pytest.mark.parametrize(
    "make",
    [
        lambda: map(str, DATA),
        lambda: filter(None, DATA),
        lambda: zip(DATA, DATA, strict=True),
        lambda: enumerate(DATA),
        lambda: itertools.islice(DATA, 2),
        lambda: itertools.chain(DATA, DATA),
        lambda: itertools.starmap(pow, [(2, 3)]),
        lambda: (x for x in DATA),
    ],
)
def test_a_lazy_result_is_refused(energy: Energy, make: Callable[[], object]) -> None:
    """Its work would be in no window, so both kinds of run refuse it with the fix."""
    message = refused(lambda: energy(make))
    assert "which has not run; write: energy(lambda: list(f(...)))" in message


def test_a_pending_result_is_refused(energy: Energy) -> None:
    """A future that is done is a result; one that is not has to be waited for."""
    pending: Future[int] = Future()

    def submit() -> Future[int]:
        return pending

    assert refused(lambda: energy(submit)) == (
        "energy(submit): submit returns a Future that is not done; write: "
        "energy(lambda: submit(...).result())"
    )
    with ThreadPoolExecutor() as pool:
        done = pool.submit(len, DATA)
    assert energy.named("done")(lambda: done) is done


def test_a_task_is_refused(energy: Energy) -> None:
    """A coroutine that only starts tasks has not done their work either."""

    async def start() -> asyncio.Task[None]:
        return asyncio.create_task(asyncio.sleep(0))

    async def run() -> None:
        await energy.acall(start)

    assert "a Task that is not done" in refused(lambda: asyncio.run(run()))


def ordinary() -> Iterator[object]:
    """Yield results that are iterators or promise much, and are results all the same."""
    yield io.StringIO("a\nb")
    yield csv.reader(["a,b"])
    yield iter(DATA)
    yield iter({"a": 1})
    yield itertools.count()
    yield Mock()
    yield MagicMock()
    yield AsyncMock()
    yield Hostile()
    yield np.nditer(np.zeros(2))
    yield range(3)
    yield type("Loader", (), {"__iter__": lambda self: self, "__next__": lambda self: 1})()
    yield Future
    yield map


@pytest.mark.parametrize("result", list(ordinary()), ids=lambda result: type(result).__name__)
def test_an_iterator_with_a_state_is_a_result(energy: Energy, result: object) -> None:
    """Only types that compute nothing by themselves are refused, never all iterators."""
    assert energy(lambda: result) is result


# --- the end ---------------------------------------------------------------------------------


def test_nothing_is_measured_after_the_test(energy: Energy) -> None:
    """Each way to measure or to report says that the results are final."""
    named = energy.named("cleanup")
    energy.end("test_it")
    acts: list[Callable[[], object]] = [
        lambda: energy(work),
        lambda: named(work),
        lambda: energy.pedantic(work),
        lambda: energy.units(sample=1),
        lambda: energy.quality(accuracy=0.1),
        lambda: list(energy.rounds()),
        lambda: energy.measure("load").__enter__(),
    ]
    for act in acts:
        assert refused(act).startswith("energy: test_it has ended, and its results are final;")
