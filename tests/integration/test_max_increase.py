"""`--energy-max-increase`: the margin of a regression, for tests that name no margin."""

from __future__ import annotations

import pytest

from tests.integration.projects import ALONE, WORKS, Project

OWN = """

@pytest.mark.energy_budget(max_increase="60%")
def test_own(energy, work):
    energy(work)
"""


def test_margin(project: Project) -> None:
    """The same +40 % regresses within 30 % and passes within 50 %; a marker keeps its margin."""
    project.write("test_it.py", "import pytest\n" + WORKS + OWN)
    project.save()
    for option, verdict in (("30%", "regressed"), ("50 %", "passed")):
        ran = project.energy(f"--energy-max-increase={option}", *ALONE, joules=2.8)
        assert ran.verdicts == {"test_works": verdict, "test_own": "passed"}
        assert [result.verdict.change.margin for result in ran.results.values()] == [
            float(option.rstrip(" %")) / 100,
            0.6,
        ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("5", "'5': expected a percentage, such as '5%'"),
        ("-5%", "'-5%': expected a percentage >= 0, such as '5%'"),
        ("much", "'much': expected a percentage, such as '5%'"),
    ],
)
def test_mistakes(project: Project, value: str, said: str) -> None:
    """A value that is not a percentage is a usage error that names the option."""
    ran = project.run(f"--energy-max-increase={value}")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert ran.errors == [f"ERROR: --energy-max-increase: {said}"]
