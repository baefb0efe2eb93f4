"""The fixture `subtests` of pytest 9: a test with subtests is measured like any other."""

from __future__ import annotations

import pytest

from tests.integration.projects import Project

SUITE = """
    import pytest

    def test_works(energy, work, subtests):
        with subtests.test("measured"):
            energy(work)
        for name in ("a", "b"):
            with subtests.test(name):
                assert name != "{fails}"

    @pytest.mark.energy_budget("9 J")
    def test_whole(work, subtests):
        with subtests.test("whole"):
            work()
"""


@pytest.fixture(autouse=True)
def _has_subtests() -> None:
    if not hasattr(pytest, "Subtests"):
        pytest.skip("this pytest has no subtests")


def test_a_test_with_subtests_is_measured_once(project: Project) -> None:
    """Its subtests are not attempts, and its baseline is saved."""
    project.write("test_it.py", SUITE.format(fails="none"))
    ran = project.save()
    assert ran.outcomes["passed"] == 2
    assert {name: (r.joules, r.attempts) for name, r in ran.results.items()} == {
        "test_works": (2.0, ()),
        "test_whole": (2.0, ()),
    }
    assert ran.counts["baselines saved"] == 2


def test_a_failed_subtest_fails_its_test(saved: Project) -> None:
    """It is neither judged nor saved, like any failed test."""
    saved.write("test_it.py", SUITE.format(fails="b"))
    before = saved.files()
    for option in ("--energy", "--energy-save"):
        ran = saved.energy(option, joules=3.0)
        assert ran.code == pytest.ExitCode.TESTS_FAILED
        assert "EnergyRegression" not in ran.text
    assert [saved.files()[name] for name in before] == list(before.values())
    [line] = [line for line in ran.energy_lines if line.startswith("not saved: ")]
    assert line == "not saved: test_it.py::test_works: the test did not pass"
