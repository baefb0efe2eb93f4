"""Where HEAD left a ref."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_greenops.ab.git import git
from pytest_greenops.ab.left_ref import where_head_left


def commit(folder: Path, name: str) -> str:
    """Add a commit, and return its hash."""
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    git(folder, *who, "commit", "--quiet", "--allow-empty", "--message", name)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a repository without a commit, on the branch main."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    return tmp_path


def test_is_the_last_common_commit(folder: Path) -> None:
    """Also where the ref has moved on since."""
    first = commit(folder, "first")
    git(folder, "checkout", "--quiet", "-b", "topic")
    topic = commit(folder, "topic")
    assert where_head_left("main", folder) == first[:7]
    git(folder, "checkout", "--quiet", "main")
    commit(folder, "further")
    assert where_head_left(topic, folder) == first[:7]


def test_is_none_without_commits_in_between(folder: Path) -> None:
    """Uncommitted changes are not bisected, nor is a ref that is ahead of HEAD."""
    first = commit(folder, "first")
    assert where_head_left(first, folder) is None
    git(folder, "branch", "ahead")
    git(folder, "checkout", "--quiet", "ahead")
    ahead = commit(folder, "ahead")
    git(folder, "checkout", "--quiet", "main")
    assert where_head_left(ahead, folder) is None


def test_is_none_without_a_common_commit(folder: Path) -> None:
    """Nor is there one before the first commit, or for a name that is not known."""
    assert where_head_left("main", folder) is None
    first = commit(folder, "first")
    git(folder, "checkout", "--quiet", "--orphan", "other")
    commit(folder, "other")
    assert where_head_left(first, folder) is None
    assert where_head_left("nothing", folder) is None
