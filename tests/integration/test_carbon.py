"""`--energy-carbon-intensity`, `--energy-region`, `--energy-pue`: grams of CO2e with the joules."""

from __future__ import annotations

import pytest

from pytest_greenops.model.carbon_factor import CarbonFactor
from tests.integration.projects import ALONE, INI, WORKS, Project

LIMITED = """

import pytest


@pytest.mark.energy_budget(max_carbon="0.25 mg")
def test_limited(work):
    work()
"""


def test_grams(project: Project) -> None:
    """Grams are joules times the grid's intensity times the PUE, and the limit applies to them."""
    project.write("test_it.py", WORKS + LIMITED)
    ran = project.energy("--energy-carbon-intensity=360 g/kWh")
    assert {name: result.grams for name, result in ran.results.items()} == {
        "test_works": 0.0002,
        "test_limited": 0.0002,
    }
    assert ran.outcomes == {"passed": 2}
    over = project.energy("--energy-carbon-intensity=0.36 kg/kWh", "--energy-pue=1.5", *ALONE)
    assert over.results["test_works"].grams == 0.0003
    assert over.outcomes == {"passed": 1, "failed": 1}
    over.stdout.fnmatch_lines(
        ["EnergyBudgetExceeded: call emitted 300 µg CO2e, budget 250 µg CO2e *"]
    )


def test_a_limit_without_an_intensity_is_refused(project: Project) -> None:
    """Without an intensity of the grid, a limit is an error that names the options."""
    project.write("test_it.py", LIMITED)
    ran = project.energy()
    assert ran.outcomes["failed"] == 1
    ran.stdout.fnmatch_lines(["GreenopsError: energy_budget: max_carbon needs *"])
    assert "--energy-carbon-intensity" in ran.text
    assert "--energy-region" in ran.text


def test_a_region_has_an_intensity(project: Project) -> None:
    """Results have joules and grams, with the factor, its source and its year."""
    project.write("test_it.py", WORKS + LIMITED)
    ran = project.energy("--energy-region=de", "--energy-pue=1.5", *ALONE)
    of = ran.results["test_works"]
    assert of.grams == pytest.approx(of.joules / 3.6e6 * 342.06 * 1.5, rel=1e-5)
    factor = CarbonFactor(342.06, 1.5, "DE", "Ember, yearly electricity data", 2024)
    assert (of.carbon, ran.document.policy.carbon) == (factor, factor)
    factor_text = "342.1 g/kWh (DE: Ember, yearly electricity data, 2024), PUE 1.5"
    assert f"CO2e at {factor_text}" in ran.energy_lines
    assert "call emitted 285 µg CO2e, budget 250 µg CO2e" in ran.failure("test_limited")


def test_a_given_intensity_has_no_source(project: Project) -> None:
    """The user's own figure is in the header and in each result, without a source."""
    project.write("test_it.py", WORKS)
    ran = project.energy("--energy-carbon-intensity=0.5 kg/kWh", "--energy-pue=1.25")
    assert "CO2e at 500 g/kWh, PUE 1.25" in ran.energy_lines
    assert ran.results["test_works"].carbon == CarbonFactor(500.0, 1.25)
    plain = project.energy()
    assert "CO2e" not in plain.text
    assert (None, None) == (plain.results["test_works"].carbon, plain.document.policy.carbon)


def test_the_command_line_wins_over_the_ini(project: Project) -> None:
    """A region on the command line overrides an intensity of the ini file, and vice versa."""
    project.write("test_it.py", WORKS)
    project.write("pytest.ini", f"{INI}energy_carbon_intensity = 360 g/kWh\n")
    assert project.energy().results["test_works"].grams == 0.0002
    region = project.energy("--energy-region=FR").results["test_works"].carbon
    assert region is not None
    assert region.region == "FR"
    project.write("pytest.ini", f"{INI}energy_region = FR\n")
    given = project.energy("--energy-carbon-intensity=360 g/kWh").results["test_works"]
    assert given.grams == 0.0002


def test_region_and_intensity_exclude_each_other(project: Project) -> None:
    """Both are a usage error, on the command line and in the ini file."""
    ran = project.run("--energy-region=FR", "--energy-carbon-intensity=360 g/kWh")
    said = "ERROR: --energy-carbon-intensity and --energy-region exclude each other: use one"
    assert (pytest.ExitCode.USAGE_ERROR, [said]) == (ran.code, ran.errors)
    project.write("pytest.ini", f"{INI}energy_region = FR\nenergy_carbon_intensity = 360 g/kWh\n")
    assert project.run().errors == [said]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (
            "--energy-carbon-intensity=401",
            "'401': expected a carbon intensity in g/kWh, kg/kWh, kg/MWh or lb/kWh, "
            "such as '401 g/kWh'",
        ),
        (
            "--energy-region=DEU",
            "no carbon intensity is known for region 'DEU'; the nearest: DE (Germany): "
            "list all codes with pytest-greenops whatif regions",
        ),
        ("--energy-pue=0.9", "'0.9': expected a PUE >= 1 and < 10, such as 1.2"),
        ("--energy-pue=10", "'10': expected a PUE >= 1 and < 10, such as 1.2"),
        ("--energy-pue=low", "'low': expected a PUE >= 1 and < 10, such as 1.2"),
    ],
)
def test_mistakes(project: Project, option: str, said: str) -> None:
    """An intensity without a unit, an unknown region and a PUE out of bounds are usage errors."""
    ran = project.run(option)
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert ran.errors == [f"ERROR: {option.partition('=')[0]}: {said}"]
