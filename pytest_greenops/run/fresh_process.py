"""A test measured once more, in a process of its own: what is asked, how it is run, the answer.

The fresh process is pytest again, started as this one was, that runs this one test and writes what
it measured into a file. While it runs no window is open here, so that its joules are its own.

It is asked for while the fixtures of a test still hold, which may have replaced parts of `os`,
`subprocess` or `tempfile`: what is needed of them is bound as this module is loaded.
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
from pytest_greenops.model.run_options import ASKED

#: How long a process may take to end by itself, with what its fixtures have to put away.
GRACE_S = 5.0
_TAIL = 200
EXECUTABLE: str | None = sys.executable
_FLAGS = subprocess._args_from_interpreter_flags  # type: ignore[attr-defined]
#: None where the system has no such thing.
_PIDFD_OPEN = getattr(os, "pidfd_open", None)
_POLL = getattr(select, "poll", None)
_KILL_GROUP = getattr(os, "killpg", None)
#: Starts pytest as the asking process was started; nothing of ours is needed to find it.
_BOOTSTRAP = f"""
import json, os, sys
with open(os.environ["{ASKED}"], encoding="utf-8") as file:
    start = json.load(file)["start"]
sys.path[:] = start["path"]
import pytest
sys.exit(pytest.main(start["args"]))
"""


class FreshFailure(GreenopsError):
    """Why a fresh session cannot be used, in a few words that follow `fresh session: `."""


class FreshTimeout(FreshFailure):
    """A fresh process was not done in time."""


class Start(msgspec.Struct, frozen=True):
    """How a process of pytest was started.

    args    of its command line
    folder  where it was called
    path    where it looks for modules, before any conftest.py has changed that
    """

    args: list[str]
    folder: str
    path: list[str]


class Request(msgspec.Struct, frozen=True):
    """What a fresh process shall do.

    asker    the id of the process that asks
    node     path and names of the one test to run, as an argument for pytest
    options  values that options of pytest have to take, by their attribute's name
    folder   an empty one, for what the run would write elsewhere, and for the answer
    """

    start: Start
    asker: int
    node: str
    options: dict[str, Any]
    folder: str

    @property
    def answer(self) -> Path:
        """The file that the answer is written to."""
        return Path(self.folder, "answer")


class Answer(msgspec.Struct, frozen=True):
    """What a fresh process measured, where, and how its test failed if it did."""

    environment: Environment
    results: tuple[Result, ...]
    failure: str | None = None

    def write(self, path: Path) -> None:
        """Put it into a file; MessagePack, for figures that are no number have none in JSON."""
        path.write_bytes(msgspec.msgpack.encode(self))


def asked() -> Request | None:
    """What this process was started for, if it is a fresh one; the processes it starts are not.

    The file is removed once it is read: it holds arguments, and the process that asked may be
    killed before it can tidy up.
    """
    name = os.environ.pop(ASKED, None)
    if not name:
        return None
    path = Path(name)
    request = msgspec.json.decode(path.read_bytes(), type=Request)
    path.unlink()
    return request


def measure(
    start: Start,
    node: str,
    *,
    options: Mapping[str, Any],
    environ: Mapping[str, str],
    caches: bool,
    limit_s: float,
) -> Answer:
    """Run one test in a fresh process, and return what it measured.

    caches  pytest keeps a cache, so that this run needs one apart

    Raises `FreshFailure` where the process or its test failed, could not be started or read, and
    `FreshTimeout` where it took longer than `limit_s`; the process is ended whatever is raised
    here meanwhile.
    """
    with _told("its folder could not be made"):
        folder = mkdtemp(prefix="pytest-greenops-")
    try:
        asks, output = Path(folder, "request.json"), Path(folder, "output")
        with _told("its request could not be written"):
            if caches:
                start = replace(start, args=_cached_in(folder, start.args))
            request = Request(start, getpid(), node, dict(options), folder)
            asks.write_bytes(msgspec.json.encode(request))
        code = _run({**environ, ASKED: str(asks)}, start.folder, output, limit_s)
        with _told("its answer could not be read"):
            return _read(request.answer, code, output)
    finally:
        rmtree(folder, ignore_errors=True)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Tell a full disk, a lost folder or a name that cannot be encoded as a `FreshFailure`."""
    try:
        yield
    except (OSError, TypeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FreshFailure(f"{what} ({reason})") from None


def _cached_in(folder: str, args: Sequence[str]) -> list[str]:
    """The arguments with a cache in the folder: the last value counts, paths follow `--`."""
    end = args.index("--") if "--" in args else len(args)
    return [*args[:end], "-o", f"cache_dir={folder}/cache", *args[end:]]


def _run(environ: Mapping[str, str], folder: str, output: Path, limit_s: float) -> int:
    if not EXECUTABLE:
        raise FreshFailure("its process could not be started (sys.executable is not known)")
    with _told("its process could not be started"), output.open("wb") as file:
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
            raise FreshTimeout(f"it was not done after {limit_s:.0f} s")
        return process.wait()
    finally:
        _end(process)


def _ends_within(process: Popen[bytes], limit_s: float) -> bool:
    """Whether it ends by then; nothing polls meanwhile where the system can tell of its end."""
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
    """A file descriptor that becomes readable as the process ends, where there are such."""
    if _PIDFD_OPEN is None:
        return None
    with suppress(OSError):
        return int(_PIDFD_OPEN(process.pid))
    return None


def _end(process: Popen[bytes]) -> None:
    """Interrupt what still runs, so that its fixtures are put away; then kill it."""
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
    """Tell it and the processes that it started."""
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
    said = output.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line.strip() for line in reversed(said) if line.strip()), "")
    raise FreshFailure(f"its process {_ended(code)}{f': {last[:_TAIL]}' if last else ''}")


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"
