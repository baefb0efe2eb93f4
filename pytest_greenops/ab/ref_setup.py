"""Run the user's command that builds the ref's package, in an environment of its own.

The environment sees all that is installed in the user's, and what is installed in it changes
nothing there.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import signal
import site
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pytest_greenops.model.errors import OptionError, shown

#: Longest time for the command: compiling large extensions takes this long.
LIMIT_S = 1800.0
_LONGEST_LINE = 200
#: Variables that would make pip, uv or Python install elsewhere, or see other packages.
_ELSEWHERE = (
    *("PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT"),
    *("PIP_PYTHON", "PIP_USER", "PIP_BREAK_SYSTEM_PACKAGES", "UV_SYSTEM_PYTHON", "UV_PYTHON"),
    *("UV_BREAK_SYSTEM_PACKAGES", "UV_TARGET", "UV_PREFIX", "CONDA_PREFIX", "CONDA_DEFAULT_ENV"),
)


def build(
    command: str,
    *,
    tree: Path,
    users: Path,
    environment: Path,
    folder: Path | None = None,
    limit_s: float = LIMIT_S,
) -> str:
    """Run a shell command in a tree, and return the folder of packages that it installed into.

    command      as the user wrote it: `pip install -e . --no-deps`
    tree         the worktree of the ref
    users        the user's working tree; the command finds it as $GREENOPS_WORKING_TREE
    environment  where to make the virtual environment
    folder       where to run the command: the folder in the tree that pytest was called in; the
                 root of the tree if that has no such folder

    Raises `OptionError` with the exit code and the last line of output if the command fails, and
    if it installs another version of a dependency.
    """
    said = f"--energy-ab-setup={shown(command)}"
    try:
        packages = _make_environment(environment)
        environ = _environ(environment, GREENOPS_WORKING_TREE=str(users))
        output = environment.with_name(environment.name + ".log")
        called_in = tree if folder is None or not folder.is_dir() else folder
        code = _run(command, called_in, environ, output, limit_s)
    except subprocess.TimeoutExpired:
        raise OptionError(f"{said}: it did not end within {limit_s:g} s") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise OptionError(f"{said}: {error}") from None
    if code:
        lines = output.read_text("utf-8", "replace").splitlines()
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
        raise OptionError(f"{said}: exit code {code}: {last[:_LONGEST_LINE]}")
    other = _other_version(packages, (tree, users))
    if other is not None:
        raise OptionError(f"{said} installed {other}: prevent that, for example with --no-deps")
    return packages


def _other_version(packages: str, trees: Sequence[Path]) -> str | None:
    """Return a dependency that the two sides would have in different versions, if there is one.

    What was installed from one of the trees is not a dependency.
    """
    for found in metadata.distributions(path=[packages]):
        name = found.metadata["Name"]
        try:
            here = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        own = _is_from(found, trees) or _is_from(here, trees)
        if here.version != found.version and not own:
            return f"{name} {found.version}, of which {here.version} is in use here"
    return None


def _is_from(distribution: metadata.Distribution, trees: Sequence[Path]) -> bool:
    """Return whether a distribution was installed from a folder in one of these trees."""
    url = json.loads(distribution.read_text("direct_url.json") or "{}").get("url", "")
    folder = Path(unquote(urlsplit(url).path)).resolve()
    return any(folder.is_relative_to(tree.resolve()) for tree in trees)


def _make_environment(folder: Path) -> str:
    """Make a virtual environment that sees the packages of this one; return its own packages."""
    has_pip = importlib.util.find_spec("pip") is not None
    with_pip = not has_pip and importlib.util.find_spec("ensurepip") is not None
    venv.EnvBuilder(symlinks=os.name == "posix", with_pip=with_pip).create(folder)
    scheme = "venv" if "venv" in sysconfig.get_scheme_names() else "posix_prefix"  # Python 3.10
    within = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", scheme, within))
    seen = [*site.getsitepackages(), *([site.getusersitepackages()] * bool(site.ENABLE_USER_SITE))]
    # Only in this environment: the process that measures adds its packages to another one.
    condition = f"os.path.realpath(sys.prefix) == {os.path.realpath(folder)!r}"
    lines = f"import os, site, sys; {condition} and list(map(site.addsitedir, {seen!r}))\n"
    packages.joinpath("_greenops_seen.pth").write_text(lines, "utf-8")
    if has_pip:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        for name in ("pip", "pip3", f"pip{version}"):
            script = folder / "bin" / name
            script.write_text(
                f'#!/bin/sh\nexec {shlex.quote(str(folder))}/bin/python -m pip "$@"\n'
            )
            script.chmod(0o755)
    return str(packages)


def _environ(environment: Path, **more: str) -> dict[str, str]:
    environ = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    scripts = [str(environment / "bin"), sysconfig.get_path("scripts"), environ.get("PATH", "")]
    environ["PATH"] = os.pathsep.join(each for each in scripts if each)
    environ["VIRTUAL_ENV"] = environ["UV_PROJECT_ENVIRONMENT"] = str(environment)
    environ.update(PIP_USER="0", PIP_NO_INPUT="1", PIP_DISABLE_PIP_VERSION_CHECK="1", **more)
    return environ


def _run(
    command: str, folder: Path, environ: Mapping[str, str], output: Path, limit_s: float
) -> int:
    """Run a shell command in a process group of its own, and end all of it on every way out."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            shell=True,  # the user gave the command  # nosec B602
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(limit_s)
        finally:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
