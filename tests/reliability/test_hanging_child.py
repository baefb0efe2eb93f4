"""A child of a run that hangs: the wait ends, and so do the child and what it started.

Each end of a fresh process by itself is in `tests/unit/run/test_fresh_process.py`, one whose test
fails or dies in `tests/integration/test_sessions.py`, a side of a comparison that dies, and Ctrl-C
and SIGKILL in one, in `tests/integration/test_ab.py`.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest

from tests.integration.ab_projects import compared_project, git
from tests.integration.projects import Project

#: A child waits for a quarter of an hour, with a process of its own, unless it is ended.
HANG = """
import os, subprocess, time
from pathlib import Path

PIDS = Path(os.environ["PIDS"])

def hang():
    worker = subprocess.Popen(["sleep", "900"], preexec_fn={apart})
    with PIDS.open("a") as file:
        file.write(f"{{os.getpid()}} {{worker.pid}} ")
    time.sleep(900)
"""
FRESH = """
if not PIDS.with_suffix(".first").exists():
    PIDS.with_suffix(".first").write_text(str(os.getpid()))

def test_works(energy, work):
    def act():
        work()
        if str(os.getpid()) != PIDS.with_suffix(".first").read_text():
            hang()

    energy(act)
"""
COMPARED = """
def test_works(energy, work):
    def act():
        work()
        if "pytest-greenops-ab" in os.getcwd():
            hang()

    energy(act)
"""
IMPATIENT = """
    from pytest_greenops.hooks import fresh_parent

    fresh_parent.LIMIT_S, fresh_parent.PATIENCE = 6.0, 0.0
"""


@pytest.fixture
def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file to which children write their process ids; TMPDIR is beside it."""
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    return tmp_path / "pids"


@pytest.mark.parametrize("apart", [None, "os.setpgrp"], ids=["its group", "own group"])
def test_a_fresh_process_that_hangs_is_ended(
    saved: Project, hanging: Path, apart: str | None
) -> None:
    """The test keeps its verdict, which says that the fresh process did not end."""
    saved.sensor(more=IMPATIENT)
    saved.write("test_it.py", HANG.format(apart=apart) + FRESH)
    ran = saved.energy(joules=2.3)
    assert ran.code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    assert "it did not end within 6 s" in ran.text
    nothing_is_left(hanging)


def test_a_side_that_hangs_is_ended(project: Project, hanging: Path) -> None:
    """The test is not compared, with the reason, and the worktree goes."""
    compared_project(project, HANG.format(apart=None) + COMPARED)
    with (project.path / "conftest.py").open("a") as file:
        file.write(IMPATIENT.replace("\n    ", "\n"))
    ran = project.energy("--energy-ab=main", "tests")
    assert ran.code == pytest.ExitCode.OK
    [result] = ran.results.values()
    assert result.verdict.change is None
    assert "did not" in result.verdict.cause
    nothing_is_left(hanging)
    assert len(git(project.path, "worktree", "list").splitlines()) == 1


def nothing_is_left(pids: Path) -> None:
    """Check that no child runs, and that no folder of ours is in TMPDIR."""
    children = [int(each) for each in pids.read_text().split()]
    assert children
    end = time.monotonic() + 20
    while any(map(_lives, children)):
        assert time.monotonic() < end, [each for each in children if _lives(each)]
        time.sleep(0.02)
    assert [name for name in os.listdir(pids.with_name("tmp")) if "greenops" in name] == []


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
