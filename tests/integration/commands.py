"""The command `pytest-greenops`, run as users run it, in a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
#: Variables that change the output.
UNSET = ("PYTHONUNBUFFERED", "COLUMNS", "PYTHONIOENCODING", "NO_COLOR")


class Ran(NamedTuple):
    """The exit status of a command and its output."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines on stdout."""
        return self.out.splitlines()


def run(folder: Path, *arguments: object, **environ: str) -> Ran:
    """Run the command in a folder; keywords are environment variables."""
    outer = {name: value for name, value in os.environ.items() if name not in UNSET}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest_greenops.commands.main", *map(str, arguments)],
        cwd=folder,
        env={**outer, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **environ},
        capture_output=True,
        encoding="utf-8",
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def refused(folder: Path, *arguments: object) -> str:
    """Run a command that fails, and return its message of one line."""
    ran = run(folder, *arguments)
    assert (ran.code, ran.out) == (2, "")
    [line] = ran.err.splitlines()
    return line.removeprefix("pytest-greenops: ")
