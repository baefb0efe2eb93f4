"""Git repositories for tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_SETTINGS = {
    **{f"GIT_{who}_NAME": "somebody" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "somebody@example.org" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_CONFIG_{which}": os.devnull for which in ("GLOBAL", "SYSTEM")},
}


class Repository:
    """A git repository in a folder, with one commit of `code.py` on branch `main`."""

    def __init__(self, folder: Path, like: Repository | None = None) -> None:
        self.folder = folder
        if like is None:
            folder.mkdir(parents=True)
            self.git("init", "--quiet", "--initial-branch=main", "--template=")
            self.first = self.commit({"code.py": "first\n"})
        else:
            shutil.copytree(like.folder, folder)
            self.first = like.first

    def git(self, *arguments: str, code: int = 0) -> str:
        """Return what a git command prints; settings of this machine do not count."""
        environ = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
        environ.update(_SETTINGS)
        allowed = ("-c", "protocol.file.allow=always")
        command = ["git", *allowed, "-C", str(self.folder), *arguments]
        ran = subprocess.run(command, env=environ, capture_output=True, text=True)
        assert ran.returncode == code, f"{command}: {ran.stderr}"
        return ran.stdout.strip()

    def write(self, files: dict[str, str]) -> None:
        """Write files in the working tree."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def commit(self, files: dict[str, str]) -> str:
        """Write and commit files, and return the commit."""
        self.write(files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--no-verify", "--allow-empty", "--message=change")
        return self.git("rev-parse", "HEAD")

    @property
    def state(self) -> tuple[str, ...]:
        """Return all that a comparison must leave as it is."""
        files = sorted(
            f"{path.relative_to(self.folder)} {path.stat().st_mtime_ns} {path.read_bytes()!r}"
            for path in self.folder.rglob("*")
            if path.is_file() and ".git" not in path.relative_to(self.folder).parts
        )
        git_folder = self.folder / self.git("rev-parse", "--git-dir")
        kept = ("index", "HEAD", "config", "ORIG_HEAD", "packed-refs")
        inside = [
            f"{name} {(git_folder / name).read_bytes()!r}"
            for name in kept
            if (git_folder / name).exists()
        ]
        return (*files, *inside, self.git("stash", "list"), self.git("for-each-ref"))

    @property
    def worktrees(self) -> list[str]:
        """Return the folders of its worktrees, as git notes them."""
        listed = self.git("worktree", "list", "--porcelain").splitlines()
        return [line.removeprefix("worktree ") for line in listed if line.startswith("worktree ")]
