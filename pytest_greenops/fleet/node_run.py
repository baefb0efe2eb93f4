"""On a node: pytest in a copy of the shipped project, whose events the caller asks for.

Ray unpickles what its actors return. So these return only text, bytes and numbers, and what a node
says is read as JSON of known types.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from pytest_greenops import __version__
from pytest_greenops.fleet.node_events import NodeRequest
from pytest_greenops.model.result import Origin
from pytest_greenops.model.run_options import FLEET_VARIABLE

#: How often the events of a run are looked for, and how long it may take to end after Ctrl-C.
_LOOK_S, _GRACE_S = 0.2, 10.0
#: Of what pytest prints, the caller gets at most the end.
_MOST_BYTES = 20_000


class NodeRun:
    """One run of pytest on this node; an actor of Ray, whose methods may run at the same time."""

    def __init__(self) -> None:
        """Run nothing yet."""
        self._changed = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: list[bytes] = []
        self._code: int | None = None
        self._printed = b""

    def version(self) -> str:
        """Return the version of this package on the node."""
        return __version__

    def start(
        self, args: list[str], done: list[str], origin: bytes, name: str, collect: bool
    ) -> None:
        """Start pytest.

        args     its arguments
        done     node ids of the tests that do not run again
        origin   the code of the caller, as JSON
        name     the name of the project's folder
        collect  only collect: no test runs
        """
        options = ["--collect-only", "-q"] if collect else []
        command = [sys.executable, "-m", "pytest", "-p", "greenops"]
        command += ["-p", "pytest_greenops.hooks.fleet_node", *options, *args]
        given = (command, tuple(done), msgspec.json.decode(origin, type=Origin), name)
        threading.Thread(target=self._run, args=given, daemon=True).start()

    def poll(self, after: int, wait_s: float) -> tuple[list[bytes], int | None, str]:
        """Return the events after the first ones, pytest's exit code, and the end of its output.

        It waits at most `wait_s` seconds for either; the code of a run that goes on is None.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._lines[after:] or self._code is not None, wait_s)
            printed = self._printed.decode("utf-8", "backslashreplace")
            return self._lines[after:], self._code, printed

    def stop(self) -> None:
        """Interrupt pytest, so that it tears its fixtures down, and return when it has ended."""
        if self._process is None or self._code is not None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)
        with self._changed:
            self._changed.wait_for(lambda: self._code is not None, _GRACE_S)
        self._kill()

    def _run(self, command: list[str], done: tuple[str, ...], origin: Origin, name: str) -> None:
        """Run pytest to its end in this thread: the system ends it with the one that starts it."""
        folder = Path(tempfile.mkdtemp(prefix="pytest-greenops-fleet-"))
        code = 1
        try:
            code = self._run_in(folder, command, done, origin, name)
        except OSError as error:
            self._printed = f"{error.filename or folder}: {error.strerror}".encode()
        finally:
            self._kill()
            shutil.rmtree(folder, ignore_errors=True)
            with self._changed:
                self._code = code
                self._changed.notify_all()

    def _run_in(
        self, folder: Path, command: list[str], done: tuple[str, ...], origin: Origin, name: str
    ) -> int:
        """Run pytest in a folder of its own: Ray gives all runs of a node the same files."""
        project = shutil.copytree(Path.cwd(), folder / name, symlinks=True)
        events, printed = folder / "events.jsonl", folder / "output.txt"
        request = folder / "request.json"
        events.touch()
        asked = NodeRequest(str(events), os.getpid(), str(folder), done, origin)
        request.write_bytes(msgspec.json.encode(asked))
        environ = _environment(Path.cwd(), project, request)
        with printed.open("wb") as output, events.open("rb") as reader:
            self._process = subprocess.Popen(
                command,
                cwd=project,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            rest = b""
            while (code := self._process.poll()) is None:
                rest = self._read(rest + reader.read())
                time.sleep(_LOOK_S)
            self._read(rest + reader.read())
        self._printed = printed.read_bytes()[-_MOST_BYTES:]
        return code

    def _read(self, content: bytes) -> bytes:
        """Keep the whole lines of some content, and return the rest."""
        *lines, rest = content.split(b"\n")
        if lines:
            with self._changed:
                self._lines += lines
                self._changed.notify_all()
        return rest

    def _kill(self) -> None:
        """Kill pytest and what it started."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


def _environment(shipped: Path, project: Path, request: Path) -> dict[str, str]:
    """Return the environment of pytest: as Ray's, but imports find the copy of the project."""
    environ = {**os.environ, FLEET_VARIABLE: str(request)}
    if not environ.get("OMP_NUM_THREADS", "1"):  # the caller has set none, and Ray's is none
        del environ["OMP_NUM_THREADS"]
    path = [part for part in environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    copied = [str(project) if Path(part) == shipped else part for part in path]
    environ["PYTHONPATH"] = os.pathsep.join(copied)
    return environ
