"""Tests that run in two threads at once."""

import threading

import pytest

SEEN = {"plain": set(), "energy": set(), "whole": set()}


@pytest.mark.force_parallel_threads(2)
def test_plain():
    """A test without energy runs in both threads."""
    SEEN["plain"].add(threading.get_ident())


@pytest.mark.force_parallel_threads(2)
def test_call(energy, spend):
    """A call is measured in one thread."""
    SEEN["energy"].add(threading.get_ident())
    energy(spend, 2.0)


@pytest.mark.force_parallel_threads(2)
@pytest.mark.energy_budget("9 J")
def test_whole(spend):
    """A marked test is measured in one thread."""
    SEEN["whole"].add(threading.get_ident())
    spend(4.0)


def test_threads():
    """Only the test without energy ran in two threads."""
    assert {name: len(threads) for name, threads in SEEN.items()} == {
        "plain": 2,
        "energy": 1,
        "whole": 1,
    }
