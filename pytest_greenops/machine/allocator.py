"""The allocator of this process, which keeps freed memory while something is measured.

glibc returns freed memory at the top of its heap to the kernel, and takes it back page by page,
or not, by how the heap of a process happens to have grown. So the same training step differs
several times as much between processes: see `benchmarks/verdicts/starts.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from pytest_greenops.model.environment import FREED_MEMORY, KEPT
from pytest_greenops.model.errors import OptionError
from pytest_greenops.model.run_options import StableMemory
from pytest_greenops.system import SYSTEM, before_tests

#: Numbers of <malloc.h>.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
#: Looking up a function that the library lacks is an `AttributeError`.
_ONLY_IN_GLIBC = "gnu_get_libc_version"
#: Up to this much free memory stays at the top of the heap. Blocks of up to 32 MiB, the most that
#: glibc allows, are in the heap; larger ones are mapped and returned each time, in any process.
KEEP_BYTES, IN_HEAP_BYTES = 1 << 30, 32 << 20


def keep_memory(
    wanted: StableMemory, environ: Mapping[str, str] = SYSTEM.environ
) -> dict[str, str]:
    """Let the allocator keep freed memory from now on; return the condition that this is.

    auto  where glibc allocates and its user has not set it up, which is a condition of its own
    on    whatever its user has set up; raises `OptionError` where another allocator is used
    off   leave it as it is
    """
    if wanted == "off" or (wanted == "auto" and _set_by_user(environ)):
        return {}
    if _keep():
        return {FREED_MEMORY: KEPT}
    if wanted == "on":
        raise OptionError(
            "energy_stable_memory=on: this process does not use the allocator of glibc; expected "
            "auto or off here"
        )
    return {}


def _set_by_user(environ: Mapping[str, str]) -> bool:
    """Return whether the environment sets glibc's allocator up."""
    named = any(name.startswith("MALLOC_") for name in environ)
    return named or "glibc.malloc." in environ.get("GLIBC_TUNABLES", "")


@before_tests
def _keep() -> bool:
    """Set glibc's allocator up; return False if another one, or another C library, is used."""
    import ctypes

    try:
        glibc, process = ctypes.CDLL("libc.so.6"), ctypes.CDLL(None)
        used, own = (ctypes.cast(lib.malloc, ctypes.c_void_p) for lib in (process, glibc))
        getattr(glibc, _ONLY_IN_GLIBC)
    except (OSError, AttributeError, TypeError):  # another C library, or another system
        return False
    if used.value != own.value:  # preloaded, or linked into the interpreter
        return False
    settings = ((_M_MMAP_THRESHOLD, IN_HEAP_BYTES), (_M_TRIM_THRESHOLD, KEEP_BYTES))
    return all(glibc.mallopt(*setting) == 1 for setting in settings)
