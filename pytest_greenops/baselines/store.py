"""The baselines folder: the only module that writes there, one file for each test, atomically."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import msgspec

from pytest_greenops.model.baseline import SCHEMA, Baseline, TestKey
from pytest_greenops.model.errors import BaselineError, GreenopsError
from pytest_greenops.model.units import significant

_SAFE = re.compile(r"[^A-Za-z0-9_.\[\]=,+-]+")
#: The folder of a machine: its name ends in its fingerprint.
_MACHINE = re.compile(r".*-[0-9a-f]{8}")
_LONGEST_NAME = 120


class Store:
    """The baselines of one folder.

    Its methods raise `BaselineError` for a file that cannot be read or written: one line with the
    file and the fix. A file that cannot be read is never overwritten.

    machine       the name of this machine's folder
    other_folder  the option that names another folder, for messages
    """

    def __init__(
        self, folder: Path, machine: str, other_folder: str = "--energy-baselines=DIR"
    ) -> None:
        self.folder = folder
        self.machine = machine
        self._other_folder = other_folder
        self._files: dict[Path, Baseline] | None = None

    def path(self, test: TestKey, machine: str | None = None) -> Path:
        """Return the file of a test: `<folder>/<machine>/<module>/<test and params>.json`."""
        module = [_folder_name(part) for part in test.module.split("/") if part not in ("", ".")]
        return self.folder.joinpath(machine or self.machine, *module, _file_name(test.name))

    def relative_path(self, test: TestKey) -> str:
        """Return that path relative to the parent of the baselines folder."""
        return str(self.path(test).relative_to(self.folder.parent))

    def load(self, test: TestKey) -> Baseline | None:
        """Return the baseline of a test on this machine, or None."""
        return self.files().get(self.path(test))

    def elsewhere(self, test: TestKey) -> Baseline | None:
        """Return a baseline of a test from another machine, the last one by name, or None."""
        machines = sorted(self.folder.iterdir(), reverse=True) if self.folder.is_dir() else []
        for machine in machines:
            path = self.path(test, machine.name)
            if machine.name != self.machine and path.is_file():
                return read(path)
        return None

    def files(self) -> dict[Path, Baseline]:
        """Return every baseline of this machine by its file; read once."""
        if self._files is None:
            paths = sorted((self.folder / self.machine).rglob("*.json"))
            self._files = {path: read(path) for path in paths}
        return self._files

    def check_writable(self) -> None:
        """Raise `BaselineError` if no baseline can be saved, before anything is measured."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise self._unwritable(self.folder, error) from None

    def update(self, test: TestKey, change: Callable[[Baseline | None], Baseline]) -> Path:
        """Write a changed baseline atomically, while other processes that save wait."""
        path = self.path(test)
        baseline = self.write(path, change)
        self.files()[path] = baseline
        return path

    def write(self, path: Path, change: Callable[[Baseline | None], Baseline]) -> Baseline:
        """Write a changed baseline by the path of its file, and return it."""
        with self._locked(path):
            baseline = change(read(path) if path.exists() else None)
            try:
                write_whole(path, encode(baseline))
            except OSError as error:
                raise self._unwritable(path, error) from None
        return baseline

    def remove(self, path: Path) -> None:
        """Remove a baseline, and the folders that it leaves empty."""
        with self._locked(path):
            try:
                path.unlink(missing_ok=True)
                for above in path.parents:
                    if above == self.folder or any(above.iterdir()):
                        break
                    above.rmdir()
            except OSError as error:
                why = f"cannot be removed ({error.strerror}): fix its permissions"
                raise BaselineError(f"{path}: {why}") from None

    def _locked(self, path: Path) -> AbstractContextManager[object]:
        from filelock import FileLock

        try:
            return FileLock(self._lock_path()).acquire()
        except OSError as error:
            raise BaselineError(
                f"{path}: cannot create a lock in the temporary folder ({error.strerror}): free "
                "space, fix its permissions, or use another folder: TMPDIR=DIR"
            ) from None

    def _unwritable(self, path: Path, error: OSError) -> BaselineError:
        return BaselineError(
            f"{path}: cannot be written ({error.strerror}): free space, fix its permissions, or "
            f"use another folder: {self._other_folder}"
        )

    def _lock_path(self) -> Path:
        """Return a path outside the folder, which may be in a repository; one for each user."""
        # A user of a container may have no name.
        user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()
        name = hashlib.sha256(f"{user}:{self.folder.resolve()}".encode()).hexdigest()
        return Path(tempfile.gettempdir(), f"pytest-greenops-{name[:16]}.lock")

    def orphans(self, test: TestKey, collected: Collection[TestKey]) -> Iterator[Baseline]:
        """Yield baselines of the same function with parameters that no collected test has."""
        for path, baseline in self.files().items():
            other = baseline.test
            same = (other.module, other.qualname) == (test.module, test.qualname)
            moved = path != self.path(other)
            if same and collected and other not in collected and not moved:
                yield baseline


def read(path: Path) -> Baseline:
    """Read one baseline file; raise `BaselineError`."""
    try:
        data = path.read_bytes()
        version = msgspec.json.decode(data, type=_Version).schema
        refuse_newer(path, version, SCHEMA, BaselineError)
        return msgspec.json.decode(data, type=Baseline)
    except OSError as error:
        why = f"cannot be read ({error.strerror}): fix its permissions"
        raise BaselineError(f"{path}: {why}") from None
    except (ValueError, RecursionError) as error:  # by msgspec, and for text that is not UTF-8
        raise BaselineError(
            f"{path}: damaged ({error}): restore it (git checkout -- {path}), or delete it and "
            "save again"
        ) from None


def refuse_newer(path: Path, schema: int, known: int, error: type[GreenopsError]) -> None:
    """Raise an error for a file of a newer schema version than the known one."""
    if schema > known:
        raise error(
            f"{path}: written by a newer pytest-greenops (schema {schema}, this version reads up "
            f"to {known}): pip install -U pytest-greenops"
        )


class Survey(NamedTuple):
    """Every baseline of a folder by its file, and a line for each unreadable file."""

    baselines: dict[Path, Baseline]
    damaged: tuple[str, ...]


def survey(folder: Path, naming: str = "") -> Survey:
    """Read every baseline of the machines whose name contains `naming`; raise `BaselineError`."""
    found: dict[Path, Baseline] = {}
    damaged = []
    for machine in machines(folder, naming):
        for path in sorted(machine.rglob("*.json")):
            try:
                found[path] = read(path)
            except BaselineError as error:
                damaged.append(str(error))
    return Survey(found, tuple(damaged))


def machines(folder: Path, naming: str = "") -> list[Path]:
    """Return the folders of machines whose name contains `naming`; raise `BaselineError`."""
    if not folder.is_dir():
        raise BaselineError(
            f"{folder}: no such folder: name an existing folder of baselines, or save some with "
            "pytest --energy-save"
        )
    found = [path for path in sorted(folder.iterdir()) if _is_machine(path)]
    if not found:
        folders = (path for path in sorted(folder.iterdir()) if path.is_dir())
        inner = next((path for path in folders if any(map(_is_machine, path.iterdir()))), None)
        raise BaselineError(
            f"{folder}: contains no baselines: "
            + (f"use {inner}" if inner else "save some with pytest --energy-save")
        )
    named = [path for path in found if naming in path.name]
    if not named:
        raise BaselineError(
            f"{folder}: no machine's name contains {naming!r}: expected part of one of "
            f"{', '.join(path.name for path in found)}"
        )
    return named


def _is_machine(path: Path) -> bool:
    return _MACHINE.fullmatch(path.name) is not None and path.is_dir()


def encode(baseline: Baseline) -> bytes:
    """Return the bytes of a baseline file: sorted keys, rounded floats, a final line feed."""
    rounded = significant(msgspec.to_builtins(baseline))
    return msgspec.json.format(msgspec.json.encode(rounded, order="sorted"), indent=1) + b"\n"


class _Version(msgspec.Struct):
    schema: int


def _folder_name(part: str) -> str:
    """Return `_up` for the parent folder, so that no file is outside; escape a real `_up`."""
    if part == "..":
        return "_up"
    return f"_{part}" if re.fullmatch("(?i)_+up", part) else part


def _file_name(name: str) -> str:
    """Return a file name for a test: readable, unique, and valid on every file system."""
    safe = _SAFE.sub("_", name).replace(".", "-")[:_LONGEST_NAME]
    if safe != name or safe != safe.lower():
        safe += "-" + hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{safe}.json"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file atomically; write to a link or a device (/dev/stdout) directly."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.write_bytes(data)
        return
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:40]}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
