"""Whose a temporary folder is: its name says which process made it, and whether that still runs."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress

import psutil

#: A folder of a machine or container that is not this one is old after this time.
OLD_S = 2 * 24 * 3600.0
#: What differs between machines, their starts, and containers, in each of which a process id is
#: another process.
_PLACE = ("/proc/sys/kernel/random/boot_id", "/proc/sys/kernel/hostname")


def mark(pid: int | None = None) -> str:
    """Return the part of a name that identifies a process: of this one by default."""
    pid = os.getpid() if pid is None else pid
    return f"{pid}-{_started(pid)}-{_here()}"


def has_ended(marked: str) -> bool | None:
    """Return whether the process of a marked name has ended; None if that is not known here.

    A process with the same id that started at another time is another process.
    """
    pid, started, here, *_ = [*marked.split("-"), "", "", ""]
    if not (pid.isdecimal() and started and here == _here()):
        return None
    return _started(int(pid)) != started


def is_old(unix_time: float) -> bool:
    """Return whether a folder of this time is of a comparison that has ended long ago."""
    return time.time() - unix_time > OLD_S


def _started(pid: int) -> str:
    """Return when a process started, or an empty text if there is none.

    In clock ticks since the machine started where /proc says so: they do not change when the clock
    is set. In milliseconds of Unix time elsewhere.
    """
    with suppress(OSError, IndexError, ValueError):
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return "" if fields[0] in (b"Z", b"X") else fields[19].decode()
    if os.path.exists("/proc/self/stat"):
        return ""
    try:
        return str(round(psutil.Process(pid).create_time() * 1000))
    except psutil.Error:
        return ""


def _here() -> str:
    """Return a short text that is the same for all processes that share their process ids."""
    said = []
    for path in _PLACE:
        with suppress(OSError), open(path, "rb") as file:
            said.append(file.read())
    with suppress(OSError):
        said.append(os.readlink("/proc/self/ns/pid").encode())
    return hashlib.blake2b(b"\0".join(said), digest_size=4).hexdigest()
