"""Limits of the memory that tests allocate."""

import pytest

MEBIBYTE = 2**20


@pytest.mark.limit_memory("15 MB")
def test_call(energy, spend):
    """Of all the results of the repetitions, only one is kept at a time."""

    def allocate():
        spend(2.0)
        return bytearray(10 * MEBIBYTE)

    assert len(energy(allocate)) == 10 * MEBIBYTE


@pytest.mark.limit_memory("15 MB")
@pytest.mark.energy_budget("9 J")
def test_whole(spend):
    """The same holds of a marked test."""
    spend(4.0)
    assert len(bytearray(10 * MEBIBYTE)) == 10 * MEBIBYTE


@pytest.mark.limit_memory("5 MB")
def test_over(energy, spend):
    """A test that allocates more than its limit fails."""
    energy(lambda: spend(1.0) or len(bytearray(10 * MEBIBYTE)))
