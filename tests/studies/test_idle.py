"""Gross, idle and net energy."""

from __future__ import annotations

import math

import pytest

from benchmarks.generative.idle_power import Shares, net_of_idle, utilisation
from pytest_greenops.model.errors import InsightError


def test_parts_make_the_whole() -> None:
    """What idling would have used is told apart, and no joule is lost."""
    shares = net_of_idle(60.0, 10.0, 2.0)
    assert shares == Shares(gross_j=60.0, idle_j=20.0, net_j=40.0)
    assert shares.idle_share == pytest.approx(1 / 3)
    assert net_of_idle(0.0, 0.0, 5.0).idle_share == 0.0


def test_shares_of_a_unit() -> None:
    """Each part is divided by the units that were done; of none there is no share."""
    assert Shares(6.0, 2.0, 4.0) == net_of_idle(60.0, 10.0, 2.0).per(10)
    with pytest.raises(InsightError, match="0 units of work"):
        net_of_idle(60.0, 10.0, 2.0).per(0)


def test_idling_never_takes_more_than_was_used() -> None:
    """Net energy below zero is a mistake in one of the two measurements, and is told."""
    assert 0.0 == net_of_idle(20.0, 10.0, 2.0).net_j
    with pytest.raises(InsightError, match=r"2\.1 W for 10 s is 21 J, more than the 20 J"):
        net_of_idle(20.0, 10.0, 2.1)


@pytest.mark.parametrize("figures", [(-1.0, 1.0, 1.0), (1.0, math.inf, 1.0), (1.0, 1.0, math.nan)])
def test_figures_that_are_none(figures: tuple[float, float, float]) -> None:
    """Nothing negative or infinite is split."""
    with pytest.raises(InsightError, match="may be negative or infinite"):
        net_of_idle(*figures)


def test_utilisation() -> None:
    """The share of the time in which there was work; more than all of it there is not."""
    assert [0.25, 0.0] == [utilisation(5.0, 20.0), utilisation(0.0, 20.0)]
    for busy_s, seconds in ((21.0, 20.0), (-1.0, 20.0), (0.0, 0.0)):
        with pytest.raises(InsightError, match="no more than its whole"):
            utilisation(busy_s, seconds)
