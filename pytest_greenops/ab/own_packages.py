"""A project's own packages: in which folders they are, and which were imported from elsewhere."""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from pytest_greenops.ab.finder import PLUGIN
from pytest_greenops.ab.places import Places, is_environment, within
from pytest_greenops.ab.redirect import Redirect

#: Files that make a folder a project; a repository may have several.
_OF_PROJECTS = ("pyproject.toml", "setup.py", "setup.cfg")
#: How deep below the root of a repository its projects are.
_DEPTH = 3
#: Folders whose modules a project does not install.
_NOT_INSTALLED = {
    *("test", "tests", "testing", "doc", "docs", "example", "examples", "benchmark", "benchmarks"),
    *("scripts", "tools", "build", "dist", "conftest", "setup", "noxfile", "tasks", "fabfile"),
}

#: Folders with the source of other projects, which may also be installed.
_OF_OTHERS = {
    *("third_party", "third-party", "thirdparty", "3rdparty", "vendor", "vendored", "_vendor"),
    *("external", "extern", "deps", "submodules", "subprojects"),
}


def source_roots(tree: str) -> tuple[str, ...]:
    """Return the folders in a tree that have top-level packages of its projects.

    They are the root of each project, its `src`, and where its pyproject.toml or setup.cfg says
    (settings of setuptools, hatchling, poetry, pdm, maturin and scikit-build-core).
    """
    roots: list[str] = []
    for project in _projects(tree):
        settings = _read(project)
        for each in (*_named(settings), *_named_in_setup_cfg(project), "src", ""):
            folder = os.path.normpath(os.path.join(project, each))
            if os.path.isdir(folder):
                roots.append(folder)
    return tuple(dict.fromkeys(roots))


def own_names(roots: Iterable[str]) -> set[str]:
    """Return the modules and packages in these folders, `ns.pkg` for one in a namespace."""
    return {name for root in roots for name in _names_in(root, "", _DEPTH)}


def _names_in(folder: str, prefix: str, depth: int) -> Iterator[str]:
    entries: list[os.DirEntry[str]] = []
    with suppress(OSError), os.scandir(folder) as found:
        entries = sorted(found, key=lambda each: each.name)
    for entry in entries:
        name = entry.name.removesuffix(".py")
        if not name.isidentifier() or name in _NOT_INSTALLED:
            continue
        if not entry.is_dir():
            if entry.name.endswith(".py"):
                yield prefix + name
        elif os.path.isfile(os.path.join(entry.path, "__init__.py")):
            yield prefix + name
        elif depth > 1 and not is_environment(entry.path):
            yield from _names_in(entry.path, f"{prefix}{name}.", depth - 1)


def foreign(redirect: Redirect, roots: Iterable[str]) -> dict[str, str]:
    """Return loaded modules that should have come from the tree, with the files they came from.

    They are the project's own packages from elsewhere, for example from an installation that is not
    editable; their compiled modules from elsewhere, unless the tree is `origin`, which may well
    have those installed; and whatever came from `origin` if the tree is another one.

    roots  the folders of `source_roots`
    """
    places = Places(redirect.origin, redirect.tree)
    same = places.mapped(redirect.origin) is None
    site = None if redirect.site is None else os.path.realpath(redirect.site)
    names = own_names(roots)
    found = {}
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or name.partition(".")[0] == PLUGIN:
            continue
        real = os.path.realpath(file)
        if places.in_tree(real) or (site is not None and within(real, site) is not None):
            continue
        own = name in names or (not same and _is_part(name, file, places))
        if own or (not same and places.mapped(file) is not None):
            found[name] = file
    return found


def _is_part(name: str, file: str, places: Places) -> bool:
    """Return whether a module from elsewhere is a compiled part of a package from the tree."""
    if not file.endswith(tuple(EXTENSION_SUFFIXES)):
        return False
    package = sys.modules.get(name.rpartition(".")[0])
    return places.in_tree(getattr(package, "__file__", None))


def _projects(tree: str) -> Iterator[str]:
    """Yield the root of a tree, and the folders below it that are projects."""
    yield tree
    for folder, names, files in os.walk(tree):
        if folder != tree and not set(files).isdisjoint(_OF_PROJECTS):
            yield folder
        deep = len(Path(folder).relative_to(tree).parts) + 1 >= _DEPTH
        names[:] = [] if deep else sorted(name for name in names if _is_source(folder, name))


def _is_source(folder: str, name: str) -> bool:
    """Return whether projects in a folder are the repository's own."""
    path = os.path.join(folder, name)
    return not (
        name.startswith(".")
        or name in _NOT_INSTALLED
        or name in _OF_OTHERS
        or is_environment(path)
        or os.path.exists(os.path.join(path, ".git"))  # a submodule
    )


def _read(project: str) -> dict[str, Any]:
    """Return the settings in pyproject.toml, or nothing where they cannot be read."""
    toml: Any = None
    for name in ("tomllib", "tomli"):  # pytest has the second one installed on Python 3.10
        with suppress(ImportError):
            toml = __import__(name)
            break
    with suppress(OSError, ValueError, AttributeError):
        return _at(toml.loads(Path(project, "pyproject.toml").read_text("utf-8")), "tool")
    return {}


def _named(tool: dict[str, Any]) -> Iterator[str]:
    """Yield folders with packages, relative to the project, that these settings name."""
    setuptools = _at(tool, "setuptools")
    yield from _texts(_at(setuptools, "package-dir").values())
    yield from _texts(_at(setuptools, "packages", "find").get("where", ()))
    wheel = _at(tool, "hatch", "build", "targets", "wheel")
    yield from (os.path.dirname(each) for each in _texts(wheel.get("packages", ())))
    yield from _texts(_at(wheel, "sources"))
    yield from _texts(wheel.get("sources", ()))
    packages = _at(tool, "scikit-build", "wheel").get("packages", ())
    yield from (os.path.dirname(each) for each in _texts(packages))
    for each in _at(tool, "poetry").get("packages", ()):
        if isinstance(each, dict):
            yield from _texts([each.get("from")])
    yield from _texts([_at(tool, "pdm", "build").get("package-dir")])
    yield from _texts([_at(tool, "maturin").get("python-source")])


def _named_in_setup_cfg(project: str) -> Iterator[str]:
    parser = configparser.ConfigParser(interpolation=None)
    with suppress(OSError, UnicodeDecodeError, configparser.Error):
        parser.read(os.path.join(project, "setup.cfg"), "utf-8")
    for line in parser.get("options", "package_dir", fallback="").splitlines():
        yield from line.rpartition("=")[2].split()
    yield from parser.get("options.packages.find", "where", fallback="").split()


def _at(table: dict[str, Any], *keys: str) -> dict[str, Any]:
    for key in keys:
        found = table.get(key)
        table = found if isinstance(found, dict) else {}
    return table


def _texts(values: object) -> Iterator[str]:
    """Yield the texts among values: settings may hold anything."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        return
    yield from (each for each in values if isinstance(each, str))
