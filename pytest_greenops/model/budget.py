"""The limits of a test: the arguments of `@pytest.mark.energy_budget`, checked and merged."""

from __future__ import annotations

import numbers
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pytest_greenops.model import units
from pytest_greenops.model.errors import BudgetError, UnitError, nearest, shown
from pytest_greenops.model.marker import MOST_ROUNDS, Action, keywords, parse_action

DOMAINS = ("total", "cpu", "dram", "gpu")
_PARTS = re.compile(r"""((?:[^,'"]|'[^']*'|"[^"]*")*)(,|$)""", re.DOTALL)
_QUOTED = re.compile(r"""(['"])(.*)\1""", re.DOTALL)
_DEVICE = re.compile(r"(cpu|dram|gpu):\d+(-die-\d+)?|psys(:\d+)?")
#: A device as people write it: gpu0, GPU-1.
_UNMARKED = re.compile(r"(cpu|dram|gpu)[-_ ]?(\d+)")


@dataclass(frozen=True)
class Budget:
    """The limits of a test, in SI units, shares and counts; None if it has none."""

    energy_j: float | None = None
    per: str | None = None
    max_increase: float | None = None
    max_quality_drop: float | None = None
    domain: str = "total"
    action: Action | None = None
    max_power_w: float | None = None
    max_carbon_g: float | None = None
    min_rounds: int | None = None
    max_rounds: int | None = None
    max_time_s: float | None = None
    max_work: float | None = None
    max_flop: int | None = None
    max_memory_bytes: int | None = None

    @classmethod
    def from_marks(cls, marks: Iterable[tuple[tuple[Any, ...], Mapping[str, Any]]]) -> Budget:
        """Merge the marks of a test, nearest first, into one budget; raise `BudgetError`."""
        merged: dict[str, Any] = {}
        for args, kwargs in marks:
            merged = {**_checked(args, kwargs), **merged}
        budget = cls(**merged)
        if budget.min_rounds and budget.max_rounds and budget.min_rounds > budget.max_rounds:
            limits = f"min_rounds={budget.min_rounds}, max_rounds={budget.max_rounds}"
            raise BudgetError(f"energy_budget({limits}): expected min_rounds <= max_rounds")
        return budget


def parse_arguments(text: str) -> dict[str, object]:
    """Return the arguments of a marker written without Python: `'2.5 J, per=sample'`.

    Quotes around a value are optional. Raises `BudgetError` for a text that cannot be split, and
    for arguments that the marker does not accept.
    """
    given: dict[str, object] = {}
    at = 0
    while text.strip():
        part = _PARTS.match(text, at)
        name, equals, value = part[1].partition("=") if part else ("", "", "")
        if not equals and at == 0:  # by position, as in the marker
            name, value = "energy", name
        name, value = name.strip(), value.strip()
        if part is None or not name or not value:
            raise BudgetError(
                f"{shown(text)}: expected an energy, then name=value, such as '2.5 J, per=sample'"
            )
        if name in given:
            raise BudgetError(f"energy_budget({_keyword(name)}=...): expected it only once")
        given[name] = _value(value)
        if not part[2]:
            break
        at = part.end()
    Budget.from_marks([((), given)])
    return given


def _value(text: str) -> object:
    """Return a value of the marker as Python has it: whole numbers are numbers."""
    if quoted := _QUOTED.fullmatch(text):
        return quoted[2]
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else text


def _keyword(name: str) -> str:
    """Return a keyword for a message; in the ini file it may be any text."""
    return name if name.isidentifier() else shown(name)


def _checked(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    known = keywords()
    for keyword in kwargs:
        if keyword not in known:
            raise BudgetError(
                f"energy_budget({_keyword(keyword)}=...): unknown keyword: {_meant(keyword, known)}"
            )
    if len(args) > 1:
        got = ", ".join(map(shown, args))
        raise BudgetError(f"energy_budget({got}): expected one positional argument, the energy")
    if args and "energy" in kwargs:
        twice = f"{shown(args[0])}, energy={shown(kwargs['energy'])}"
        raise BudgetError(f"energy_budget({twice}): expected the energy only once")
    given = {**({"energy": args[0]} if args else {}), **kwargs}
    return {
        _FIELDS[keyword][0]: _read(keyword, value)
        for keyword, value in given.items()
        if value is not None
    }


def _read(keyword: str, value: Any) -> Any:
    try:
        return _FIELDS[keyword][1](value)
    except UnitError as error:
        raise BudgetError(f"energy_budget({keyword}={shown(value)}): {error.expected}") from None


def _domain(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    if text in DOMAINS or _DEVICE.fullmatch(text):
        return text
    device = _UNMARKED.fullmatch(text.lower())
    meant = f"{device[1]}:{device[2]}" if device else nearest(text, DOMAINS)
    hint = f"; did you mean {meant!r}?" if meant else ""
    known = ", ".join(DOMAINS)
    raise UnitError(value, f"expected {known}, or one device such as gpu:0{hint}")


def _rounds(value: Any) -> int:
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    number = int(value) if whole else 0
    if number < 1:
        raise UnitError(value, "expected a whole number >= 1")
    if number > MOST_ROUNDS:
        raise UnitError(value, f"expected at most {MOST_ROUNDS} rounds")
    return number


def _unit_name(value: Any) -> str:
    if not isinstance(value, str) or not value.isidentifier():
        raise UnitError(value, "expected the name of a unit of work, such as 'token'")
    return value


def _meant(word: str, known: Sequence[str]) -> str:
    meant = nearest(word, known)
    return f"did you mean {meant!r}?" if meant else f"expected one of {', '.join(known)}"


_FIELDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "energy": ("energy_j", units.parse_energy),
    "per": ("per", _unit_name),
    "max_increase": ("max_increase", units.parse_percent),
    "max_quality_drop": ("max_quality_drop", units.parse_percent),
    "domain": ("domain", _domain),
    "action": ("action", parse_action),
    "max_power": ("max_power_w", units.parse_power),
    "max_carbon": ("max_carbon_g", units.parse_mass),
    "min_rounds": ("min_rounds", _rounds),
    "max_rounds": ("max_rounds", _rounds),
    "max_time": ("max_time_s", units.parse_duration),
    "max_work": ("max_work", units.parse_percent),
    "max_flop": ("max_flop", units.parse_flop),
    "max_memory": ("max_memory_bytes", units.parse_memory),
}
assert {field for field, _ in _FIELDS.values()} == {f.name for f in fields(Budget)}
