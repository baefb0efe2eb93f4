"""Where HEAD left a ref: the commit from which a bisect between the two begins."""

from __future__ import annotations

from pathlib import Path

from pytest_greenops.ab.git import GitError, git


def where_head_left(commit: str, folder: Path) -> str | None:
    """Return the last commit that HEAD has in common with another, abbreviated.

    None if HEAD has no commits after it, and if the two have none in common, as in a shallow clone.
    """
    try:
        head = git(folder, "rev-parse", "--verify", "HEAD")
        common = git(folder, "merge-base", head, commit).splitlines()[0]
        return None if common == head else git(folder, "rev-parse", "--short=7", common)
    except (GitError, IndexError):
        return None
