"""The lock of a folder of baselines: one process saves at a time, whatever its TMPDIR is.

It lies in the folder, so that every process that writes there finds it, on other machines too. Git
ignores it, with the temporary files beside it. It is never removed: a process that waits for a
removed file would wait for another lock than the next one.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pytest_greenops.baselines import permissions

#: The folder, below that of the baselines, of the lock and of temporary files.
NAME = ".saving"
#: When a waiting process says what it waits for, when it gives up, and how often it looks.
SAY_S, GIVE_UP_S, _LOOK_S = 3.0, 60.0, 0.02
_MOST_CHARACTERS = 200
#: What `flock` fails with where the file system has no locks.
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL, errno.EBADF)
#: Nothing is opened through a link. Windows has neither flag.
_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_said: set[Path] = set()


class LockHeld(Exception):
    """Another process did not release the lock in time; the message says which one."""


def say(line: str) -> None:
    """Tell the user, whatever reads stdout."""
    print(f"energy: {line}", file=sys.stderr, flush=True)


@contextmanager
def locked(
    folder: Path,
    say: Callable[[str], None] = say,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Path]:
    """Hold the lock of a folder; yield the path of a folder for temporary files, on the same disk.

    Says who holds it after a few seconds, and raises `LockHeld` after a minute; raises `OSError` if
    the lock cannot be made. Where the file system has no locks, says so and goes on.
    """
    handle, alone = _acquire(folder, say, clock, sleep)
    try:
        if alone:
            _remove_leftovers(folder / NAME)
            # Without its arguments: the URL of a history may have a password.
            _write(handle, f"pid {os.getpid()} on {socket.gethostname()}")
        yield folder / NAME
    finally:
        if alone:
            _write(handle, "")
            with suppress(OSError):
                _flock(handle, unlock=True)  # a fork may have kept its copy of the handle
        _close(handle)


def _acquire(
    folder: Path,
    say: Callable[[str], None],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> tuple[int, bool]:
    """Return an open lock file, and whether it is locked: not if the file system cannot."""
    path, begun_s, said = folder / NAME / "lock", clock(), False
    while True:
        handle = _open(folder, path)
        try:
            if _flock(handle):
                if _is_at(handle, path):
                    return handle, True
                _close(handle)  # somebody has removed the file meanwhile
                continue
        except OSError as error:
            if error.errno in _NO_LOCKS:
                if folder not in _said:
                    _said.add(folder)
                    say(
                        f"{folder}: its file system has no locks ({error.strerror}): let only one "
                        "process save there at a time"
                    )
                return handle, False
            _close(handle)
            raise
        holder = _read(handle) or "another process"
        _close(handle)
        waited_s = clock() - begun_s
        if waited_s >= GIVE_UP_S:
            raise LockHeld(f"{holder} has been saving there for {GIVE_UP_S:.0f} s")
        if waited_s >= SAY_S and not said:
            said = True
            say(f"waiting to save in {folder}: {holder} is saving there")
        sleep(_LOOK_S)


def _open(folder: Path, path: Path) -> int:
    """Return the open lock file; make it, and what keeps it out of Git."""
    here = path.parent
    while True:
        if here.is_symlink():
            raise OSError(errno.ELOOP, f"{here} is a link, expected a folder")
        if not here.is_dir():
            permissions.make_folders(here)
        try:
            with suppress(PermissionError):  # another user has done so
                _keep_out_of_git(here / ".gitignore")
            handle = os.open(path, os.O_CREAT | os.O_RDWR | _FLAGS, 0o666)
        except FileNotFoundError:  # another process has removed the folder meanwhile
            continue
        except PermissionError as error:
            try:  # of another user: it can be locked all the same
                return os.open(path, os.O_RDONLY | _FLAGS)
            except OSError:
                raise error from None
        with suppress(OSError):
            os.chmod(handle if os.chmod in os.supports_fd else path, _mode_of_files(here))
        return handle


def _keep_out_of_git(ignored: Path) -> None:
    """Make Git ignore the folder of the lock."""
    if ignored.is_symlink():  # it may lead to a file of somebody else
        ignored.unlink()
    if not ignored.exists() or ignored.read_bytes() != b"*\n":
        ignored.write_bytes(b"*\n")


def _mode_of_files(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode) & 0o666


def _flock(handle: int, unlock: bool = False) -> bool:
    """Lock a file or unlock it; return whether nobody else has locked it."""
    try:
        import fcntl
    except ImportError:  # Windows
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_UN if unlock else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _close(handle: int) -> None:
    """Close the lock file, whose content nobody needs: a failing disk must not hide an error."""
    with suppress(OSError):
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _write(handle: int, text: str) -> None:
    with suppress(OSError):  # a full disk, or the file of another user: nobody needs this
        os.ftruncate(handle, 0)
        os.pwrite(handle, text.encode(errors="replace")[:_MOST_CHARACTERS], 0)


def _read(handle: int) -> str:
    with suppress(OSError):
        text = os.pread(handle, _MOST_CHARACTERS, 0).decode(errors="replace")
        return "".join(each for each in text if each.isprintable())
    return ""


def _remove_leftovers(here: Path) -> None:
    """Remove temporary files of processes that were killed: whoever has the lock is alone here."""
    for path in here.iterdir():
        if path.name not in ("lock", ".gitignore"):
            with suppress(OSError):
                path.unlink()
