"""Check a commit out without a trace in the repository that has it."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_greenops.ab.git import git


def check_out(source: Path, folder: Path, commit: str) -> None:
    """Make a repository that reads the objects of another one, and check a commit out there.

    source  the git folder of the other one
    folder  an empty folder

    Raises `GitError`.
    """
    of = f"--git-dir={source}"
    form = "--object-format=" + git(source, of, "rev-parse", "--show-object-format")
    git(folder, "init", "--quiet", "--template=", form)
    alternates = folder / ".git/objects/info/alternates"
    alternates.parent.mkdir(parents=True, exist_ok=True)
    alternates.write_bytes(os.fsencode(source / "objects") + b"\n")
    git(folder, "checkout", "--quiet", "--detach", commit)
