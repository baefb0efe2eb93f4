"""Baselines whose test is gone, or that nobody has saved for long: found, then removed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pytest_greenops.model.baseline import Baseline, TestKey
from pytest_greenops.model.errors import BaselineError
from pytest_greenops.store import Store, survey
from pytest_greenops.vanished import certainly_gone

#: What shows that a folder may be the one that pytest runs in.
_SIGNS = (
    "conftest.py",
    "pytest.ini",
    ".pytest.ini",
    "pyproject.toml",
    "tox.ini",
    "setup.cfg",
    "setup.py",
    ".git",
)


class Removal(NamedTuple):
    """A baseline to remove, and why."""

    path: Path
    why: str


class Findings(NamedTuple):
    """What a look through a folder of baselines found.

    looked_at  how many baselines could be read
    damaged    why others could not, each in a line that names its file
    """

    removals: tuple[Removal, ...]
    looked_at: int
    damaged: tuple[str, ...]


def find(folder: Path, root: Path, naming: str, older_than: timedelta | None) -> Findings:
    """Baselines in `folder` whose tests, looked for below `root`, are certainly gone.

    naming      a part of the name of the machines that are looked at; all if empty
    older_than  those that were saved last so long ago count too

    Raises `BaselineError` for a folder without baselines, and for a root where no test can be.
    """
    found, damaged = survey(folder, naming)
    _check_root(root, {baseline.test.module for baseline in found.values()})
    tests = _Tests(root)
    removals = []
    for path, baseline in found.items():
        # One that was moved by hand belongs to the test that its path names, which it cannot tell.
        moved = Store(folder, path.relative_to(folder).parts[0]).path(baseline.test) != path
        why = None if moved else tests.gone(baseline.test)
        why = why or _old(baseline, older_than)
        removals += [Removal(path, why)] if why else []
    return Findings(tuple(removals), len(found), damaged)


def remove(folder: Path, removals: tuple[Removal, ...]) -> Iterator[Removal]:
    """Remove them one by one, yielding each that is gone; raises `BaselineError`."""
    for removal in removals:
        Store(folder, removal.path.relative_to(folder).parts[0]).remove(removal.path)
        yield removal


class _Tests:
    """The test modules below a root, each read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._source = lru_cache(maxsize=None)(self._read)

    def gone(self, test: TestKey) -> str | None:
        """Why a test is certainly gone, or None."""
        source = self._source(test.module)
        if source is None:
            return f"{test.module} is gone"
        # What stands in a text file, and a doctest, which is named after its module, is no `def`.
        stem = test.module.removesuffix(".py").rpartition("/")[2]
        doctest = "." in test.qualname and test.qualname.partition(".")[0] in (
            stem,
            *test.module.split("/"),
        )
        if not test.module.endswith(".py") or doctest:
            return None
        gone = certainly_gone(source, test.qualname)
        return f"{test.module} has no {test.qualname}" if gone else None

    def _read(self, module: str) -> bytes | None:
        """The bytes of a module; None where there is none, nothing where it cannot be read."""
        try:
            return (self._root / module).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            return b"("


def _check_root(root: Path, modules: set[str]) -> None:
    """Refuse a root in which everything would count as gone for the wrong reason."""
    if not root.is_dir():
        raise BaselineError(f"{root}: no such folder; name the one that pytest runs in: --root DIR")
    if not modules or _any_below(root, modules):
        return
    for above in root.resolve().parents:
        if _any_below(above, modules):
            raise BaselineError(
                f"{root}: none of the tests is below it, but they are below {above}; name that: "
                f"--root {above}"
            )
    if not any((root / sign).exists() for sign in _SIGNS):
        raise BaselineError(
            f"{root}: none of the tests is below it, and nothing says that pytest runs there; "
            "name the folder that it runs in: --root DIR"
        )


def _any_below(root: Path, modules: set[str]) -> bool:
    return any((root / module).exists() for module in modules)


def _old(baseline: Baseline, age: timedelta | None) -> str | None:
    if age is None:
        return None
    saved = [
        session.saved_at for series in baseline.measurements.values() for session in series.sessions
    ]
    dates = [date for text in saved if (date := _date(text)) is not None]
    if not dates or len(dates) < len(saved) or datetime.now(timezone.utc) - max(dates) <= age:
        return None
    return f"saved last on {max(dates).date()}"


def _date(text: str) -> datetime | None:
    try:
        date = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)
