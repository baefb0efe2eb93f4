"""`--energy-explain`, without torch: named windows, and why there are no layers."""

from __future__ import annotations

from tests.integration.projects import Project

LOOP = """
def test_answers(energy, spend):
    for _ in energy.rounds():
        with energy.measure("prefill"):
            spend(1.0)
        with energy.measure("decode"):
            spend(3.0)
"""


def test_windows_share_the_joules(project: Project) -> None:
    """Each named window of a loop is told with its share."""
    project.write("test_llm.py", LOOP)
    ran = project.energy("--energy-explain")
    start = ran.lines.index("where the joules go: test_llm.py::test_answers")
    assert ran.lines[start + 1 : start + 5] == [
        "  prefill: 1.00 J a call, 25 % of its loop",
        "    not by layer: no torch module is called in it",
        "  decode: 3.00 J a call, 75 % of its loop",
        "    not by layer: no torch module is called in it",
    ]
    assert ran.code == 0


def test_nothing_is_explained_unasked(project: Project) -> None:
    """Without the option nothing is run once more, nor told."""
    project.write("test_llm.py", LOOP)
    ran = project.energy()
    assert "where the joules go" not in ran.text
    assert all(result.explained is None for result in ran.results.values())


def test_the_ini_twin_explains(project: Project) -> None:
    """`energy_explain = true` does the same."""
    project.write("pytest.ini", "[pytest]\nenergy_sensors = fake\nenergy_explain = true\n")
    project.write("test_llm.py", LOOP)
    assert "where the joules go: test_llm.py::test_answers" in project.energy().lines


def test_work_that_runs_once_is_not_run_again(project: Project) -> None:
    """Such a test says why it has no layers, and its work ran once."""
    project.write(
        "test_once.py",
        """
        import pytest

        RUNS = []

        @pytest.mark.energy_budget(max_rounds=1)
        def test_once(energy, spend):
            energy(lambda: RUNS.append(spend(1.0)))
            assert len(RUNS) == 1
        """,
    )
    ran = project.energy("--energy-explain")
    assert ran.code == 0
    assert "    not by layer: its work runs once only" in ran.lines


def test_it_needs_a_measurement(project: Project) -> None:
    """Given without `--energy` it is refused; the ini twin waits for a run that measures."""
    project.write("test_llm.py", LOOP)
    ran = project.run("--energy-explain")
    assert ran.code == 4
    assert "ERROR: --energy-explain explains what is measured; add --energy" in ran.errors
    project.write("pytest.ini", "[pytest]\nenergy_sensors = fake\nenergy_explain = true\n")
    ran = project.run()
    assert ran.code == 0
    assert "where the joules go" not in ran.text
