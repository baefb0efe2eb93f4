"""Measured joules on other grids, in other data centres and on other GPUs."""

from __future__ import annotations

import math

import pytest

from pytest_greenops.insight.what_if.hypothetical import what_if
from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.errors import InsightError
from pytest_greenops.model.scenario import Hypothetical

KWH = 3.6e6
GRID = CarbonFactor(400.0, 1.5, "XX", "somebody", 2024)


def test_the_answer_is_always_hypothetical() -> None:
    """The answer has its own type, even where nothing differs."""
    assert what_if({"cpu": 2.0}) == Hypothetical({"cpu": 2.0}, 2.0, 1.0, None, None)


def test_grams_are_energy_times_pue_times_intensity() -> None:
    """The PUE of the factor is the default; an explicit PUE overrides it."""
    assert what_if({"cpu": KWH}, factor=GRID).grams == pytest.approx(600.0)
    other = what_if({"cpu": KWH}, factor=GRID, pue=1.0)
    assert (other.grams, other.facility_j) == pytest.approx((400.0, KWH))
    assert other.factor == CarbonFactor(400.0, 1.0, "XX", "somebody", 2024)


def test_a_data_centre_adds_its_own_joules() -> None:
    """The PUE multiplies the joules of the facility, not those of the computer."""
    answer = what_if({"cpu": 1.0, "gpu": 3.0}, pue=1.5)
    assert (answer.computer_j, answer.facility_j, answer.grams) == (4.0, 6.0, None)


def test_another_gpu_changes_only_the_gpu() -> None:
    """Half the operations per joule double its joules; CPU and memory stay the same."""
    answer = what_if({"cpu": 1.0, "dram": 0.5, "gpu": 4.0}, gpu_efficiency=0.5)
    assert answer.by_kind_j == {"cpu": 1.0, "dram": 0.5, "gpu": 8.0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pue": 0.9}, "0.9: expected a PUE"),
        ({"pue": math.nan}, "nan: expected a PUE"),
        ({"pue": 20.0}, "20.0: expected a PUE >= 1 and < 10"),
        ({"pue": 1e308}, "expected a PUE"),
        ({"gpu_efficiency": 0.0}, "GPU efficiency 0: expected a number > 0"),
        ({"gpu_efficiency": -2.0}, "GPU efficiency -2: expected a number > 0"),
        ({"gpu_efficiency": 2.0}, "no GPU was measured"),
    ],
)
def test_invalid_conditions(arguments: dict[str, float], message: str) -> None:
    """Impossible figures are errors, and so is another GPU where none was measured."""
    with pytest.raises(InsightError, match=message):
        what_if({"cpu": 1.0}, **arguments)
