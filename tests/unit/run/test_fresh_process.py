"""A test in a fresh process: its answer, its failures, and how it ends."""

from __future__ import annotations

import builtins
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from pytest_greenops.model.environment import Environment
from pytest_greenops.run import process
from pytest_greenops.run.fresh_process import (
    Answer,
    FreshFailure,
    FreshTimeout,
    measure,
)
from pytest_greenops.run.process import Invocation
from pytest_greenops.system import SYSTEM
from tests.unit.builders import message_of, result

failure = partial(message_of, FreshFailure)

#: Replaces pytest: runs the file `work.py`.
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
def changed() -> dict[str, Any]:
    """Return the fields of `System` that a test replaces."""
    return {}


@pytest.fixture
def run(tmp_path: Path, changed: dict[str, Any]) -> Callable[..., Answer]:
    """Return a function that starts a fresh process, which runs this code instead of pytest."""
    (tmp_path / "pytest.py").write_text(STAND_IN)

    def run(work: str, limit_s: float = 60.0, args: Sequence[str] = ("-q",), **more: Any) -> Answer:
        (tmp_path / "work.py").write_text(work)
        invocation = Invocation([*args], str(tmp_path), [str(tmp_path), *sys.path])
        given = {"options": {}, "environ": dict(os.environ), "caches": False, **more}
        system = replace(SYSTEM, **changed)
        return measure(invocation, "test_it.py::test_it", limit_s=limit_s, system=system, **given)

    return run


def test_an_answer_comes_back_whole(run: Callable[..., Answer], tmp_path: Path) -> None:
    """NaN survives too: the joules of a test that was not measured."""
    answer = Answer(Environment({"cpu": "A"}), (result(),))
    answer.write(str(tmp_path / "prepared"))
    got = run("answer.write_bytes(Path('prepared').read_bytes())", options={"seed": 7})
    assert (got.environment, got.failure) == (answer.environment, None)
    assert got.results[0].joules != got.results[0].joules
    assert got.results[0].verdict == answer.results[0].verdict


@pytest.mark.parametrize("paths", [(), ("--", "tests")], ids=["no paths", "paths"])
def test_the_request_has_the_arguments_of_the_parent(
    run: Callable[..., Answer], tmp_path: Path, paths: tuple[str, ...]
) -> None:
    """The process gets the parent's arguments, a cache of its own, and no input."""
    given = ("-q", "-o", "cache_dir=mine")
    failure(
        lambda: run(
            "import sys; Path('seen').write_text(repr((args, request, sys.stdin.read())))",
            args=(*given, *paths),
            caches=True,
            options={"seed": 7},
        )
    )
    args, request, read = eval((tmp_path / "seen").read_text())
    assert args == [*given, "-o", f"cache_dir={request['folder']}/cache", *paths]
    assert (request["node"], request["options"]) == ("test_it.py::test_it", {"seed": 7})
    assert (request["parent_id"], read) == (os.getpid(), "")
    assert not Path(request["folder"]).exists()


def test_the_request_is_gone_once_it_is_read(run: Callable[..., Answer], tmp_path: Path) -> None:
    """Arguments, which may be secret, do not outlive a process that is killed."""
    failure(
        lambda: run(
            "from pytest_greenops.run.fresh_process import take_request\n"
            "left = [take_request().node, take_request(), os.listdir(request['folder'])]\n"
            "Path('seen').write_text(repr(left))"
        )
    )
    assert eval((tmp_path / "seen").read_text()) == ["test_it.py::test_it", None, ["output"]]


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
def test_a_process_without_an_answer(run: Callable[..., Answer], work: str, why: str) -> None:
    """The failure has the exit status and the last line printed."""
    assert failure(lambda: run(work)) == why


def test_a_failed_test_is_reported_in_its_own_words(
    run: Callable[..., Answer], tmp_path: Path
) -> None:
    """The failure in the answer takes precedence over the exit status."""
    Answer(Environment({}), (), "the test failed there: gas").write(str(tmp_path / "prepared"))
    work = "answer.write_bytes(Path('prepared').read_bytes()); code = 1"
    assert failure(lambda: run(work)) == "the test failed there: gas"


@pytest.mark.parametrize(
    ("executable", "why"),
    [
        ("/nowhere/python", "No such file or directory"),
        (None, "sys.executable is not known"),
        ("", "sys.executable is not known"),
    ],
)
def test_an_interpreter_that_cannot_be_started(
    run: Callable[..., Answer], changed: dict[str, Any], executable: str | None, why: str
) -> None:
    """The failure says why the interpreter did not start."""
    changed["executable"] = executable
    assert failure(lambda: run("")) == f"its process could not be started ({why})"


def test_a_folder_that_cannot_be_made(run: Callable[..., Answer], changed: dict[str, Any]) -> None:
    """A full disk, or a missing TMPDIR, fails the session and not the test."""
    changed["temporary_folder"] = "/nowhere"
    assert failure(lambda: run("")) == "its folder could not be made (No such file or directory)"


def test_an_argument_that_cannot_be_written(run: Callable[..., Answer]) -> None:
    """An argument that cannot be encoded, such as a file name, fails the session."""
    why = failure(lambda: run("", args=("caf\udce9",)))
    assert why.startswith("its request could not be written (")
    assert "surrogates not allowed" in why


def test_what_fixtures_replaced_is_not_used(
    run: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Active fixtures that forbid processes, files, clocks and sleep do not matter."""

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("forbidden here")

    Answer(Environment({}), (result(),)).write(str(tmp_path / "prepared"))
    replaced = (
        (subprocess, ("Popen", "run", "_args_from_interpreter_flags")),
        (tempfile, ("mkdtemp", "TemporaryDirectory", "gettempdir")),
        (time, ("sleep", "monotonic", "monotonic_ns")),
        (os, ("pidfd_open", "killpg", "open", "mkdir", "listdir", "posix_spawn", "fork")),
        (select, ("poll",)),
        (builtins, ("open",)),
    )
    with monkeypatch.context() as patched:
        for module, names in replaced:
            for name in names:
                patched.setattr(module, name, forbidden, raising=False)
        patched.setattr(sys, "executable", None)
        patched.setattr(os, "getpid", lambda: 1)
        got = run(
            "answer.write_bytes(Path('prepared').read_bytes())\n"
            "Path('parent_id').write_text(str(request['parent_id']))"
        )
    assert len(got.results) == 1
    assert (tmp_path / "parent_id").read_text() == str(os.getpid())


def test_a_fake_file_system_is_not_used(run: Callable[..., Answer], tmp_path: Path) -> None:
    """Request and answer go through real files while pyfakefs replaces all others."""
    from pyfakefs import fake_filesystem_unittest as fake

    Answer(Environment({}), (result(),)).write(str(tmp_path / "prepared"))
    (tmp_path / "work.py").write_text("answer.write_bytes(Path('prepared').read_bytes())")
    invocation = Invocation(["-q"], str(tmp_path), [str(tmp_path), *sys.path])
    given: Any = {"options": {}, "environ": dict(os.environ), "caches": False, "limit_s": 60.0}
    (tmp_path / "pytest.py").write_text(STAND_IN)
    with fake.Patcher():
        assert not os.path.exists(tmp_path)
        got = measure(invocation, "test_it.py::test_it", **given)
    assert len(got.results) == 1


#: Runs for a long time, and starts another process that does.
SLEEPS = """
import subprocess, sys, time
other = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
Path("begins").write_text(f"{os.getpid()} {other.pid}")
os.rename("begins", "began")
time.sleep(60)
"""


@pytest.fixture
def begun(tmp_path: Path, changed: dict[str, Any]) -> list[Callable[[], object]]:
    """Return functions to call once a process has started, which writes `began`."""
    then: list[Callable[[], object]] = []

    def started(*args: Any, **more: Any) -> int:
        process = os.posix_spawn(*args, **more)
        deadline = time.monotonic() + 60
        while not (tmp_path / "began").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        for act in then:
            act()
        return process

    changed["posix_spawn"] = started
    return then


def left(folder: Path) -> list[int]:
    """Return the ids of the started processes that still run after a while."""
    began = [int(process) for process in (folder / "began").read_text().split()]
    deadline = time.monotonic() + 20
    while (running := [each for each in began if _runs(each)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return running


def _runs(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("pidfd", [True, False], ids=["pidfd", "polling"])
@pytest.mark.usefixtures("begun")
def test_a_process_that_takes_too_long_is_ended(
    run: Callable[..., Answer], tmp_path: Path, pidfd: bool, changed: dict[str, Any]
) -> None:
    """It and what it started end, also if the system has no pidfd."""
    if not pidfd:
        changed["pidfd_open"] = None
    with pytest.raises(FreshTimeout, match=r"\Ait did not end within 0 s\Z"):
        run(SLEEPS, limit_s=0.1)
    assert left(tmp_path) == []


@pytest.mark.usefixtures("begun")
def test_a_process_that_ignores_the_interrupt_is_killed(
    run: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted process has limited time to tear its fixtures down."""
    monkeypatch.setattr(process, "GRACE_S", 0.2)
    stubborn = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {SLEEPS}"
    failure(lambda: run(stubborn, limit_s=0.1))
    assert left(tmp_path) == []


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no timers")
def test_an_interrupted_parent_ends_the_process(
    run: Callable[..., Answer], tmp_path: Path, begun: list[Callable[[], object]]
) -> None:
    """A signal of pytest-timeout, or Ctrl-C, raises out of the wait."""

    def raises(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, raises)
    begun.append(lambda: signal.setitimer(signal.ITIMER_REAL, 0.2))
    try:
        with pytest.raises(KeyboardInterrupt):
            run(SLEEPS)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert left(tmp_path) == []


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="needs the parent-death signal of Linux"
)
def test_a_wrapper_between_parent_and_process(
    run: Callable[..., Answer], tmp_path: Path, changed: dict[str, Any]
) -> None:
    """An interpreter started by a wrapper would not notice that its parent ended."""
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n')
    wrapper.chmod(0o755)
    changed["executable"] = str(wrapper)
    work = (
        "import sys; del sys.modules['pytest'], sys.path[0]  # the stand-in\n"
        "from pytest_greenops.hooks.fresh_child import end_with_parent\n"
        "end_with_parent(request['parent_id'])"
    )
    assert failure(lambda: run(work)) == (
        "its process ended with exit code 1: sys.executable starts Python as a process of its own; "
        "let that wrapper exec Python"
    )


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="needs the parent-death signal of Linux"
)
def test_a_process_does_not_outlive_its_parent(tmp_path: Path) -> None:
    """If the parent is killed, such as by pytest-timeout, the fresh process ends."""
    child = (
        "import os, sys, time; from pytest_greenops.hooks.fresh_child import end_with_parent; "
        "end_with_parent(os.getppid()); print(os.getpid(), flush=True); time.sleep(60)"
    )
    parent = (
        "import os, subprocess, sys; "
        f"p = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE); "
        "print(p.stdout.readline().decode(), flush=True); os._exit(1)"
    )
    ran = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, timeout=60)
    process = int(ran.stdout)
    deadline = time.monotonic() + 20
    while psutil.pid_exists(process) and time.monotonic() < deadline:
        if psutil.Process(process).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    assert not psutil.pid_exists(process)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs pidfd_open of Linux")
def test_a_killed_parent_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    """What the fresh process started ends with it, and its folder goes."""
    folder = tmp_path / "fresh"
    folder.mkdir()
    child = (
        "import os, subprocess, sys, time; from pytest_greenops.hooks import fresh_child as f; "
        f"f.end_with_parent(os.getppid(), {str(folder)!r}); "
        f"f.clean_up_afterwards(os.getppid(), {str(folder)!r}); "
        "worker = subprocess.Popen(['sleep', '60'], process_group=0) if sys.version_info >= (3, 11)"
        " else subprocess.Popen(['sleep', '60']); "
        "print(worker.pid, flush=True); time.sleep(60)"
    )
    parent = (
        "import os, signal, subprocess, sys; "
        f"p = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE, "
        "start_new_session=True); "
        "print(p.stdout.readline().decode(), flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ran = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, timeout=60)
    deadline = time.monotonic() + 20
    while (_runs(int(ran.stdout)) or folder.exists()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(int(ran.stdout))
    assert not folder.exists()


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="needs the parent-death signal of Linux"
)
def test_a_process_whose_parent_is_gone_removes_its_folder(tmp_path: Path) -> None:
    """The parent may be killed while the fresh process starts."""
    folder = tmp_path / "fresh"
    folder.mkdir()
    gone = subprocess.Popen(["true"])
    gone.wait()
    code = (
        "from pytest_greenops.hooks.fresh_child import end_with_parent; "
        f"end_with_parent({gone.pid}, {str(folder)!r})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert ran.returncode == 1
    assert not folder.exists()
