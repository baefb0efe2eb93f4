"""Tests that pass when they run again."""

import pytest

ATTEMPTS = []


@pytest.mark.flaky(reruns=2)
def test_call(energy, spend):
    """The first attempt fails."""
    ATTEMPTS.append("call")
    energy(spend, 2.0)
    assert ATTEMPTS.count("call") > 1


def test_steady(energy, spend):
    """A test that passes is not run again."""
    energy(spend, 4.0)
