"""Signals during a bisect."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from pytest_greenops.bisection.interrupts import Interrupted, Interrupts


@pytest.fixture
def received() -> Iterator[list[int]]:
    """Return the signals that the handler of before gets."""
    found: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: found.append(number))
    yield found
    signal.signal(signal.SIGTERM, before)


def test_a_signal_between_two_runs_is_kept(received: list[int]) -> None:
    """The next run does not begin; the handler of before does not get it again."""
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted), interrupts.allowed():
            pytest.fail("the run began")
    assert received == []


def test_a_signal_after_the_last_run_is_passed_on(received: list[int]) -> None:
    """It takes effect when the bisect has ended."""
    with Interrupts():
        signal.raise_signal(signal.SIGTERM)
        assert received == []
    assert received == [signal.SIGTERM]


def test_a_signal_during_a_run_is_not_passed_on(received: list[int]) -> None:
    """It has interrupted the run."""
    with Interrupts() as interrupts, pytest.raises(Interrupted), interrupts.allowed():
        signal.raise_signal(signal.SIGTERM)
    assert received == []


def test_a_handler_that_is_not_of_python_stays(
    received: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python could not restore it."""
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(signal, "getsignal", lambda _: None)
        with Interrupts():
            patch.undo()
            assert signal.getsignal(signal.SIGTERM) is before
