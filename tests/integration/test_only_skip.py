"""`--energy-only` and `--energy-skip`: which tests of a suite run."""

from __future__ import annotations

import pytest

from tests.integration.projects import Project

MIXED = """
    import pytest

    def test_fixture(energy, work):
        energy(work)

    @pytest.mark.energy_budget("3 J")
    def test_marked(work):
        work()

    @pytest.fixture
    def measured(energy, work):
        return energy(work)

    def test_through_a_fixture(measured):
        pass

    def test_other():
        pass
"""


def test_only(project: Project) -> None:
    """Only tests with a budget or the fixture run, measured or not."""
    project.write("test_it.py", MIXED)
    for measured in ([], ["--energy"]):
        ran = project.run("--energy-only", "-v", *measured)
        assert ran.outcomes == {"passed": 3, "deselected": 1}
        assert "test_other" not in ran.text


def test_skip(project: Project) -> None:
    """None of these tests runs."""
    project.write("test_it.py", MIXED)
    ran = project.run("--energy-skip", "-v")
    assert ran.outcomes == {"passed": 1, "deselected": 3}
    ran.stdout.fnmatch_lines(["test_it.py::test_other PASSED*"])


def test_they_exclude_each_other(project: Project) -> None:
    """Both together are a usage error."""
    ran = project.run("--energy-only", "--energy-skip")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert ran.errors == ["ERROR: --energy-only and --energy-skip exclude each other: use one"]
