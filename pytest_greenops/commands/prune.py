"""Baselines whose test is gone, or that nobody has saved for long: found, then removed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pytest_greenops.baselines.store import Store, survey
from pytest_greenops.commands.vanished import certainly_gone
from pytest_greenops.model.baseline import Baseline, TestKey
from pytest_greenops.model.errors import BaselineError
from pytest_greenops.model.units import counted

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
#: Folders in which no project of the user's is looked for, those with a leading dot apart.
_NO_PROJECT = {"build", "dist", "node_modules", "venv"}


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


def find(folder: Path, root: Path | None, naming: str, older_than: timedelta | None) -> Findings:
    """Baselines in `folder` whose tests, looked for below `root`, are certainly gone.

    root        where pytest runs; the folder that holds `folder` is only a guess, if not given
    naming      a part of the name of the machines that are looked at; all if empty
    older_than  those that were saved last so long ago count too

    Raises `BaselineError` for a folder without baselines, and for a root where no test can be.
    """
    found, damaged = survey(folder, naming)
    at = root or folder.absolute().parent
    _check_root(at, {baseline.test.module for baseline in found.values()}, guessed=root is None)
    tests = _Tests(at)
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


def _check_root(root: Path, modules: set[str], guessed: bool) -> None:
    """Refuse a root in which tests would count as gone for the wrong reason.

    guessed  nobody named it: then it may belong to a project around that of the tests
    """
    if not root.is_dir():
        raise BaselineError(f"{root}: no such folder; name the one that pytest runs in: --root DIR")
    missing = {module for module in modules if not (root / module).exists()}
    none_there = missing == modules
    if not missing or not (guessed or none_there):
        return
    above = root.resolve().parents if none_there else ()
    for folder in above:
        if _any_below(folder, modules):
            raise BaselineError(
                f"{root}: none of the tests is below it, but they are below {folder}; name that: "
                f"--root {folder}"
            )
    if elsewhere := _deeper(root, missing):
        module, folder = elsewhere
        raise BaselineError(
            f"{root}: has no {module}, but {folder} has one; name the folder that pytest runs in: "
            f"--root {folder}" + ("" if none_there else f", or --root {root}")
        )
    if none_there and (guessed or not any((root / sign).exists() for sign in _SIGNS)):
        why = "" if guessed else ", and nothing says that pytest runs there"
        raise BaselineError(
            f"{root}: none of the tests is below it{why}; name the folder that pytest runs in: "
            "--root DIR"
        )


def _deeper(root: Path, modules: set[str]) -> tuple[str, Path] | None:
    """A module that is in a folder below the root as it should be in the root, and that folder."""
    named: dict[str, list[str]] = {}
    for module in sorted(modules):
        named.setdefault(module.rpartition("/")[2], []).append(module)
    for here, folders, files in os.walk(root):
        folders[:] = [name for name in sorted(folders) if _may_hold_a_project(Path(here, name))]
        for file in sorted(named.keys() & set(files)):
            path = Path(here, file)
            for module in named[file]:
                if path.as_posix().endswith(f"/{module}"):
                    return module, Path(path.as_posix().removesuffix(f"/{module}"))
    return None


def _may_hold_a_project(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name in _NO_PROJECT
    return not hidden and not (folder / "pyvenv.cfg").exists()


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


def removal_line(path: str, why: str, dry: bool) -> str:
    """One removed file, or one that would be: `removed baselines/….json: test_x.py is gone`."""
    return f"{'would remove' if dry else 'removed'} {path}: {why}"


def closing_line(removed: int, looked_at: int, dry: bool) -> str:
    """How many of how many."""
    verb = "would be removed" if dry else "removed"
    return f"energy: {removed} of {counted(looked_at, 'baseline')} {verb}"
