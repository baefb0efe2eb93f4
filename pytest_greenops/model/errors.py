"""Exceptions: failures of a test, and errors of a run."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable


class EnergyFailure(AssertionError):
    """A passing test whose energy fails it: raised in its call phase."""


class EnergyRegression(EnergyFailure):
    """A test used more energy, or has less quality, than its baseline and margin allow."""


class EnergyWorkIncreased(EnergyRegression):
    """A test does more counted work than its baseline and margin, or its absolute limits, allow."""


class EnergyBudgetExceeded(EnergyFailure):
    """A test used more energy, power or carbon than the absolute budget of its marker."""


class EnergyUnproven(EnergyFailure):
    """`--energy-strict`: a test whose energy was not shown to be within its limits."""


class GreenopsError(Exception):
    """An error of a run: one line that says what is wrong and how to fix it.

    What a file, a driver or a user wrote may be in it: of that, control characters are escaped.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(_printable(message))


class UnitError(GreenopsError, ValueError):
    """A value that is not the expected quantity.

    expected  what is allowed: `expected a whole number >= 1`
    """

    def __init__(self, value: object, expected: str) -> None:
        super().__init__(f"{shown(value)}: {expected}")
        self.expected = expected


class BudgetError(GreenopsError, ValueError):
    """A keyword or value that the marker `energy_budget` does not accept."""


class OptionError(GreenopsError, ValueError):
    """A command-line option or ini value that cannot be used."""


class BaselineError(GreenopsError):
    """A baseline that cannot be read or written."""


class ResultsError(GreenopsError):
    """A file of JSON results that cannot be read, written or used."""


class HistoryError(GreenopsError):
    """A history that cannot be reached, read or written. It never repeats a password."""


class NotInHistory(HistoryError):
    """A history has no runs of a test or measurement."""


class InsightError(GreenopsError, ValueError):
    """Figures that do not answer a question: too few, of a wrong kind, or of an unknown region."""


class SensorUnavailable(GreenopsError):
    """A sensor that cannot be read here.

    reason  why not
    remedy  the command or step that fixes it, if there is one
    absent  whether the machine has no such device to read
    """

    def __init__(self, reason: str, remedy: str | None = None, absent: bool = False) -> None:
        super().__init__(reason if remedy is None else f"{reason}; fix: {remedy}")
        self.reason = reason
        self.remedy = remedy
        self.absent = absent


class RanksApart(Exception):
    """The ranks of a job cannot measure together any more: one has failed, hangs or has ended.

    The message says which and why. The test itself goes on, unmeasured.
    """


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant: it has these words, or is spelt alike."""
    from difflib import get_close_matches

    word, names = word.lower(), list(known)
    words = set(word.split("_"))
    having = (name for name in names if words <= set(name.split("_")))
    return next(having, None) or next(iter(get_close_matches(word, names, 1, cutoff=0.7)), None)


def shown(value: object) -> str:
    """Return a value as its author wrote it, in one short line, whatever its `__repr__` does."""
    if type(value) is str and len(value) <= _LONGEST_TEXT:
        return repr(value)
    try:
        return _printable(" ".join(reprlib.repr(value).split()))
    except Exception:
        return f"<{type(value).__name__}>"


def _printable(text: str) -> str:
    """Return a text of one line, with escapes for what a terminal does not show."""
    if text.isprintable():
        return text
    line = " ".join(each.strip() for each in text.splitlines())
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


def encodable(text: str) -> str:
    """Return a text that a file can hold: lone surrogates are escaped, as in `caf\\udce9`."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


#: A text of more characters is cut in an error message.
_LONGEST_TEXT = 80
