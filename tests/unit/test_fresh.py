"""A test in a process of its own: what comes back, what is said if nothing does, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from pytest_greenops import fresh
from pytest_greenops.fresh import Answer, FreshFailure, Start, measure
from pytest_greenops.model.environment import Environment
from tests.unit.builders import result

#: Stands for pytest: does what the file `work.py` says.
STAND_IN = """
import json, os
from pathlib import Path

def main(args):
    request = json.load(open(os.environ["PYTEST_GREENOPS_FRESH"]))
    answer = Path(request["folder"], "answer")
    work = {"args": args, "request": request, "answer": answer, "os": os, "Path": Path}
    exec(Path("work.py").read_text(), work)
    return work.get("code", 0)
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Answer]:
    """Runs a fresh process that does what it is told instead of running pytest."""
    (tmp_path / "pytest.py").write_text(STAND_IN)

    def run(work: str, limit_s: float = 60.0, **more: Any) -> Answer:
        (tmp_path / "work.py").write_text(work)
        start = Start(["-q"], str(tmp_path), [str(tmp_path), *sys.path])
        given = {"options": {}, "environ": dict(os.environ), "caches": False, **more}
        return measure(start, "test_it.py::test_it", limit_s=limit_s, **given)

    return run


def failure(act: Callable[[], object]) -> str:
    """Why a fresh session cannot be used."""
    with pytest.raises(FreshFailure) as raised:
        act()
    return str(raised.value)


def test_an_answer_comes_back_whole(run: Callable[..., Answer], tmp_path: Path) -> None:
    """With figures that are no number too: joules of what was not measured."""
    answer = Answer(Environment({"cpu": "A"}), (result(),))
    answer.write(tmp_path / "prepared")
    got = run("answer.write_bytes(Path('prepared').read_bytes())", options={"seed": 7})
    assert (got.environment, got.failure) == (answer.environment, None)
    assert got.results[0].joules != got.results[0].joules
    assert got.results[0].verdict == answer.results[0].verdict


def test_the_request_says_what_to_do(run: Callable[..., Answer], tmp_path: Path) -> None:
    """The arguments of the asking run, a cache apart, its module path, and no input."""
    failure(
        lambda: run(
            "import sys; Path('seen').write_text(repr((args, request, sys.stdin.read())))",
            caches=True,
            options={"seed": 7},
        )
    )
    args, request, read = eval((tmp_path / "seen").read_text())
    assert args == ["-o", f"cache_dir={request['folder']}/cache", "-q"]
    assert (request["node"], request["options"]) == ("test_it.py::test_it", {"seed": 7})
    assert (request["asker"], read) == (os.getpid(), "")
    assert not Path(request["folder"]).exists()


@pytest.mark.parametrize(
    ("work", "why"),
    [
        ("print('the reason'); code = 4", "its process ended with exit code 4: the reason"),
        ("code = 0", "its process ended with exit code 0"),
        ("answer.write_bytes(b'no answer')", "its process ended with exit code 0"),
        ("os.kill(os.getpid(), 9)", "its process was ended by SIGKILL"),
        ("raise ValueError('bad')", "its process ended with exit code 1: ValueError: bad"),
    ],
)
def test_no_answer(run: Callable[..., Answer], work: str, why: str) -> None:
    """The exit status is told, and the last line that was printed."""
    assert failure(lambda: run(work)) == why


def test_a_failed_test_is_told_in_its_own_words(run: Callable[..., Answer], tmp_path: Path) -> None:
    """What the answer says goes before the exit status."""
    Answer(Environment({}), (), "the test failed there: gas").write(tmp_path / "prepared")
    work = "answer.write_bytes(Path('prepared').read_bytes()); code = 1"
    assert failure(lambda: run(work)) == "the test failed there: gas"


def test_no_process(run: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that cannot be started is told."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert failure(lambda: run("")) == (
        "its process could not be started (No such file or directory)"
    )


SLEEPS = "import time; Path('began').write_text(str(os.getpid())); time.sleep(60)"


@pytest.mark.parametrize("told", [True, False], ids=["told of its end", "asked for it"])
def test_a_process_that_takes_too_long_is_ended(
    run: Callable[..., Answer], tmp_path: Path, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It and what it started are gone; where the system cannot tell of its end too."""
    if not told:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    began = time.monotonic()
    assert failure(lambda: run(SLEEPS, limit_s=1.0)) == "it was not done after 1 s"
    assert time.monotonic() - began < 30
    assert not psutil.pid_exists(int((tmp_path / "began").read_text()))


def test_a_process_that_will_not_end_is_killed(
    run: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may put its fixtures away when it is interrupted, but not for ever."""
    monkeypatch.setattr(fresh, "GRACE_S", 0.2)
    stubborn = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {SLEEPS}"
    failure(lambda: run(stubborn, limit_s=1.0))
    assert not psutil.pid_exists(int((tmp_path / "began").read_text()))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no timers")
def test_what_interrupts_the_asking_test_ends_the_process(
    run: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal of pytest-timeout, or of the keyboard, raises through the wait."""

    def raises(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, raises)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(SLEEPS)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert not psutil.pid_exists(int((tmp_path / "began").read_text()))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux tells of a parent's end")
def test_a_process_does_not_outlive_the_one_that_asked(tmp_path: Path) -> None:
    """Where that is killed, by pytest-timeout's thread for instance, no test goes on measuring."""
    child = (
        "import os, sys, time; from pytest_greenops.answering import end_with; "
        "end_with(os.getppid()); print(os.getpid(), flush=True); time.sleep(60)"
    )
    parent = (
        "import os, subprocess, sys; "
        f"p = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE); "
        "print(p.stdout.readline().decode(), flush=True); os._exit(1)"
    )
    told = subprocess.run(
        [sys.executable, "-c", parent], capture_output=True, text=True, timeout=60
    )
    process = int(told.stdout)
    deadline = time.monotonic() + 20
    while psutil.pid_exists(process) and time.monotonic() < deadline:
        if psutil.Process(process).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    assert not psutil.pid_exists(process)
