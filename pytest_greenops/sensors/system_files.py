"""Reading small files of /proc and /sys, below a root that tests can replace."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from pytest_greenops.model.environment import fact_text
from pytest_greenops.system import before_tests

#: No kernel is built for more: Linux' largest setting is 8,192.
_MOST_CPUS = 1 << 20


@before_tests
def text(file: Path) -> str | None:
    """Return the stripped text of a file; None if it is missing, empty or unreadable."""
    try:
        return fact_text(file.read_bytes().strip(b"\0 \r\n\t")) or None
    except OSError:
        return None


@before_tests
def exists(file: Path) -> bool:
    """Return whether a file can be seen; unlike that of `Path`, it never raises `OSError`."""
    return os.path.exists(file)


@before_tests
def matching(folder: Path, pattern: str) -> list[Path]:
    """Return the files below a folder by a pattern, sorted; none where it may not be searched."""
    return [folder / found for found in sorted(glob.glob(pattern, root_dir=folder))]


@before_tests
def texts(folder: Path, pattern: str) -> set[str]:
    """Return the distinct texts of the files below a folder that match a pattern."""
    return {found for file in matching(folder, pattern) if (found := text(file)) is not None}


def cpu_count(cpu_list: str) -> int:
    """Return the number of CPUs in a list of the kernel, e.g. `0-3,8`; 0 if it is none."""
    try:
        spans = [span.partition("-") for span in cpu_list.split(",")]
        count = sum(int(last or first) - int(first) + 1 for first, _, last in spans)
    except ValueError:
        return 0
    return count if 0 < count <= _MOST_CPUS else 0
