"""Counted work: what one call computes and moves inside torch, exactly; no joules are made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec


class Operator(NamedTuple):
    """An operator as torch's dispatcher calls it: what it does, to which data, and where.

    name    with its namespace: `aten.mm`
    dtypes  of its floating-point tensors, or of its integers if it has no other: `float32`; with
            those of its results if they differ: `float64 -> float32`
    device  the kinds of device: `cpu`; `cpu -> cuda` for a copy
    """

    name: str
    dtypes: str
    device: str

    def __str__(self) -> str:
        """Return what readers see: `aten.mm float32`, and the device unless it is the CPU."""
        shown = f"{self.name} {self.dtypes}".rstrip()
        return shown if self.device in ("", "cpu") else f"{shown} on {self.device}"


class Amount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What calls of an operator, or of a module, did.

    calls     calls that did something
    views     calls that only looked at the same memory in another way
    flop      floating-point operations of matrix products, convolutions and attention
    read      bytes read
    written   bytes written
    elements  elements of the results
    """

    calls: int = 0
    views: int = 0
    flop: int = 0
    read: int = 0
    written: int = 0
    elements: int = 0

    def __add__(self, other: Amount) -> Amount:
        """Return the sum."""
        return Amount(*(a + b for a, b in zip(_fields(self), _fields(other), strict=True)))

    @property
    def moved(self) -> int:
        """Bytes read and written."""
        return self.read + self.written


def _fields(amount: Amount) -> tuple[int, ...]:
    counts: tuple[int, ...] = msgspec.structs.astuple(amount)
    return counts


def total(amounts: Iterable[Amount]) -> Amount:
    """Return the sum of some amounts."""
    return sum(amounts, Amount())


class Coverage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much of a call was counted.

    share     CPU time inside the counted operators over that of a plain call; None if unknown
    unknown   why it is unknown: `the call takes less than 1 ms`
    threads   share of the plain call's CPU time in threads that were not counted
    children  share of it in other processes
    compiled  parts that torch compiles were counted as if they ran eagerly
    blind     operators that took much of the time and whose FLOPs are not known
    """

    share: float | None = None
    unknown: str | None = None
    threads: float = 0.0
    children: float = 0.0
    compiled: bool = False
    blind: tuple[str, ...] = ()


class Counted(msgspec.Struct, frozen=True):
    """The work of one call, under one name.

    operators   what each operator did
    modules     what each module did by itself, without the modules inside it, by its path
    peak_bytes  the most memory that tensors made in the call took at once
    coverage    how much of the call this is
    """

    operators: Mapping[Operator, Amount]
    modules: Mapping[str, Amount]
    peak_bytes: int
    coverage: Coverage

    @property
    def total(self) -> Amount:
        """What all operators did."""
        return total(self.operators.values())
