"""The baselines of xdist's controller, read by a worker that may be on another host."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pytest_greenops.baselines import baseline_file
from pytest_greenops.baselines.file_tree import entries
from pytest_greenops.baselines.store import Store
from pytest_greenops.baselines.work_store import WorkStore
from pytest_greenops.model.baseline import Baseline, TestKey
from pytest_greenops.model.errors import BaselineError

#: Asks the controller: what for, and of which part or test. Raises `BaselineError`.
Ask = Callable[[str, Any], Any]


class Server:
    """Answers what a worker asks about a folder of baselines."""

    def __init__(self, folder: Path, machine: str) -> None:
        """Answer for a machine, whose baselines are in the folder of this name."""
        self._store = Store(folder, machine)

    def answer(self, what: str, about: Any) -> Any:
        """Return the answer as plain values; raise `BaselineError` for what cannot be read.

        `part` asks for the bytes of each file of a part of the folder, by its path from there;
        `elsewhere` for the baseline of a test on another machine, with what could not be read.
        """
        if what == "part":
            return dict(self._part(about))
        found = self._store.elsewhere(msgspec.convert(about, TestKey))
        return found and baseline_file.encode(found), self._store.notes

    def _part(self, part: str) -> Iterator[tuple[bytes, bytes]]:
        folder = self._store.folder
        for entry in entries(folder / part):
            if entry.problem:
                raise baseline_file.as_error(entry.path, entry.problem)
            if not entry.is_folder and entry.path.suffix == ".json":
                data = baseline_file.read_data(entry.path)
                if data is not None:
                    yield os.fsencode(entry.path.relative_to(folder)), data


class ServedStore(Store):
    """The baselines of one machine that the controller has; nothing is written here."""

    def __init__(self, folder: Path, machine: str, ask: Ask) -> None:
        """Ask about a folder, named as on the controller's host."""
        super().__init__(folder, machine)
        self._ask = ask

    def work_store(self) -> WorkStore:
        """Return the accepted work beside these baselines."""
        return _ServedWorkStore(self.folder, self._ask)

    def _found(self) -> Iterator[tuple[Path, bytes | None]]:
        return _part(self.folder, self.part, self._ask)

    def _holds(self, path: Path, test: TestKey) -> bool:
        found = self.files().get(path)
        return found is not None and found.test == test

    def _of_others(self, test: TestKey) -> Iterator[Baseline]:
        try:
            data, notes = self._ask("elsewhere", msgspec.to_builtins(test))
        except BaselineError as error:
            self.notes.setdefault("", str(error))
            return
        self.notes.update(notes)
        if data is not None:
            yield baseline_file.decode(self.folder, data)


class _ServedWorkStore(WorkStore):
    def __init__(self, folder: Path, ask: Ask) -> None:
        super().__init__(folder)
        self._ask = ask

    def _found(self) -> Iterator[tuple[Path, bytes | None]]:
        return _part(self.folder, self.part, self._ask)


def _part(folder: Path, part: str, ask: Ask) -> Iterator[tuple[Path, bytes | None]]:
    for path, data in ask("part", part).items():
        yield folder / os.fsdecode(path), data
