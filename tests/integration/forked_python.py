"""Run a module in a fork of a process that has imported the dependencies of pytest and the plugin.

Each run is a process of its own, and nothing of the plugin is imported before the fork. Only the
import of third-party libraries is saved, which is half the time of a small run.
`GREENOPS_TESTS_EXEC=1` starts each run as `python -m MODULE` instead.

Run as a script, this file is the server: it reads one run from each line and answers with its
exit code.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, NoReturn

#: What a run with --energy imports, apart from the plugin.
DEPENDENCIES = (
    *("msgspec", "numpy", "psutil", "pytest", "scipy.special", "xml.etree.ElementTree"),
    *("rich.console", "rich.padding", "rich.table", "rich.text"),
)
#: Variables that Python reads only as it starts, so that a fork ignores other values.
READ_AT_START = ("PYTHON", "LC_", "LANG")
#: Those of them that a fork applies, and output that is always buffered, as users have it.
APPLIED = ("PYTHONPATH", "PYTHONIOENCODING", "PYTHONUNBUFFERED")


class Finished(NamedTuple):
    """The exit code of a process and its output."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines on stdout."""
        return self.out.splitlines()


def run(
    module: str,
    *args: object,
    environ: Mapping[str, str],
    folder: Path | None = None,
    forked: bool = True,
) -> Finished:
    """Run a module in a folder, by default the current one."""
    environ, folder = dict(environ), folder or Path.cwd()
    if os.environ.get("GREENOPS_TESTS_EXEC") or _at_start(environ) != _AT_START:
        forked = False
    with TemporaryDirectory() as output:
        out, err = Path(output, "out"), Path(output, "err")
        code = (_fork if forked else _start)(module, [*map(str, args)], environ, folder, out, err)
        return Finished(code, out.read_text("utf-8"), err.read_text("utf-8"))


def _start(
    module: str, args: list[str], environ: dict[str, str], folder: Path, out: Path, err: Path
) -> int:
    with out.open("wb") as stdout, err.open("wb") as stderr:
        command = [sys.executable, "-m", module, *args]
        streams = {"stdin": subprocess.DEVNULL, "stdout": stdout, "stderr": stderr}
        return subprocess.call(command, cwd=folder, env=environ, **streams)


def _fork(
    module: str, args: list[str], environ: dict[str, str], folder: Path, out: Path, err: Path
) -> int:
    server = _server(environ.get("LD_PRELOAD", ""))
    assert server.stdin
    assert server.stdout
    request = [module, args, environ, *map(str, (folder, out, err))]
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    return int(server.stdout.readline())


def _at_start(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environ.items()
        if name.startswith(READ_AT_START) and name not in APPLIED
    }


_AT_START = _at_start(os.environ)


@cache
def _server(preload: str) -> subprocess.Popen[str]:
    """Start the server whose forks have a library loaded; it ends when its stdin is closed."""
    # NumPy starts no threads: a fork has only the thread that calls it.
    environ = {name: value for name, value in os.environ.items() if name not in APPLIED}
    server = subprocess.Popen(
        [sys.executable, __file__],
        env={
            **environ,
            **({"LD_PRELOAD": preload} if preload else {}),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(server.communicate)
    return server


def _serve() -> None:
    """Fork for each request, and return when there are no more."""
    while line := sys.stdin.readline():
        fork = os.fork()
        if not fork:
            _become(*json.loads(line))
        _, status = os.waitpid(fork, 0)
        os.write(1, b"%d\n" % os.waitstatus_to_exitcode(status))


def _become(
    module: str, args: list[str], environ: dict[str, str], folder: str, out: str, err: str
) -> NoReturn:
    """Give this fork what a new process is started with, run the module and exit."""
    stdin, closed = os.pipe()
    os.close(closed)
    flags = os.O_WRONLY | os.O_CREAT
    for number, opened in enumerate((stdin, os.open(out, flags), os.open(err, flags))):
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    encoding, _, errors = environ.get("PYTHONIOENCODING", "").partition(":")
    if encoding:
        sys.stdout.reconfigure(encoding=encoding, errors=errors or "strict")
        sys.stderr.reconfigure(encoding=encoding)
    searched = environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [os.getcwd(), *filter(None, searched), *sys.path[1:]]
    sys.argv[1:] = args
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    for dependency in DEPENDENCIES:
        import_module(dependency)
    gc.freeze()
    _serve()
