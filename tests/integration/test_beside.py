"""A small suite for each of other pytest plugins: the same with and without `--energy`.

Each folder in `beside/` is named like a package on PyPI, and its pytest.ini loads that plugin. A
suite is skipped where its plugin is not installed; `nox -s beside` runs each in an environment of
its own.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from html import unescape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest

from tests.integration.projects import ALONE, Project, Ran

SUITES = Path(__file__).parent / "beside"


def of_benchmark(folder: Path, ran: Ran) -> Any:
    """Return the name, group, rounds and own figures of each benchmark."""
    timed = json.loads((folder / "benchmarks.json").read_text())["benchmarks"]
    return {
        each["name"]: (each["group"], each["stats"]["rounds"] >= 3, each["extra_info"])
        for each in timed
    }


def of_codspeed(folder: Path, ran: Ran) -> Any:
    """Return the names of the benchmarks in the only file."""
    [file] = (folder / ".codspeed").glob("*.json")
    names = sorted(each["name"] for each in json.loads(file.read_text())["benchmarks"])
    file.unlink()
    return names


def of_cov(folder: Path, ran: Ran) -> Any:
    """Return the lines that ran and that did not, and the branches that were not taken."""
    files = json.loads((folder / "coverage.json").read_text())["files"]
    covered = files["words.py"]
    return [covered[of] for of in ("executed_lines", "missing_lines", "missing_branches")]


def of_html(folder: Path, ran: Ran) -> Any:
    """Return the outcome of each test on the page, and whether it has what they attached."""
    page = (folder / "report.html").read_text(encoding="utf-8")
    [data] = re.findall(r'data-jsonblob="([^"]*)"', page)
    tests = json.loads(unescape(data))["tests"]
    rows = {name: [row["result"] for row in tests[name]] for name in tests}
    [call] = tests["test_html.py::test_call"]
    return rows, [extra["name"] for extra in call["extras"]], "printed" in call["log"]


def of_json_report(folder: Path, ran: Ran) -> Any:
    """Return the outcome of each test in the file, and what it attached."""
    tests = json.loads((folder / "report.json").read_text())["tests"]
    return {each["nodeid"]: (each["outcome"], each.get("metadata")) for each in tests}


def of_memray(folder: Path, ran: Ran) -> Any:
    """Return whether each test is in the report, and the line of the limit that was exceeded."""
    tests = sorted(set(re.findall(r"Allocation results for (\S+)", ran.text)))
    return tests, re.findall(r"Test is using .* out of limit of (\S+)$", ran.text, re.MULTILINE)


def of_randomly(folder: Path, ran: Ran) -> Any:
    """Return the tests in the order in which they ran, and the number that each drew."""
    junit = ElementTree.parse(folder / "junit.xml")
    drawn = [each.get("value") for each in junit.iterfind(".//property[@name='drawn']")]
    return [case.get("name") for case in junit.iter("testcase")], drawn


def of_xdist(folder: Path, ran: Ran) -> Any:
    """Return the number of workers."""
    return re.findall(r"^(?:created: (\d)/\d workers?|(\d) workers \[)", ran.text, re.MULTILINE)


class Beside(NamedTuple):
    """What a suite measures, by test, and how to read what its plugin reports.

    failed    the tests that fail in every run, as the plugin wants it
    sensor    arguments of the sensor
    traced    whether the plugin traces the tests, so that their joules are not judged
    """

    joules: dict[str, float]
    reported: Callable[[Path, Ran], Any] = lambda folder, ran: None
    failed: tuple[str, ...] = ()
    sensor: str = ""
    traced: bool = False


CALL_AND_WHOLE = {"test_call": 2.0, "test_whole": 4.0}
BESIDE = {
    "anyio": Beside(CALL_AND_WHOLE),
    "pyfakefs": Beside(CALL_AND_WHOLE),
    "pytest-asyncio": Beside(CALL_AND_WHOLE),
    "pytest-benchmark": Beside({"test_call": 2.0, "test_pedantic": 4.0}, of_benchmark),
    "pytest-codspeed": Beside({"test_call": 2.0, "test_marked": 4.0}, of_codspeed),
    "pytest-cov": Beside({"test_call": 2.0}, of_cov, traced=True),
    "pytest-django": Beside({"test_query": 2.0, "test_page": 3.0, "test_whole": 4.0}),
    "pytest-freezer": Beside(CALL_AND_WHOLE),
    "pytest-html": Beside(CALL_AND_WHOLE, of_html),
    "pytest-json-report": Beside(CALL_AND_WHOLE, of_json_report),
    "pytest-memray": Beside(
        {**CALL_AND_WHOLE, "test_over": 1.0}, of_memray, ("test_over",), traced=True
    ),
    "pytest-mock": Beside(CALL_AND_WHOLE),
    "pytest-randomly": Beside({f"test_call[{n}]": 1.0 + n for n in range(6)}, of_randomly),
    "pytest-rerunfailures": Beside({"test_call": 2.0, "test_steady": 4.0}),
    "pytest-run-parallel": Beside(CALL_AND_WHOLE),
    "pytest-split": Beside({"test_call[1]": 1.0}),
    "pytest-subtests": Beside({"test_call[0]/part 2": 2.0, "test_call[0]/part 3": 3.0}),
    "pytest-timeout": Beside({"test_call": 2.0}),
    "pytest-xdist": Beside(
        {f"test_call[{n}]": n for n in (1, 2, 3, 4)}, of_xdist, sensor='source="estimated"'
    ),
}


def outcomes(folder: Path) -> dict[str, str]:
    """Return the outcome of each test in the JUnit XML of a run."""
    cases = ElementTree.parse(folder / "junit.xml").iter("testcase")
    kinds = ("failure", "error", "skipped")
    return {
        str(case.get("name")): next((part.tag for part in case if part.tag in kinds), "passed")
        for case in cases
    }


def installed(name: str) -> bool:
    """Return whether a plugin is installed, or part of pytest, as subtests are since pytest 9."""
    if name == "pytest-subtests" and pytest.version_tuple >= (9,):
        return True
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def test_every_suite_is_known() -> None:
    """Each folder has its expected figures."""
    assert sorted(BESIDE) == sorted(folder.name for folder in SUITES.iterdir())


@pytest.mark.parametrize("name", BESIDE)
def test_beside(name: str, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outcomes and what the other plugin reports are the same with and without `--energy`."""
    if not installed(name):
        pytest.skip(f"needs {name}")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    expected = BESIDE[name]
    shutil.copytree(SUITES / name, project.path, dirs_exist_ok=True)
    project.sensor(expected.sensor)
    given = ("-W", "error", "--junitxml=junit.xml", *ALONE)

    def seen(ran: Ran) -> Any:
        return ran.code, outcomes(project.path), expected.reported(project.path, ran)

    plain = seen(project.run(*given))
    ran = project.energy(*given)
    assert seen(ran) == plain
    code, by_test, _ = plain
    assert code == bool(expected.failed)
    failed = tuple(test for test, outcome in by_test.items() if outcome in ("failure", "error"))
    assert failed == expected.failed
    measured = {test: round(result.joules, 6) for test, result in ran.results.items()}
    assert measured == expected.joules
    traced = {result.verdict.outcome == "not comparable" for result in ran.results.values()}
    assert traced == {expected.traced}
