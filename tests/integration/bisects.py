"""The command `bisect` in a repository whose measurements are made up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pytest_greenops.commands import main
from tests.integration import fake_ab
from tests.unit.bisection.histories import git

ROOT = Path(__file__).parents[2]
#: Joules of the commits after GOOD; the fourth one is bad.
JOULES = ("1.0", "1.0", "1.01", "1.15", "1.15", "1.16")


class Place:
    """A repository, and the command in it."""

    def __init__(
        self, folder: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]
    ) -> None:
        self.repository, self.fake = folder / "project", folder / "fake"
        self.temporary = folder / "temporary"
        for each in (self.repository, self.fake, self.temporary):
            each.mkdir()
        shutil.copy(str(fake_ab.__file__), self.fake / "pytest.py")
        self._patch, self._capture = patch, capture
        patch.setenv("PYTHONPATH", os.pathsep.join([str(self.fake), str(ROOT)]))
        patch.setenv("FAKE_AB", str(self.fake))
        patch.setenv("TMPDIR", str(self.temporary))
        patch.setenv("COLUMNS", "80")
        patch.setattr(tempfile, "tempdir", None)
        git(self.repository, "init", "--quiet", "--initial-branch=main")
        self.shas = [self.commit("1.0", "The first one")]

    def commit(self, joules: str, subject: str) -> str:
        """Commit a file with joules."""
        (self.repository / "joules.txt").write_text(joules)
        (self.repository / "n.txt").write_text(subject)
        git(self.repository, "add", ".")
        people = ("-c", "user.name=Ada Lovelace", "-c", "user.email=ada@example.org")
        date = f"2026-11-0{len(git(self.repository, 'log', '--oneline', '--all').splitlines()) + 1}"
        git(self.repository, *people, "commit", "--quiet", f"--date={date}T12:00", "-m", subject)
        return git(self.repository, "rev-parse", "HEAD")

    def fill(self, joules: tuple[str, ...] = JOULES) -> None:
        """Commit some joules, one after the other."""
        self.shas += [self.commit(each, f"Change {i}") for i, each in enumerate(joules, 1)]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command, in a process group of its own, as a shell does."""
        return subprocess.Popen(
            [sys.executable, "-m", "pytest_greenops.commands.main", "bisect", *arguments],
            cwd=self.repository,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run the command in this process; return its exit status and output."""
        with self._patch.context() as patch:
            patch.chdir(self.repository)
            try:
                code = main.main(["bisect", *arguments])
            except SystemExit as ended:
                code = int(ended.code or 0)
        return code, *self._capture.readouterr()

    def refused(self, *arguments: str) -> str:
        """Run the command, which refuses to, and return its message of one line."""
        code, out, err = self.run(*arguments)
        assert (code, out) == (2, "")
        [line] = err.splitlines()
        return line.removeprefix("pytest-greenops").removeprefix(" bisect").removeprefix(": ")

    def short(self, place: int) -> str:
        """Return the short name of a commit."""
        return git(self.repository, "rev-parse", "--short", self.shas[place])

    def wait_for_a_step(self) -> int:
        """Wait until a step waits; return the id of its process."""
        waits = self.fake / "waits"
        while not (waits.exists() and waits.read_text()):
            time.sleep(0.01)
        process_id = int(waits.read_text())
        waits.unlink()
        return process_id

    def left(self) -> list[str]:
        """Return what is left of the worktrees of steps."""
        return sorted(os.listdir(self.temporary))


def ends(process_id: int) -> bool:
    """Wait a few seconds for a process to end; return whether it did."""
    for _ in range(500):
        with suppress(ProcessLookupError, FileNotFoundError):
            if Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                time.sleep(0.01)
                continue
        return True
    return False
