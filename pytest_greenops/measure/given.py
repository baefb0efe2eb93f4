"""What a test hands to its measurements, checked: names, amounts of work, functions, results."""

from __future__ import annotations

import inspect
import numbers
import sys
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pytest_greenops.model.errors import GreenopsError, shown
from pytest_greenops.model.marker import MOST_ROUNDS

#: The work of one call: a number, or a function that counts it from the call's result.
Amount: TypeAlias = float | Callable[[Any], float]

#: The work of a call is between the first and the second: joules divided by it are finite.
_LEAST_WORK, _MOST_WORK = 1e-30, 1e30

#: A longer name fills a screen wherever it is shown.
_LONGEST_NAME = 200

#: Categories of characters that no name contains: controls, lone surrogates, line separators.
_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}

#: Iterators of the standard library that compute only when somebody reads them. All that
#: `itertools` makes is one too, but for counters that compute nothing.
_LAZY = (map, filter, zip, enumerate)

_ITERTOOLS_COUNTERS = ("count", "repeat")

_LOADED = sys.modules


def checked_name(where: str, name: Any) -> str:
    """Return a name for a measurement, a unit or a quality as text; raise `TypeError` if it is not.

    Raises `ValueError` for an empty or very long name, and for characters that neither a terminal
    nor a file shows: control characters, line breaks and lone surrogates.
    """
    __tracebackhide__ = True
    if not isinstance(name, str):
        raise TypeError(f"{where}({shown(name)}): expected a name as text, such as 'encode'")
    text = str.__str__(name)
    if not text.strip() or _UNPRINTABLE & {unicodedata.category(c) for c in text}:
        raise ValueError(f"{where}({shown(text)}): expected a name of printable characters")
    if text[_LONGEST_NAME:]:  # not `len`, which a test may have replaced
        raise ValueError(
            f"{where}({shown(text)}): expected a name of at most {_LONGEST_NAME} characters"
        )
    return text


def number(value: Any) -> float | None:
    """Return a number of any library as a float, or None."""
    try:
        return None if isinstance(value, str | bytes | bytearray) else float(value)
    except Exception:  # whatever the value's own __float__ raises
        return None


def checked_amount(unit: str, amount: Any) -> Amount:
    """Return the work of a call as a float, or the function that counts it; raise `ValueError`."""
    __tracebackhide__ = True
    if callable(amount):
        counts: Callable[[Any], float] = amount
        return counts
    work = number(amount)
    if work is None or not _LEAST_WORK <= work <= _MOST_WORK:
        raise ValueError(f"energy.units({unit}={shown(amount)}): {_expected_work(work)}")
    return work


def counted_work(units: Mapping[str, Amount], value: Any) -> dict[str, float]:
    """Return the work of a call that returned `value`, by unit.

    Raises `GreenopsError` for work that joules cannot be divided by.
    """
    __tracebackhide__ = True
    counted = {}
    for unit, amount in units.items():
        found = amount(value) if callable(amount) else amount
        work = number(found)
        if work is None or not _LEAST_WORK <= work <= _MOST_WORK:
            raise GreenopsError(
                f"energy.units: counted {shown(found)} {unit} in a call; {_expected_work(work)}"
            )
        counted[unit] = work
    return counted


def _expected_work(work: float | None) -> str:
    if work is None or not work > 0:
        return "expected a number > 0"
    return f"expected a number from {_LEAST_WORK:g} to {_MOST_WORK:g}"


def require_function(where: str, function: Any) -> None:
    """Raise `TypeError` for what is not a function, such as its result."""
    __tracebackhide__ = True
    if inspect.iscoroutine(function):
        function.close()
        raise TypeError(f"{where}(coroutine): it was called already; write: await energy.acall(f)")
    if not callable(function):
        raise TypeError(
            f"{where}({shown(function)}): expected a function and its arguments; write: "
            f"{where}(f, x), without calling f"
        )


def whole_number(name: str, value: Any, least: int) -> int | None:
    """Return a number of rounds, trips or calls, or None; raise `ValueError`."""
    __tracebackhide__ = True
    if value is None:
        return None
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    number = int(value) if whole else -1
    if number < least:
        raise ValueError(
            f"energy.pedantic({name}={shown(value)}): expected a whole number >= {least}"
        )
    if number > MOST_ROUNDS and name != "iterations":
        raise ValueError(f"energy.pedantic({name}={shown(value)}): expected at most {MOST_ROUNDS}")
    return number


def reject_coroutine_function(function: Callable[..., Any]) -> None:
    """Raise `TypeError` for a coroutine function: a call of it only returns a coroutine."""
    __tracebackhide__ = True
    if inspect.iscoroutinefunction(function):
        raise TypeError(_ASYNC.format(function=getattr(function, "__name__", function)))


def reject_lazy_result(value: Any, function: Callable[..., Any]) -> None:
    """Reject a result that has not run yet: no window would contain its work.

    It is known by its type alone: other iterators with a state, such as open files and readers of
    data, are results.
    """
    __tracebackhide__ = True
    kind, name = type(value), getattr(function, "__name__", None) or shown(function)
    name = "f" if name == "<lambda>" else name
    if inspect.iscoroutine(value):
        value.close()
        raise TypeError(_ASYNC.format(function=name))
    if inspect.isasyncgen(value):
        raise TypeError(
            f"energy({name}): {name} returns an async generator, which has not run; await "
            "energy.acall() of a coroutine function that loops over it"
        )
    lazy = isinstance(value, _LAZY) or (
        kind.__module__ == "itertools" and kind.__name__ not in _ITERTOOLS_COUNTERS
    )
    if lazy or inspect.isgenerator(value):
        what = f"a {kind.__name__}{' object' if lazy else ''}"
        raise TypeError(
            f"energy({name}): {name} returns {what}, which has not run; write: "
            f"energy(lambda: list({name}(...)))"
        )
    if done := _pending(value):
        raise TypeError(
            f"energy({name}): {name} returns a {kind.__name__} that is not done; write: "
            f"{done.format(name=name)}"
        )


def _pending(value: Any) -> str | None:
    """Return how to wait for a result that is still computed elsewhere, or None."""
    for module, kind, done, wait in _FUTURES:
        known = getattr(_LOADED.get(module), kind, None)
        if isinstance(known, type) and isinstance(value, known):
            return None if getattr(value, done)() else wait
    if hasattr(type(value), "__await__"):
        return _AWAIT
    return None


_RESULT = "energy(lambda: {name}(...).result())"

_AWAIT = "await energy.acall() of a coroutine function that awaits it"

#: What holds a result that may not be there yet: its module and type, the method that says whether
#: it is, and how to wait for it.
_FUTURES = (
    ("concurrent.futures", "Future", "done", _RESULT),
    ("asyncio", "Future", "done", _AWAIT),
    ("multiprocessing.pool", "AsyncResult", "ready", "energy(lambda: {name}(...).get())"),
)

_ASYNC = (
    "energy({function}): {function} is a coroutine function; write: "
    "await energy.acall({function}, ...)"
)


def arguments_of(
    made: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Return the arguments of the next call, from what its set-up returned."""
    if made is None:
        return args, kwargs
    pair = isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], dict)
    if pair and isinstance(made[0], tuple | list):
        return tuple(made[0]), made[1]
    return (made,), {}
