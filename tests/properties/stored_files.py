"""Files that this package stores and reads again: in one place, written anew for each input."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from pytest_greenops.commands import results_file
from pytest_greenops.history.append import append
from pytest_greenops.history.database import reading
from pytest_greenops.judge.two_files import compare
from pytest_greenops.model.history_url import HistoryUrl
from pytest_greenops.report.document import properties, to_json


@lru_cache
def folder() -> Path:
    """Return a folder that is removed when this process ends."""
    made = Path(tempfile.mkdtemp(prefix="greenops-properties-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def written(data: bytes) -> Path:
    """Return a file with this content."""
    file = folder() / "input"
    file.write_bytes(data)
    return file


def results(data: bytes) -> None:
    """Read results, write them again, and compare them with themselves."""
    found = results_file.read(written(data))
    to_json(found)
    for result in compare(found, found).results:
        properties(result)


def pending(data: bytes) -> None:
    """Append results to an empty history, as a run does with those that waited."""
    file = folder() / "history.db"
    file.unlink(missing_ok=True)
    found = results_file.read(written(data))
    url = HistoryUrl(f"sqlite:///{file}", folder())
    append(url, [found])
    with reading(url):
        pass
