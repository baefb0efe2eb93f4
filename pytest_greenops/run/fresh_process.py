"""Measure a test once more in a fresh process: the request, the process, the answer.

The fresh process is pytest again, started as its parent was. It runs this one test and writes what
it measured into a file. Meanwhile no window is open in the parent.

It starts while the fixtures of the test are still active, which may have replaced files, processes
and clocks: so all that reaches out of this process is done by functions of `System`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from pytest_greenops.model.environment import Environment
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.result import Result
from pytest_greenops.model.run_options import REQUEST_VARIABLE
from pytest_greenops.run.process import (
    Invocation,
    Process,
    ProcessFailure,
    exit_text,
    failing,
    last_line,
    pytest_program,
)
from pytest_greenops.system import SYSTEM, System, before_tests


class FreshFailure(GreenopsError):
    """A fresh session cannot be used; the message follows `fresh session: `."""


class FreshTimeout(FreshFailure):
    """A fresh process did not end in time."""


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
    with failing("its folder could not be made", FreshFailure):
        folder = system.make_folder("pytest-greenops-")
    try:
        request_path, output = f"{folder}/request.json", f"{folder}/output"
        with failing("its request could not be written", FreshFailure):
            if caches:
                invocation = replace(invocation, args=_cached_in(folder, invocation.args))
            request = Request(invocation, system.getpid(), node, dict(options), folder)
            system.write_file(request_path, msgspec.json.encode(request))
        environ = {**environ, REQUEST_VARIABLE: request_path}
        code = _run(environ, output, limit_s, system)
        with failing("its answer could not be read", FreshFailure):
            return _read(request.answer, code, output, system)
    finally:
        system.remove_folder(folder)


def _cached_in(folder: str, args: Sequence[str]) -> list[str]:
    """Return the arguments with a cache in the folder: the last value counts, paths follow `--`."""
    end = args.index("--") if "--" in args else len(args)
    return [*args[:end], "-o", f"cache_dir={folder}/cache", *args[end:]]


def _run(environ: Mapping[str, str], output: str, limit_s: float, system: System) -> int:
    """Run the process, which is started by the system alone, and return its exit code."""
    try:
        process = Process(pytest_program(REQUEST_VARIABLE), environ, output, system=system)
    except ProcessFailure as failure:
        raise FreshFailure(str(failure)) from None
    try:
        if not process.ends_within(limit_s):
            raise FreshTimeout(f"it did not end within {limit_s:.0f} s")
        return process.code or 0
    finally:
        process.end()


def _read(path: str, code: int, output: str, system: System) -> Answer:
    try:
        answer = msgspec.msgpack.decode(system.read_file(path), type=Answer)
    except (OSError, ValueError, RecursionError):  # by msgspec, and for text not in UTF-8
        answer = None
    if answer is not None and answer.failure:
        raise FreshFailure(answer.failure)
    if code == 0 and answer is not None:
        return answer
    raise FreshFailure(f"its process {exit_text(code)}{last_line(output, system)}")
