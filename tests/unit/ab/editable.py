"""Editable installations of a project, of the shape that each tool generates.

Each function installs package `mypkg` of a project into a folder like site-packages. The finders
have what matters of those of setuptools 84, editables 0.6, meson-python 0.22 and
scikit-build-core 1.1.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

_SETUPTOOLS = """
import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from pathlib import Path
MAPPING = {mapping!r}
NAMESPACES = {namespaces!r}
PATH_PLACEHOLDER = "__editable__.mypkg-0.1.finder.__path_hook__"

class _EditableFinder:
    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        if fullname in MAPPING:
            init = Path(MAPPING[fullname], "__init__.py")
            return spec_from_file_location(fullname, init) if init.exists() else None
        parent, _, child = fullname.rpartition(".")
        if parent and parent in MAPPING:
            return PathFinder.find_spec(fullname, path=[MAPPING[parent]])
        return None

class _EditableNamespaceFinder:
    @classmethod
    def _path_hook(cls, path):
        if path == PATH_PLACEHOLDER:
            return cls
        raise ImportError

    @classmethod
    def find_spec(cls, fullname, target=None):
        if fullname in NAMESPACES:
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [*NAMESPACES[fullname], PATH_PLACEHOLDER]
            return spec
        return None

def install():
    sys.meta_path.append(_EditableFinder)
    if NAMESPACES:
        sys.path_hooks.append(_EditableNamespaceFinder._path_hook)
        sys.path.append(PATH_PLACEHOLDER)
"""

_EDITABLES = """
import importlib.abc, importlib.util, sys

class RedirectingFinder(importlib.abc.MetaPathFinder):
    _redirections = {redirections!r}

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        if "." in fullname or path is not None or fullname not in cls._redirections:
            return None
        return importlib.util.spec_from_file_location(fullname, cls._redirections[fullname])

    @classmethod
    def invalidate_caches(cls):
        pass

sys.meta_path.append(RedirectingFinder)
"""

_MESON = """
import importlib.abc, importlib.machinery, os, subprocess, sys
FILES = {files!r}

class SourceFileLoader(importlib.machinery.SourceFileLoader):
    def __init__(self, name, path, tree):
        super().__init__(name, path)
        self._tree = tree

class MesonpyMetaFinder(importlib.abc.MetaPathFinder):
    def __init__(self):
        self._top_level_modules = {{"mypkg"}}
        self._build_path = {build!r}
        self._build_cmd = ["touch", {build!r} + "/rebuilt"]

    def find_spec(self, fullname, path=None, target=None):
        if fullname.split(".", 1)[0] not in self._top_level_modules:
            return None
        subprocess.run(self._build_cmd, cwd=self._build_path, check=True)
        for name in (fullname + ".__init__", fullname):
            if name in FILES:
                kind = importlib.machinery.ExtensionFileLoader
                loader = kind(fullname, FILES[name])
                if FILES[name].endswith(".py"):
                    loader = SourceFileLoader(fullname, FILES[name], None)
                spec = importlib.machinery.ModuleSpec(fullname, loader, origin=FILES[name])
                spec.has_location = True
                if name.endswith(".__init__"):
                    spec.submodule_search_locations = [os.path.join(__file__, fullname)]
                return spec
        return None

    def _path_hook(self, path):
        raise ImportError

finder = MesonpyMetaFinder()
sys.meta_path.insert(0, finder)
sys.path_hooks.insert(0, finder._path_hook)
"""

_SCIKIT_BUILD = """
import importlib.machinery, importlib.util, os, subprocess, sys
DIR = os.path.abspath(os.path.dirname(__file__))

class Wrapper:
    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, name):
        return getattr(self._loader, name)

class ScikitBuildRedirectingFinder:
    known_source_files = {sources!r}
    known_wheel_files = {{"mypkg._core": {extension!r}}}
    rebuild_flag = True

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] == "mypkg" and self.rebuild_flag:
            subprocess.run(["touch", {build!r} + "/rebuilt"], check=True)
        origin = self.known_source_files.get(fullname)
        if fullname in self.known_wheel_files:
            origin = os.path.join(DIR, self.known_wheel_files[fullname])
        if origin is None:
            return None
        folders = None
        if origin.endswith("__init__.py"):
            folders = [os.path.dirname(origin), os.path.join(DIR, "mypkg")]
        spec = importlib.util.spec_from_file_location(
            fullname, origin, submodule_search_locations=folders
        )
        spec.loader = Wrapper(spec.loader)
        return spec

sys.meta_path.insert(0, ScikitBuildRedirectingFinder())
"""


def _path_entry(site: Path, project: Path) -> None:
    site.joinpath("_editable_impl_mypkg.pth").write_text(f"{project}/src")


def _easy_install(site: Path, project: Path) -> None:
    """`setup.py develop`: its metadata lie in the project, where git ignores them."""
    site.joinpath("easy-install.pth").write_text(f"{project}/src\n")
    site.joinpath("mypkg.egg-link").write_text(f"{project}/src\n.")


def _finder(site: Path, name: str, code: str, install: str = "") -> None:
    site.joinpath(f"{name}.py").write_text(code)
    site.joinpath(f"{name}.pth").write_text(f"import {name}{install}\n")


def _setuptools(site: Path, project: Path) -> None:
    code = _SETUPTOOLS.format(mapping={"mypkg": f"{project}/src/mypkg"}, namespaces={})
    name = "__editable___mypkg_0_1_finder"
    _finder(site, name, code, f"; {name}.install()")


def _setuptools_namespace(site: Path, project: Path) -> None:
    namespaces = {"ns": [f"{project}/src/ns"]}
    code = _SETUPTOOLS.format(mapping={"mypkg": f"{project}/src/mypkg"}, namespaces=namespaces)
    name = "__editable___mypkg_0_1_finder"
    _finder(site, name, code, f"; {name}.install()")


def _setuptools_strict(site: Path, project: Path) -> None:
    """`editable_mode=strict`: links to each file, in a folder that git ignores."""
    links = project / "build/__editable__.mypkg-0.1-py3-none-any"
    for path in project.joinpath("src").rglob("*"):
        if path.is_file():
            link = links / path.relative_to(project / "src")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    site.joinpath("__editable__.mypkg-0.1.pth").write_text(f"{links}\n")


def _editables(site: Path, project: Path) -> None:
    redirections = {"mypkg": f"{project}/src/mypkg/__init__.py"}
    _finder(site, "_editable_impl_mypkg", _EDITABLES.format(redirections=redirections))


def _meson_python(site: Path, project: Path) -> None:
    build = project / "build"
    build.mkdir()
    package = f"{project}/src/mypkg"
    files = {"mypkg.__init__": f"{package}/__init__.py", "mypkg.sub": f"{package}/sub.py"}
    files |= {"mypkg.new": f"{package}/new.py"}
    files["mypkg._core"] = f"{build}/_core{EXTENSION_SUFFIXES[0]}"
    Path(files["mypkg._core"]).touch()
    code = _MESON.format(files=files, build=str(build))
    _finder(site, "_mypkg_editable_loader", code)


def _scikit_build_core(site: Path, project: Path) -> None:
    package = f"{project}/src/mypkg"
    sources = {"mypkg": f"{package}/__init__.py"}
    sources |= {f"mypkg.{name}": f"{package}/{name}.py" for name in ("sub", "new")}
    extension = f"mypkg/_core{EXTENSION_SUFFIXES[0]}"
    site.joinpath("mypkg").mkdir()
    site.joinpath(extension).touch()
    project.joinpath("build").mkdir()
    code = _SCIKIT_BUILD.format(sources=sources, extension=extension, build=str(project / "build"))
    _finder(site, "_editable_skbc_mypkg", code)


def _flit_symlink(site: Path, project: Path) -> None:
    site.joinpath("mypkg").symlink_to(project / "src/mypkg")


KINDS: dict[str, Callable[[Path, Path], None]] = {
    "a path entry (setuptools, hatchling, flit, poetry, pdm)": _path_entry,
    "easy-install.pth and egg-link (setup.py develop)": _easy_install,
    "setuptools' finder": _setuptools,
    "setuptools' finder with a namespace": _setuptools_namespace,
    "setuptools' strict mode": _setuptools_strict,
    "editables (hatchling's dev-mode-exact, pdm)": _editables,
    "meson-python": _meson_python,
    "scikit-build-core": _scikit_build_core,
    "a symbolic link (flit)": _flit_symlink,
}
