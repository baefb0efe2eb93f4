"""A test passes with `--energy` if it passes without, whatever it replaces, forbids or exhausts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration import hostile, hostile_processes
from tests.integration.projects import Project, Ran

INI = """
[pytest]
energy_min_rounds = 2
energy_max_rounds = 2
"""
CONFTEST = """
import json
import os
import subprocess

import pytest

from tests.integration.simulated_work import SpentSensor

pytest_plugins = ["pytester"]
ENDS, ENDS_FILE = {}, os.path.abspath("ends.json")


def pytest_energy_sensors(config):
    return [SpentSensor()]


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
    with open(ENDS_FILE, "w") as file:
        json.dump(ENDS, file)
"""
#: Why the function of a test is not measured, by the beginning of the test's name: it does not
#: return, or what it used cannot be read.
RAISES = "it was left before its rounds were done"
NOT_MEASURED = {
    "test_alarm": RAISES,
    "test_audit_hook": "a sensor failed (RuntimeError: ",
    "test_endless_recursion": RAISES,
    "test_generator": RAISES,
    "test_no_descriptor_left_for_a_child": "CPU time cannot be read (Too many open files)",
    "test_raises": RAISES,
    "test_timer_ends_the_function": RAISES,
}
#: The joules of one call on the simulated sensor; of any other test 2.
JOULES = {"test_case": 4.0, "TestCase.test_case": 4.0}
#: The last test of `hostile.py` leaves the plugin out of `sys.modules`.
FILES = {"test_processes.py": hostile_processes, "test_others.py": hostile}


def ends(project: Project) -> dict[str, list[str]]:
    """Return in which phase each test ended, how, and why."""
    found: dict[str, list[str]] = json.loads((project.path / "ends.json").read_text())
    return found


def test_hostile_tests_end_as_without_energy(project: Project) -> None:
    """Each passes, without, with an estimate, and with a sensor whose true joules are known."""
    project.monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    project.write("conftest.py", CONFTEST)
    project.write("pytest.ini", INI)
    for name, module in FILES.items():
        project.write(name, Path(module.__file__).read_text())
    project.run("-q", *FILES)
    plain = ends(project)
    assert len(plain) >= 80
    assert [name for name, end in plain.items() if end[1] == "failed"] == []
    for sensor in ("estimate", "spent"):
        ran = project.save("-q", f"--energy-sensors={sensor}", *FILES)
        assert ends(project) == plain
        check(ran, sensor)


def check(ran: Ran, sensor: str) -> None:
    """Check that each test has the true joules of the sensor, or the expected reason."""
    for name, result in ran.results.items():
        cause = result.verdict.cause
        expected = NOT_MEASURED.get(name.partition("[")[0])
        if sensor == "spent" and expected != RAISES:
            expected = None  # the simulated sensor opens nothing
        measured = result.verdict.outcome.value != "not measured"
        assert measured == (expected is None), f"{name}: {cause}"
        if expected is not None:
            assert expected in (cause or ""), name
        elif sensor == "spent":
            assert result.joules == pytest.approx(JOULES.get(name, 2.0), rel=1e-6), name
