"""The small files of /proc and /sys, below a root that tests may make."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def text(file: Path) -> str | None:
    """What a file says, without space around it; None where it is missing, empty or unreadable."""
    try:
        return file.read_text(errors="replace").strip("\0 \n\t") or None
    except OSError:
        return None


def texts(files: Iterable[Path]) -> set[str]:
    """What several files say, each saying once."""
    return {said for file in files if (said := text(file)) is not None}


def cpu_count(cpu_list: str) -> int:
    """How many CPUs the kernel's list `0-3,8` names; raises `ValueError` where it is none."""
    spans = [span.partition("-") for span in cpu_list.split(",")]
    return sum(int(last or first) - int(first) + 1 for first, _, last in spans)
