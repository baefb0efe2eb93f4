"""pytest-repeat: repetitions are attempts at one test; each is judged, and the last one counts."""

from __future__ import annotations

from tests.integration.projects import ALONE, Project

REPEAT = ("-p", "pytest_repeat", "--count=3")
SUITE = """
    import pytest

    def test_works(energy, work):
        energy(work)

    @pytest.mark.parametrize("joules", [1, 2])
    def test_given(energy, spend, joules):
        energy(spend, joules)
"""


def test_repetitions_are_one_test(project: Project) -> None:
    """They share a baseline, to which a run adds one session, with runs without repetitions."""
    project.write("test_it.py", SUITE)
    ran = project.save(*REPEAT)
    assert ran.outcomes == {"passed": 9}
    assert sorted(project.files()) == [
        f"test_it.py/{name}.json" for name in ("test_given[1]", "test_given[2]", "test_works")
    ]
    for baseline in project.baselines().values():
        assert len(baseline.measurements["call"].sessions) == 1
    assert ran.counts["measured"] == 3
    assert set(project.energy().verdicts.values()) == {"passed"}


def test_each_repetition_is_judged(saved: Project) -> None:
    """Each fails by itself; the report shows the last, and the outcomes of the others."""
    ran = saved.energy(*REPEAT, *ALONE, joules=3.0)
    assert ran.outcomes == {"failed": 3}
    attempts = ran.results["test_works"].attempts
    assert [(attempt.outcome, attempt.joules) for attempt in attempts] == [("regressed", 3.0)] * 2


def test_a_repetition_is_found_in_a_fresh_process(project: Project) -> None:
    """Each repetition has its own sessions, whether or not the test is parametrized."""
    project.write("test_it.py", SUITE)
    chosen = ("--count=2", "-k", "not test_given[2-")
    ran = project.save("-p", "pytest_repeat", *chosen, "--energy-sessions=2")
    assert ran.outcomes == {"passed": 4, "deselected": 2}
    assert {name: len(result.fresh) for name, result in ran.results.items()} == {
        "test_works": 1,
        "test_given[1]": 1,
    }
    for baseline in project.baselines().values():
        assert len(baseline.measurements["call"].sessions) == 2
