"""Tests of which a page reports the outcome, the output and what they attach."""

import pytest
from pytest_html.extras import text


def test_call(energy, extras, spend):
    """A test attaches a text."""
    energy(spend, 2.0)
    extras.append(text("attached", name="note"))
    print("printed")


@pytest.mark.energy_budget("9 J")
def test_whole(spend):
    """A marked test is one row."""
    spend(4.0)


@pytest.mark.skip(reason="not today")
def test_skipped():
    """A skipped test is one row."""


@pytest.mark.xfail(strict=True, raises=ZeroDivisionError)
def test_expected(energy):
    """A failure that is expected is one row."""
    energy(lambda: 1 / 0)
