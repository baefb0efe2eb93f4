"""`--energy-action`: what a red verdict does, for tests that name nothing."""

from __future__ import annotations

import pytest

from tests.integration.projects import Project

TWO = """
    import pytest

    def test_works(energy, work):
        energy(work)

    @pytest.mark.energy_budget("1 J", action="fail")
    def test_own(work):
        work()
"""


def test_warn(saved: Project) -> None:
    """A regression only warns: the test passes, the closing line and the table still say it."""
    ran = saved.energy("--energy-action=warn", joules=3.0)
    assert ran.code == pytest.ExitCode.OK
    assert ran.outcomes == {"passed": 1}
    assert ran.results["test_works"].verdict.action == "warn"
    assert ran.closing == (
        "1 measured, 1 compared: 0 passed, 1 regressed (warned), 0 inconclusive; "
        "0 no baseline; 0 not comparable"
    )
    assert "an increase over +5 % warns" in ran.energy_lines
    ran.stdout.fnmatch_lines(["regressed (warned): test_it.py::test_works"])


def test_marker_decides(saved: Project) -> None:
    """A test that names its own action keeps it."""
    saved.write("test_it.py", TWO)
    ran = saved.energy("--energy-action=warn", joules=3.0)
    assert ran.outcomes == {"passed": 1, "failed": 1}
    assert {name: result.verdict.action for name, result in ran.results.items()} == {
        "test_works": "warn",
        "test_own": "fail",
    }


def test_mistake(project: Project) -> None:
    """Another word is a usage error that names the option and both words."""
    ran = project.run("--energy-action=ignore")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert ran.errors == ["ERROR: --energy-action: 'ignore' is neither 'fail' nor 'warn'"]
