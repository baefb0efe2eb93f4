"""What a command prints: lines on stdout, problems on stderr."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from pytest_greenops.commands.command import FAILED
from pytest_greenops.report.drawing import in_ascii, shows_blocks, visible

PROGRAM = "pytest-greenops"


class Screen(NamedTuple):
    """What stdout can show; `width` is in columns."""

    width: int
    color: bool
    unicode: bool

    @classmethod
    def of_stdout(cls) -> Screen:
        """Return the screen of this process."""
        colorless = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
        width, color = shutil.get_terminal_size().columns, sys.stdout.isatty() and not colorless
        return cls(width, color, shows_blocks(sys.stdout.encoding))

    def print(self, lines: Iterable[str]) -> None:
        """Print lines, in ASCII where the screen shows nothing else."""
        if not self.color:  # colors are escape sequences too
            lines = map(visible, lines)
        print_lines(lines if self.unicode else map(in_ascii, lines))


def print_lines(lines: Iterable[str], file: TextIO | None = None) -> None:
    """Print lines; ignore a reader that closed the pipe. Raises `OSError`, e.g. of a full disk."""
    file = file or sys.stdout
    try:
        print("\n".join(lines), file=file, flush=True)
    except OSError as error:
        # Python flushes what is left once more at exit: send that to nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
        if not isinstance(error, BrokenPipeError):
            raise


def print_problems(problems: Sequence[str]) -> int:
    """Print each problem as one line on stderr, and return the exit status."""
    for problem in problems:
        print(f"{PROGRAM}: {visible(' '.join(problem.split()))}", file=sys.stderr)
    return FAILED if problems else 0


def beside(path: Path | None) -> TextIO:
    """Return where to print what a file does not hold: stderr if that file is `/dev/stdout`."""
    try:
        taken = path is not None and os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    except OSError:
        taken = False
    return sys.stderr if taken else sys.stdout
