"""The descendants of this process, by the kernel's lists of children.

Each thread has a list in `/proc/PID/task/TID/children`. Walking them takes microseconds; looking
at every process of the machine takes milliseconds. A child that ends meanwhile may hide others.
"""

from __future__ import annotations

import os
from pathlib import Path


def listed() -> bool:
    """Return whether this kernel keeps such lists."""
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()


def has_children() -> bool:
    """Return whether this process has a child, in a microsecond and without reaping it."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def ended_children() -> tuple[float, ...]:
    """Return what ended children have used, user and system time first; empty on Windows."""
    try:
        import resource
    except ImportError:
        return ()
    return tuple(resource.getrusage(resource.RUSAGE_CHILDREN))


def children(pid: int) -> list[int]:
    """Return the living children of a process; raise `OSError` if it or a thread of it ended."""
    found: list[int] = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/children") as listed:
            found += map(int, listed.read().split())
    return found


def tree() -> set[int]:
    """Return this process and its living descendants, by process id."""
    return _by_lists() if listed() else _by_psutil()


def _by_lists() -> set[int]:
    found, todo = {os.getpid()}, [os.getpid()] if has_children() else []
    while todo:
        try:
            more = children(todo.pop())
        except OSError:  # it ended, or a thread of it did
            return _by_psutil()
        found.update(more)
        todo += more
    return found


def _by_psutil() -> set[int]:
    import psutil

    try:
        return {os.getpid(), *(p.pid for p in psutil.Process().children(recursive=True))}
    except psutil.Error:
        return {os.getpid()}
