"""Measure a test once more in a fresh process: the request, the process, the answer.

The fresh process is pytest again, started as its parent was. It runs this one test and writes what
it measured into a file. Meanwhile no window is open in the parent.

It starts while the fixtures of the test are still active, which may have replaced files, processes
and clocks: so all that reaches out of this process is done by functions of `System`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
from msgspec.structs import replace

from pytest_greenops.model.environment import Environment
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.result import Result
from pytest_greenops.model.run_options import REQUEST_VARIABLE
from pytest_greenops.system import SYSTEM, System, before_tests

#: How long an interrupted process may take to tear its fixtures down.
GRACE_S = 5.0
#: How often a process is looked at where the system cannot say when it ends.
_LOOK_S = 0.01
_MOST_CHARACTERS = 200
_INTERRUPT, _KILL = int(signal.SIGINT), int(getattr(signal, "SIGKILL", signal.SIGTERM))
_SIGNAL_NAMES = {int(each): each.name for each in signal.Signals}
#: Signals that Python, a test, or a shell in the background ignores; a fresh process does not.
_DEFAULT_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGPIPE", "SIGXFSZ", "SIGCHLD")
    if hasattr(signal, name)
]
_NO_HANG, _READABLE = getattr(os, "WNOHANG", 0), 1  # POLLIN
_OPEN, _DUP2 = getattr(os, "POSIX_SPAWN_OPEN", 0), getattr(os, "POSIX_SPAWN_DUP2", 0)
_DEV_NULL = (os.devnull, os.O_RDONLY, 0)
_OUTPUT_FLAGS = os.O_WRONLY | os.O_CREAT
#: Starts pytest as the parent was started, without importing this package to find it.
_BOOTSTRAP = f"""
import json, os, sys
with open(os.environ["{REQUEST_VARIABLE}"], encoding="utf-8") as file:
    invocation = json.load(file)["invocation"]
os.chdir(invocation["folder"])
sys.path[:] = invocation["path"]
import pytest
sys.exit(pytest.main(invocation["args"]))
"""


class FreshFailure(GreenopsError):
    """A fresh session cannot be used; the message follows `fresh session: `."""


class FreshTimeout(FreshFailure):
    """A fresh process did not end in time."""


class Invocation(msgspec.Struct, frozen=True):
    """How a process of pytest was started.

    args    its command-line arguments
    folder  its working directory
    path    its `sys.path`, before any conftest.py changed it
    """

    args: list[str]
    folder: str
    path: list[str]


class Request(msgspec.Struct, frozen=True):
    """What a fresh process does for its parent.

    parent_id  process id of the parent
    node       path and names of the one test to run, as an argument for pytest
    options    values of pytest's options, by attribute name
    folder     an empty folder for the answer, and for what the run would write elsewhere
    """

    invocation: Invocation
    parent_id: int
    node: str
    options: dict[str, Any]
    folder: str

    @property
    def answer(self) -> str:
        """Return the path of the answer."""
        return f"{self.folder}/answer"


class Answer(msgspec.Struct, frozen=True):
    """What a fresh process measured, on which machine, and how its test failed, if it did."""

    environment: Environment
    results: tuple[Result, ...]
    failure: str | None = None

    def write(self, path: str) -> None:
        """Write the answer as MessagePack, since JSON has no NaN."""
        SYSTEM.write_file(path, msgspec.msgpack.encode(self))


@before_tests
def take_request() -> Request | None:
    """Return the request if this is a fresh process, and remove it from the environment.

    The file is deleted at once: it holds arguments, and the parent may be killed before it can
    clean up.
    """
    path = os.environ.pop(REQUEST_VARIABLE, None)
    if not path:
        return None
    request = msgspec.json.decode(SYSTEM.read_file(path), type=Request)
    SYSTEM.unlink(path)
    return request


def measure(
    invocation: Invocation,
    node: str,
    *,
    options: Mapping[str, Any],
    environ: Mapping[str, str],
    caches: bool,
    limit_s: float,
    system: System = SYSTEM,
) -> Answer:
    """Run one test in a fresh process, and return what it measured.

    caches  whether pytest keeps a cache: then the fresh process gets another

    Raises `FreshFailure` if the process or its test failed, or could not be started or read, and
    `FreshTimeout` if it took longer than `limit_s`. The process ends whatever is raised here
    meanwhile.
    """
    with _failing("its folder could not be made"):
        folder = system.make_folder("pytest-greenops-")
    try:
        request_path, output = f"{folder}/request.json", f"{folder}/output"
        with _failing("its request could not be written"):
            if caches:
                invocation = replace(invocation, args=_cached_in(folder, invocation.args))
            request = Request(invocation, system.getpid(), node, dict(options), folder)
            system.write_file(request_path, msgspec.json.encode(request))
        environ = {**environ, REQUEST_VARIABLE: request_path}
        code = _run(environ, output, limit_s, system)
        with _failing("its answer could not be read"):
            return _read(request.answer, code, output, system)
    finally:
        system.remove_folder(folder)


@contextmanager
def _failing(what: str) -> Iterator[None]:
    """Turn a full disk, a lost folder, or what the system cannot do into a `FreshFailure`."""
    try:
        yield
    except (OSError, TypeError, ValueError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FreshFailure(f"{what} ({reason})") from None


def _cached_in(folder: str, args: Sequence[str]) -> list[str]:
    """Return the arguments with a cache in the folder: the last value counts, paths follow `--`."""
    end = args.index("--") if "--" in args else len(args)
    return [*args[:end], "-o", f"cache_dir={folder}/cache", *args[end:]]


def _run(environ: Mapping[str, str], output: str, limit_s: float, system: System) -> int:
    """Run the process, which is started by the system alone, and return its exit code."""
    if not system.executable:
        raise FreshFailure("its process could not be started (sys.executable is not known)")
    if system.posix_spawn is None:
        raise FreshFailure("its process could not be started (this system has no posix_spawn)")
    with _failing("its process could not be started"):
        process = _Process(
            system.posix_spawn(
                system.executable,
                [system.executable, *system.interpreter_flags, "-c", _BOOTSTRAP],
                environ,
                file_actions=[
                    (_OPEN, 0, *_DEV_NULL),
                    (_OPEN, 1, output, _OUTPUT_FLAGS, 0o600),
                    (_DUP2, 1, 2),
                ],
                setsid=True,
                setsigmask=system.signal_mask,
                setsigdef=_DEFAULT_SIGNALS,
            ),
            system,
        )
    try:
        if not process.ends_within(limit_s):
            raise FreshTimeout(f"it did not end within {limit_s:.0f} s")
        return process.code or 0
    finally:
        process.end()


class _Process:
    """A process that was started.

    code  its exit code, negative for a signal, once it has ended; 0 if the test reaped it
    """

    def __init__(self, pid: int, system: System) -> None:
        self.code: int | None = None
        self._pid = pid
        self._system = system

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


def _read(path: str, code: int, output: str, system: System) -> Answer:
    try:
        answer = msgspec.msgpack.decode(system.read_file(path), type=Answer)
    except (OSError, msgspec.DecodeError):
        answer = None
    if answer is not None and answer.failure:
        raise FreshFailure(answer.failure)
    if code == 0 and answer is not None:
        return answer
    printed = system.read_file(output).decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(printed) if line.strip()), "")
    shown = f": {last[:_MOST_CHARACTERS]}" if last else ""
    raise FreshFailure(f"its process {_exit_text(code)}{shown}")


def _exit_text(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by {_SIGNAL_NAMES.get(-code) or f'signal {-code}'}"
