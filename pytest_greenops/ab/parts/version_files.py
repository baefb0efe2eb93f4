"""Give a worktree the modules with a version that building the package wrote into the user's tree.

setuptools-scm, hatch-vcs and others write them, git ignores them, and packages import them. What
they say makes no difference to what a test measures; other generated modules might.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from pytest_greenops.ab.git import GitError, git

_NAMES = ("_version.py", "version.py", "__version__.py", "_version_info.py", "__about__.py")


def copy(users: Path, tree: Path) -> None:
    """Copy such modules that git ignores into packages of the tree that lack them."""
    listed = git(tree, "ls-files", "-z", "--", "*.py").split("\0")
    folders = {os.path.dirname(each) for each in listed if each}
    wanted = [os.path.join(folder, name) for folder in sorted(folders) for name in _NAMES]
    lacking = [each for each in wanted if not os.path.lexists(tree / each)]
    found = [each for each in lacking if users.joinpath(each).is_file()]
    ignored: list[str] = []
    if found:
        with suppress(GitError):  # git ignores none of them
            given = "\0".join(found)
            ignored = git(users, "check-ignore", "-z", "--stdin", given=given).split("\0")
    for each in ignored:
        if each and tree.joinpath(each).parent.is_dir():
            shutil.copyfile(users / each, tree / each)
