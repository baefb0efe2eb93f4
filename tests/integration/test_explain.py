"""`--energy-explain` without torch: the joules of named windows, and why there are no layers."""

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
ONCE = """
import pytest

RUNS = []

@pytest.mark.energy_budget(max_rounds=1)
def test_once(energy, spend):
    energy(lambda: RUNS.append(spend(1.0)))
    assert len(RUNS) == 1
"""
STUB = """
import sys
from types import SimpleNamespace

def test_stub(energy, spend, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=SimpleNamespace()))
    energy(lambda: spend(1.0))
"""
TITLE = "where the joules go: test_llm.py::test_answers"
INI = "[pytest]\nenergy_sensors = fake\nenergy_explain = true\n"


def test_named_windows_and_work_that_runs_once(project: Project) -> None:
    """Each window has its share of the loop; work that runs once is not run again.

    Nor is work that cannot be measured, since the test has put a stub in place of torch.
    """
    project.write("test_llm.py", LOOP)
    project.write("test_once.py", ONCE)
    project.write("test_stub.py", STUB)
    ran = project.energy("--energy-explain")
    start = ran.lines.index(TITLE)
    assert ran.lines[start + 1 : start + 5] == [
        "  prefill: 1.00 J per call, 25 % of its loop",
        "    no layers: no torch module is called in it",
        "  decode: 3.00 J per call, 75 % of its loop",
        "    no layers: no torch module is called in it",
    ]
    assert "    no layers: its work runs once only" in ran.lines
    assert ran.verdicts["test_stub"] == "not measured"
    assert ran.code == 0


def test_nothing_is_explained_by_default(project: Project) -> None:
    """Without the option there is no explanation."""
    project.write("test_llm.py", LOOP)
    ran = project.energy()
    assert "where the joules go" not in ran.text
    assert all(result.explained is None for result in ran.results.values())


def test_the_ini_value_explains_runs_that_measure(project: Project) -> None:
    """`energy_explain = true` explains a run with `--energy`, and does nothing without it."""
    project.write("test_llm.py", LOOP)
    project.write("pytest.ini", INI)
    assert TITLE in project.energy().lines
    ran = project.run()
    assert ran.code == 0
    assert "where the joules go" not in ran.text


def test_the_option_needs_a_measurement(project: Project) -> None:
    """The option without `--energy` is an error."""
    project.write("test_llm.py", LOOP)
    ran = project.run("--energy-explain")
    assert ran.code == 4
    assert ran.errors == [
        "ERROR: --energy-explain has no effect without --energy: pytest --energy --energy-explain"
    ]
