"""Runs that did not reach their history: kept in files, and appended by a later run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pytest_greenops.baselines.whole_file import write_whole
from pytest_greenops.history.append import append, run_id
from pytest_greenops.model.errors import GreenopsError, ResultsError
from pytest_greenops.model.history_url import HistoryUrl
from pytest_greenops.model.result import Results
from pytest_greenops.model.units import counted

#: The folder below the root directory, beside pytest's cache, which `--cache-clear` empties.
FOLDER = ".energy-history-pending"


class Kept(NamedTuple):
    """What became of a run: lines for the reader, and whether it is in the history."""

    lines: list[str]
    appended: bool


class PendingRuns:
    """The runs that wait for one history, below a root directory.

    read, encode  read and write a document of results
    """

    def __init__(
        self,
        url: HistoryUrl,
        root: Path,
        read: Callable[[Path], Results],
        encode: Callable[[Results], bytes],
    ) -> None:
        self._url = url
        self._folder = root / FOLDER
        self._read = read
        self._encode = encode

    def append(self, results: Results) -> Kept:
        """Append a run, and those that waited; if the history cannot be reached, keep it."""
        try:
            append(self._url, [results])
        except Exception as error:  # whatever a driver does, the run is not lost
            why = f"the run is not in the history ({self._why(error)}); {self._keep(results)}"
            return Kept([why], False)
        return Kept(list(self._append_waiting()), True)

    def _why(self, error: Exception) -> str:
        """Return an error in one line, without a password."""
        why = str(error)
        if not isinstance(error, GreenopsError):
            why = f"{self._url}: {type(error).__name__}: {self._url.scrub(why)}"
        return " ".join(why.split())

    def _append_waiting(self) -> Iterator[str]:
        done = 0
        for path in sorted(self._folder.glob(f"{self._url.digest}-*.json")):
            try:
                append(self._url, [self._read(path)])
            except Exception as error:
                if not path.exists():  # another run has appended it meanwhile
                    continue
                yield f"a run of {path} is not in the history: {self._why(error)}"
                if not isinstance(error, ResultsError):
                    break
                continue
            with suppress(OSError):
                path.unlink()
            done += 1
        if done:
            yield f"{counted(done, 'earlier run')} appended to the history from {self._folder}"

    def _keep(self, results: Results) -> str:
        path = self._folder / f"{self._url.digest}-{run_id(results)}.json"
        try:
            write_whole(path, self._encode(results))
            ignore = self._folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
        except OSError as error:
            return f"the run is lost: {path} cannot be written ({error.strerror})"
        return f"it is kept in {path}; the next run that reaches the history appends it"
