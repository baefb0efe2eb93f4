"""What is known of many files of baselines, in little memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pytest_greenops.baselines.baseline_file import read_data

Content = TypeVar("Content")


class KnownFiles(Mapping[Path, Content]):
    """What files have, by their paths; each is read when it is first looked up.

    They are kept as bytes and decoded again at each look: thousands of baselines take a fraction of
    the memory so, and are no objects that the garbage collector must visit. A file that is gone by
    then is a `KeyError`; one that cannot be read or decoded raises `BaselineError`.
    """

    def __init__(self, decode: Callable[[Path, bytes], Content]) -> None:
        """Begin with no file."""
        self._decode = decode
        self._data: dict[str, bytes | None] = {}
        self._last: tuple[str, Content] | None = None

    def add(self, path: Path, data: bytes | None = None) -> None:
        """Add a file, to be read later unless its bytes are at hand."""
        self._data[str(path)] = data

    def keep(self, path: Path, data: bytes, content: Content) -> None:
        """Keep the bytes of a file that was written, and what it has."""
        file = str(path)
        self._data[file], self._last = data, (file, content)

    def some(self, paths: Iterable[Path]) -> KnownFiles[Content]:
        """Read some of the files, and return them as they are now."""
        same = KnownFiles(self._decode)
        for path in paths:
            if self.get(path) is not None:
                same.add(path, self._data[str(path)])
        return same

    def __getitem__(self, path: Path) -> Content:
        """Return what a file has; that of the last one is at hand."""
        file, last = str(path), self._last
        if last is not None and last[0] == file:
            return last[1]
        data = self._data[file]
        if data is None:
            data = read_data(path)
            if data is None:
                raise KeyError(path)
            self._data[file] = data
        content = self._decode(path, data)
        self._last = file, content
        return content

    def __contains__(self, path: object) -> bool:
        """Return whether a file is known."""
        return str(path) in self._data

    def __iter__(self) -> Iterator[Path]:
        """Yield the paths in the order in which the files were found."""
        return map(Path, [*self._data])

    def __len__(self) -> int:
        """Return how many files are known."""
        return len(self._data)
