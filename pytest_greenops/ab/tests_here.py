"""Put the working tree's tests into the worktree of a ref, in place of the ref's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from fnmatch import fnmatch
from glob import glob
from pathlib import Path

from pytest_greenops.ab.git import git
from pytest_greenops.ab.places import is_environment

#: Files that say how pytest runs and are nothing else.
_OF_PYTEST = {"conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml"}
_OF_TESTS = {"test", "tests"}


def copy_tests(
    users: Path, tree: Path, python_files: Iterable[str], testpaths: Iterable[Path]
) -> None:
    """Copy test files of the user's working tree into a tree, and remove the ones only that has.

    users         the root of the user's working tree
    tree          the worktree of the ref
    python_files  patterns of names of test files, as pytest has them
    testpaths     folders with tests, or patterns of them, as pytest has them, in the user's tree

    Test files are those with such a name, `conftest.py`, `pytest.ini`, and all that git tracks or
    does not ignore in folders called `test` or `tests` or given as testpaths. Raises `OSError`.
    """
    chosen = _Chosen(users, python_files, testpaths)
    listed = _files(users, "--cached", "--others", "--exclude-standard")
    here = {each for each in listed if chosen.has(each) and os.path.lexists(users / each)}
    for each in _files(tree, "--cached"):
        if chosen.has(each) and each not in here:
            with suppress(FileNotFoundError):
                tree.joinpath(each).unlink()
    for each in sorted(here):
        _copy(users / each, tree / each, tree)


class _Chosen:
    """Which files of a repository are tests."""

    def __init__(self, users: Path, python_files: Iterable[str], testpaths: Iterable[Path]) -> None:
        self._users = users
        self._patterns = list(python_files)
        root = users.resolve()
        found = (Path(path) for each in testpaths for path in glob(str(each), recursive=True))
        relative = [
            each.resolve().relative_to(root).as_posix()
            for each in found
            if each.resolve().is_relative_to(root)
        ]
        self._folders = tuple(f"{each}/" for each in relative if each != ".")
        self._environments: dict[str, bool] = {}

    def has(self, path: str) -> bool:
        """Return whether a file is a test, by its path in the repository."""
        name, folders = os.path.basename(path), path.split("/")[:-1]
        named = name in _OF_PYTEST or any(self._matches(path, each) for each in self._patterns)
        placed = path.startswith(self._folders) or not _OF_TESTS.isdisjoint(folders)
        return (named or placed) and not self._is_installed(folders)

    def _matches(self, path: str, pattern: str) -> bool:
        """Return whether pytest collects a file by this pattern: of its name, or of its path."""
        if "/" not in pattern:
            return fnmatch(os.path.basename(path), pattern)
        return fnmatch(path, pattern) or fnmatch(path, f"*/{pattern}")

    def _is_installed(self, folders: list[str]) -> bool:
        for i in range(1, len(folders) + 1):
            folder = str(self._users.joinpath(*folders[:i]))
            if folder not in self._environments:
                self._environments[folder] = is_environment(folder)
            if self._environments[folder]:
                return True
        return False


def _files(tree: Path, *which: str) -> list[str]:
    listed = git(tree, "ls-files", "-z", "--full-name", *which)
    return [each for each in dict.fromkeys(listed.split("\0")) if each]


def _copy(source: Path, target: Path, tree: Path) -> None:
    """Copy a file or a link, also where the tree has a folder or a file in its place."""
    if source.is_dir() and not source.is_symlink():
        return  # a submodule, or another repository
    for parent in reversed(target.relative_to(tree).parents[:-1]):
        folder = tree / parent
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        folder.mkdir(exist_ok=True)
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    elif os.path.lexists(target):
        target.unlink()
    shutil.copy2(source, target, follow_symlinks=False)
