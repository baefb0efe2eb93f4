"""The baselines of energy: a file for each test on each machine."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pytest_greenops.baselines import whole_file
from pytest_greenops.baselines.baseline_file import as_error, decode, encode, read, read_existing
from pytest_greenops.baselines.file_tree import FileTree, file_name, module_folder, read_all
from pytest_greenops.baselines.whole_file import quoted
from pytest_greenops.baselines.work_store import WORK, WorkStore
from pytest_greenops.model.baseline import Baseline, TestKey
from pytest_greenops.model.errors import BaselineError

#: The folder of a machine: its name ends in its fingerprint.
_MACHINE = re.compile(r".*-[0-9a-f]{8}")
#: Digits of the hash in file names of earlier versions, which keep their names.
_EARLIER = 6


class Store(FileTree[Baseline]):
    """The baselines of one folder; its methods raise `BaselineError` as those of `FileTree`.

    machine       the name of this machine's folder
    other_folder  the option that names another folder, for messages
    notes         also the first file of each other machine that cannot be read, and why
    """

    def __init__(
        self, folder: Path, machine: str, other_folder: str = "--energy-baselines=DIR"
    ) -> None:
        super().__init__(folder, machine, decode, encode, other_folder)
        self.machine = machine
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
        folder = module_folder(self.folder / machine, test.module)
        name = file_name(test.name)
        path = folder / name
        if name == f"{test.name}.json":  # it has no hash
            return path
        earlier = file_name(test.name, _EARLIER)
        if name != earlier and self._holds(folder / earlier, test) and not path.exists():
            return folder / earlier
        return path

    def _holds(self, path: Path, test: TestKey) -> bool:
        """Return whether a file is the baseline of a test."""
        with suppress(BaselineError):
            found = read_existing(path)
            return found is not None and found.test == test
        return False

    def work_store(self) -> WorkStore:
        """Return the accepted work of all tests, beside the baselines of this machine."""
        return WorkStore(self.folder)

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

    def orphans(self, collected: Collection[TestKey]) -> Iterator[Baseline]:
        """Yield baselines of tests that were not collected; none if nothing is known to be."""
        if not collected:
            return
        files, of_collected = self.files(), set(map(self.path, collected))
        for path in (path for path in files if path not in of_collected):
            baseline = files.get(path)
            if baseline and baseline.test not in collected and path == self.path(baseline.test):
                yield baseline


class Survey(NamedTuple):
    """Every baseline of a folder by its file, and a line for each unreadable file."""

    baselines: dict[Path, Baseline]
    damaged: tuple[str, ...]


def survey(folder: Path, naming: str = "", optional: bool = False) -> Survey:
    """Read every baseline of the machines whose name contains `naming`; raise `BaselineError`.

    If they are `optional`, a folder without any is no error.
    """
    found = [] if optional and not _machines(folder) else machines(folder, naming)
    return Survey(*read_all(found, read))


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
    found = list(filter(_is_machine, inside))
    if not found:
        inner = next((path for path in inside if any(map(_is_machine, _inside(path)))), None)
        fix = f"use {quoted(inner)}" if inner else f"save some with {whole_file.saving_to(folder)}"
        energy = " of energy, only accepted work" if (folder / WORK).is_dir() else ""
        raise BaselineError(f"{folder}: contains no baselines{energy}: {fix}")
    named = [path for path in found if naming in path.name]
    if not named:
        raise BaselineError(
            f"{folder}: no machine's name contains {naming!r}: expected part of one of "
            f"{', '.join(path.name for path in found)}"
        )
    return named


def _machines(folder: Path) -> list[Path]:
    return list(filter(_is_machine, _inside(folder)))


def _is_machine(path: Path) -> bool:
    return _MACHINE.fullmatch(path.name) is not None and os.path.isdir(path)


def _inside(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError:
        return []
