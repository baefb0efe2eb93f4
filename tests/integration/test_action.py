"""`--energy-action`: whether a red verdict fails or warns, for tests that name no action."""

from __future__ import annotations

import pytest

from tests.integration.projects import ALONE, Project

TWO = """
    import pytest

    def test_works(energy, work):
        energy(work)

    @pytest.mark.energy_budget("1 J", action="fail")
    def test_own(work):
        work()
"""


def test_warn(saved: Project) -> None:
    """A test that names no action passes and is reported; one that names its own keeps it."""
    saved.write("test_it.py", TWO)
    ran = saved.energy("--energy-action=warn", *ALONE, joules=3.0)
    assert ran.outcomes == {"passed": 1, "failed": 1}
    assert {name: result.verdict.action for name, result in ran.results.items()} == {
        "test_works": "warn",
        "test_own": "fail",
    }
    assert ran.counts == {"measured": 2, "compared": 2, "regressed": 1, "over budget": 1}
    assert "1 regressed (warned)" in ran.closing
    assert "an increase over +5 % warns" in ran.energy_lines
    ran.stdout.fnmatch_lines(["regressed (warned): test_it.py::test_works"])
    passed = saved.energy("--energy-action=warn", *ALONE, "-k", "works", joules=3.0)
    assert passed.code == pytest.ExitCode.OK


def test_mistake(project: Project) -> None:
    """Another word is a usage error that names the option and both words."""
    ran = project.run("--energy-action=ignore")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert ran.errors == ["ERROR: --energy-action: 'ignore': expected 'fail' or 'warn'"]
