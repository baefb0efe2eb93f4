"""Random numbers and an order of tests that follow from the seed."""

import random

import pytest


@pytest.mark.parametrize("number", range(6))
def test_call(energy, spend, record_property, number):
    """Each test notes what it draws."""
    record_property("drawn", random.random())
    energy(spend, 1.0 + number)
