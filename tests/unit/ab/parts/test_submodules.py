"""Submodules of a worktree: at the commits of the ref, from the clones of the user's tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_greenops.ab.worktree import Worktree
from tests.unit.ab.repositories import Repository


@pytest.fixture
def commits(repository: Repository, other: Repository) -> list[str]:
    """Return two commits of a repository that has a submodule at another commit in each."""
    repository.git("submodule", "--quiet", "add", str(other.folder), "libs/other")
    first = repository.commit({})
    other.commit({"code.py": "second\n"})
    submodule = repository.folder / "libs/other"
    repository.git("-C", str(submodule), "pull", "--quiet", str(other.folder), "main")
    second = repository.commit({})
    other.folder.rename(other.folder.with_name("unreachable"))
    return [first, second]


def tree_of(repository: Repository, commit: str) -> Worktree:
    """Return a worktree of a commit."""
    worktree = Worktree(repository.folder, commit)
    worktree.make()
    return worktree


def test_a_submodule_is_at_the_commit_of_the_ref(
    repository: Repository, commits: list[str]
) -> None:
    """It is checked out without a network; the user's submodule stays, dirty as it is."""
    repository.write({"libs/other/code.py": "dirty\n"})
    before = repository.state
    worktrees = [tree_of(repository, commit) for commit in commits]
    found = [each.tree.joinpath("libs/other/code.py").read_text() for each in worktrees]
    notes = [each.notes for each in worktrees]
    for each in worktrees:
        each.remove()
    assert found == ["first\n", "second\n"]
    assert notes == [[], []]
    assert repository.state == before
    assert len(repository.worktrees) == 1


def test_a_submodule_of_a_submodule(repository: Repository, made_once: Repository) -> None:
    """Submodules within each other are checked out too."""
    folders = [repository.folder.parent / name for name in ("middle", "inner")]
    middle, inner = (Repository(folder, made_once) for folder in folders)
    middle.git("submodule", "--quiet", "add", str(inner.folder), "deep")
    middle.commit({})
    repository.git("submodule", "--quiet", "add", str(middle.folder), "middle")
    repository.git("submodule", "--quiet", "update", "--init", "--recursive")
    worktree = tree_of(repository, repository.commit({}))
    found = worktree.tree.joinpath("middle/deep/code.py").read_text()
    worktree.remove()
    assert found == "first\n"


def test_a_submodule_that_the_user_has_not_checked_out_stays_empty(
    repository: Repository, commits: list[str]
) -> None:
    """Then the working tree has none of its files either, and nothing is said."""
    repository.git("submodule", "--quiet", "deinit", "--force", "libs/other")
    modules = repository.folder / ".git/modules"
    modules.rename(modules.with_name("elsewhere"))
    worktree = tree_of(repository, commits[0])
    found, notes = list(worktree.tree.joinpath("libs/other").iterdir()), worktree.notes
    worktree.remove()
    assert (found, notes) == ([], [])


def test_a_commit_that_the_submodule_does_not_have(
    repository: Repository, other: Repository
) -> None:
    """One line names the submodule and the command that fetches the commit."""
    repository.git("submodule", "--quiet", "add", str(other.folder), "lib")
    wanted = "0123456789" * 4
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{wanted},lib")
    repository.git("commit", "--quiet", "--message=moved")
    worktree = tree_of(repository, repository.git("rev-parse", "HEAD"))
    worktree.remove()
    assert worktree.notes == [
        f"submodule lib: its commit 0123456789 is not here: git -C lib fetch origin {wanted}"
    ]


def test_the_repository_may_be_a_submodule_itself(
    repository: Repository, commits: list[str]
) -> None:
    """Its git folder lies in that of the repository around it."""
    inside = repository.folder / "libs/other"
    first = repository.git("-C", str(inside), "rev-parse", "HEAD~1")
    worktree = Worktree(inside, first)
    worktree.make()
    found = worktree.tree.joinpath("code.py").read_text()
    worktree.remove()
    assert found == "first\n"
    assert not Path(repository.folder, ".git/modules/libs/other/worktrees").exists()
