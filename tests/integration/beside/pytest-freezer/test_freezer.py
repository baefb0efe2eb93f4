"""A clock that stands still around what is measured."""

from datetime import date, datetime

import pytest


def test_call(energy, freezer, spend):
    """The function sees the date of the test, and the test can move it on."""
    freezer.move_to("2024-02-28")

    def today():
        spend(2.0)
        return date.today()

    assert energy(today) == date(2024, 2, 28)
    freezer.tick(86_400)
    assert date.today() == date(2024, 2, 29)


@pytest.mark.freeze_time("2023-03-04 05:06:07")
@pytest.mark.energy_budget("9 J")
def test_whole(spend):
    """A marked test has its date in each repetition."""
    spend(4.0)
    assert datetime.now() == datetime(2023, 3, 4, 5, 6, 7)


def test_thawed():
    """Other tests have the time of today."""
    assert date.today() > date(2024, 2, 29)
