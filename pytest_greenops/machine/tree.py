"""Reading small files of /proc and /sys, below a root that tests can replace."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def text(file: Path) -> str | None:
    """Return the stripped text of a file; None if it is missing, empty or unreadable."""
    try:
        return file.read_text(errors="replace").strip("\0 \n\t") or None
    except OSError:
        return None


def texts(files: Iterable[Path]) -> set[str]:
    """Return the distinct texts of several files."""
    return {found for file in files if (found := text(file)) is not None}


def cpu_count(cpu_list: str) -> int:
    """Return the number of CPUs in a list of the kernel, e.g. `0-3,8`; raises `ValueError`."""
    spans = [span.partition("-") for span in cpu_list.split(",")]
    return sum(int(last or first) - int(first) + 1 for first, _, last in spans)
