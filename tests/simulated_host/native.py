"""The C parts of the simulated host: how they are built, and whether that is possible."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

POSSIBLE = sys.platform == "linux" and shutil.which("cc") is not None
WHY_NOT = "needs Linux and a C compiler"

_SCRIPT = Path(__file__).with_name("script")
_OPTIONS = (
    *("-std=c11", "-D_GNU_SOURCE", "-U_FORTIFY_SOURCE"),
    *("-O2", "-Wall", "-Wextra", "-Werror"),
    # Our names must not replace those of others in the process that loads the library.
    *("-shared", "-fPIC", "-fvisibility=hidden"),
)


def compile_library(folder: Path, library: Path) -> Path:
    """Make a shared library of the sources of a folder and of what all devices share.

    Each process compiles them once, because that takes a second.
    """
    library.write_bytes(_compiled(folder))
    return library


@lru_cache
def _compiled(folder: Path) -> bytes:
    sources = [*map(str, sorted(folder.glob("*.c"))), str(_SCRIPT / "script.c")]
    with tempfile.TemporaryDirectory() as made:
        library = Path(made, "library.so")
        output = ("-o", str(library), *sources, "-lm", "-ldl", "-pthread")
        subprocess.run(["cc", *_OPTIONS, f"-I{_SCRIPT}", *output], check=True)
        return library.read_bytes()
