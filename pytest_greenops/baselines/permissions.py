"""Files of several users in one folder: whose they are, and what lets another user go on."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from contextlib import suppress
from pathlib import Path


def read_fix(path: Path) -> str:
    """Return the fix for what this user may not read: a command, and who runs it."""
    return _fix(
        next((part for part in reversed(path.parents) if not os.access(part, os.X_OK)), path)
    )


def write_fix(path: Path, error: OSError) -> str:
    """Return the fix for a file or folder that could not be written or removed."""
    if error.errno not in (errno.EACCES, errno.EPERM):
        return "free space, fix its permissions"
    folder = path if path.is_dir() else next(p for p in path.parents if os.path.lexists(p))
    for part in (*reversed(folder.parents), folder):
        if not os.access(part, os.X_OK if part != folder else os.W_OK | os.X_OK):
            return _fix(part)
    with suppress(OSError):
        if folder.stat().st_mode & stat.S_ISVTX and not _is_mine(path):
            return f"{_whose(folder)}: chmod -t {shlex.quote(str(folder))}"
    return _fix(folder)


def make_folders(path: Path) -> None:
    """Make the missing parts of a path; whoever may write in the folder above may write there."""
    missing = [part for part in (path, *path.parents) if not part.is_dir()]
    path.mkdir(parents=True, exist_ok=True)
    for part in reversed(missing):
        copy_mode(part, part.parent)


def copy_mode(to: Path, model: Path) -> None:
    """Give a file or folder the mode and, if this user is in it, the group of another one.

    Nothing is done if the other one does not exist.
    """
    with suppress(OSError):
        status = model.stat()
        with suppress(OSError, AttributeError):  # Windows has no groups
            if to.stat().st_gid != status.st_gid:
                os.chown(to, -1, status.st_gid)
        os.chmod(to, stat.S_IMODE(status.st_mode))


def _fix(path: Path) -> str:
    if _is_mine(path):
        return f"fix the permissions: chmod -R u+rwX {shlex.quote(str(path))}"
    name = shlex.quote(str(path))
    if path.stat().st_gid in {os.getegid(), *os.getgroups()}:
        return f"{_whose(path)}: chmod -R g+rwX {name}"
    return (
        f"{_whose(path)} for a GROUP that you share: chgrp -R GROUP {name} && chmod -R g+rwX {name}"
    )


def _whose(path: Path) -> str:
    """Return who can change permissions, as the beginning of a fix."""
    import pwd  # nobody asks on Windows, which has none

    uid = path.stat().st_uid
    try:
        owner = pwd.getpwuid(uid).pw_name
    except KeyError:
        owner = f"user {uid}"
    return f"ask its owner ({owner})"


def _is_mine(path: Path) -> bool:
    """Return whether this user owns a file; True where that cannot be known."""
    try:
        return not hasattr(os, "geteuid") or path.stat().st_uid == os.geteuid()
    except OSError:
        return True
