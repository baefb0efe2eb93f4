"""Tests that end in time, and one that does not."""

import time

import pytest


def test_call(energy, spend):
    """A measurement ends before its timeout."""
    energy(spend, 2.0)


@pytest.mark.timeout(0.2)
@pytest.mark.xfail(strict=True, raises=pytest.fail.Exception)
def test_late(energy):
    """A call that takes too long is ended."""
    energy(time.sleep, 30)
