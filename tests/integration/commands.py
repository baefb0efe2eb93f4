"""The command `pytest-greenops`, run as users run it: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
#: What would change what is printed.
UNSET = ("PYTHONUNBUFFERED", "COLUMNS", "PYTHONIOENCODING", "NO_COLOR")


class Told(NamedTuple):
    """The exit status of a command, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines on stdout."""
        return self.out.splitlines()


def run(folder: Path, *arguments: object, **environ: str) -> Told:
    """Run the command in a folder; keywords are its environment."""
    outer = {name: said for name, said in os.environ.items() if name not in UNSET}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest_greenops.commands.main", *map(str, arguments)],
        cwd=folder,
        env={**outer, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **environ},
        capture_output=True,
        encoding="utf-8",
    )
    return Told(ran.returncode, ran.stdout, ran.stderr)


def refused(folder: Path, *arguments: object) -> str:
    """The one line of a command that could do nothing."""
    told = run(folder, *arguments)
    assert (2, "") == (told.code, told.out)
    [line] = told.err.splitlines()
    return line.removeprefix("pytest-greenops: ")
