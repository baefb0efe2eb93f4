"""A process of Python that is started while the fixtures of a test may have replaced anything.

So all that reaches out of this process is done by functions of `System`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import msgspec

from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.run_options import TREE_VARIABLE
from pytest_greenops.system import SYSTEM, System

#: How long an interrupted process may take to tear its fixtures down.
GRACE_S = 5.0
#: How often a process is looked at where the system cannot say when it ends.
_LOOK_S = 0.01
_MOST_CHARACTERS = 200
_INTERRUPT, _KILL = int(signal.SIGINT), int(getattr(signal, "SIGKILL", signal.SIGTERM))
_SIGNAL_NAMES = {int(each): each.name for each in signal.Signals}
#: Signals that Python, a test, or a shell in the background ignores; the process does not.
_DEFAULT_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGPIPE", "SIGXFSZ", "SIGCHLD")
    if hasattr(signal, name)
]
_NO_HANG, _READABLE = getattr(os, "WNOHANG", 0), 1  # POLLIN
_OPEN, _DUP2 = getattr(os, "POSIX_SPAWN_OPEN", 0), getattr(os, "POSIX_SPAWN_DUP2", 0)
_DEV_NULL = (os.devnull, os.O_RDONLY, 0)
_OUTPUT_FLAGS = os.O_WRONLY | os.O_CREAT


class Invocation(msgspec.Struct, frozen=True):
    """How a process of pytest was started.

    args    its command-line arguments
    folder  its working directory
    path    its `sys.path`, before any conftest.py changed it
    """

    args: list[str]
    folder: str
    path: list[str]


def pytest_program(variable: str) -> str:
    """Return a program that starts pytest as another process was started.

    variable  the environment variable that names a JSON file with the `invocation`

    It does not import this package to find it, unless imports are redirected to another tree.
    """
    return f"""
import json, os, sys
with open(os.environ["{variable}"], encoding="utf-8") as file:
    invocation = json.load(file)["invocation"]
os.chdir(invocation["folder"])
sys.path[:] = invocation["path"]
if "{TREE_VARIABLE}" in os.environ:
    with open(os.environ["{TREE_VARIABLE}"], encoding="utf-8") as file:
        exec(json.load(file)["program"])
import pytest
sys.exit(pytest.main(invocation["args"]))
"""


class ProcessFailure(GreenopsError):
    """A process could not be started, or failed; the message says which and why."""


@contextmanager
def failing(
    what: str, error_type: Callable[[str], GreenopsError] = ProcessFailure
) -> Iterator[None]:
    """Turn a full disk, a lost folder, or what the system cannot do into an error of ours."""
    try:
        yield
    except (OSError, TypeError, ValueError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise error_type(f"{what} ({reason})") from None


class Process:
    """A process of Python that was started, and leads a session of its own.

    code  its exit code, negative for a signal, once it has ended; 0 if the test reaped it
    """

    def __init__(
        self,
        program: str,
        environ: Mapping[str, str],
        output: str,
        descriptors: Mapping[int, int] | None = None,
        system: System = SYSTEM,
    ) -> None:
        """Start Python with a program.

        output       the file for what it prints
        descriptors  the number that each open file of this process has there

        Raises `ProcessFailure`.
        """
        self.code: int | None = None
        self._system = system
        if not system.executable:
            raise ProcessFailure("its process could not be started (sys.executable is not known)")
        if system.posix_spawn is None:
            raise ProcessFailure(
                "its process could not be started (this system has no posix_spawn)"
            )
        given = [(_DUP2, here, there) for here, there in (descriptors or {}).items()]
        with failing("its process could not be started"):
            self._pid: int = system.posix_spawn(
                system.executable,
                [system.executable, *system.interpreter_flags, "-c", program],
                environ,
                file_actions=[
                    (_OPEN, 0, *_DEV_NULL),
                    (_OPEN, 1, output, _OUTPUT_FLAGS, 0o600),
                    (_DUP2, 1, 2),
                    *given,
                ],
                setsid=True,
                setsigmask=system.signal_mask,
                setsigdef=_DEFAULT_SIGNALS,
            )

    def ends_within(self, limit_s: float) -> bool:
        """Wait for the process, without polling where the system can; return whether it ended."""
        handle = self._handle()
        if handle is not None:
            try:
                poll = self._system.poll()
                poll.register(handle, _READABLE)
                poll.poll(limit_s * 1000)
            finally:
                self._system.close(handle)
            return self._ended()
        until_ns = self._system.monotonic_ns() + limit_s * 1e9
        while not self._ended() and self._system.monotonic_ns() < until_ns:
            self._system.sleep(_LOOK_S)
        return self._ended()

    def end(self) -> None:
        """Interrupt a process that still runs, so that its fixtures are torn down; then kill it."""
        if self._ended():
            return
        try:
            self._signal(_INTERRUPT)
            self.ends_within(GRACE_S)
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill a process that still runs."""
        if not self._ended():
            self._signal(_KILL)
            self._ended(wait=True)

    def _ended(self, wait: bool = False) -> bool:
        if self.code is None:
            try:
                pid, status = self._system.waitpid(self._pid, 0 if wait else _NO_HANG)
            except ChildProcessError:  # the test reaps every child, or lets the system do so
                pid, status = self._pid, 0
            if pid:
                self.code = self._system.exit_code(status)
        return self.code is not None

    def _handle(self) -> int | None:
        """Return a file descriptor that becomes readable when the process ends, or None."""
        if self._system.pidfd_open is None or self._system.poll is None:
            return None
        with suppress(OSError):
            return int(self._system.pidfd_open(self._pid))
        return None

    def _signal(self, number: int) -> None:
        """Send a signal to the process and to those that it started: it leads their group."""
        with suppress(ProcessLookupError):
            self._system.killpg(self._pid, number)


def exit_text(code: int) -> str:
    """Return how a process ended: `ended with exit code 1`, `was ended by SIGSEGV`."""
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by {_SIGNAL_NAMES.get(-code) or f'signal {-code}'}"


def last_line(output: str, system: System = SYSTEM) -> str:
    """Return the last line that a process printed, after a colon; empty if there is none."""
    printed = system.read_file(output).decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(printed) if line.strip()), "")
    return f": {last[:_MOST_CHARACTERS]}" if last else ""
