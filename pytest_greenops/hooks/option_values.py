"""The values of options: what the user wrote, checked, in the types that the package uses."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_greenops.model.errors import GreenopsError, OptionError, UnitError
from pytest_greenops.model.marker import MOST_ROUNDS
from pytest_greenops.model.run_options import Count, StableMemory, TestsOf

#: No number that an option takes has as many digits.
_DIGITS = 18


class OptionReader:
    """Reads an option from the command line, else from its ini twin."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def flag(self, name: str, default: bool = False) -> bool:
        """Return whether a switch is on."""
        raw, _ = self._raw(name)
        return default if raw is None else bool(raw)

    def given(self, name: str) -> bool:
        """Return whether the option is on the command line."""
        return self._config.getoption(name.replace("-", "_"), None) is not None

    def either(self, *names: str) -> str | None:
        """Return which option is set: on the command line, else by an ini twin."""
        found = [name for name in names if self.given(name)]
        found = found or [name for name in names if self.flag(name)]
        if len(found) > 1:
            raise OptionError(f"--{' and --'.join(found)} exclude each other: use one")
        return found[0] if found else None

    def value(self, name: str, parse: Callable[[Any], Any], default: Any = None) -> Any:
        """Return a checked value; raises `OptionError`, which names where it was written."""
        raw, source = self._raw(name)
        if raw is None:
            return default
        try:
            return parse(raw)
        except (GreenopsError, ValueError) as error:
            raise OptionError(f"{source}: {error}") from None

    def _raw(self, name: str) -> tuple[Any, str]:
        ini = name.replace("-", "_")
        given = self._config.getoption(ini, None)
        if given is not None:
            return given, f"--{name}"
        try:
            return self._config.getini(ini), ini
        except (TypeError, ValueError, pytest.UsageError) as error:
            message = str(error)
            raise OptionError(message if ini in message else f"{ini}: {message}") from None


def quantity_of(name: str) -> Callable[[str], float]:
    """Return a parser of `model.units`, which is loaded only when an option needs it."""

    def parse(text: str) -> float:
        from pytest_greenops.model import units

        read: Callable[[str], float] = getattr(units, f"parse_{name}")
        return read(text)

    return parse


def count_of(value: Any) -> int:
    """Return a number of rounds or processes."""
    text = str(value)
    # Python refuses to read very long numbers, and these digits are too many already.
    number = int(text[:_DIGITS]) if text.isdecimal() else 0
    if number < 1:
        raise UnitError(value, "expected a whole number >= 1")
    if number > MOST_ROUNDS:
        raise UnitError(value, f"expected at most {MOST_ROUNDS}")
    return number


def path_of(value: str) -> Path:
    """Return a path; `~` is the home directory, which a shell leaves as it is after `=`."""
    if not value.strip() or "\0" in value:
        raise UnitError(value, "expected a path")
    return Path(os.path.expanduser(value))


def stable_memory_of(value: str) -> StableMemory:
    """Return whether the allocator keeps freed memory."""
    known: dict[str, StableMemory] = {"auto": "auto", "on": "on", "off": "off"}
    if value not in known:
        raise UnitError(value, "expected auto, on or off")
    return known[value]


def count_when_of(value: str) -> Count:
    """Return when work is counted."""
    known: dict[str, Count] = {"auto": "auto", "on": "on", "off": "off"}
    if value not in known:
        raise UnitError(value, "expected auto, on or off")
    return known[value]


def on_github(value: str) -> bool:
    """Return whether to write for GitHub Actions, which says in the environment that it runs."""
    if value not in ("auto", "on", "off"):
        raise UnitError(value, "expected auto, on or off")
    return value == "on" or (value == "auto" and os.environ.get("GITHUB_ACTIONS") == "true")


def exports_of(folder: Path, values: Sequence[str]) -> tuple[tuple[str, Path], ...]:
    """Return formats with their files, which are relative to a folder; empty lines are ignored."""
    if not values:
        return ()
    from pytest_greenops.report.exports import FORMATS

    found = []
    for value in filter(None, map(str.strip, values)):
        name, colon, path = value.partition(":")
        if not colon or name not in FORMATS:
            raise UnitError(value, f"expected FORMAT:PATH with one of {', '.join(FORMATS)}")
        found.append((name, folder / path_of(path)))
    return tuple(found)


def ref_of(value: str) -> str:
    """Return the git ref of a comparison."""
    if not value.strip() or value.startswith("-"):
        raise UnitError(value, "expected a branch, tag or commit, merge-base:BRANCH, or stash")
    return value.strip()


def tests_of(value: str) -> TestsOf:
    """Return whose tests the sides of a comparison run."""
    known: dict[str, TestsOf] = {"own": "own", "here": "here"}
    if value not in known:
        raise UnitError(value, "expected own or here")
    return known[value]


def names_of(value: str) -> tuple[str, ...]:
    """Return the names of sensors, each once."""
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    if not names:
        raise UnitError(value, "expected auto, or a list such as powercap,nvml")
    return names


def pue_of(value: str | float) -> float:
    """Return a power usage effectiveness."""
    from pytest_greenops.model.carbon_factor import checked_pue

    return checked_pue(value)


def benchmark_units_of(lines: list[str]) -> tuple[tuple[str, str], ...]:
    """Return the unit of each key; `call` is taken: it is the unit of every measurement."""
    pairs = []
    for line in lines:
        key, _, unit = (part.strip() for part in line.rpartition(":"))
        if not key or not unit.isprintable() or unit in ("", "call"):
            raise UnitError(line, "expected KEY:UNIT, such as batch_size:sample")
        pairs.append((key, unit))
    if len({unit for _, unit in pairs}) < len(pairs):
        raise UnitError("; ".join(lines), "expected each unit once")
    return tuple(pairs)
