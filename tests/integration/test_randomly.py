"""pytest-randomly: the same joules and verdicts in any order, with a new seed for each test."""

from __future__ import annotations

import pytest

from tests.integration.projects import NOISY, Project

DRAWS = """
    import random

    import pytest

    def test_drawn(energy, spend):
        energy(spend, round(random.uniform(1, 9), 3))

    @pytest.mark.parametrize("joules", [1, 2, 3, 4, 5, 6])
    def test_given(energy, spend, joules):
        energy(spend, joules)
"""
RANDOMLY = ("-p", "pytest_randomly")


def test_any_order_gives_the_same_verdicts(project: Project) -> None:
    """Tests in one order are compared with baselines saved in another order."""
    project.write("test_it.py", DRAWS)
    given = ("--deselect=test_it.py::test_drawn", "-v", "-p", "no:cacheprovider")
    first = project.save(*RANDOMLY, *given, "--randomly-seed=1")
    again = project.energy(*RANDOMLY, *given, "--randomly-seed=98765")
    orders = [[line for line in ran.lines if "PASSED" in line] for ran in (first, again)]
    assert orders[0] != orders[1]
    assert set(again.verdicts.values()) == {"passed"}
    assert {name: result.joules for name, result in again.results.items()} == {
        f"test_given[{joules}]": joules for joules in (1, 2, 3, 4, 5, 6)
    }


@pytest.mark.parametrize("seed", [(), ("--randomly-seed=last",)], ids=["drawn", "last"])
def test_a_fresh_process_draws_the_same(project: Project, seed: tuple[str, ...]) -> None:
    """A fresh process has the seed of the run, drawn or given."""
    project.write("test_it.py", DRAWS)
    ran = project.save(*RANDOMLY, *seed, "-k", "drawn", "--energy-sessions=2")
    [first, second] = ran.results["test_drawn"].sessions
    microjoules = {r.energy_uj["cpu:0"] // r.iterations for r in (*first, *second)}
    assert microjoules == {round(ran.results["test_drawn"].joules * 1e6)}


def test_an_open_test_is_measured_once_more(grown: Project) -> None:
    """The fresh process finds its test among shuffled ones."""
    grown.sensor(NOISY)
    ran = grown.energy(*RANDOMLY, joules=2.1)
    assert len(ran.results["test_works"].fresh) == 1
