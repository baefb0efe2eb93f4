"""pytest-cov, and any tracer: instrumented work is reported, and neither saved nor judged."""

from __future__ import annotations

from tests.integration.projects import Project

BUDGETED = """
    import pytest

    @pytest.mark.energy_budget("1 J", max_increase="5%")
    def test_works(energy, work):
        energy(work)
"""


def test_coverage(saved: Project) -> None:
    """Under coverage nothing is judged, saved or failed, whatever the energy."""
    saved.write("test_it.py", BUDGETED)
    before = saved.files()
    for option in ("--energy", "--energy-save"):
        ran = saved.energy(option, "-p", "pytest_cov", "--cov=.", joules=9.0)
        assert ran.outcomes == {"passed": 1}
        result = ran.results["test_works"]
        assert result.joules == 9.0
        assert result.verdict.outcome == "not comparable"
        assert (result.verdict.cause or "").startswith("instrumented: coverage")
        assert saved.files() == before
    [line] = [line for line in ran.energy_lines if line.startswith("not saved: ")]
    assert line.startswith("not saved: test_it.py::test_works: instrumented (coverage")


def test_coverage_gates_nothing(grown: Project) -> None:
    """Under coverage no fresh process starts, and `--energy-strict` fails."""
    ran = grown.energy("-p", "pytest_cov", "--cov=.", "--energy-sessions=2", joules=9.0)
    assert ran.results["test_works"].fresh == ()
    ran = grown.energy("-p", "pytest_cov", "--cov=.", "--energy-strict", joules=9.0)
    assert ran.outcomes == {"failed": 1}
    assert "EnergyUnproven: call could not be judged, and --energy-strict is on" in ran.text


def test_a_fresh_process_leaves_coverage_alone(project: Project) -> None:
    """A fresh process records no coverage, and leaves the data of its parent unchanged."""
    project.write("test_it.py", "def test_works(energy, work):\n    energy(work)\n")
    ran = project.save("-p", "pytest_cov", "--cov=.", "--no-cov", "--energy-sessions=2")
    assert len(ran.results["test_works"].fresh) == 1
    assert ran.results["test_works"].checks == ()
    assert not list(project.path.glob(".coverage*"))


def test_tracer_of_the_test(saved: Project) -> None:
    """A profile function that the test itself sets is named too."""
    saved.write(
        "test_it.py",
        """
        import sys

        import pytest

        @pytest.fixture
        def traced():
            sys.setprofile(lambda *event: None)
            yield
            sys.setprofile(None)

        def test_works(energy, work, traced):
            energy(work)
        """,
    )
    verdict = saved.energy(joules=9.0).results["test_works"].verdict
    assert verdict.outcome == "not comparable"
    assert "sys.setprofile" in (verdict.cause or "")
