"""Run a function in a process of its own: as another user, or with a `/sys` of its own."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

NOBODY = 65534
_REPOSITORY = Path(__file__).parents[2]
_OUTER = "SIMULATED_HOST_OUTER_NAMESPACE"


def run(
    function: Callable[..., Any],
    *args: Any,
    private_sys: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Any:
    """Call a module's function in a fresh interpreter; arguments and answer travel as JSON.

    private_sys  it has a mount namespace of its own, where an empty tmpfs covers `/sys`
    environ      its environment; None: ours
    """
    module, name = importable(function.__module__), function.__qualname__
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
    """Do what `run` does, for a function by name and in any interpreter."""
    what = {"module": module, "function": function, "args": args, "private_sys": private_sys}
    command = [python, "-m", __name__, json.dumps(what)]
    outer = {_OUTER: os.readlink("/proc/self/ns/mnt")}
    process = subprocess.run(
        [*(_UNSHARE if private_sys else ()), *command],
        cwd=_REPOSITORY,
        env={**(os.environ if environ is None else environ), **outer},
        capture_output=True,
        text=True,
    )
    if process.returncode:
        raise AssertionError(f"the child failed:\n{process.stdout}{process.stderr}")
    return json.loads(process.stdout.splitlines()[-1])


def importable(module: str) -> str:
    """The name under which a child finds a module that runs as the main program here."""
    spec = getattr(sys.modules[module], "__spec__", None)
    return spec.name if spec else module


@lru_cache(maxsize=1)
def why_no_private_sys() -> str | None:
    """Why no process here can have a `/sys` of its own; None where it can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "covering /sys in a mount namespace needs root on Linux"
    if not (shutil.which("unshare") and shutil.which("mount")):
        return "covering /sys in a mount namespace needs unshare and mount of util-linux"
    attempt = subprocess.run(
        [*_UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/sys"], capture_output=True, text=True
    )
    return f"/sys cannot be covered here: {attempt.stderr.strip()}" if attempt.returncode else None


def cover_sys() -> Path:
    """Mount an empty tmpfs over `/sys`, for this process's mount namespace alone."""
    # Where the namespace is the one of our parent, the whole machine would lose its /sys.
    if os.readlink("/proc/self/ns/mnt") == os.environ[_OUTER]:
        raise RuntimeError("this process has no mount namespace of its own")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/sys"], check=True)
    return Path("/sys")


def become_nobody(groups: Sequence[int] = ()) -> None:
    """Give up root's rights for good; a user who has none keeps the few it has."""
    if os.geteuid() == 0:
        os.setgroups(groups)
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def main() -> None:
    """Do the call that the parent described, and print its answer."""
    call = json.loads(sys.argv[1])
    if call["private_sys"]:
        cover_sys()
    function = getattr(importlib.import_module(call["module"]), call["function"])
    print(json.dumps(function(*call["args"])))


_UNSHARE = ("unshare", "--mount", "--propagation", "private")

if __name__ == "__main__":
    main()
