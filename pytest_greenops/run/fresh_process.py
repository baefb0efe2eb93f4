"""Measure a test once more in a fresh process: the request, the process, the answer.

The fresh process is pytest again, started as its parent was. It runs this one test and writes what
it measured into a file. Meanwhile no window is open in the parent.

It starts while the fixtures of the test are still active, which may have replaced parts of `os`,
`subprocess` or `tempfile`: this module binds what it needs of them when it is imported.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from os import getpid
from pathlib import Path
from shutil import rmtree
from subprocess import DEVNULL, STDOUT, Popen, TimeoutExpired
from tempfile import mkdtemp
from typing import Any

import msgspec
from msgspec.structs import replace

from pytest_greenops.model.environment import Environment
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.result import Result
from pytest_greenops.model.run_options import REQUEST_VARIABLE

#: How long an interrupted process may take to tear its fixtures down.
GRACE_S = 5.0
_MOST_CHARACTERS = 200
EXECUTABLE: str | None = sys.executable
_FLAGS = subprocess._args_from_interpreter_flags  # type: ignore[attr-defined]
#: None where the system does not have it.
_PIDFD_OPEN = getattr(os, "pidfd_open", None)
_POLL = getattr(select, "poll", None)
_KILL_GROUP = getattr(os, "killpg", None)
#: Starts pytest as the parent was started, without importing this package to find it.
_BOOTSTRAP = f"""
import json, os, sys
with open(os.environ["{REQUEST_VARIABLE}"], encoding="utf-8") as file:
    invocation = json.load(file)["invocation"]
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
    def answer(self) -> Path:
        """Return the path of the answer."""
        return Path(self.folder, "answer")


class Answer(msgspec.Struct, frozen=True):
    """What a fresh process measured, on which machine, and how its test failed, if it did."""

    environment: Environment
    results: tuple[Result, ...]
    failure: str | None = None

    def write(self, path: Path) -> None:
        """Write the answer as MessagePack, since JSON has no NaN."""
        path.write_bytes(msgspec.msgpack.encode(self))


def take_request() -> Request | None:
    """Return the request if this is a fresh process, and remove it from the environment.

    The file is deleted at once: it holds arguments, and the parent may be killed before it can
    clean up.
    """
    name = os.environ.pop(REQUEST_VARIABLE, None)
    if not name:
        return None
    path = Path(name)
    request = msgspec.json.decode(path.read_bytes(), type=Request)
    path.unlink()
    return request


def measure(
    invocation: Invocation,
    node: str,
    *,
    options: Mapping[str, Any],
    environ: Mapping[str, str],
    caches: bool,
    limit_s: float,
) -> Answer:
    """Run one test in a fresh process, and return what it measured.

    caches  whether pytest keeps a cache: then the fresh process gets another

    Raises `FreshFailure` if the process or its test failed, or could not be started or read, and
    `FreshTimeout` if it took longer than `limit_s`. The process ends whatever is raised here
    meanwhile.
    """
    with _failing("its folder could not be made"):
        folder = mkdtemp(prefix="pytest-greenops-")
    try:
        request_path, output = Path(folder, "request.json"), Path(folder, "output")
        with _failing("its request could not be written"):
            if caches:
                invocation = replace(invocation, args=_cached_in(folder, invocation.args))
            request = Request(invocation, getpid(), node, dict(options), folder)
            request_path.write_bytes(msgspec.json.encode(request))
        environ = {**environ, REQUEST_VARIABLE: str(request_path)}
        code = _run(environ, invocation.folder, output, limit_s)
        with _failing("its answer could not be read"):
            return _read(request.answer, code, output)
    finally:
        rmtree(folder, ignore_errors=True)


@contextmanager
def _failing(what: str) -> Iterator[None]:
    """Turn a full disk, a lost folder or a name that cannot be encoded into a `FreshFailure`."""
    try:
        yield
    except (OSError, TypeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FreshFailure(f"{what} ({reason})") from None


def _cached_in(folder: str, args: Sequence[str]) -> list[str]:
    """Return the arguments with a cache in the folder: the last value counts, paths follow `--`."""
    end = args.index("--") if "--" in args else len(args)
    return [*args[:end], "-o", f"cache_dir={folder}/cache", *args[end:]]


def _run(environ: Mapping[str, str], folder: str, output: Path, limit_s: float) -> int:
    if not EXECUTABLE:
        raise FreshFailure("its process could not be started (sys.executable is not known)")
    with _failing("its process could not be started"), output.open("wb") as file:
        process = Popen(
            [EXECUTABLE, *_FLAGS(), "-c", _BOOTSTRAP],
            cwd=folder,
            env=environ,
            stdin=DEVNULL,
            stdout=file,
            stderr=STDOUT,
            start_new_session=True,
        )
    try:
        if not _ends_within(process, limit_s):
            raise FreshTimeout(f"it did not end within {limit_s:.0f} s")
        return process.wait()
    finally:
        _end(process)


def _ends_within(process: Popen[bytes], limit_s: float) -> bool:
    """Wait for the process, without polling where the system can; return whether it ended."""
    handle = _handle(process)
    if handle is None or _POLL is None:
        with suppress(TimeoutExpired):
            process.wait(limit_s)
        return process.poll() is not None
    try:
        poll = _POLL()
        poll.register(handle, select.POLLIN)
        poll.poll(limit_s * 1000)
    finally:
        os.close(handle)
    return process.poll() is not None


def _handle(process: Popen[bytes]) -> int | None:
    """Return a file descriptor that becomes readable when the process ends, or None."""
    if _PIDFD_OPEN is None:
        return None
    with suppress(OSError):
        return int(_PIDFD_OPEN(process.pid))
    return None


def _end(process: Popen[bytes]) -> None:
    """Interrupt a process that still runs, so that it tears its fixtures down; then kill it."""
    if process.poll() is not None:
        return
    try:
        _signal(process, signal.SIGINT)
        _ends_within(process, GRACE_S)
    finally:
        if process.poll() is None:
            _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
            process.wait()


def _signal(process: Popen[bytes], number: int) -> None:
    """Send a signal to the process and to those that it started."""
    with suppress(ProcessLookupError):
        if _KILL_GROUP is not None:
            _KILL_GROUP(process.pid, number)
        else:
            process.terminate()


def _read(path: Path, code: int, output: Path) -> Answer:
    try:
        answer = msgspec.msgpack.decode(path.read_bytes(), type=Answer)
    except (OSError, msgspec.DecodeError):
        answer = None
    if answer is not None and answer.failure:
        raise FreshFailure(answer.failure)
    if code == 0 and answer is not None:
        return answer
    printed = output.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line.strip() for line in reversed(printed) if line.strip()), "")
    shown = f": {last[:_MOST_CHARACTERS]}" if last else ""
    raise FreshFailure(f"its process {_exit_text(code)}{shown}")


def _exit_text(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"
