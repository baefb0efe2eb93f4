"""Functions and clocks that pytest-mock replaces or watches while they are measured."""

import time

import pytest
import words


def test_call(energy, mocker, spend):
    """A function is watched in each repetition, and a clock is replaced."""
    spy = mocker.spy(words, "count")
    for clock in ("time", "perf_counter", "monotonic", "process_time"):
        mocker.patch(f"time.{clock}", return_value=7.0)

    def call():
        spend(2.0)
        return words.count("a few words"), words.now()

    assert energy(call) == (3, 7.0)
    spy.assert_called_with("a few words")
    assert spy.spy_return == 3


@pytest.mark.energy_budget("9 J")
def test_whole(mocker, spend):
    """A marked test replaces a function in each repetition."""
    count = mocker.patch("words.count", return_value=9)
    spend(4.0)
    assert words.count("a") == 9
    count.assert_called_once_with("a")


def test_restored():
    """Nothing is replaced in other tests."""
    assert words.count("a few words") == 3
    assert time.time() > 7.0
