"""The examples that need no torch, and what holds for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.example_projects import EXAMPLES, commands, follow

PROJECTS = sorted(each.name for each in EXAMPLES.iterdir() if any(each.glob("test_*.py")))


@pytest.mark.real_time
def test_inference_server(tmp_path: Path) -> None:
    """The joules of the server, a child of the tests, are in the result: reloading is found."""
    follow("inference_server", tmp_path)


@pytest.mark.real_time
def test_plain_python(tmp_path: Path) -> None:
    """An edit that keeps every result and counts anew exceeds the budget."""
    follow("plain_python", tmp_path)


@pytest.mark.real_time
def test_pytest_benchmark(tmp_path: Path) -> None:
    """A suite of pytest-benchmark gets budgets by three lines of ini, and no test changes."""
    pytest.importorskip("pytest_benchmark")
    tests = (EXAMPLES / "pytest_benchmark/test_changes.py").read_text(encoding="utf-8")
    ini = (EXAMPLES / "pytest_benchmark/pytest.ini").read_text(encoding="utf-8")
    assert "greenops" not in tests
    assert sum(line.startswith("energy_") for line in ini.splitlines()) == 3
    follow("pytest_benchmark", tmp_path, "benchmark")


@pytest.mark.parametrize("name", PROJECTS)
def test_readme(name: str) -> None:
    """A README is short: plain run, baseline, comparison, an edit that is only found by energy."""
    text = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 25
    *_, edit, plain, red = listed = list(commands(name))
    assert [each.text for each in (*listed[:3], plain, red)] == [
        "pytest",
        "pytest --energy-save",
        "pytest --energy",
        "pytest",
        "pytest --energy",
    ]
    assert edit.text.startswith("sed -i ")
    assert [each.red for each in listed] == [False] * 5 + [True]
