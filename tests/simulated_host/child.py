"""Run a function in a process of its own: as another user, or with a `/sys` of its own."""

from __future__ import annotations

import atexit
import ctypes
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

NOBODY = 65534
_REPOSITORY = Path(__file__).parents[2]
_OUTER = "SIMULATED_HOST_OUTER_NAMESPACE"
_UNSHARE = ("unshare", "--mount", "--propagation", "private")
_SERVE = "serve"
_CLONE_NEWNS, _MS_REC, _MS_PRIVATE = 0x00020000, 0x4000, 0x40000


def run(
    function: Callable[..., Any],
    *args: Any,
    private_sys: bool = False,
    environ: Mapping[str, str] | None = None,
    preload: Sequence[str] = (),
) -> Any:
    """Call a module's function in another process; arguments and answer travel as JSON.

    Args:
        function: what to call.
        args: its arguments.
        private_sys: it has a mount namespace of its own, in which an empty tmpfs covers `/sys`.
        environ: the environment of a fresh interpreter. None: a fork, which takes less time, of an
            interpreter that has imported only the function's module, with our environment.
        preload: modules that the interpreter imports too, if they are installed.
    """
    module, name = importable(function.__module__), function.__qualname__
    if environ is None and hasattr(os, "fork"):
        return _server().call(module, name, args, private_sys, preload)
    return call(module, name, args, private_sys=private_sys, environ=environ)


def call(
    module: str,
    function: str,
    args: Sequence[Any] = (),
    *,
    private_sys: bool = False,
    python: str = sys.executable,
    environ: Mapping[str, str] | None = None,
) -> Any:
    """Do what `run` does, for a function by name, in a fresh interpreter of any Python."""
    what = {"module": module, "function": function, "args": args, "private_sys": private_sys}
    command = [python, "-m", __name__, json.dumps(what)]
    process = subprocess.run(
        [*(_UNSHARE if private_sys else ()), *command],
        cwd=_REPOSITORY,
        env={**(os.environ if environ is None else environ), **_outer()},
        capture_output=True,
        text=True,
    )
    if process.returncode:
        raise AssertionError(f"the child failed:\n{process.stdout}{process.stderr}")
    return json.loads(process.stdout.splitlines()[-1])


def importable(module: str) -> str:
    """Return the name under which a child finds a module that is the main program here."""
    spec = getattr(sys.modules[module], "__spec__", None)
    return spec.name if spec else module


@lru_cache(maxsize=1)
def why_no_private_sys() -> str | None:
    """Return why no process here can have a `/sys` of its own; None if one can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "covering /sys in a mount namespace needs root on Linux"
    if not (shutil.which("unshare") and shutil.which("mount")):
        return "covering /sys in a mount namespace needs unshare and mount of util-linux"
    attempt = subprocess.run(
        [*_UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/sys"], capture_output=True, text=True
    )
    return f"/sys cannot be covered here: {attempt.stderr.strip()}" if attempt.returncode else None


def become_nobody(groups: Sequence[int] = ()) -> None:
    """Give up the rights of root for good; a user without them keeps its own."""
    if os.geteuid() == 0:
        os.setgroups(groups)
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def _outer() -> dict[str, str]:
    return {_OUTER: os.readlink("/proc/self/ns/mnt")} if sys.platform == "linux" else {}


def _cover_sys() -> None:
    """Mount an empty tmpfs over `/sys`, for this process's mount namespace alone."""
    # In the namespace of our parent, the whole machine would lose its /sys.
    if os.readlink("/proc/self/ns/mnt") == os.environ[_OUTER]:
        raise RuntimeError("this process has no mount namespace of its own")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/sys"], check=True)


def _unshare() -> None:
    """Give this process a mount namespace of its own, as the program `unshare` does."""
    libc = ctypes.CDLL(None, use_errno=True)
    private = libc.unshare(_CLONE_NEWNS) or libc.mount(
        b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None
    )
    if private:
        raise OSError(ctypes.get_errno(), "unshare")


# --- a process that forks one child for each call --------------------------------------------


class _Server:
    """An interpreter that forks for each call."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, _SERVE],
            cwd=_REPOSITORY,
            env={**os.environ, **_outer()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self._process.communicate)

    def call(
        self,
        module: str,
        function: str,
        args: Sequence[Any],
        private_sys: bool,
        preload: Sequence[str],
    ) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        what = {
            "module": module,
            "function": function,
            "args": args,
            "private_sys": private_sys,
            "preload": preload,
            "environ": {**os.environ, **_outer()},
        }
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "failed" in answer:
            raise AssertionError(f"the child failed:\n{answer['failed']}")
        return answer["answer"]


_servers = threading.local()


def _server() -> _Server:
    """Return this thread's server: it answers one call after the other, to whoever reads next."""
    if not hasattr(_servers, "server"):
        _servers.server = _Server()
    server: _Server = _servers.server
    return server


def _serve() -> None:
    """Answer requests until the parent ends."""
    for line in sys.stdin:
        what = json.loads(line)
        importlib.import_module(what["module"])
        for name in what["preload"]:
            with suppress(ImportError):
                importlib.import_module(name)
        with tempfile.TemporaryFile("w+") as answer, tempfile.TemporaryFile("w+") as output:
            pid = os.fork()
            if pid == 0:
                _answer(what, answer, output)
            os.waitpid(pid, 0)
            answer.seek(0)
            output.seek(0)
            print(answer.read() or json.dumps({"failed": output.read()}), flush=True)


def _answer(what: Mapping[str, Any], answer: Any, output: Any) -> None:
    """In a fork: call the function, write its answer, and end."""
    try:
        for handle in (1, 2):
            os.dup2(output.fileno(), handle)
        os.environ.clear()
        os.environ.update(what["environ"])
        if what["private_sys"]:
            _unshare()
        json.dump({"answer": _do(what)}, answer)
        answer.flush()
    except BaseException:
        traceback.print_exc(file=output)
        output.flush()
    finally:
        os._exit(0)


def _do(what: Mapping[str, Any]) -> Any:
    if what["private_sys"]:
        _cover_sys()
    return getattr(importlib.import_module(what["module"]), what["function"])(*what["args"])


def main() -> None:
    """Do the call that the parent described and print its answer, or serve."""
    if sys.argv[1] == _SERVE:
        _serve()
    else:
        print(json.dumps(_do(json.loads(sys.argv[1]))))


if __name__ == "__main__":
    main()
