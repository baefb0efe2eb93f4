"""Whole runs: many comparisons at once, and small steps that add up."""

from __future__ import annotations

import pytest

from tests.integration.commands import run
from tests.integration.projects import ALONE, Project

#: Three tests, two of which use the joules of the run.
THREE = """
    import pytest

    @pytest.mark.parametrize("part", ["one", "two"])
    def test_grows(energy, work, part):
        energy(work)

    def test_stays(energy, spend):
        energy(spend, 2.0)
"""


def test_regressions_are_adjusted_for_many_comparisons(project: Project) -> None:
    """The report has probabilities, raw and adjusted for all comparisons of the run."""
    project.write("test_it.py", THREE)
    project.save()
    ran = project.energy(*ALONE, joules=3.0)
    assert ran.outcomes == {"failed": 2, "passed": 1}
    changes = {name: result.verdict.change for name, result in ran.results.items()}
    for change in changes.values():
        assert change
        assert change.p_value is not None
    p = {name: c.p_value for name, c in changes.items() if c}
    adjusted = {name: c.p_adjusted for name, c in changes.items() if c}
    assert adjusted["test_grows[one]"] == pytest.approx(3 * (p["test_grows[one]"] or 0), rel=1e-3)
    assert (p["test_stays"], adjusted["test_stays"]) == (0.5, 0.5)
    ran.stdout.fnmatch_lines(["2 of 2 regressions significant among 3 comparisons (Holm, 5 %):*"])
    failure = ran.failure("test_grows[one]")
    assert "how sure        p < 0.0001 by chance" in failure


def test_a_lone_comparison_is_not_adjusted(saved: Project) -> None:
    """A run of one comparison says nothing about many."""
    ran = saved.energy(*ALONE, joules=3.0)
    assert ran.outcomes == {"failed": 1}
    assert "Holm" not in ran.text


def test_small_steps_add_up(saved: Project) -> None:
    """No accepted step of +4 % is a regression; the run reports how far the baseline crept up."""
    for step in range(1, 6):
        ran = saved.save(joules=2.0 * 1.04**step)
        assert ran.verdicts["test_works"] in ("passed", "inconclusive")
        assert ran.counts["baseline saved"] == 1
    ran = saved.energy(joules=2.0 * 1.04**5)
    assert ran.outcomes == {"passed": 1}
    change = ran.results["test_works"].verdict.change
    assert change
    assert change.since_anchor == pytest.approx(1.04**2.5 - 1, abs=1e-3)
    said = "Energy crept up in small accepted steps: test_works +10 %. Acknowledge it:"
    ran.stdout.fnmatch_lines([said, "*pytest-greenops show --acknowledge*"])
    shown = run(saved.path, "show", "--acknowledge", "works")
    assert (0, "energy: creep of 1 measurement acknowledged") == (shown.code, shown.lines[-1])
    assert "crept up" not in saved.energy(joules=2.0 * 1.04**5).text


def test_a_large_accepted_step_is_no_creep(saved: Project) -> None:
    """Somebody accepted twice the joules, so no later run mentions it."""
    for _ in range(2):
        saved.save(joules=4.0)
    ran = saved.energy(joules=4.0)
    assert ran.verdicts == {"test_works": "passed"}
    assert "crept" not in ran.text


def test_a_step_that_nobody_accepted_is_no_creep(saved: Project) -> None:
    """The run itself used 10 % more, and nobody saved it."""
    ran = saved.energy(joules=2.2)
    assert "crept" not in ran.text
