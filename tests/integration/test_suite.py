"""What concerns a whole run: many comparisons at once, and steps that add up."""

from __future__ import annotations

import pytest

from tests.integration.projects import Project

#: Three tests, of which two use what the run says.
THREE = """
    import pytest

    @pytest.mark.parametrize("part", ["one", "two"])
    def test_grows(energy, work, part):
        energy(work)

    def test_stays(energy, spend):
        energy(spend, 2.0)
"""


def test_regressions_are_told_with_their_chance_among_many(project: Project) -> None:
    """Under the table stand probabilities, raw and adjusted for all comparisons of the run."""
    project.write("test_it.py", THREE)
    project.save()
    ran = project.energy(joules=3.0)
    assert ran.outcomes == {"failed": 2, "passed": 1}
    changes = {name: result.verdict.change for name, result in ran.results.items()}
    for change in changes.values():
        assert change
        assert change.p_value is not None
    p = {name: c.p_value for name, c in changes.items() if c}
    adjusted = {name: c.p_adjusted for name, c in changes.items() if c}
    assert adjusted["test_grows[one]"] == pytest.approx(3 * (p["test_grows[one]"] or 0), rel=1e-3)
    assert (p["test_stays"], adjusted["test_stays"]) == (0.5, 0.5)
    ran.stdout.fnmatch_lines(["2 of 2 regressed stand among 3 comparisons too (Holm, 5 %):*"])
    failure = ran.failure("test_grows[one]")
    assert "chance     p <0.0001 of so large an increase in unchanged code" in failure


def test_a_lone_comparison_is_adjusted_for_nothing(saved: Project) -> None:
    """A run of one comparison has nothing to say about many."""
    ran = saved.energy(joules=3.0)
    assert ran.outcomes == {"failed": 1}
    assert "Holm" not in ran.text


def test_ten_small_steps_are_told_as_one(saved: Project) -> None:
    """No accepted step of +2 % is a regression; together they are +22 %, and the run says so."""
    for step in range(1, 11):
        ran = saved.save(joules=2.0 * 1.02**step)
        assert ran.verdicts["test_works"] in ("passed", "inconclusive")
        assert ran.closing.endswith("1 baseline saved")
    ran = saved.energy(joules=2.0 * 1.02**10)
    assert ran.outcomes == {"passed": 1}
    change = ran.results["test_works"].verdict.change
    assert change
    assert change.since_anchor == pytest.approx(0.219, abs=1e-3)
    ran.stdout.fnmatch_lines(["Crept up since first accepted, step by step: test_works +22 %."])
