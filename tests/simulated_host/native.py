"""The C parts of the simulated host: how they are built, and whether they can be."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

POSSIBLE = sys.platform == "linux" and shutil.which("cc") is not None
WHY_NOT = "needs Linux and a C compiler"

_SCRIPT = Path(__file__).with_name("script")
_OPTIONS = (
    *("-std=c11", "-D_GNU_SOURCE", "-U_FORTIFY_SOURCE"),
    *("-O2", "-Wall", "-Wextra", "-Werror"),
    # Names of ours must not stand in for others' in the process that loads the library.
    *("-shared", "-fPIC", "-fvisibility=hidden"),
)


def compile_library(folder: Path, library: Path) -> Path:
    """Compile the sources of a folder and what all devices share into a shared library."""
    sources = [*map(str, sorted(folder.glob("*.c"))), str(_SCRIPT / "script.c")]
    included = f"-I{_SCRIPT}"
    command = ["cc", *_OPTIONS, included, "-o", str(library), *sources, "-lm", "-ldl", "-pthread"]
    subprocess.run(command, check=True)
    return library
