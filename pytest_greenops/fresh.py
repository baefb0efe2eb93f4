"""A test measured once more, in a process of its own: what is asked, how it is run, the answer.

The fresh process is pytest again, started as this one was, that runs this one test and writes what
it measured into a file. While it runs no window is open here, so that its joules are its own.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import msgspec
from msgspec.structs import replace

from pytest_greenops.model.environment import Environment
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.options import ASKED
from pytest_greenops.model.result import Result

#: How long a process may take to end by itself, with what its fixtures have to put away.
GRACE_S = 5.0
_TAIL = 200
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
    """What this process was started for, if it is a fresh one; the processes it starts are not."""
    path = os.environ.pop(ASKED, None)
    return msgspec.json.decode(Path(path).read_bytes(), type=Request) if path else None


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

    Raises `FreshFailure` where the process or its test failed, or took longer than `limit_s`; the
    process is ended whatever is raised here meanwhile.
    """
    with tempfile.TemporaryDirectory(
        prefix="pytest-greenops-", ignore_cleanup_errors=True
    ) as folder:
        if caches:
            start = replace(start, args=["-o", f"cache_dir={folder}/cache", *start.args])
        request = Request(start, os.getpid(), node, dict(options), folder)
        asks, output = Path(folder, "request.json"), Path(folder, "output")
        asks.write_bytes(msgspec.json.encode(request))
        with output.open("wb") as file:
            code = _run({**environ, ASKED: str(asks)}, start.folder, file, limit_s)
        return _read(request.answer, code, output)


def _run(environ: Mapping[str, str], folder: str, output: IO[bytes], limit_s: float) -> int:
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    try:
        process = subprocess.Popen(
            [sys.executable, *flags, "-c", _BOOTSTRAP],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise FreshFailure(f"its process could not be started ({error.strerror})") from None
    try:
        return _wait(process, limit_s)
    finally:
        _end(process)


def _wait(process: subprocess.Popen[bytes], limit_s: float) -> int:
    """Its exit status; nothing polls meanwhile where the system can tell of its end."""
    left_s = limit_s
    with suppress(OSError, AttributeError):
        handle = os.pidfd_open(process.pid)
        try:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            poll.poll(limit_s * 1000)
            left_s = 0.0
        finally:
            os.close(handle)
    try:
        return process.wait(left_s)
    except subprocess.TimeoutExpired:
        raise FreshFailure(f"it was not done after {limit_s:.0f} s") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt what still runs, so that its fixtures are put away; then kill it."""
    if process.poll() is not None:
        return
    try:
        _signal(process, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    finally:
        if process.poll() is None:
            _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
            process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Tell it and the processes that it started."""
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
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
