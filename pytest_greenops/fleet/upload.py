"""What is shipped to the nodes, and whether that is a reasonable amount."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.units import format_memory

#: Folders that Ray leaves out unless its environment variables say otherwise.
_LEFT_OUT = {".git", ".venv", "venv", "__pycache__"}
#: An error names at most this many folders.
_NAMED = 3
_GIT_S = 30.0


def check_size(folder: Path, most_bytes: int) -> None:
    """Raise `GreenopsError` with the largest folders if the files of a project are too large.

    Files that .gitignore or .rayignore names are not shipped, and do not count.
    """
    sizes: Counter[str] = Counter()
    for path in _files(folder):
        try:
            size = os.lstat(folder / path).st_size
        except OSError:  # deleted, and not yet in a commit
            continue
        first, *others = Path(path).parts
        sizes[f"{first}/" if others else first] += size
    total = sum(sizes.values())
    if total > most_bytes:
        largest = ", ".join(
            f"{name} {format_memory(size)}" for name, size in sizes.most_common(_NAMED)
        )
        raise GreenopsError(
            f"{folder.name} has {format_memory(total)}, more than the {format_memory(most_bytes)} "
            f"that are shipped to each node; the largest: {largest}; list what no test needs in "
            ".gitignore or .rayignore, or raise --upload-limit"
        )


def _files(folder: Path) -> Iterator[str]:
    """Yield the files that are shipped, by their path in the folder."""
    try:
        there = _git_files(folder, "--others", "--exclude-standard") | _git_files(folder)
        there -= _git_files(folder, "--cached", "--ignored", "--exclude-standard")
        for which in ("--cached", "--others"):
            there -= _git_files(folder, which, "--ignored", "--exclude-per-directory=.rayignore")
    except (OSError, subprocess.SubprocessError):  # no git, or no repository
        yield from _walk(folder)
        return
    yield from there


def _git_files(folder: Path, *which: str) -> set[str]:
    command = ["git", "ls-files", "-z", *which]
    ran = subprocess.run(command, cwd=folder, capture_output=True, timeout=_GIT_S, check=True)
    return {os.fsdecode(name) for name in ran.stdout.split(b"\0") if name}


def _walk(folder: Path) -> Iterator[str]:
    for at, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        for name in files:
            yield os.path.relpath(os.path.join(at, name), folder)
