"""Gross, idle and net energy."""

from __future__ import annotations

import math

import pytest

from benchmarks.generative.points import IdleSplit, net_of_idle
from pytest_greenops.model.errors import InsightError


def test_idle_and_net_add_up_to_gross() -> None:
    """The energy of idling is separated, and no joule is lost."""
    split = net_of_idle(60.0, 10.0, 2.0)
    assert split == IdleSplit(gross_j=60.0, idle_j=20.0, net_j=40.0)
    assert split.idle_share == pytest.approx(1 / 3)
    assert net_of_idle(0.0, 0.0, 5.0).idle_share == 0.0


def test_energy_per_unit() -> None:
    """Each part is divided by the units; zero units are an error."""
    assert IdleSplit(6.0, 2.0, 4.0) == net_of_idle(60.0, 10.0, 2.0).per(10)
    with pytest.raises(InsightError, match="0 units of work"):
        net_of_idle(60.0, 10.0, 2.0).per(0)


def test_idling_never_exceeds_the_measured_energy() -> None:
    """Net energy below zero means that one of the two measurements is wrong: an error."""
    assert 0.0 == net_of_idle(20.0, 10.0, 2.0).net_j
    with pytest.raises(InsightError, match=r"2\.1 W for 10 s is 21 J, more than the measured 20 J"):
        net_of_idle(20.0, 10.0, 2.1)


@pytest.mark.parametrize("figures", [(-1.0, 1.0, 1.0), (1.0, math.inf, 1.0), (1.0, 1.0, math.nan)])
def test_invalid_figures(figures: tuple[float, float, float]) -> None:
    """Negative and infinite figures are errors."""
    with pytest.raises(InsightError, match="expected finite numbers >= 0"):
        net_of_idle(*figures)
