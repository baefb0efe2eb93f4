"""The same work elsewhere: other grids, data centres and GPUs."""

from __future__ import annotations

import math

import pytest

from pytest_greenops.insight.what_if.elsewhere import what_if
from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.errors import InsightError
from pytest_greenops.model.scenario import Hypothetical

KWH = 3.6e6
GRID = CarbonFactor(400.0, 1.5, "XX", "somebody", 2024)


def test_it_is_always_marked() -> None:
    """What is hypothetical has a type of its own, even where nothing differs."""
    assert what_if({"cpu": 2.0}) == Hypothetical({"cpu": 2.0}, 2.0, 1.0, None, None)


def test_grams_are_energy_times_pue_times_intensity() -> None:
    """The factor's own PUE holds where none is named, and one that is named wins."""
    assert what_if({"cpu": KWH}, factor=GRID).grams == pytest.approx(600.0)
    other = what_if({"cpu": KWH}, factor=GRID, pue=1.0)
    assert (other.grams, other.facility_j) == pytest.approx((400.0, KWH))
    assert other.factor == CarbonFactor(400.0, 1.0, "XX", "somebody", 2024)


def test_a_data_centre_adds_to_what_the_computer_draws() -> None:
    """Joules at the computer stay; the centre's are told beside them, with or without a grid."""
    answer = what_if({"cpu": 1.0, "gpu": 3.0}, pue=1.5)
    assert (answer.computer_j, answer.facility_j, answer.grams) == (4.0, 6.0, None)


def test_another_gpu_changes_the_gpu_alone() -> None:
    """Half the operations a joule double its joules; CPU and memory stay."""
    answer = what_if({"cpu": 1.0, "dram": 0.5, "gpu": 4.0}, gpu_efficiency=0.5)
    assert answer.by_kind_j == {"cpu": 1.0, "dram": 0.5, "gpu": 8.0}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"pue": 0.9}, "0.9 is no PUE"),
        ({"pue": math.nan}, "nan is no PUE"),
        ({"pue": 20.0}, "20.0 is no PUE; write a number from 1 to below 10"),
        ({"pue": 1e308}, "is no PUE"),
        ({"gpu_efficiency": 0.0}, "0 is no efficiency"),
        ({"gpu_efficiency": -2.0}, "-2 is no efficiency"),
        ({"gpu_efficiency": 2.0}, "no GPU was counted"),
    ],
)
def test_questions_without_an_answer(arguments: dict[str, float], said: str) -> None:
    """What cannot be is refused, and so is another GPU where none was measured."""
    with pytest.raises(InsightError, match=said):
        what_if({"cpu": 1.0}, **arguments)  # type: ignore[arg-type]
