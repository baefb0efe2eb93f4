"""The baselines folder: read whole at the start of a run, written one file a test, atomically."""

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
from pytest_greenops.model.errors import BaselineError
from pytest_greenops.model.units import significant

_SAFE = re.compile(r"[^A-Za-z0-9_.\[\]=,+-]+")
#: The folder of a machine: its name ends in its fingerprint.
_MACHINE = re.compile(r".*-[0-9a-f]{8}")
_LONGEST_NAME = 120


class Store:
    """The baselines of one folder, as they are read and kept.

    Raises `BaselineError`, one line that names the file and the mend, for what cannot be read or
    written; a file that cannot be read is never written over.

    elsewhere  how its user names another folder
    """

    def __init__(
        self, folder: Path, machine: str, elsewhere: str = "--energy-baselines=DIR"
    ) -> None:
        self.folder = folder
        self.machine = machine
        self._elsewhere = elsewhere
        self._files: dict[Path, Baseline] | None = None

    def path(self, test: TestKey, machine: str | None = None) -> Path:
        """Where the baseline of a test is: `<folder>/<machine>/<module>/<test and params>.json`."""
        module = [_folder_name(part) for part in test.module.split("/") if part not in ("", ".")]
        return self.folder.joinpath(machine or self.machine, *module, _file_name(test.name))

    def shown(self, test: TestKey) -> str:
        """The same path as a person would write it, from the folder that holds the baselines."""
        return str(self.path(test).relative_to(self.folder.parent))

    def load(self, test: TestKey) -> Baseline | None:
        """The baseline of a test on this machine, or None."""
        return self.files().get(self.path(test))

    def elsewhere(self, test: TestKey) -> Baseline | None:
        """A baseline of this test from another machine, the last one by name, or None."""
        machines = sorted(self.folder.iterdir(), reverse=True) if self.folder.is_dir() else []
        for machine in machines:
            path = self.path(test, machine.name)
            if machine.name != self.machine and path.is_file():
                return read(path)
        return None

    def files(self) -> dict[Path, Baseline]:
        """Every baseline of this machine by its file; read once."""
        if self._files is None:
            paths = sorted((self.folder / self.machine).rglob("*.json"))
            self._files = {path: read(path) for path in paths}
        return self._files

    def check_writable(self) -> None:
        """Raise `BaselineError` where no baseline could be saved, before anything is measured."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise self._unwritable(self.folder, error) from None

    def update(self, test: TestKey, change: Callable[[Baseline | None], Baseline]) -> Path:
        """Write a changed baseline whole or not at all; other processes that save wait for it."""
        path = self.path(test)
        baseline = self.write(path, change)
        self.files()[path] = baseline
        return path

    def write(self, path: Path, change: Callable[[Baseline | None], Baseline]) -> Baseline:
        """The same for a file that is known by its path; returns what stands in it now."""
        with self._locked(path):
            baseline = change(read(path) if path.exists() else None)
            try:
                write_whole(path, encode(baseline))
            except OSError as error:
                raise self._unwritable(path, error) from None
        return baseline

    def remove(self, path: Path) -> None:
        """Remove a baseline, and the folders that it leaves empty; `BaselineError` if it cannot."""
        with self._locked(path):
            try:
                path.unlink(missing_ok=True)
                for above in path.parents:
                    if above == self.folder or any(above.iterdir()):
                        break
                    above.rmdir()
            except OSError as error:
                raise BaselineError(
                    f"{path}: cannot be removed ({error.strerror}); mend its access"
                ) from None

    def _locked(self, path: Path) -> AbstractContextManager[object]:
        from filelock import FileLock

        try:
            return FileLock(self._lock_path()).acquire()
        except OSError as error:
            raise BaselineError(
                f"{path}: no lock can be had in the temporary folder ({error.strerror}); free "
                "space or mend its access, or name another folder: TMPDIR=DIR"
            ) from None

    def _unwritable(self, path: Path, error: OSError) -> BaselineError:
        return BaselineError(
            f"{path}: cannot be written ({error.strerror}); free space or mend its access, or name "
            f"another folder: {self._elsewhere}"
        )

    def _lock_path(self) -> Path:
        """Outside the folder, which belongs to the project's repository; one for each user."""
        # Not every user of a container has a name.
        user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()
        name = hashlib.sha256(f"{user}:{self.folder.resolve()}".encode()).hexdigest()
        return Path(tempfile.gettempdir(), f"pytest-greenops-{name[:16]}.lock")

    def orphans(self, test: TestKey, collected: Collection[TestKey]) -> Iterator[Baseline]:
        """Baselines of the same function whose parameters no collected test has: renamed ones?"""
        for path, baseline in self.files().items():
            other = baseline.test
            same = (other.module, other.qualname) == (test.module, test.qualname)
            moved = path != self.path(other)
            if same and collected and other not in collected and not moved:
                yield baseline


def read(path: Path) -> Baseline:
    """Read one baseline file; raises `BaselineError` that names it."""
    try:
        data = path.read_bytes()
        version = msgspec.json.decode(data, type=_Version).schema
        if version > SCHEMA:
            raise BaselineError(
                f"{path}: written by a newer pytest-greenops (schema {version}, this one reads up "
                f"to {SCHEMA}); upgrade it: pip install -U pytest-greenops"
            )
        return msgspec.json.decode(data, type=Baseline)
    except OSError as error:
        raise BaselineError(f"{path}: cannot be read ({error.strerror}); mend its access") from None
    except (ValueError, RecursionError) as error:  # msgspec's, and those of text that is no UTF-8
        raise BaselineError(
            f"{path}: damaged ({error}); restore it (git checkout -- {path}), or delete it and "
            "save anew"
        ) from None


class Survey(NamedTuple):
    """Every baseline of a folder by its file, and a line for each file that cannot be read."""

    baselines: dict[Path, Baseline]
    damaged: tuple[str, ...]


def survey(folder: Path, naming: str = "") -> Survey:
    """Look through the machines of a folder whose name holds `naming`.

    Raises `BaselineError` where there are none.
    """
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
    """The folders of machines in a folder of baselines, or those whose name holds `naming`.

    Raises `BaselineError` where there are none.
    """
    if not folder.is_dir():
        raise BaselineError(
            f"{folder}: no such folder of baselines; name the one that there is, or save some: "
            "pytest --energy-save"
        )
    found = [path for path in sorted(folder.iterdir()) if _is_machine(path)]
    if not found:
        inner = next((p for p in sorted(folder.iterdir()) if p.is_dir() and _holds(p)), None)
        raise BaselineError(
            f"{folder}: holds no baselines; "
            + (f"they begin in {inner}" if inner else "save some: pytest --energy-save")
        )
    named = [path for path in found if naming in path.name]
    if not named:
        raise BaselineError(
            f"{folder}: no machine's name holds {naming!r}; there are "
            f"{', '.join(path.name for path in found)}"
        )
    return named


def _holds(folder: Path) -> bool:
    return any(map(_is_machine, folder.iterdir()))


def _is_machine(path: Path) -> bool:
    return _MACHINE.fullmatch(path.name) is not None and path.is_dir()


def encode(baseline: Baseline) -> bytes:
    """The bytes of a baseline file: sorted keys, rounded floats, a line feed at the end."""
    rounded = significant(msgspec.to_builtins(baseline))
    return msgspec.json.format(msgspec.json.encode(rounded, order="sorted"), indent=1) + b"\n"


class _Version(msgspec.Struct):
    schema: int


def _folder_name(part: str) -> str:
    """`_up` for the folder above, so that nothing lies outside; another name for a real `_up`."""
    if part == "..":
        return "_up"
    return f"_{part}" if re.fullmatch("(?i)_+up", part) else part


def _file_name(name: str) -> str:
    """A file name for a test: readable, safe on every file system, and its own."""
    safe = _SAFE.sub("_", name).replace(".", "-")[:_LONGEST_NAME]
    if safe != name or safe != safe.lower():
        safe += "-" + hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{safe}.json"


def write_whole(path: Path, data: bytes) -> None:
    """Put a file in place whole or not at all; raises `OSError`.

    What is there and is no file, such as a link or /dev/stdout, is written to and stays.
    """
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
