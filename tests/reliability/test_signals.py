"""A signal in the middle of a test, of a fresh process, or of a save.

Ctrl-C and SIGKILL in a comparison with a git ref are in `tests/integration/test_ab.py`, those in a
bisect in `tests/integration/test_cli_bisect.py`; signals at each call of a save in
`test_killed.py`.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.integration.projects import Project
from tests.reliability.writers import everything

SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"]
#: The call of the work that gets it: the first one, in the warm-up, in the rounds.
AT = [1, 2, 4, 9]
HIT = """
    import os, signal

    CALLS = []

    def test_it(energy, work):
        def act():
            work()
            CALLS.append(1)
            if len(CALLS) == int(os.environ["AT"]):
                os.kill(os.getpid(), getattr(signal, os.environ["HOW"]))

        energy(act)

    def test_works(energy, work):
        energy(work)
"""
#: The first process writes its own number; the fresh one sends that a signal, and stays.
HIT_BY_CHILD = """
    import os, signal, time
    from pathlib import Path

    if not Path("first.txt").exists():
        Path("first.txt").write_text(str(os.getpid()))
    FIRST = int(Path("first.txt").read_text())

    def test_works(energy, work):
        def act():
            work()
            if os.getpid() != FIRST:
                Path("child.txt").write_text(str(os.getpid()))
                os.kill(FIRST, getattr(signal, os.environ["HOW"]))
                time.sleep(60)

        energy(act)
"""


@pytest.mark.parametrize("at", AT)
@pytest.mark.parametrize("how", SIGNALS)
def test_a_measured_test_ends_as_an_unmeasured_one(
    saved: Project, tmp_path: Path, how: str, at: int
) -> None:
    """The exit status is that without `--energy`, and no baseline or temporary file differs."""
    saved.monkeypatch.setenv("HOW", how)
    saved.monkeypatch.setenv("TMPDIR", str(tmp_path))
    saved.write("test_it.py", HIT)
    saved.monkeypatch.setenv("AT", "1")
    plain = saved.run().code
    before, places = saved.files(), everything(saved.path / "baselines")
    saved.monkeypatch.setenv("AT", str(at))
    ran = saved.save()
    assert ran.code == plain
    assert ran.code in (pytest.ExitCode.INTERRUPTED, -getattr(signal, how))
    assert "Traceback" not in ran.text + "\n".join(ran.errors)
    assert saved.files() == before
    assert set(everything(saved.path / "baselines")) <= {*places, ".saving", ".saving/.gitignore"}
    assert list(tmp_path.glob("*greenops*")) == []


@pytest.mark.parametrize("how", SIGNALS)
def test_a_fresh_process_ends_with_its_parent(saved: Project, tmp_path: Path, how: str) -> None:
    """The parent ends by the signal, the process that it waits for ends, and its folder goes."""
    saved.monkeypatch.setenv("HOW", how)
    saved.monkeypatch.setenv("TMPDIR", str(tmp_path))
    saved.write("test_it.py", HIT_BY_CHILD)
    before = saved.files()
    ran = saved.save(joules=4.0)
    child = int((saved.path / "child.txt").read_text())
    assert ran.code in (pytest.ExitCode.INTERRUPTED, -getattr(signal, how))
    assert (ran.code == pytest.ExitCode.INTERRUPTED) == (how == "SIGINT")
    end = time.monotonic() + 30
    while _lives(child) or list(tmp_path.glob("pytest-greenops-*")):
        assert time.monotonic() < end, os.listdir(tmp_path)
        time.sleep(0.02)
    assert saved.files() == before


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
