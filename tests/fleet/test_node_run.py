"""What a node reports of a run of pytest, without Ray."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from pytest_greenops.fleet.node_events import Collected, Ended, Event, Finished, from_line
from pytest_greenops.fleet.node_run import NodeRun
from pytest_greenops.model.result import Origin
from tests.integration.commands import ROOT

BUSY = """

from pytest_greenops.model.measurement import LoadShare


class Busy(NoLoad):
    def stop(self):
        return LoadShare(0.9, 0.9)


machine.LoadProbe = Busy
"""


@pytest.fixture(autouse=True)
def at_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray starts a process of a node in the shipped project."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def reported(*args: str, collect: bool = False) -> tuple[list[Event], int, str]:
    """Return what a run reports, its exit status, and the end of what it printed."""
    run, lines, code, printed = NodeRun(), [], None, ""
    origin = msgspec.json.encode(Origin("1", "project"))
    run.start(["--energy", "-p", "no:randomly", *args], [], origin, "project", collect)
    for _ in range(60):
        more, code, printed = run.poll(len(lines), 1.0)
        lines += more
        if code is not None:
            return [from_line(line) for line in lines], code, printed
    raise AssertionError(printed)


def test_reports_each_test_between_its_machine_and_its_end() -> None:
    """A run with nothing to remark says nothing beside its results."""
    events, code, _ = reported()
    assert [type(event) for event in events] == [Collected, Ended, Ended, Finished]
    end = events[-1]
    assert isinstance(end, Finished)
    assert (code, end.status, end.lines, end.why_failed) == (0, 0, (), "")


def test_what_was_not_saved_is_reported_with_its_reason(project: Path) -> None:
    """The summary of pytest on the node is nobody's to read, so its lines come with the end."""
    conftest = project / "conftest.py"
    conftest.write_text(conftest.read_text() + BUSY)
    events, code, _ = reported("--energy-save")
    end = events[-1]
    assert isinstance(end, Finished)
    assert code == 0
    assert end.lines[0].startswith("not saved: test_it.py::test_first: contention (other processes")
    assert end.lines[-1].startswith("nothing was saved: the lines above say why")


def test_a_strict_run_that_compares_nothing_says_why_it_fails(project: Path) -> None:
    """No test has failed, so only this explains the exit status."""
    (project / "test_it.py").write_text("def test_plain(): pass\n")
    events, code, _ = reported("--energy-strict")
    end = events[-1]
    assert isinstance(end, Finished)
    assert (code, end.status, end.why_failed) == (1, 1, "nothing was compared")


def test_an_error_of_collection_ends_with_its_own_status(project: Path) -> None:
    """The tests that were found are reported nevertheless: the status says that none would run."""
    (project / "test_broken.py").write_text("import nothing_there\n")
    events, code, printed = reported(collect=True)
    assert isinstance(events[0], Collected)
    assert code == 2
    assert re.search("^ERROR test_broken.py", printed, re.MULTILINE)
