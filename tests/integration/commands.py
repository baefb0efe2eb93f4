"""The command `pytest-greenops`, run as users run it, in a process."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.integration import forked_python

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
    with TemporaryDirectory() as output:
        stdout, stderr = Path(output, "stdout"), Path(output, "stderr")
        code = forked_python.run(
            "pytest_greenops.commands.main",
            [str(argument) for argument in arguments],
            environ={**outer, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **environ},
            folder=folder,
            stdout=stdout,
            stderr=stderr,
        )
        out, err = (path.read_text(encoding="utf-8") for path in (stdout, stderr))
    return Ran(code, out, err)


def refused(folder: Path, *arguments: object) -> str:
    """Run a command that fails, and return its message of one line."""
    ran = run(folder, *arguments)
    assert (ran.code, ran.out) == (2, "")
    [line] = ran.err.splitlines()
    return line.removeprefix("pytest-greenops: ")
