"""How this interpreter and its allocator were started, as far as that changes what work costs.

Recorded, and not compared, are options that change the start alone (`-X frozen_modules`), and the
version of Python: a new one that needs more energy is a regression to find. The seed of hashes
differs from run to run by itself.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_greenops.model.environment import fact_text

DEFAULT = "default"

_ALLOCATORS = ("MALLOC_", "MIMALLOC_", "TCMALLOC_", "_RJEM_MALLOC_", "JE_MALLOC_", "PYTORCH_")
_LIBRARIES = ("LD_PRELOAD", "DYLD_INSERT_LIBRARIES")
_FOLDERS = re.compile(r"[^\s:=,]*[/\\]")


def interpreter(flags: Any = sys.flags, environ: Mapping[str, str] = os.environ) -> str:
    """Return what this interpreter does unlike a plain one: `-O, -X dev`; else `default`."""
    return ", ".join(_unlike_plain(flags, {} if flags.ignore_environment else environ)) or DEFAULT


def allocator(environ: Mapping[str, str] = os.environ, ignored: bool = False) -> str:
    """Return what sets the allocators of this process, by environment; else `default`.

    Any library that is loaded before others counts, since it may replace `malloc`. Folders are left
    out. `ignored`: Python ignores its own variables.
    """
    found = []
    for name, value in sorted(environ.items()):
        own = name == "PYTHONMALLOC" and value not in ("default", "pymalloc") and not ignored
        memory = name.startswith(_ALLOCATORS) and ("ALLOC" in name or "CACHING" in name)
        if value and (own or memory or name == "GLIBC_TUNABLES" or name in _LIBRARIES):
            found.append(f"{name}={fact_text(os.fsencode(_FOLDERS.sub('', value)))}")
    return " ".join(found) or DEFAULT


def options() -> str | None:
    """Return the `-X` options of this interpreter: `-X frozen_modules=off`; None without any."""
    given = getattr(sys, "_xoptions", {}).items()  # CPython's
    return " ".join(f"-X {n}" if v is True else f"-X {n}={v}" for n, v in given) or None


def _unlike_plain(flags: Any, environ: Mapping[str, str]) -> Iterator[str]:
    if flags.optimize:
        yield f"-{'O' * flags.optimize}"
    if flags.dev_mode:
        yield "-X dev"
    if hasattr(sys, "gettotalrefcount"):
        yield "debug build"
    jit: Any = getattr(sys, "_jit", None)  # Python 3.14; before, only its variable is known
    if jit.is_enabled() if jit else environ.get("PYTHON_JIT", "0") != "0":
        yield "JIT"
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        yield "no GIL"
    if getattr(sys, "is_stack_trampoline_active", lambda: False)():
        yield "-X perf"
    if environ.get("PYTHONASYNCIODEBUG") and not flags.dev_mode:
        yield "PYTHONASYNCIODEBUG"


#: How this process was started: a test may change the environment, and changes nothing by that.
STARTED = {
    "interpreter": interpreter(),
    "allocator": allocator(ignored=bool(sys.flags.ignore_environment)),
}
