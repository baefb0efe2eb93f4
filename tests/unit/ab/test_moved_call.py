"""How pytest is called in another tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_greenops.ab.moved_call import move
from pytest_greenops.run.process import Invocation


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    """Return two trees; the first one has more folders, and a virtual environment."""
    for name in ("top/src", "top/new", "top/.venv/lib/site-packages", "tree/src", "tree/tests"):
        tmp_path.joinpath(name).mkdir(parents=True)
    return str(tmp_path / "top"), str(tmp_path / "tree")


def test_paths_lie_in_the_other_tree(folders: tuple[str, str]) -> None:
    """Arguments, `sys.path` and the folder move; the virtual environment in the tree does not.

    What the other tree lacks stays on `sys.path`: the redirect needs to know of it.
    """
    top, tree = folders
    site = f"{top}/.venv/lib/site-packages"
    args = ["-q", f"{top}/tests/test_a.py::test_b[{top}/..]", f"--rootdir={top}", "tests", "a=b"]
    path = ["", f"{top}/src", f"{top}/new", "/usr/lib/python3", site]
    moved = move(Invocation(args, f"{top}/src", path), top, tree, top)
    expected = ["-q", f"{tree}/tests/test_a.py::test_b[{top}/..]", f"--rootdir={tree}"]
    assert moved.args == [*expected, "tests", "a=b"]
    assert moved.folder == f"{tree}/src"
    assert moved.path == ["", f"{tree}/src", f"{top}/new", "/usr/lib/python3", site]


def test_what_a_third_tree_lacks_is_left_out(folders: tuple[str, str]) -> None:
    """The redirect of a run that is redirected itself is from another tree: it would stay."""
    top, tree = folders
    path = [f"{top}/src", f"{top}/new"]
    assert move(Invocation([], top, path), top, tree, "/elsewhere").path == [f"{tree}/src"]


def test_a_folder_that_the_other_tree_lacks(folders: tuple[str, str]) -> None:
    """Pytest is called in the root instead."""
    top, tree = folders
    assert move(Invocation([], f"{top}/new", []), top, tree, top).folder == tree


def test_in_the_same_tree_nothing_changes(folders: tuple[str, str]) -> None:
    """The candidate is called as the user called it."""
    top, _ = folders
    invocation = Invocation([f"{top}/tests"], top, [f"{top}/src"])
    assert move(invocation, top, top, top) == invocation
