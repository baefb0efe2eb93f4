"""Tests that are split between two runs by their stored durations."""

import pytest


@pytest.mark.parametrize("joules", [1, 2, 3, 4])
def test_call(energy, spend, joules):
    """The first takes as long as all others."""
    energy(spend, joules)
