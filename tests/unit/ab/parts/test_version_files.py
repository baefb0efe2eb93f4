"""Modules with a version that a build wrote."""

from __future__ import annotations

from pytest_greenops.ab.worktree import Worktree
from tests.unit.ab.repositories import Repository


def test_an_ignored_version_is_copied(repository: Repository) -> None:
    """A package that imports it works in the tree; no other ignored or untracked file comes."""
    commit = repository.commit(
        {
            ".gitignore": "_version.py\ngenerated.py\n",
            "src/mypkg/__init__.py": "from ._version import version\n",
            "src/own/version.py": "version = 'of the ref'\n",
        }
    )
    repository.write(
        {
            "src/mypkg/_version.py": "version = '1.2'\n",
            "src/mypkg/generated.py": "",
            "src/mypkg/version.py": "not ignored, so of the working tree alone",
            "src/own/version.py": "changed",
            "elsewhere/_version.py": "",
        }
    )
    worktree = Worktree(repository.folder, commit)
    worktree.make()
    found = {
        str(path.relative_to(worktree.tree)): path.read_text()
        for path in sorted(worktree.tree.rglob("*.py"))
    }
    worktree.remove()
    assert found == {
        "code.py": "first\n",
        "src/mypkg/__init__.py": "from ._version import version\n",
        "src/mypkg/_version.py": "version = '1.2'\n",
        "src/own/version.py": "version = 'of the ref'\n",
    }
