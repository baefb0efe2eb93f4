"""`--energy-min-rounds`, `--energy-max-rounds`, `--energy-max-time`: how long to measure."""

from __future__ import annotations

import pytest

from tests.integration.projects import WORKS, Project

THREE = WORKS + (
    """
import time

import pytest


@pytest.mark.energy_budget("9 J", min_rounds=30)
def test_least(work):
    work()


@pytest.mark.energy_budget("9 J", max_rounds=2)
def test_most(work):
    work()


def test_said_itself(energy, work):
    energy.pedantic(work, rounds=4)
"""
)


def rounds(project: Project, *options: str) -> dict[str, int]:
    """Return the number of rounds of each test."""
    results = project.energy(*options).results
    return {name: len(result.rounds) for name, result in results.items()}


def test_least_and_most(project: Project) -> None:
    """The options bound the rounds of tests that set none; a test keeps its own numbers."""
    project.write("test_it.py", THREE)
    own = {"test_least": 30, "test_most": 2, "test_said_itself": 4}
    assert rounds(project) == {"test_works": 5, **own}
    assert rounds(project, "--energy-min-rounds=40") == {"test_works": 40, **own}
    assert rounds(project, "--energy-max-rounds=3") == {"test_works": 3, **own}


def test_one_round_runs_once(project: Project) -> None:
    """With `--energy-max-rounds=1` each test runs exactly once: no warm-up, no calibration."""
    project.write(
        "test_it.py",
        """
        def test_it(energy, spend):
            def short():
                spend(0.001, seconds=0.0001)
                with open("log.txt", "a") as log:
                    print("called", file=log)

            energy(short)
        """,
    )
    assert rounds(project, "--energy-max-rounds=1") == {"test_it": 1}
    assert project.log() == ["called"]


def test_undecided_goes_on(grown: Project) -> None:
    """A test that 5 rounds do not decide is measured for more, up to the maximum."""
    assert rounds(grown) == {"test_works": 5}
    options = ("--energy-max-increase=1%",)
    assert rounds(grown, *options) == {"test_works": 15}
    assert rounds(grown, *options, "--energy-max-rounds=12") == {"test_works": 10}


def test_time_is_bounded(project: Project) -> None:
    """No round begins that would end after the allowed time, except for the first."""
    project.write(
        "test_it.py",
        """
        import time

        import pytest


        def test_option(energy, work):
            energy(lambda: time.sleep(0.03) or work())


        @pytest.mark.energy_budget(max_time="60 s")
        def test_marker(work):
            time.sleep(0.03)
            work()
        """,
    )
    assert rounds(project, "--energy-max-time=10 ms") == {"test_option": 1, "test_marker": 5}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--energy-min-rounds=9", "--energy-max-rounds=3"],
            "--energy-min-rounds 9 is more than --energy-max-rounds 3: change one",
        ),
        (
            ["--energy-min-rounds=0"],
            "--energy-min-rounds: '0': expected a whole number >= 1",
        ),
        (
            ["--energy-max-rounds=many"],
            "--energy-max-rounds: 'many': expected a whole number >= 1",
        ),
        (
            ["--energy-max-time=60"],
            "--energy-max-time: '60': expected a time in s, ms, min or h, such as '60 s'",
        ),
    ],
)
def test_mistakes(project: Project, options: list[str], said: str) -> None:
    """A wrong number of rounds or time is a usage error that names the option."""
    ran = project.run(*options)
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert ran.errors == [f"ERROR: {said}"]
