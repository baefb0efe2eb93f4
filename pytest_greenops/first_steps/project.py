"""What a project is: its configuration of pytest, what its Python files use, its repository."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from pytest_greenops.ab.git import git
from pytest_greenops.bisection import pytest_config
from pytest_greenops.bisection.pytest_config import Configured
from pytest_greenops.model.errors import GreenopsError

#: What makes a folder a project, besides Python files.
_MARKS = (
    *("pyproject.toml", "pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "tox.ini"),
    *("setup.cfg", "setup.py", ".git"),
)
#: Folders that hold no code of the project; hidden ones and virtual environments do not either.
_FOREIGN = {"__pycache__", "build", "dist", "node_modules", "site-packages"}
#: Folders of Python files that are no package to import.
_NO_PACKAGE = {"benchmark", "benchmarks", "doc", "docs", "examples", "scripts", "test", "tests"}
_NO_MODULE = re.compile(r"test_|.*_test$|_|(conftest|setup|noxfile|tasks|manage)$")
#: `import a, b.c as d, torch` too.
_OTHERS = r"(?:[\w.]+(?:[ \t]+as[ \t]+\w+)?[ \t]*,[ \t]*)*"
#: torch, and libraries that compute with it.
_BY_TORCH = (
    *("torch", "torchvision", "torchaudio", "transformers", "diffusers", "accelerate", "peft"),
    *("lightning", "pytorch_lightning", "sentence_transformers", "timm", "torch_geometric"),
)
_TORCH = re.compile(
    rf"^[ \t]*(?:import|from)[ \t]+{_OTHERS}({'|'.join(_BY_TORCH)})\b", re.MULTILINE
)
_TEST_WITH = r"^[ \t]*(?:async[ \t]+)?def[ \t]+test\w*[ \t]*\([^)]*\b{}\b"
_ENERGY = re.compile(_TEST_WITH.format("energy") + r"|mark\.energy_budget\b", re.MULTILINE)
_BENCHMARK = re.compile(_TEST_WITH.format("benchmark") + r"|mark\.benchmark\b", re.MULTILINE)


class Uses(NamedTuple):
    """What the Python files of a project use.

    torch      the first file that imports torch or a library on top of it, and that library
    energy     the first file with an energy test
    benchmark  the first file with a test for pytest-benchmark or pytest-codspeed
    names      the names of all Python files
    """

    torch: tuple[str, str] | None
    energy: str | None
    benchmark: str | None
    names: frozenset[str]


class Project(NamedTuple):
    """A folder in which pytest runs.

    configured  how pytest is configured here
    pyproject   the content of pyproject.toml; empty without one
    top         the root of its git repository, or None
    remote      where that was cloned from, or empty
    no_git      why there is no repository, and what to do
    """

    folder: Path
    configured: Configured
    pyproject: dict[str, Any]
    uses: Uses
    top: Path | None
    remote: str = ""
    no_git: str = ""

    @property
    def torch_version(self) -> str | None:
        """The version of torch in this environment; None without torch."""
        with suppress(PackageNotFoundError, ValueError):
            if importlib.util.find_spec("torch"):
                return version("torch")
        return None

    @property
    def counted(self) -> bool:
        """Whether the work of the project's code can be counted."""
        return self.uses.torch is not None

    @property
    def below(self) -> str:
        """The project's path below the root of its repository; `.` for the root itself."""
        return self.folder.relative_to(self.top).as_posix() if self.top else "."

    @property
    def tests(self) -> Path:
        """The folder in which pytest collects tests."""
        folders = [
            *map(Path, self.configured.testpaths),
            self.folder / "tests",
            self.folder / "test",
        ]
        return next((each for each in folders if each.is_dir()), self.folder)

    @property
    def is_installable(self) -> bool:
        """Whether pip can install it: it says how it is built, or setuptools finds its package.

        Without a package, setuptools refuses a folder of several modules, such as of tests.
        """
        if "build-system" in self.pyproject or (self.folder / "setup.py").exists():
            return True
        packages = {each.parent.name for each in self.folder.glob("*/__init__.py")} - _NO_PACKAGE
        return "project" in self.pyproject and bool(packages or (self.folder / "src").is_dir())

    def extra_options(self) -> list[str]:
        """Return options that undo those of `addopts` with which joules are not measured."""
        given = self.configured.addopts
        covered = any(each == "--cov" or each.startswith("--cov=") for each in given)
        several = any(re.match(r"-n=?(\d|auto|logical|$)|--numprocesses", each) for each in given)
        return ["--no-cov"] * covered + ["-n0"] * several

    def package(self) -> str | None:
        """Return the name of what tests of this project import, if it is obvious."""
        for place in (self.folder / "src", self.folder):
            found = sorted(_importable(place)) if place.is_dir() else []
            own = [name for name in found if name == re.sub(r"\W", "_", self.folder.name)]
            if found:
                return (own or found)[0]
        return None


def look_at(folder: Path) -> Project:
    """Return what is known about the project in a folder.

    Raises `GreenopsError` if no project is there, or pytest cannot read its configuration.
    """
    files = list(_python_files(folder))
    if not files and not any((folder / mark).exists() for mark in _MARKS):
        raise GreenopsError(
            f"{folder}: no project here: expected pyproject.toml, pytest.ini, tox.ini, setup.cfg, "
            "a git repository or Python files: cd to the root folder of your project"
        )
    pyproject = _pyproject(folder / "pyproject.toml")
    with tempfile.TemporaryDirectory() as temporary:
        written = Path(temporary, "configured.json")
        configured = pytest_config.read([], folder, os.environ, written)
    file = Path(configured.inifile) if configured.inifile else None
    if file is not None and file.parent != folder:
        raise GreenopsError(
            f"{folder}: pytest is configured in {file}, so the project is there: "
            f"cd {os.path.relpath(file.parent, folder)}"
        )
    uses = _uses(files, folder, configured)
    return Project(folder, configured, pyproject, uses, *_repository(folder))


def parsed_toml(text: str) -> dict[str, Any]:
    """Return the content of a TOML file; raises `ValueError`."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    content: dict[str, Any] = tomllib.loads(text)
    return content


def _pyproject(path: Path) -> dict[str, Any]:
    try:
        return parsed_toml(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise GreenopsError(f"{path}: invalid TOML: {error}: correct that line first") from None


def _python_files(folder: Path) -> Iterator[Path]:
    """Yield the Python files of a project in the order of their paths."""
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(
            each
            for each in folders
            if not each.startswith(".")
            and each not in _FOREIGN
            and not os.path.exists(os.path.join(where, each, "pyvenv.cfg"))
        )
        yield from (Path(where, each) for each in sorted(files) if each.endswith(".py"))


def _uses(files: list[Path], folder: Path, configured: Configured) -> Uses:
    found: dict[str, str] = {}
    library = ""
    for file in files:
        name = file.relative_to(folder).as_posix()
        text = _text(file)
        if "torch" not in found and (imported := _TORCH.search(text)):
            found["torch"], library = name, imported[1]
        if any(fnmatch(file.name, pattern) for pattern in configured.python_files):
            for kind, pattern in (("energy", _ENERGY), ("benchmark", _BENCHMARK)):
                if pattern.search(text):
                    found.setdefault(kind, name)
    torch = (found["torch"], library) if library else None
    names = frozenset(file.name for file in files)
    return Uses(torch, found.get("energy"), found.get("benchmark"), names)


def _text(file: Path) -> str:
    try:
        if file.is_file():  # a pipe would wait for its writer
            return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        pass
    return ""


def _importable(place: Path) -> Iterator[str]:
    """Yield the packages and modules in a folder that are no tests or tools."""
    for each in place.iterdir():
        if os.path.isfile(each / "__init__.py") and each.name not in _NO_PACKAGE:
            yield each.name
        elif each.suffix == ".py" and each.stem.isidentifier() and not _NO_MODULE.match(each.stem):
            yield each.stem


def _repository(folder: Path) -> tuple[Path | None, str, str]:
    """Return the root of a folder's git repository and its remote, or why there is none."""
    try:
        top = Path(git(folder, "rev-parse", "--show-toplevel"))
    except GreenopsError as error:
        if any((each / ".git").exists() for each in (folder, *folder.parents)):
            return None, "", f"git cannot read this repository ({error})"
        return None, "", "no git repository here. Run git init, then this command again"
    try:
        return top, git(folder, "remote", "get-url", "origin"), ""
    except GreenopsError:
        return top, "", ""
