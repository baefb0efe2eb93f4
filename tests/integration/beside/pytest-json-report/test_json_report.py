"""Tests of which a file has the outcome and what they attach."""

import pytest


def test_call(energy, json_metadata, spend):
    """A test attaches a value."""
    energy(spend, 2.0)
    json_metadata["note"] = "attached"


@pytest.mark.energy_budget("9 J")
def test_whole(spend):
    """A marked test is one entry."""
    spend(4.0)


@pytest.mark.xfail(strict=True, raises=ZeroDivisionError)
def test_expected(energy):
    """A failure that is expected is one entry."""
    energy(lambda: 1 / 0)
