"""The lock of a folder of baselines: between processes, and what it leaves in the folder."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import pytest

from pytest_greenops.baselines import folder_lock
from pytest_greenops.baselines.folder_lock import LockHeld, locked
from pytest_greenops.baselines.store import Store, survey
from pytest_greenops.model.baseline import Baseline
from pytest_greenops.model.errors import BaselineError
from tests.unit.builders import FakeClock, baseline, key, message_of, series, session

FORK = multiprocessing.get_context("fork")


def save(folder: Path, name: str, turns: Iterable[int], temporary: Path | None = None) -> None:
    """Add a measurement for each turn to the same baseline, in a process."""
    tempfile.tempdir = str(temporary or folder)
    store = Store(folder, "epyc-1a2b3c4d")
    for turn in turns:

        def add(known: Baseline | None, name: str = f"{name}.{turn}") -> Baseline:
            last = list(known.measurements.items())[-40:] if known else ()
            return baseline(key(), **{**dict(last), name: series(session())})

        store.update(key(), add)


def start(*args: Any) -> ForkProcess:
    """Start a process that saves."""
    process = FORK.Process(target=save, args=args)
    process.start()
    return process


@contextmanager
def holder(folder: Path, text: str = "pid 7 on host") -> Iterator[None]:
    """Hold the lock as another process would, until the end of the block."""
    with locked(folder):
        pass
    path = folder / folder_lock.NAME / "lock"
    path.write_text(text)
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_processes_with_other_temporary_folders_keep_all_that_each_saved(tmp_path: Path) -> None:
    """The lock lies where the files lie, so that they wait for each other."""
    folder, turns = tmp_path / "baselines", range(12)
    running = [start(folder, name, turns, tmp_path / name) for name in "abc"]
    for process in running:
        process.join(60)
        assert process.exitcode == 0
    [found] = survey(folder).baselines.values()
    assert sorted(found.measurements) == sorted(f"{n}.{t}" for n in "abc" for t in turns)


def test_killed_processes_leave_whole_files_and_nothing_else(tmp_path: Path) -> None:
    """Whatever they were doing: the next save removes what they left, and Git sees none of it."""
    git = ("git", "-C", str(tmp_path))
    subprocess.run([*git, "init", "--quiet"], check=True)
    folder, chance = tmp_path / "baselines", random.Random(1)
    Store(folder, "epyc-1a2b3c4d").update(key(), lambda known: baseline())
    for _ in range(8):
        running = [start(folder, name, count()) for name in "ab"]
        time.sleep(chance.uniform(0.0, 0.1))
        for process in running:
            process.kill()
            process.join()
    (folder / folder_lock.NAME / "123-left").write_text("{")
    listed = subprocess.run([*git, "status", "--short", "-uall"], capture_output=True, text=True)
    [line] = listed.stdout.splitlines()
    assert line == "?? baselines/epyc-1a2b3c4d/tests/test_x.py/test_parse.json"
    assert survey(folder).damaged == ()
    Store(folder, "epyc-1a2b3c4d").update(key(), lambda known: known or baseline())
    assert sorted(os.listdir(folder / folder_lock.NAME)) == [".gitignore", "lock"]


def test_a_waiting_process_says_for_whom_and_gives_up(tmp_path: Path) -> None:
    """It waits for a minute, and speaks once."""
    clock, said = FakeClock(), list[str]()
    begun_ns = clock.now_ns()
    with (
        holder(tmp_path),
        pytest.raises(LockHeld) as raised,
        locked(tmp_path, said.append, lambda: clock.time_ns / 1e9, clock.sleep),
    ):
        pass
    assert said == [f"waiting to save in {tmp_path}: pid 7 on host is saving there"]
    assert str(raised.value) == "pid 7 on host has been saving there for 60 s"
    assert clock.now_ns() - begun_ns == 60 * 10**9


def test_a_lock_that_is_never_released_is_an_error_of_the_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message is one line, with what to do."""
    monkeypatch.setattr(folder_lock, "GIVE_UP_S", 0.0)
    store = Store(tmp_path, "epyc-1a2b3c4d")
    with holder(tmp_path, ""):
        said = message_of(BaselineError, lambda: store.update(key(), lambda known: baseline()))
    assert said == (
        f"{tmp_path}: another process has been saving there for 0 s: wait until it ends, or end "
        "it, and save again"
    )
    assert not store.path(key()).exists()


def test_a_holder_names_itself_and_leaves_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No name of a host stays in the folder, and no argument, maybe a secret, is ever there."""
    monkeypatch.setattr(sys, "argv", ["pytest", "--energy-history=postgresql://me:secret@db/runs"])
    path = tmp_path / folder_lock.NAME / "lock"
    with locked(tmp_path):
        assert path.read_text() == f"pid {os.getpid()} on {socket.gethostname()}"
    assert path.read_text() == ""


def test_a_lock_file_that_is_removed_is_made_again(tmp_path: Path) -> None:
    """`git clean` may remove it while a process waits: both then lock the new one."""
    path, looks = tmp_path / folder_lock.NAME / "lock", []

    def clean(seconds: float) -> None:
        looks.append(seconds)
        path.unlink()

    with (
        holder(tmp_path),
        locked(tmp_path, sleep=clean),
        path.open() as file,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert len(looks) == 1


def test_a_file_system_without_locks_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saving goes on; temporary files of others, who may be writing, stay."""

    def fail(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", fail)
    said: list[str] = []
    for turn in range(2):
        with locked(tmp_path, said.append) as temporaries:
            assert (temporaries / "other").exists() is (turn > 0)
            (temporaries / "other").touch()
    assert said == [
        f"{tmp_path}: its file system has no locks (No locks available): let only one process "
        "save there at a time"
    ]
    assert (tmp_path / folder_lock.NAME / "other").exists()


def test_a_linked_folder_of_locks_is_refused(tmp_path: Path) -> None:
    """A repository could lead its files elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / folder_lock.NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="is a link") as raised, locked(tmp_path):
        pass
    assert raised.value.errno == errno.ELOOP
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_lock_that_may_not_be_made_is_an_error_and_no_endless_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of another user without a lock in it is refused at once."""
    real = os.open

    def refuse_new(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & os.O_CREAT and str(path).endswith("lock"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse_new)
    with pytest.raises(PermissionError), locked(tmp_path):
        pass


def test_what_hides_the_lock_is_never_written_through_a_link(tmp_path: Path) -> None:
    """A link in its place is replaced; the file that it leads to stays as it is."""
    other = tmp_path / "other"
    other.write_text("mine")
    folder = tmp_path / "baselines"
    (folder / folder_lock.NAME).mkdir(parents=True)
    (folder / folder_lock.NAME / ".gitignore").symlink_to(other)
    with locked(folder):
        pass
    assert other.read_text() == "mine"
    assert (folder / folder_lock.NAME / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize(("mode", "expected"), [(0o777, 0o666), (0o770, 0o660), (0o700, 0o600)])
def test_the_lock_is_for_those_who_may_write_in_its_folder(
    tmp_path: Path, mode: int, expected: int
) -> None:
    """And for nobody to execute."""
    (tmp_path / folder_lock.NAME).mkdir()
    (tmp_path / folder_lock.NAME).chmod(mode)
    with locked(tmp_path):
        pass
    assert (tmp_path / folder_lock.NAME / "lock").stat().st_mode & 0o777 == expected


def test_a_system_without_file_locks_saves_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Python has no fcntl, as on Windows, one line says that nothing is locked."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    said: list[str] = []
    with locked(tmp_path, say=said.append):
        pass
    assert "has no locks" in said[0]


def test_a_line_of_the_lock_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever reads stdout, such as a report to it, does not see it."""
    folder_lock.say("waiting")
    assert capsys.readouterr() == ("", "energy: waiting\n")


@pytest.mark.parametrize(
    ("text", "holder_of_it"),
    [
        (b"pid 7\x1b[31m on \xff", "pid 7[31m on \N{REPLACEMENT CHARACTER}"),
        (b"", "another process"),
    ],
)
def test_what_another_process_wrote_is_shown_as_plain_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes, holder_of_it: str
) -> None:
    """No escape sequence of a lock file reaches a terminal."""
    monkeypatch.setattr(folder_lock, "GIVE_UP_S", 0.0)
    with holder(tmp_path, ""):
        (tmp_path / folder_lock.NAME / "lock").write_bytes(text)
        with pytest.raises(LockHeld) as raised, locked(tmp_path):
            pass
    assert str(raised.value) == f"{holder_of_it} has been saving there for 0 s"


def test_a_lock_that_cannot_be_read_is_of_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who holds it is only told."""

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(folder_lock, "GIVE_UP_S", 0.0)
    monkeypatch.setattr(os, "pread", fail)
    with holder(tmp_path), pytest.raises(LockHeld, match="another process"), locked(tmp_path):
        pass
