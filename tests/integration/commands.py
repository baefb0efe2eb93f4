"""The command `pytest-greenops`, run in its own process."""

from __future__ import annotations

import os
from pathlib import Path

from tests.integration import forked_python
from tests.integration.forked_python import Finished

ROOT = Path(__file__).parents[2]
#: Variables that change the output.
UNSET = ("PYTHONUNBUFFERED", "COLUMNS", "PYTHONIOENCODING", "NO_COLOR")


def run(folder: Path, *arguments: object, **environ: str) -> Finished:
    """Run the command in a folder; keywords are environment variables."""
    outer = {name: value for name, value in os.environ.items() if name not in UNSET}
    return forked_python.run(
        "pytest_greenops.commands.main",
        *arguments,
        environ={**outer, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **environ},
        folder=folder,
    )


def refused(folder: Path, *arguments: object) -> str:
    """Run a command that fails, and return its message of one line."""
    ran = run(folder, *arguments)
    assert (ran.code, ran.out) == (2, "")
    [line] = ran.err.splitlines()
    return line.removeprefix("pytest-greenops: ")
