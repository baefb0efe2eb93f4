"""What the plugin needs of Python and the operating system while tests run, bound beforehand.

A test may replace any function of `os`, `time`, `threading`, `subprocess` or `builtins` while it is
measured, and what its fixtures replaced stays so until they are torn down. Tools such as freezegun
and pyfakefs also replace functions and modules in the globals of every loaded module. So this
module is imported when a measuring run is configured, before any test, and all that it binds is
in the fields of one object, where no patch of a module's names reaches.

Only functions written in C are bound: one written in Python would look up what it needs in its own
module when it is called, where the test may have replaced it.
"""

from __future__ import annotations

import _thread
import builtins
import gc
import math
import os
import select
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from types import ModuleType
from typing import Any, TypeVar

import psutil

try:
    from _tracemalloc import is_tracing
except ImportError:  # other interpreters than CPython

    def is_tracing() -> bool:
        """Return that no allocation is traced."""
        return False


Function = TypeVar("Function", bound=Callable[..., Any])

_MISSING: Any = object()
_BLOCK = 1 << 16
_CLOSE = getattr(os, "O_CLOEXEC", 0)
_READ = os.O_RDONLY | _CLOSE
_READ_AND_WRITE = os.O_RDWR | os.O_CREAT | os.O_EXCL | _CLOSE
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOSE


def before_tests(function: Function) -> Function:
    """Mark a function that only runs while a run is configured, or outside of runs with tests.

    It may look up modules and open files as usual; nothing else in a measuring package may.
    """
    return function


@before_tests
def _signal_mask() -> tuple[Any, ...]:
    """Return the signals that are blocked now."""
    return tuple(signal.pthread_sigmask(signal.SIG_BLOCK, [])) if os.name == "posix" else ()


@before_tests
def _rusage() -> Callable[[], tuple[float, ...]]:
    """Return the function that returns what ended children have used; empty on Windows."""
    try:
        from resource import RUSAGE_CHILDREN, getrusage
    except ImportError:
        return tuple
    return lambda: tuple(getrusage(RUSAGE_CHILDREN))


@dataclass(frozen=True)
class System:
    """Functions of Python and the operating system; a field that is None is missing here.

    Tests of this plugin replace fields: `dataclasses.replace(SYSTEM, sleep=...)`.
    """

    monotonic_ns: Callable[[], int] = time.monotonic_ns
    process_time_ns: Callable[[], int] = time.process_time_ns
    thread_time_ns: Callable[[], int] = time.thread_time_ns
    clock_gettime_ns: Any = getattr(time, "clock_gettime_ns", None)
    sleep: Callable[[float], None] = time.sleep
    unix_time: Callable[[], float] = time.time
    gmtime: Callable[[float], Any] = time.gmtime
    strftime: Callable[[str, Any], str] = time.strftime

    allocate_lock: Callable[[], Any] = _thread.allocate_lock
    start_new_thread: Callable[..., int] = _thread.start_new_thread
    get_ident: Callable[[], int] = _thread.get_ident
    collect_garbage: Callable[..., int] = gc.collect
    collects_garbage: Callable[[], bool] = gc.isenabled
    enable_garbage: Callable[[], None] = gc.enable
    disable_garbage: Callable[[], None] = gc.disable

    open: Callable[..., int] = os.open
    close: Callable[[int], None] = os.close
    read: Callable[[int, int], bytes] = os.read
    pread: Any = getattr(os, "pread", None)
    write: Callable[[int, bytes], int] = os.write
    lseek: Callable[[int, int, int], int] = os.lseek
    ftruncate: Callable[[int, int], None] = os.ftruncate
    dup: Callable[[int], int] = os.dup
    dup2: Callable[[int, int], int] = os.dup2
    fstat: Callable[[int], os.stat_result] = os.fstat
    is_folder: Callable[[int], bool] = stat.S_ISDIR
    lstat: Callable[[str], os.stat_result] = os.lstat
    listdir: Callable[[str], list[str]] = os.listdir
    mkdir: Callable[..., None] = os.mkdir
    unlink: Callable[[str], None] = os.unlink
    rmdir: Callable[[str], None] = os.rmdir
    urandom: Callable[[int], bytes] = os.urandom
    temporary_folder: str = field(default_factory=tempfile.gettempdir)

    exit_at_once: Callable[[int], Any] = os._exit
    getpid: Callable[[], int] = os.getpid
    getppid: Callable[[], int] = os.getppid
    waitid: Any = getattr(os, "waitid", None)
    waitpid: Any = getattr(os, "waitpid", None)
    exit_code: Any = getattr(os, "waitstatus_to_exitcode", None)
    killpg: Any = getattr(os, "killpg", None)
    pidfd_open: Any = getattr(os, "pidfd_open", None)
    poll: Any = getattr(select, "poll", None)
    posix_spawn: Any = getattr(os, "posix_spawn", None)
    pipe: Callable[[], tuple[int, int]] = os.pipe
    affinity: Any = getattr(os, "sched_getaffinity", None)
    set_affinity: Any = getattr(os, "sched_setaffinity", None)
    signal_mask: tuple[Any, ...] = field(default_factory=_signal_mask)
    ended_children: Callable[[], tuple[float, ...]] = field(default_factory=_rusage)
    cpus: int = os.cpu_count() or 1
    clock_ticks: int = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100

    #: For what the kernel's lists of children and /proc/stat do not say, on other systems.
    psutil_process: Any = psutil.Process
    psutil_error: Any = psutil.Error
    cpu_times: Any = psutil.cpu_times
    #: A generator of its own: the test may have seeded that of `random`.
    new_random: Callable[..., Random] = Random

    executable: str | None = sys.executable
    interpreter_flags: tuple[str, ...] = tuple(
        subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    )
    modules: MutableMapping[str, Any] = field(default_factory=lambda: sys.modules)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    gettrace: Callable[[], Any] = sys.gettrace
    getprofile: Callable[[], Any] = sys.getprofile
    #: What the module knows: the hooks that new threads get are no function's result.
    of_threading: Mapping[str, Any] = field(default_factory=lambda: vars(threading))
    traces_allocations: Callable[[], bool] = is_tracing
    get_tool: Any = getattr(getattr(sys, "monitoring", None), "get_tool", None)

    def utc_now(self, milliseconds: bool = False) -> str:
        """Return the time in UTC as ISO 8601, to the second or to the millisecond."""
        now = self.unix_time()
        part = f".{int(now % 1 * 1000):03}" if milliseconds else ""
        return self.strftime(f"%Y-%m-%dT%H:%M:%S{part}+00:00", self.gmtime(now))

    def is_there(self, path: str) -> bool:
        """Return whether a file, a folder or a link is there."""
        try:
            self.lstat(path)
        except OSError:
            return False
        return True

    def read_file(self, path: str) -> bytes:
        """Return the content of a file; raise `OSError`."""
        handle = self.open(path, _READ)
        try:
            content = block = self.read(handle, _BLOCK)
            while block:
                block = self.read(handle, _BLOCK)
                content += block
            return content
        finally:
            self.close(handle)

    def write_file(self, path: str, content: bytes) -> None:
        """Write a new file that only this user may read; raise `OSError`."""
        handle = self.open(path, _WRITE, 0o600)
        try:
            while content:
                content = content[self.write(handle, content) :]
        finally:
            self.close(handle)

    def nameless_file(self) -> int:
        """Return the descriptor of a new file that vanishes when it is closed; raise `OSError`."""
        path = f"{self.temporary_folder}/pytest-greenops-{self.urandom(8).hex()}"
        handle = self.open(path, _READ_AND_WRITE, 0o600)
        self.unlink(path)
        return handle

    def make_folder(self, prefix: str) -> str:
        """Make an empty temporary folder that only this user may read; raise `OSError`."""
        path = f"{self.temporary_folder}/{prefix}{self.urandom(8).hex()}"
        self.mkdir(path, 0o700)
        return path

    def remove_folder(self, path: str) -> None:
        """Remove a folder with all that is in it, as far as that is possible."""
        with suppress(OSError):
            for name in self.listdir(path):
                inside = f"{path}/{name}"
                with suppress(OSError):
                    if self.is_folder(self.lstat(inside).st_mode):
                        self.remove_folder(inside)
                    else:
                        self.unlink(inside)
            self.rmdir(path)


SYSTEM = System()


class _Space:
    """The names of a module, and the functions that they had before the first test."""

    def __init__(self, module: ModuleType) -> None:
        self.names = vars(module)
        self.values = [*self.names.values()]  # lists of the same objects compare fastest
        self.functions = [
            (name, value)
            for name, value in self.names.items()
            if callable(value) and (name == "__import__" or not name.startswith("_"))
        ]

    def unchanged(self) -> bool:
        """Return whether all is as it was, in a microsecond and without any function."""
        try:
            return [*self.names.values()] == self.values
        except Exception:  # what a test put there cannot be compared
            return False


_IN_WINDOWS = (_Space(builtins), _Space(math))
_SPACES = (*_IN_WINDOWS, _Space(os), _Space(time))


class Originals:
    """A context in which functions of common modules are as they were before the first test.

    The code of this package, and of the libraries that it calls, uses them by their names. A test
    that replaces one of them has its own in place whenever its own code runs.
    """

    def __init__(self, in_window: bool = False) -> None:
        """Put back `builtins` and `math`; `os` and `time` too, unless a window is open."""
        self._spaces = _IN_WINDOWS if in_window else _SPACES
        self._replaced: list[tuple[dict[str, Any], str, Any]] = []

    def __enter__(self) -> None:
        """Put the functions of before the first test in place."""
        for space in self._spaces:
            if not space.unchanged():
                names = space.names
                for name, original in space.functions:
                    now = names.get(name, _MISSING)
                    if now is not original:
                        self._replaced.append((names, name, now))
                        names[name] = original

    def __exit__(self, *_: object) -> None:
        """Put in place again what the test had there."""
        for names, name, replacement in self._replaced:
            if replacement is _MISSING:
                names.pop(name, None)
            else:
                names[name] = replacement
        self._replaced.clear()


class HeldFile:
    """A file that stays open, so that it can be read when no further file can be opened.

    A test may close descriptors that are not its own (`os.closerange`), after which another file
    has the number: the file is then opened again.
    """

    def __init__(self, path: str, system: System = SYSTEM) -> None:
        """Open the file; raise `OSError`."""
        self._path = path
        self._system = system
        self._open()

    def read(self, most: int = 4096) -> bytes:
        """Return the first bytes of the file as it is now; raise `OSError`."""
        if not self._is_open():
            self._open()
        content: bytes = self._system.pread(self._handle, most, 0)
        return content

    def close(self) -> None:
        """Close the file; it can be read no more."""
        if self._is_open():
            self._system.close(self._handle)
        self._path = ""

    def _open(self) -> None:
        self._handle = self._system.open(self._path, _READ)
        self._identity = self._identify()

    def _identify(self) -> tuple[int, int]:
        status = self._system.fstat(self._handle)
        return status.st_dev, status.st_ino

    def _is_open(self) -> bool:
        try:
            return bool(self._path) and self._identify() == self._identity
        except OSError:
            return False
