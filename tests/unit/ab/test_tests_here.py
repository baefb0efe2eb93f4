"""The working tree's tests in the tree of a ref."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_greenops.ab.tests_here import copy_tests
from pytest_greenops.ab.worktree import Worktree
from tests.unit.ab.repositories import Repository

PATTERNS = ("test_*.py", "*_test.py")


def files(folder: Path) -> dict[str, str]:
    """Return the files in a folder with their content, except for those of git."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def tree_with_tests(
    repository: Repository, *testpaths: str, patterns: tuple[str, ...] = PATTERNS
) -> dict[str, str]:
    """Return the files in a tree of HEAD after the working tree's tests were put there."""
    worktree = Worktree(repository.folder, repository.git("rev-parse", "HEAD"))
    worktree.make()
    try:
        paths = [repository.folder / each for each in testpaths]
        copy_tests(repository.folder, worktree.tree, patterns, paths)
        return files(worktree.tree)
    finally:
        worktree.remove()


def test_tests_of_the_working_tree_replace_those_of_the_ref(repository: Repository) -> None:
    """Code stays the ref's; tests that only the ref has go, whether git knows the new ones or not.

    Ignored files are not tests, and neither is what lies in a virtual environment.
    """
    repository.commit(
        {
            "test_top.py": "ref",
            "conftest.py": "ref",
            "pytest.ini": "",
            "src/mypkg/code.py": "ref",
            "src/mypkg/tests/data/x.txt": "ref",
            "tests/test_gone.py": "ref",
            "tests/gone/helper.py": "ref",
            "tests/same.py": "same",
        }
    )
    repository.write(
        {
            ".gitignore": "*.log\n",
            "test_top.py": "here",
            "conftest.py": "here",
            "src/mypkg/code.py": "here",
            "src/mypkg/code_test.py": "here",
            "src/mypkg/tests/data/x.txt": "here",
            "tests/new/test_new.py": "here",
            "tests/ignored.log": "here",
            "src/mypkg/new.py": "here",
            "env/pyvenv.cfg": "",
            "env/lib/tests/test_of_others.py": "here",
        }
    )
    for name in ("tests/test_gone.py", "tests/gone/helper.py"):
        repository.folder.joinpath(name).unlink()
    repository.git("add", "tests/new")
    before = repository.state
    assert tree_with_tests(repository) == {
        "code.py": "first\n",
        "conftest.py": "here",
        "pytest.ini": "",
        "src/mypkg/code.py": "ref",
        "src/mypkg/code_test.py": "here",
        "src/mypkg/tests/data/x.txt": "here",
        "test_top.py": "here",
        "tests/new/test_new.py": "here",
        "tests/same.py": "same",
    }
    assert repository.state == before


@pytest.mark.parametrize(
    ("testpaths", "patterns", "found"),
    [
        ((), PATTERNS, {}),
        (("checks",), PATTERNS, {"checks/helper.py": "here"}),
        (("che*",), PATTERNS, {"checks/helper.py": "here"}),
        ((".",), PATTERNS, {}),
        ((), ("checks/*.py",), {"checks/helper.py": "here"}),
        (("../elsewhere",), PATTERNS, {}),
    ],
)
def test_folders_and_patterns_of_pytest(
    repository: Repository,
    testpaths: tuple[str, ...],
    patterns: tuple[str, ...],
    found: dict[str, str],
) -> None:
    """`testpaths` and `python_files` count; the root as a test path does not make all a test."""
    repository.write({"checks/helper.py": "here", "helper.py": "here"})
    expected = {"code.py": "first\n", **found}
    assert tree_with_tests(repository, *testpaths, patterns=patterns) == expected


def test_links_and_changes_of_kind(repository: Repository) -> None:
    """A link stays a link, and a folder may have become a file or the other way round."""
    repository.commit({"tests/a/x.txt": "ref", "tests/b": "ref", "tests/c": "ref"})
    folder = repository.folder / "tests"
    folder.joinpath("a/x.txt").unlink()
    folder.joinpath("a").rmdir()
    for name in ("b", "c"):
        folder.joinpath(name).unlink()
    repository.write({"tests/a": "here", "tests/b/x.txt": "here"})
    os.symlink("a", folder / "c")
    found = tree_with_tests(repository)
    assert found == {"code.py": "first\n", "tests/a": "here", "tests/b/x.txt": "here"} | {
        "tests/c": "here"
    }
