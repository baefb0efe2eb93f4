"""Figures that no measurement can have left."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.baselines.meaning import round_faults, why_meaningless
from pytest_greenops.model.measurement import Round
from tests.unit.builders import a_round, baseline, series, session

RANGE = "expected 0 or 1e-30 to 1e+30"
WHOLE = a_round(units={"sample": 4.0}, more={"dram:0": 0.5})


def faults(*rounds: Round) -> list[str]:
    """Return what is wrong with rounds of two counters and one unit."""
    return list(round_faults(rounds, ["cpu:0", "dram:0"], ["sample"]))


@pytest.mark.parametrize(
    ("figures", "fault"),
    [
        ({}, None),
        ({"energy_uj": {"cpu:0": 1}}, "a round without dram:0"),
        ({"energy_uj": {}}, "a round without cpu:0"),
        ({"units": {}}, "a round without sample"),
        ({"units": {"sample": 1.0, "token": 2.0}}, None),
        ({"energy_uj": {"cpu:0": 0, "dram:0": 10**30}}, None),
        ({"energy_uj": {"cpu:0": 0, "dram:0": 10**30 + 10**15}}, "10000000000000010000 uJ"),
        ({"iterations": 10**30 + 10**15}, "10000000000000010000 iterations"),
        ({"units": {"sample": 2e30}}, "2e+30 units of work"),
        ({"units": {"sample": 1e-31}}, "1e-31 units of work"),
        ({"seconds": 1e-30}, None),
        ({"seconds": 9e-31}, "9e-31 s"),
        ({"seconds": 0.0}, None),
        ({"seconds": 1e30}, None),
        ({"seconds": 1.1e30}, "1.1e+30 s"),
    ],
)
def test_a_round_has_all_counters_and_figures_that_can_be_measured(
    figures: dict[str, Any], fault: str | None
) -> None:
    """The first counter or unit that it lacks is named; a figure that is too long is cut."""
    found = faults(WHOLE, replace(WHOLE, **figures))
    if fault is None:
        assert found == []
    elif fault.startswith("a round"):
        assert found == [fault]
    else:
        assert found == [f"a round of {fault}, {RANGE}"]


def test_a_figure_that_is_too_large_is_stated_before_one_that_is_too_small() -> None:
    """Of one kind only one is stated."""
    rounds = [replace(WHOLE, seconds=seconds) for seconds in (1e-40, 1.0, 1e40)]
    assert faults(*rounds) == [f"a round of 1e+40 s, {RANGE}"]


def test_no_rounds_have_no_faults() -> None:
    """Nor figures."""
    assert faults() == []


@pytest.mark.parametrize(
    ("joules", "wrong"),
    [(0.0, False), (1e-30, False), (1e30, False), (9e-31, True), (1.1e30, True)],
)
def test_joules_of_a_control_and_of_an_anchor_can_be_measured(joules: float, wrong: bool) -> None:
    """Each of them."""
    by_control = session()
    by_control = replace(by_control, control_j={"cpu:0": 1.0, "cpu:1": joules})
    by_anchor = series(session(), anchor={"call": {"cpu:0": 1.0, "dram:0": joules}})
    expected = (
        [f"call: control_j: {RANGE}", f"call: anchor: {joules:g} J of dram:0 per call, {RANGE}"]
        if wrong
        else [None, None]
    )
    assert [
        why_meaningless(baseline(call=measured)) for measured in (series(by_control), by_anchor)
    ] == expected


def test_each_measurement_of_a_baseline_is_looked_at() -> None:
    """The first that means nothing is named."""
    sound, wrong = series(session()), series(session([a_round(seconds=1e31)]))
    assert why_meaningless(baseline(one=sound)) is None
    assert why_meaningless(baseline(one=sound, two=wrong)) == f"two: a round of 1e+31 s, {RANGE}"
