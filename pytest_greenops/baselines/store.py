"""The baselines folder: the only module that writes there, one file for each test, atomically."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from pytest_greenops.baselines import folder_lock, whole_file
from pytest_greenops.baselines.baseline_file import as_error, encode, read, read_existing
from pytest_greenops.baselines.whole_file import quoted
from pytest_greenops.model.baseline import Baseline, TestKey
from pytest_greenops.model.errors import BaselineError
from pytest_greenops.system import SYSTEM

_SAFE = re.compile(r"[^A-Za-z0-9_.\[\]=,+-]+")
#: The folder of a machine: its name ends in its fingerprint.
_MACHINE = re.compile(r".*-[0-9a-f]{8}")
_LONGEST_NAME = 120
#: Digits that tell names apart whose readable part is the same: 64 bits collide by no accident.
_HASH_DIGITS = 16
#: The same in files of earlier versions, which keep their names.
_EARLIER = 6


class Store:
    """The baselines of one folder.

    Its methods raise `BaselineError` for a file that cannot be read or written: one line with the
    file and the fix. A file that cannot be read is never overwritten.

    machine       the name of this machine's folder
    other_folder  the option that names another folder, for messages
    notes         the first file of each other machine that cannot be read, and why
    """

    def __init__(
        self, folder: Path, machine: str, other_folder: str = "--energy-baselines=DIR"
    ) -> None:
        self.folder = folder
        self.machine = machine
        self._other_folder = other_folder
        self.notes: dict[str, str] = {}
        self._files: dict[Path, Baseline] | None = None
        self._folders: set[Path] = set()
        self._elsewhere: dict[TestKey, Baseline | None] = {}
        self._path: tuple[TestKey, Path] | None = None

    def path(self, test: TestKey, machine: str | None = None) -> Path:
        """Return the file of a test: `<folder>/<machine>/<module>/<test and params>.json`."""
        if machine is not None:
            return self._path_of(test, machine)
        if self._path is None or self._path[0] is not test:
            self._path = test, self._path_of(test, self.machine)
        return self._path[1]

    def _path_of(self, test: TestKey, machine: str) -> Path:
        folder = _module_folder(self.folder / machine, test.module)
        name, earlier = _file_name(test.name), _file_name(test.name, _EARLIER)
        path = folder / name
        if name != earlier and _holds(folder / earlier, test) and not path.exists():
            return folder / earlier
        return path

    def load(self, test: TestKey) -> Baseline | None:
        """Return the baseline of a test on this machine, or None."""
        path = self.path(test)
        found = self.files().get(path)
        if found is None and path in self._folders:
            raise BaselineError(
                f"{path}: a folder where the baseline of {test.name} belongs: move it away: "
                f"mv {quoted(path)} DIR"
            )
        return found

    def elsewhere(self, test: TestKey) -> Baseline | None:
        """Return a baseline of a test from another machine, the last one by name, or None.

        It is read once. What cannot be read is left out, and is in `notes`.
        """
        if test not in self._elsewhere:
            self._elsewhere[test] = next(self._of_others(test), None)
        return self._elsewhere[test]

    def _of_others(self, test: TestKey) -> Iterator[Baseline]:
        try:
            names = sorted(os.listdir(self.folder), reverse=True)
        except OSError:
            return  # there is none yet, or `files` has said so
        for name in names:
            if name != self.machine and _MACHINE.fullmatch(name):
                try:
                    if found := read_existing(self.path(test, name)):
                        yield found
                except BaselineError as error:
                    self.notes.setdefault(name, f"not compared with another machine: {error}")

    def files(self) -> dict[Path, Baseline]:
        """Return every baseline of this machine by its file; read once."""
        if self._files is None:
            if os.path.exists(self.folder) and not os.path.isdir(self.folder):
                raise BaselineError(
                    f"{self.folder}: a file, expected a folder of baselines: {self._other_folder}"
                )
            found: dict[Path, Baseline] = {}
            for entry in _entries(self.folder / self.machine):
                if entry.problem:
                    raise as_error(entry.path, entry.problem)
                if entry.is_folder:
                    self._folders.add(entry.path)
                elif entry.path.suffix == ".json" and (baseline := read_existing(entry.path)):
                    found[entry.path] = baseline
            self._files = found
        return self._files

    def check_writable(self) -> None:
        """Raise `BaselineError` if no baseline can be saved, before anything is measured."""
        mine = self.folder / self.machine
        self._refuse_links(mine)
        for folder in (self.folder, mine, self.folder / folder_lock.NAME):
            try:
                if folder == self.folder:
                    folder.mkdir(parents=True, exist_ok=True)
                if folder.exists():
                    with tempfile.TemporaryFile(dir=folder):
                        pass
            except OSError as error:
                raise self._unwritable(folder, error) from None

    def update(self, test: TestKey, change: Callable[[Baseline | None], Baseline]) -> Path:
        """Write a changed baseline atomically, while other processes that save wait."""
        path = self.path(test)
        baseline = self.write(path, change)
        try:
            SYSTEM.lstat(str(path))
        except OSError:
            raise BaselineError(
                f"{path}: not written: a fixture of the module or the session replaces the file "
                "system: use one of the function, as pyfakefs's fs"
            ) from None
        self.files()[path] = baseline
        return path

    def write(self, path: Path, change: Callable[[Baseline | None], Baseline]) -> Baseline:
        """Write a changed baseline by the path of its file, and return it."""
        with self._locked() as temporaries:
            self._refuse_links(path.parent)
            baseline = change(read_existing(path))
            try:
                _replace(path, encode(baseline), temporaries / f"{os.getpid()}-{uuid4().hex}")
            except OSError as error:
                raise self._unwritable(path, error) from None
        return baseline

    def remove(self, path: Path) -> None:
        """Remove a baseline, and the folders that it leaves empty."""
        with self._locked():
            self._refuse_links(path.parent)
            try:
                path.unlink(missing_ok=True)
                for above in path.parents:
                    if above == self.folder or any(above.iterdir()):
                        break
                    above.rmdir()
            except OSError as error:
                why = f"cannot be removed ({error.strerror}): fix its permissions"
                raise BaselineError(f"{path}: {why}") from None

    @contextmanager
    def _locked(self) -> Iterator[Path]:
        held = folder_lock.locked(self.folder)
        try:
            temporaries = held.__enter__()
        except OSError as error:
            raise self._unwritable(self.folder, error) from None
        except folder_lock.LockHeld as error:
            raise BaselineError(
                f"{self.folder}: {error}: wait until it ends, or end it, and save again"
            ) from None
        try:
            yield temporaries
        finally:
            held.__exit__(None, None, None)

    def _refuse_links(self, folder: Path) -> None:
        """Refuse to write through a link below the folder: it may lead anywhere."""
        for part in (folder, *folder.parents):
            if part == self.folder or self.folder not in part.parents:
                return
            if part.is_symlink():
                name = quoted(part)
                raise BaselineError(
                    f"{part}: a link, and nothing is saved through it: replace it by a copy: "
                    f"cp -RL {name} {quoted(part.with_name(part.name + '.copy'))} && rm {name} && "
                    f"mv {quoted(part.with_name(part.name + '.copy'))} {name}"
                )

    def _unwritable(self, path: Path, error: OSError) -> BaselineError:
        return BaselineError(
            f"{path}: cannot be written ({error.strerror}): free space, fix its permissions, or "
            f"use another folder: {self._other_folder}"
        )

    def orphans(self, collected: Collection[TestKey]) -> Iterator[Baseline]:
        """Yield baselines of tests that were not collected; none if nothing is known to be."""
        for path, baseline in self.files().items() if collected else ():
            if baseline.test not in collected and path == self.path(baseline.test):
                yield baseline


def _entries(folder: Path) -> Iterator[whole_file.Entry]:
    """Yield what is below a folder, without what editors and systems hide beside files.

    Among these is the lock of Emacs, a link that leads nowhere.
    """
    for each in whole_file.walk(folder):
        if each.is_folder or not each.path.name.startswith("."):
            yield each


class Survey(NamedTuple):
    """Every baseline of a folder by its file, and a line for each unreadable file."""

    baselines: dict[Path, Baseline]
    damaged: tuple[str, ...]


def survey(folder: Path, naming: str = "") -> Survey:
    """Read every baseline of the machines whose name contains `naming`; raise `BaselineError`."""
    found: dict[Path, Baseline] = {}
    damaged = []
    for machine in machines(folder, naming):
        for entry in _entries(machine):
            try:
                if entry.problem:
                    raise as_error(entry.path, entry.problem)
                if not entry.is_folder and entry.path.suffix == ".json":
                    found[entry.path] = read(entry.path)
            except BaselineError as error:
                damaged.append(str(error))
    return Survey(found, tuple(damaged))


def machines(folder: Path, naming: str = "") -> list[Path]:
    """Return the folders of machines whose name contains `naming`; raise `BaselineError`."""
    try:
        inside = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        raise BaselineError(
            f"{folder}: no such folder: name an existing folder of baselines, or save some with "
            f"{whole_file.saving_to(folder)}"
        ) from None
    except OSError as error:
        raise as_error(folder, whole_file.unreadable(folder, error)) from None
    found = [path for path in inside if _is_machine(path)]
    if not found:
        inner = next((path for path in inside if any(map(_is_machine, _inside(path)))), None)
        fix = f"use {quoted(inner)}" if inner else f"save some with {whole_file.saving_to(folder)}"
        raise BaselineError(f"{folder}: contains no baselines: {fix}")
    named = [path for path in found if naming in path.name]
    if not named:
        raise BaselineError(
            f"{folder}: no machine's name contains {naming!r}: expected part of one of "
            f"{', '.join(path.name for path in found)}"
        )
    return named


def _is_machine(path: Path) -> bool:
    return _MACHINE.fullmatch(path.name) is not None and os.path.isdir(path)


def _inside(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError:
        return []


@lru_cache(maxsize=1)
def _module_folder(machine: Path, module: str) -> Path:
    parts = (_folder_name(part) for part in module.split("/") if part not in ("", "."))
    return machine.joinpath(*parts)


def _folder_name(part: str) -> str:
    """Return `_up` for the parent folder, so that no file is outside; escape a real `_up`."""
    if part == "..":
        return "_up"
    return f"_{part}" if re.fullmatch("(?i)_+up", part) else part


def _holds(path: Path, test: TestKey) -> bool:
    """Return whether a file is the baseline of a test."""
    with suppress(BaselineError):
        found = read_existing(path)
        return found is not None and found.test == test
    return False


def _file_name(name: str, digits: int = _HASH_DIGITS) -> str:
    """Return a file name for a test: readable, unique, and valid on every file system."""
    safe = _SAFE.sub("_", name).replace(".", "-")[:_LONGEST_NAME]
    if safe != name or safe != safe.lower():
        safe += "-" + hashlib.sha256(name.encode()).hexdigest()[:digits]
    return f"{safe}.json"


def _replace(path: Path, data: bytes, temporary: Path) -> None:
    """Write a file atomically by way of a temporary one, which may be on another disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        whole_file.replace(path, data, temporary)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        whole_file.write_whole(path, data)
