"""What a test gets without `--energy`: everything runs once, and nothing is measured."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_greenops.model.result import Result


class _PlainTrip:
    """The one trip that an unmeasured test makes."""

    def __init__(self) -> None:
        self.iterations = 1
        self.units: dict[str, float] = {}

    def batches(self, together: bool = True) -> Iterator[int]:
        yield 1

    def window(self, name: str) -> AbstractContextManager[None]:
        return nullcontext()


class PlainTrial:
    """Stands where a trial would: everything runs once, nothing is measured."""

    def __init__(self) -> None:
        self.units: dict[str, Any] = {}
        self.quality: dict[str, float] = {}
        self.repetition = 0
        self.results: Mapping[str, Result] = _Unmeasured()

    def passes(self, name: str | None = None, **plan: int | None) -> Generator[_PlainTrip]:
        """One trip."""
        yield _PlainTrip()

    def work(self, value: Any, iterations: int) -> dict[str, float]:
        """Nothing is divided by it."""
        return {}


class _Unmeasured(dict[str, "Result"]):
    """No results: a test that goes on to read one is skipped from there, for it passed so far."""

    def __missing__(self, name: str) -> Result:
        pytest.skip(f"reads energy.results[{name!r}], which only pytest --energy measures")
