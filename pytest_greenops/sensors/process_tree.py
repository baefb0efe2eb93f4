"""The descendants of this process, by the kernel's lists of children.

Each thread has a list in `/proc/PID/task/TID/children`. Walking them takes microseconds; looking
at every process of the machine takes milliseconds. A child that ends meanwhile may hide others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from errno import EMFILE, ENFILE

from pytest_greenops.system import SYSTEM

_ANY_ENDED = (os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) if hasattr(os, "waitid") else ()


def listed() -> bool:
    """Return whether this kernel keeps such lists."""
    return SYSTEM.is_there(f"/proc/self/task/{SYSTEM.getpid()}/children")


def has_children() -> bool:
    """Return whether this process has a child, in a microsecond and without reaping it.

    True where that cannot be known: macOS before Python 3.13, and Windows.
    """
    if SYSTEM.waitid is None:
        return True
    try:
        SYSTEM.waitid(*_ANY_ENDED)
    except ChildProcessError:
        return False
    return True


def ended_children() -> tuple[float, ...]:
    """Return what ended children have used, user and system time first; empty on Windows."""
    return SYSTEM.ended_children()


def no_descriptor_left(error: OSError) -> bool:
    """Return whether a list could not be opened because too many files are open."""
    return error.errno in (EMFILE, ENFILE)


def children(pid: int) -> list[int]:
    """Return the living children of a process; raise `OSError` if it or a thread of it ended."""
    found: list[int] = []
    for thread in SYSTEM.listdir(f"/proc/{pid}/task"):
        listed = SYSTEM.read_file(f"/proc/{pid}/task/{thread}/children").split()
        if not all(map(bytes.isdigit, listed)):
            raise OSError(f"/proc/{pid}/task/{thread}/children is not a list of processes")
        found += map(int, listed)
    return found


#: The other ranks on this host of the job that this process belongs to.
_RANKS: list[int] = []


def adopt(ranks: Iterable[int]) -> None:
    """Let the trees of other processes be ours: those of the job's other ranks on this host."""
    _RANKS[:] = ranks


def ranks() -> tuple[int, ...]:
    """Return the processes whose trees are ours, too."""
    return tuple(_RANKS)


def tree() -> set[int]:
    """Return this process, the job's ranks here, and their living descendants, by process id."""
    return _by_lists() if listed() else _by_psutil()


def _by_lists() -> set[int]:
    here = SYSTEM.getpid()
    found, todo = {here, *_RANKS}, [*_RANKS, *([here] if has_children() else [])]
    while todo:
        parent = todo.pop()
        try:
            more = children(parent)
        except OSError:  # it ended, or a thread of it did
            if parent in _RANKS:
                continue
            return _by_psutil()
        found.update(more)
        todo += more
    return found


def _by_psutil() -> set[int]:
    found = {SYSTEM.getpid(), *_RANKS}
    for top in ((), *((rank,) for rank in _RANKS)):
        with suppress(SYSTEM.psutil_error, OSError):
            found.update(p.pid for p in SYSTEM.psutil_process(*top).children(recursive=True))
    return found
