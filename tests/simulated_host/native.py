"""The C parts of the simulated host: how they are built, and whether that is possible."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

POSSIBLE = sys.platform == "linux" and shutil.which("cc") is not None
WHY_NOT = "needs Linux and a C compiler"

_SCRIPT = Path(__file__).with_name("script")
#: Kept for later runs, under a name that changes with the sources.
_COMPILED = Path(__file__).parents[2] / "build/simulated_host"
_OPTIONS = (
    *("-std=c11", "-D_GNU_SOURCE", "-U_FORTIFY_SOURCE"),
    *("-O2", "-Wall", "-Wextra", "-Werror"),
    # Our names must not replace those of others in the process that loads the library.
    *("-shared", "-fPIC", "-fvisibility=hidden"),
)


def compile_library(folder: Path, library: Path) -> Path:
    """Make a shared library of the sources of a folder and of what all devices share.

    It is compiled once for all processes, because that takes a second.
    """
    library.write_bytes(_compiled(folder).read_bytes())
    return library


@lru_cache
def _compiled(folder: Path) -> Path:
    parts = [path for place in (folder, _SCRIPT) for path in sorted(place.glob("*.[ch]"))]
    digest = sha256(repr([_OPTIONS, *(path.read_bytes() for path in parts)]).encode()).hexdigest()
    library = _COMPILED / f"{digest[:16]}.so"
    if not library.exists():
        sources = [*map(str, sorted(folder.glob("*.c"))), str(_SCRIPT / "script.c")]
        _COMPILED.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_COMPILED) as made:
            whole = Path(made, "library.so")
            output = ("-o", str(whole), *sources, "-lm", "-ldl", "-pthread")
            subprocess.run(["cc", *_OPTIONS, f"-I{_SCRIPT}", *output], check=True)
            whole.replace(library)
    return library
