"""`--energy-carbon-intensity` and `--energy-pue`: grams of CO2e beside joules."""

from __future__ import annotations

import pytest

from tests.integration.projects import WORKS, Project

LIMITED = """

import pytest


@pytest.mark.energy_budget(max_carbon="0.25 mg")
def test_limited(work):
    work()
"""


def test_grams(project: Project) -> None:
    """Grams are joules times the grid's intensity times the PUE, and are held against the limit."""
    project.write("test_it.py", WORKS + LIMITED)
    ran = project.energy("--energy-carbon-intensity=360 g/kWh")
    assert {name: result.grams for name, result in ran.results.items()} == {
        "test_works": 0.0002,
        "test_limited": 0.0002,
    }
    assert ran.outcomes == {"passed": 2}
    over = project.energy("--energy-carbon-intensity=0.36 kg/kWh", "--energy-pue=1.5")
    assert over.results["test_works"].grams == 0.0003
    assert over.outcomes == {"passed": 1, "failed": 1}
    over.stdout.fnmatch_lines(
        ["EnergyBudgetExceeded: call emitted 300 µg CO2e, budget 250 µg CO2e *"]
    )


def test_a_limit_without_an_intensity_is_refused(project: Project) -> None:
    """Where the grid's intensity is not known no grams are made up: one line names the option."""
    project.write("test_it.py", LIMITED)
    ran = project.energy()
    assert ran.outcomes["failed"] == 1
    ran.stdout.fnmatch_lines(["GreenopsError: energy_budget: max_carbon needs *"])
    assert "--energy-carbon-intensity" in ran.text


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (
            "--energy-carbon-intensity=401",
            "'401' has no unit of carbon intensity; one of: g/kWh, kg/kWh, kg/MWh, lb/kWh",
        ),
        ("--energy-pue=0.9", "'0.9' is no PUE; write a number from 1 up, such as 1.2"),
        ("--energy-pue=low", "'low' is no PUE; write a number from 1 up, such as 1.2"),
    ],
)
def test_mistakes(project: Project, option: str, said: str) -> None:
    """An intensity without a unit, and a PUE below one, are usage errors."""
    ran = project.run(option)
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert ran.errors == [f"ERROR: {option.partition('=')[0]}: {said}"]
