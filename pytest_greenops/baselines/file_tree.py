"""One file for each test below a folder: its place, and how it is read and written atomically."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Generic, Protocol, TypeVar
from uuid import uuid4

from pytest_greenops.baselines import folder_lock, permissions, whole_file
from pytest_greenops.baselines.baseline_file import as_error, read_data
from pytest_greenops.baselines.known_files import KnownFiles
from pytest_greenops.baselines.whole_file import quoted
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.errors import BaselineError
from pytest_greenops.system import SYSTEM


class _OfTest(Protocol):
    @property
    def test(self) -> TestKey:
        """The test that saved it."""


Content = TypeVar("Content", bound=_OfTest)
_SAFE = re.compile(r"[^A-Za-z0-9_.\[\]=,+-]+")
_LONGEST_NAME = 120
#: Names of devices on Windows, whatever follows their first dot.
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)?")
#: Files that say what the tests of a suite share: more of them would hardly change that.
SAMPLE = 500
#: Digits that tell names apart whose readable part is the same: 64 bits collide by no accident.
_HASH_DIGITS = 16


class FileTree(Generic[Content]):
    """The files of tests in one part of the folder of baselines: of a machine, or of counted work.

    Its methods raise `BaselineError` for a file that cannot be read or written: one line with the
    file and the fix. A file that cannot be read is never overwritten.

    folder  the folder of baselines
    part    the name of the folder in it that has the files
    notes   a line for each file that a test uses and another test has saved
    """

    def __init__(
        self,
        folder: Path,
        part: str,
        decode: Callable[[Path, bytes], Content],
        encode: Callable[[Content], bytes],
        other_folder: str,
    ) -> None:
        """Read nothing yet; `other_folder` is the option that names another, for messages."""
        self.folder = folder
        self.part = part
        self._decode = decode
        self._encode = encode
        self._other_folder = other_folder
        self.notes: dict[str, str] = {}
        self._files: KnownFiles[Content] | None = None
        self._folders: set[Path] = set()

    def path(self, test: TestKey) -> Path:
        """Return the file of a test: `<folder>/<part>/<module>/<test and params>.json`."""
        return module_folder(self.folder / self.part, test.module) / file_name(test.name)

    def load(self, test: TestKey) -> Content | None:
        """Return what the file of a test has, or None."""
        files = self.files()
        if not (files or self._folders):
            return None
        path = self.path(test)
        found = files.get(path)
        if found is None and path in self._folders:
            raise BaselineError(
                f"{path}: a folder where the baseline of {test.name} belongs: move it away: "
                f"mv {quoted(path)} DIR"
            )
        if found is not None and found.test != test:  # Git shows no figure of a renamed file
            self.notes[str(path)] = (
                f"{path} was saved by {found.test.node_id}: restore it unless the test was renamed"
            )
        return found

    def files(self) -> Mapping[Path, Content]:
        """Return what every file of this part has, by its path; they are listed once."""
        return self._listed()

    def sample(self) -> Mapping[Path, Content]:
        """Return what at most `SAMPLE` files have, as they are now.

        The choice depends on their names alone: it is the same whichever tests run.
        """
        files, part = self._listed(), self.folder / self.part
        if len(files) <= SAMPLE:
            return files.some(files)
        return files.some(sorted(files, key=lambda path: _place(path.relative_to(part)))[:SAMPLE])

    def prepare(self, tests: Iterable[TestKey]) -> None:
        """Read the files of some tests, before a test can replace how files are read."""
        files = self._listed()
        if files:
            files.some(path for test in tests if (path := self.path(test)) in files)

    def _listed(self) -> KnownFiles[Content]:
        if self._files is None:
            known = KnownFiles(self._decode)
            for path, data in self._found():
                known.add(path, data)
            self._files = known
        return self._files

    def _found(self) -> Iterator[tuple[Path, bytes | None]]:
        """Yield each file, with its bytes if they are at hand, and note the folders."""
        if os.path.exists(self.folder) and not os.path.isdir(self.folder):
            raise BaselineError(
                f"{self.folder}: a file, expected a folder of baselines: {self._other_folder}"
            )
        for entry in entries(self.folder / self.part):
            if entry.problem:
                raise as_error(entry.path, entry.problem)
            if entry.is_folder:
                self._folders.add(entry.path)
            elif entry.path.suffix == ".json":
                yield entry.path, None

    def check_writable(self) -> None:
        """Raise `BaselineError` if no baseline can be saved, before anything is measured."""
        mine = self.folder / self.part
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

    def update(self, test: TestKey, change: Callable[[Content | None], Content]) -> Path:
        """Write a changed baseline atomically, while other processes that save wait."""
        path = self.path(test)
        baseline, data = self._write(path, change)
        try:
            SYSTEM.lstat(str(path))
        except OSError:
            raise BaselineError(
                f"{path}: not written: a fixture of the module or the session replaces the file "
                "system: use one of the function, as pyfakefs's fs"
            ) from None
        if self._files is not None:
            self._files.keep(path, data, baseline)
        return path

    def write(self, path: Path, change: Callable[[Content | None], Content]) -> Content:
        """Write a changed baseline by the path of its file, and return it."""
        return self._write(path, change)[0]

    def _write(
        self, path: Path, change: Callable[[Content | None], Content]
    ) -> tuple[Content, bytes]:
        with self._locked() as temporaries:
            self._refuse_links(path.parent)
            before = read_data(path)
            baseline = change(None if before is None else self._decode(path, before))
            data = self._encode(baseline)
            try:
                _replace(path, data, temporaries / f"{os.getpid()}-{uuid4().hex}")
            except OSError as error:
                raise self._unwritable(path, error) from None
        return baseline, data

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
                why = f"cannot be removed ({error.strerror}): {permissions.write_fix(path, error)}"
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
            f"{path}: cannot be written ({error.strerror}): {permissions.write_fix(path, error)}, "
            f"or use another folder: {self._other_folder}"
        )


def entries(folder: Path) -> Iterator[whole_file.Entry]:
    """Yield what is below a folder, without what editors and systems hide beside files.

    Among these is the lock of Emacs, a link that leads nowhere.
    """
    for each in whole_file.walk(folder):
        if each.is_folder or not each.path.name.startswith("."):
            yield each


def read_all(
    folders: Iterable[Path], read: Callable[[Path], Content | None]
) -> tuple[dict[Path, Content], tuple[str, ...]]:
    """Return every file below some folders, and a line for each that cannot be read."""
    found: dict[Path, Content] = {}
    damaged = []
    for entry in (entry for folder in folders for entry in entries(folder)):
        try:
            if entry.problem:
                raise as_error(entry.path, entry.problem)
            if not entry.is_folder and entry.path.suffix == ".json":
                content = read(entry.path)
                if content is not None:  # else removed meanwhile
                    found[entry.path] = content
        except BaselineError as error:
            damaged.append(str(error))
    return found, tuple(damaged)


@lru_cache(maxsize=2)
def module_folder(part: Path, module: str) -> Path:
    """Return the folder of the files of a test module, below that of a machine or of the work."""
    parts = (_folder_name(name) for name in module.split("/") if name not in ("", "."))
    return part.joinpath(*parts)


def _folder_name(part: str) -> str:
    """Return `_up` for the parent folder, so that no file is outside; escape a real `_up`."""
    if part == "..":
        return "_up"
    return f"_{part}" if re.fullmatch("(?i)_+up", part) else part


def _place(path: Path) -> bytes:
    """Return the place of a file in the order in which files are sampled."""
    return hashlib.sha256(os.fsencode(path.as_posix())).digest()


def file_name(name: str, digits: int = _HASH_DIGITS) -> str:
    """Return a file name for a test: readable, unique, and valid on every file system."""
    safe = _SAFE.sub("_", name).replace(".", "-")[:_LONGEST_NAME]
    if safe != name or safe != safe.lower() or _DEVICE.fullmatch(safe):
        safe += "-" + hashlib.sha256(name.encode()).hexdigest()[:digits]
    return f"{safe}.json"


def _replace(path: Path, data: bytes, temporary: Path) -> None:
    """Write a file atomically by way of a temporary one, which may be on another disk."""
    permissions.make_folders(path.parent)
    try:
        whole_file.replace(path, data, temporary)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        whole_file.write_whole(path, data)
