"""The measured process: its settings, library versions, git revision, and tracers."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

from pytest_greenops import __version__
from pytest_greenops.machine.interpreter import STARTED
from pytest_greenops.model.baseline import Revision
from pytest_greenops.model.environment import fact_text
from pytest_greenops.model.errors import encodable
from pytest_greenops.model.result import Origin
from pytest_greenops.system import SYSTEM, System, before_tests

__all__ = ["Revision", "conditions", "instrumented", "libraries", "origin", "revision", "versions"]

#: Distributions that do the work in a test, with the module that shows that they are loaded.
_LIBRARIES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "scikit-learn": "sklearn",
    "torch": "torch",
    "transformers": "transformers",
    "jax": "jax",
    "tensorflow": "tensorflow",
}
#: Variables in which a CI that has checked out a commit names its branch, the nearest first.
_BRANCH_VARIABLES = ("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME", "BRANCH_NAME")
_MONITORING_TOOLS = 6
_GIT_S = 2.0
_HEAD = "# branch.head "
_COMMIT = re.compile(r"[0-9a-f]{40,64}")
#: Variables that git sets for the hooks of a repository, and that redirect it to that repository.
_HOOK_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")


def conditions() -> dict[str, str]:
    """Return the settings that a test may change, and that comparable measurements must share.

    `threads` are torch's if it is loaded, else OMP_NUM_THREADS if set; `dtype` and `tf32` are
    torch's defaults, the latter if it can use CUDA. This never loads torch. `interpreter` and
    `allocator` are how Python was started.
    """
    torch: Any = SYSTEM.modules.get("torch")
    if not (isinstance(torch, ModuleType) and hasattr(torch, "get_num_threads")):
        # It is not loaded, still loading, or a mock of a test.
        said = SYSTEM.environ.get("OMP_NUM_THREADS", "")
        threads = fact_text(said.encode("utf-8", "surrogateescape"))
        return {**STARTED, "threads": threads} if threads else dict(STARTED)
    facts = {
        **STARTED,
        "threads": str(torch.get_num_threads()),
        "dtype": str(torch.get_default_dtype()).removeprefix("torch."),
    }
    return {**facts, "tf32": _tf32(torch)} if _cuda_available(torch) else facts


def versions() -> dict[str, str]:
    """Return the versions of this plugin and Python, and of torch and transformers if loaded."""
    loaded = libraries()
    return {
        "pytest-greenops": __version__,
        "python": platform.python_version(),
        **{name: loaded[name] for name in ("torch", "transformers") if name in loaded},
    }


def libraries() -> dict[str, str]:
    """Return the versions of the loaded libraries that do the work in tests."""
    found = {}
    for distribution, module in _LIBRARIES.items():
        if module in SYSTEM.modules and (version := _version(distribution)):
            found[distribution] = version
    return found


@lru_cache
def _version(distribution: str) -> str | None:
    """Return the version of a distribution; None if it is not installed, or cannot be read."""
    with suppress(Exception):  # a test may have replaced what reads it
        return importlib.metadata.version(distribution)
    return None


@before_tests
def revision(directory: Path) -> Revision:
    """Return the commit of a folder, and whether tracked files differ from it.

    Both are None without an answer of git within two seconds: no git, no repository, a huge one.
    Only the commit is None in a repository without commits.
    """
    return _checkout(directory)[0]


@before_tests
def origin(directory: Path, project: str | None) -> Origin:
    """Return where the results of a run are from that begins now; see `revision`.

    project  its name; None takes that of the folder
    """
    code, branch = _checkout(directory)
    named = (os.environ.get(name) for name in _BRANCH_VARIABLES)
    installed = {name: version for name in _LIBRARIES if (version := _version(name))}
    return Origin(
        id=uuid4().hex,
        project=encodable(project or directory.resolve().name),
        commit=code.commit,
        dirty=code.dirty,
        branch=branch or next((encodable(name) for name in named if name), None),
        versions={**versions(), **installed},
    )


@before_tests
def _checkout(directory: Path) -> tuple[Revision, str | None]:
    """Return the revision of a folder, and its branch."""
    command = ["git", "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    how: dict[str, Any] = {"capture_output": True, "timeout": _GIT_S, "check": True}
    try:
        ran = subprocess.run(command, cwd=directory, env=_plain_git(os.environ), **how)
    except (OSError, ValueError, subprocess.SubprocessError):
        return Revision(None, None), None
    lines = fact_text(ran.stdout).splitlines()
    heads = [line.rpartition(" ")[2] for line in lines if line.startswith("# branch.oid ")]
    commit = next((head for head in heads if _COMMIT.fullmatch(head)), None)
    branches = [line.removeprefix(_HEAD) for line in lines if line.startswith(_HEAD)]
    branch = next((name for name in branches if name != "(detached)"), None)
    return Revision(commit, any(not line.startswith("#") for line in lines)), branch


def instrumented(system: System = SYSTEM) -> str | None:
    """Return what traces or profiles this process, e.g. `coverage (sys.settrace)`, or None."""
    hooks = ((system.gettrace(), "sys.settrace"), (system.getprofile(), "sys.setprofile"))
    by_origin = {_origin(hook): setter for hook, setter in hooks if hook is not None}
    # Memray shows itself by these alone: in its own thread it works below Python.
    for name, setter in (("_trace_hook", "settrace"), ("_profile_hook", "setprofile")):
        if (hook := system.of_threading.get(name)) is not None:
            by_origin.setdefault(_origin(hook), f"threading.{setter}")
    found = [f"{origin} ({setter})" for origin, setter in by_origin.items()]
    found += [f"{tool} (sys.monitoring)" for tool in _monitoring_tools(system)]
    found += ["tracemalloc"] * system.traces_allocations()
    return ", ".join(found) or None


def _origin(hook: Any) -> str:
    """Return the package of a trace function, or of the object that it is bound to."""
    owner = getattr(hook, "__self__", hook)
    module = getattr(owner, "__module__", None) or type(owner).__module__
    return str(module).partition(".")[0]


def _monitoring_tools(system: System) -> Iterator[str]:
    for tool_id in range(_MONITORING_TOOLS if system.get_tool else 0):
        tool = system.get_tool(tool_id)
        if tool is not None:
            yield str(tool)


def _plain_git(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for git that also works within a hook of another repository."""
    kept = {name: value for name, value in environ.items() if name not in _HOOK_VARIABLES}
    return {**kept, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def _tf32(torch: Any) -> str:
    matmul, convolution = torch.backends.cuda.matmul, torch.backends.cudnn
    if hasattr(convolution, "conv"):  # torch 2.9: the flags below raise where this one was set
        flags = [s.fp32_precision == "tf32" for s in (matmul, convolution.conv)]
    else:
        flags = [matmul.allow_tf32, convolution.allow_tf32]
    return "matmul {}, cudnn {}".format(*("on" if flag else "off" for flag in flags))


@lru_cache(maxsize=1)
def _cuda_available(torch: ModuleType) -> bool:
    """Return whether torch can use CUDA, without initializing CUDA: the process may still fork."""
    with _environment("PYTORCH_NVML_BASED_CUDA_CHECK", "1"):
        return bool(torch.cuda.is_available())


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
