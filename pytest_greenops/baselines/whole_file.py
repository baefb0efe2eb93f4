"""Whole files: read only what is a file, and never leave half of one."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from pytest_greenops.baselines import permissions

#: The ends of temporary files next to their target, and the age at which one is a leftover.
_TEMPORARY, _LEFTOVER_S = ".greenops-tmp", 3600
_MOST_LINKS = 40
#: More than what some file systems keep of a file without a block of its own.
_BLOCK_BYTES = 16_384
#: Windows has no O_CLOEXEC, and changes line ends without O_BINARY.
_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_MARKERS = (b"<<<<<<< ", b"=======", b">>>>>>> ")


class FileProblem(Exception):
    """A file that cannot be used.

    why  what is wrong with it, after its path
    fix  what to do, as a command where one helps
    """

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(f"{why}: {fix}")
        self.why = why
        self.fix = fix


def quoted(path: Path) -> str:
    """Return a path for a command line; `[` and `~` are patterns in a shell."""
    return shlex.quote(str(path))


def saving_to(folder: Path) -> str:
    """Return the command that saves baselines in a folder."""
    named = "" if str(folder) == "baselines" else f" --energy-baselines={quoted(folder)}"
    return f"pytest --energy-save{named}"


def read_bytes(path: Path, most_bytes: int, streams: bool = False) -> bytes:
    """Return the content of a file; raise `FileProblem`, and `FileNotFoundError` if it is gone.

    streams  whether it may also be a pipe or a device, which is read to its end
    """
    flags = os.O_RDONLY | _FLAGS | (0 if streams else getattr(os, "O_NONBLOCK", 0))
    try:
        handle = os.open(path, flags)
        try:
            status = os.fstat(handle)
            kind = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), None)
            if kind and not (streams and kind != "a folder"):
                raise FileProblem(f"{kind}, not a file", f"move it away: mv {quoted(path)} DIR")
            size = status.st_size
            data = b"" if size > most_bytes else _content(handle, size, most_bytes + 1)
        finally:
            os.close(handle)
    except FileNotFoundError:
        if path.is_symlink():
            raise _dangling(path) from None
        raise
    except NotADirectoryError:  # a part of the path is a file
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
    except OSError as error:
        raise unreadable(path, error) from None
    if max(size, len(data)) > most_bytes:
        raise FileProblem(f"larger than {most_bytes >> 20} MiB", f"remove it: rm {quoted(path)}")
    return data


def _content(handle: int, expected: int, most: int) -> bytes:
    """Return the next bytes of an open file: at most `most`, and `expected` as a rule."""
    blocks, left = [], most
    while left and (block := os.read(handle, min(left, max(expected + 1, _BLOCK_BYTES)))):
        blocks.append(block)
        left -= len(block)
    return b"".join(blocks)


def unreadable(path: Path, error: OSError) -> FileProblem:
    """Return the problem of a file or folder that the system did not let us read."""
    fix = "check its disk or network drive, and run again"
    if error.errno in (errno.EACCES, errno.EPERM):
        fix = permissions.read_fix(path)
    elif error.errno == errno.ELOOP:
        fix = f"remove this link, which leads to itself: rm {quoted(path)}"
    elif error.errno == errno.ENAMETOOLONG:
        fix = "use a shorter path"
    elif error.errno == errno.ENOTDIR:
        parts = (*reversed(path.parents), path)
        taken = next((part for part in parts if os.path.isfile(part)), path)
        fix = f"a file is where a folder belongs: move it away: mv {quoted(taken)} DIR"
    elif error.errno in (errno.EMFILE, errno.ENFILE):
        fix = "allow more open files: ulimit -n 4096"
    return FileProblem(f"cannot be read ({error.strerror})", fix)


def damage(path: Path, data: bytes, error: Exception) -> FileProblem:
    """Return why the content of a file cannot be decoded, and how to get it back."""
    lines = data.splitlines()
    if all(any(line.startswith(marker) for line in lines) for marker in _MARKERS):
        return FileProblem(
            "in a merge conflict",
            f"keep one side: git checkout --ours -- {quoted(path)} (or --theirs), then "
            f"git add -- {quoted(path)}; if the markers are committed, delete it and save again",
        )
    if data.startswith(b"version https://git-lfs.github.com/spec/"):
        return FileProblem("a Git LFS pointer, not its content", "git lfs pull")
    why = str(error)
    if not data.strip(b"\0"):
        why = "it contains only zero bytes" if data else "it is empty"
    elif data.startswith((b"\xff\xfe", b"\xfe\xff")):
        why = "it is UTF-16, expected UTF-8"
    fix = f"restore it (git checkout -- {quoted(path)}), or delete it and save again"
    return FileProblem(f"damaged ({why})", fix)


def without_mark(data: bytes) -> bytes:
    """Return the text without the byte order mark that some editors put before UTF-8."""
    return data.removeprefix(b"\xef\xbb\xbf")


class Entry(NamedTuple):
    """A file or folder below a folder, and why it cannot be used, if so."""

    path: Path
    is_folder: bool
    problem: FileProblem | None = None


def walk(folder: Path) -> Iterator[Entry]:
    """Yield everything below a folder in order; follow links, but not in circles.

    A missing folder is empty. One that cannot be read is itself the only entry.
    """
    yield from _walk(folder, (os.path.realpath(folder),))


def _walk(folder: Path, trail: tuple[str, ...]) -> Iterator[Entry]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:  # removed meanwhile, or never there
        yield from (
            Entry(part, True, _dangling(part))
            for part in (folder, *folder.parents)
            if part.is_symlink() and not part.exists()
        )
        return
    except OSError as error:
        yield Entry(folder, True, unreadable(folder, error))
        return
    for entry in found:
        path = folder / entry.name
        try:  # only a link needs a call to the system for its kind
            is_folder = stat.S_ISDIR(path.stat().st_mode) if entry.is_symlink() else entry.is_dir()
        except FileNotFoundError:
            if path.is_symlink():
                yield Entry(path, False, _dangling(path))
            continue
        except OSError as error:
            yield Entry(path, False, unreadable(path, error))
            continue
        yield Entry(path, is_folder)
        if is_folder and (real := os.path.realpath(path)) not in trail:
            yield from _walk(path, (*trail, real))


def _dangling(path: Path) -> FileProblem:
    return FileProblem(
        "a link that leads nowhere", f"restore its target, or remove it: rm {quoted(path)}"
    )


def write_whole(path: Path, data: bytes) -> None:
    """Write a file atomically, a link's target too; add to a pipe, device or standard stream."""
    target = _target(path)
    if target is None:
        with os.fdopen(_open_stream(path), "wb") as stream:
            stream.write(data)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    replace(target, data, _beside(target))
    _remove_leftovers(target)


def _open_stream(path: Path) -> int:
    """Open what is no file of ours: `> log` keeps what stands in the log, and what follows.

    A standard stream is not opened again: both would write at their own place of a file.
    """
    for descriptor in (1, 2):
        with suppress(OSError):
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return os.dup(descriptor)
    return os.open(path, os.O_WRONLY | os.O_APPEND | _FLAGS)


def check_writable(path: Path) -> None:
    """Raise `OSError` if `write_whole` could not write this file; make its folder if needed.

    It writes a block beside it, which a full disk has no place for, and removes that.
    """
    target = _target(path)
    if target is None:
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(target)
    try:
        _write_new(temporary, bytes(_BLOCK_BYTES))
    finally:
        with suppress(OSError):
            temporary.unlink()


def replace(path: Path, data: bytes, temporary: Path) -> None:
    """Write a file by way of a temporary one; of a link to a file, replace the link.

    A new file has the permissions that the umask leaves, an existing one keeps its mode and group.
    """
    try:
        _write_new(temporary, data)
        permissions.copy_mode(temporary, path)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _write_new(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.stem[:20]}-{uuid4().hex[:12]}{_TEMPORARY}")


def _remove_leftovers(path: Path) -> None:
    """Remove the temporary files of earlier writers of this file that were killed."""
    with suppress(OSError):
        oldest_s = path.stat().st_mtime - _LEFTOVER_S
        for other in path.parent.glob(f".*{_TEMPORARY}"):
            mine = other.name.startswith(f".{path.stem[:20]}-")
            if mine and other.stat().st_mtime < oldest_s:
                other.unlink()


def _target(path: Path) -> Path | None:
    """Return the file that a path leads to; None for a pipe or device, as `/dev/stdout` may be."""
    for _ in range(_MOST_LINKS):
        if not path.is_symlink():
            return None if path.exists() and not (path.is_file() or path.is_dir()) else path
        if os.path.abspath(path).startswith(("/dev/", "/proc/")):
            return None
        path = path.parent / os.readlink(path)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
