"""A test passes with `--energy` if it passes without, whatever it replaces, forbids or exhausts."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration import hostile
from tests.integration.projects import Project

INI = """
[pytest]
energy_sensors = estimate
energy_min_rounds = 2
energy_max_rounds = 2
"""
CONFTEST = """
import json
import subprocess

import pytest

pytest_plugins = ["pytester"]
ENDS = {}


@pytest.fixture(scope="session", autouse=True)
def no_processes():
    def forbidden(*_, **__):
        raise AssertionError("forbidden here")

    with pytest.MonkeyPatch.context() as session:
        session.setattr(subprocess, "run", forbidden)
        yield


def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        said = str(report.longrepr) if report.outcome != "passed" else ""
        ENDS[report.nodeid.partition("::")[2]] = [report.when, report.outcome, said]


def pytest_sessionfinish():
    with open("ends.json", "w") as file:
        json.dump(ENDS, file)
"""
#: Why the function of a test is not measured, by the beginning of the test's name: it does not
#: return, or what it used cannot be read.
RAISES = "it was left before its rounds were done"
NOT_MEASURED = {
    "test_alarm": RAISES,
    "test_endless_recursion": RAISES,
    "test_generator": RAISES,
    "test_no_descriptor_left_for_a_child": "CPU time cannot be read (Too many open files)",
    "test_raises": RAISES,
}


def ends(project: Project) -> dict[str, list[str]]:
    """Return in which phase each test ended, how, and why."""
    found: dict[str, list[str]] = json.loads((project.path / "ends.json").read_text())
    return found


def test_hostile_tests_end_as_without_energy(project: Project) -> None:
    """Each passes in both runs, and is measured or has the expected reason."""
    project.write("conftest.py", CONFTEST)
    project.write("pytest.ini", INI)
    project.write("test_it.py", Path(hostile.__file__).read_text())
    project.run("-q", "test_it.py")
    plain = ends(project)
    ran = project.save("-q", "test_it.py")
    assert len(plain) >= 40
    assert [name for name, end in plain.items() if end[1] == "failed"] == []
    assert ends(project) == plain
    for name, result in ran.results.items():
        cause = result.verdict.cause
        expected = NOT_MEASURED.get(name.partition("[")[0])
        measured = result.verdict.outcome.value != "not measured"
        assert measured == (expected is None), f"{name}: {cause}"
        if expected is not None:
            assert expected in (cause or ""), name
