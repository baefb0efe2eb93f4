"""Repositories with a made history, and what a bisect must leave as it is."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

_AUTHOR = "Ada <ada@example.org>"
#: The first commit is of this second; each is a day later than the one before.
_BEGAN_S, _DAY_S = 1_790_000_000, 86_400


def git(folder: Path, *arguments: str, given: str | None = None) -> str:
    """Return what git prints."""
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, input=given
    ).stdout.strip("\n")


def make(folder: Path, commits: int, files: dict[str, str] | None = None) -> list[str]:
    """Make a repository with this many commits on `main`; return their hashes in order.

    Each changes the file `n.txt` to its number; the other files are those of the first commit.
    """
    git(folder, "init", "--quiet", "--initial-branch=main")
    first = "".join(f"M 644 inline {name}\n{_data(text)}" for name, text in (files or {}).items())
    stream = "".join(_commit(number, first if number == 0 else "") for number in range(commits))
    git(folder, "fast-import", "--quiet", given=stream)
    git(folder, "reset", "--hard", "--quiet")
    return git(folder, "rev-list", "--reverse", "main").split()


def copy_of(commits: int, folder: Path) -> list[str]:
    """Make a repository as `make` does, the second time by a copy."""
    made, hashes = _made(commits)
    shutil.copytree(made.name, folder, dirs_exist_ok=True)
    return list(hashes)


@lru_cache
def _made(commits: int) -> tuple[tempfile.TemporaryDirectory[str], list[str]]:
    folder = tempfile.TemporaryDirectory()
    return folder, make(Path(folder.name), commits)


def _commit(number: int, more: str) -> str:
    date = f"{_BEGAN_S + number * _DAY_S} +0000"
    people = f"author {_AUTHOR} {date}\ncommitter {_AUTHOR} {date}\n"
    changed = f"M 644 inline n.txt\n{_data(str(number))}"
    return f"commit refs/heads/main\n{people}{_data(f'Change {number}')}{changed}{more}\n"


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"


def make_dirty(folder: Path) -> None:
    """Stash a change, stage one, leave one unstaged, and add files that git does not know."""
    (folder / "n.txt").write_text("stashed")
    git(folder, "-c", "user.name=A", "-c", "user.email=a@b.c", "stash", "--quiet")
    (folder / "staged.txt").write_text("staged")
    git(folder, "add", "staged.txt")
    (folder / "n.txt").write_text("unstaged")
    (folder / "untracked").mkdir()
    (folder / "untracked" / "file.txt").write_text("untracked")


def state(folder: Path, but: Iterable[str] = ()) -> dict[str, object]:
    """Return everything of a repository that a bisect must not change, except some references."""
    refs = git(folder, "for-each-ref").splitlines()
    return {
        "HEAD": (folder / ".git" / "HEAD").read_text(),
        "index": (folder / ".git" / "index").read_bytes(),
        "refs": [ref for ref in refs if not any(part in ref for part in but)],
        "stash": git(folder, "stash", "list"),
        "status": git(folder, "--no-optional-locks", "status", "--porcelain=v2", "-uall"),
        "files": {
            str(path): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and ".git" not in path.parts
        },
        "worktrees": git(folder, "worktree", "list", "--porcelain"),
        "reflog": git(folder, "reflog"),
    }
