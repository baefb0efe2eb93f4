"""A test passes with counting if it passes without, whatever it does to torch or its process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.counted_projects import count, works
from tests.integration.projects import Project, Ran

pytest.importorskip("torch", reason="needs torch: make test-studies")

INI = """
[pytest]
energy_sensors = estimate
energy_min_rounds = 2
energy_max_rounds = 2
energy_max_time = 50 ms
energy_fresh_process = false
"""
CONFTEST = """
import json

ENDS = {}


def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        said = str(report.longrepr) if report.outcome != "passed" else ""
        ENDS[report.nodeid.partition("::")[2]] = [report.when, report.outcome, said]


def pytest_sessionfinish():
    with open("ends.json", "w") as file:
        json.dump(ENDS, file)
"""
#: Why the work of a measurement is not counted, by the beginning of its name.
NOT_COUNTED = {
    "test_a_call_that_refuses": "a call failed while it was counted (RuntimeError: not while I",
    "test_a_value_survives": "a call failed while it was counted (ValueError)",
    "test_loop_that_is_left": "it was left before",
    "test_torch_deleted": "torch is not loaded",
}
#: Those whose calls raise what the test expects.
RAISE = ("test_a_call_that_always", "test_an_exit", "test_a_mode_that_raises")
#: FLOP of one call of the work.
FLOP = 2000
#: Those whose calls do it twice: in a window, and in a backward pass.
TWICE = {"test_two_windows/two": 2, "test_training": 2}


def ends(project: Project) -> dict[str, list[str]]:
    """Return in which phase each test ended, how, and why."""
    found: dict[str, list[str]] = json.loads((project.path / "ends.json").read_text())
    return found


def counts(ran: Ran) -> dict[str, int | str]:
    """Return the counted operations of each result, or why there are none."""
    return {
        name: result.work.totals.all_flop
        if result.work is not None and works(ran)[name] != "not counted"
        else (result.verdict.work or result.verdict).cause or ""
        for name, result in ran.results.items()
    }


def test_tests_end_as_without_counting(project: Project) -> None:
    """Each passes in every run, and its work is counted or has the expected reason."""
    project.write("conftest.py", CONFTEST)
    project.write("pytest.ini", INI)
    project.write("test_it.py", Path(__file__).with_name("hostile_to_counting.py").read_text())
    project.run("-q", "test_it.py")
    plain = ends(project)
    assert len(plain) >= 25
    assert [name for name, end in plain.items() if end[1] == "failed"] == []
    for ran in (project.energy("-q", "--energy-count=on"), count(project, "-q")):
        assert ends(project) == plain
        for name, found in counts(ran).items():
            why = next((why for start, why in NOT_COUNTED.items() if name.startswith(start)), None)
            if why is not None or name.startswith(RAISE):
                assert isinstance(found, str), name
                assert found.startswith(why or ""), name
            else:
                assert found == FLOP * TWICE.get(name, 1), name
