"""Which packages are a project's own, and which of them came from elsewhere."""

from __future__ import annotations

import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType

import pytest

from pytest_greenops.ab.own_packages import foreign, own_names, source_roots
from pytest_greenops.ab.redirect import Redirect


def write(folder: Path, *names: str) -> None:
    """Write empty files."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    ("file", "text", "folder"),
    [
        ("setup.py", "", "src"),
        ("pyproject.toml", "[tool.setuptools.package-dir]\n'' = 'lib'\n", "lib"),
        ("pyproject.toml", "[tool.setuptools.packages.find]\nwhere = ['lib']\n", "lib"),
        ("pyproject.toml", "[tool.hatch.build.targets.wheel]\npackages = ['lib/mypkg']\n", "lib"),
        ("pyproject.toml", "[tool.hatch.build.targets.wheel]\nsources = ['lib']\n", "lib"),
        ("pyproject.toml", "[[tool.poetry.packages]]\ninclude = 'x'\nfrom = 'lib'\n", "lib"),
        ("pyproject.toml", "[tool.pdm.build]\npackage-dir = 'lib'\n", "lib"),
        ("pyproject.toml", "[tool.maturin]\npython-source = 'python'\n", "python"),
        ("pyproject.toml", "[tool.scikit-build.wheel]\npackages = ['lib/mypkg']\n", "lib"),
        ("setup.cfg", "[options]\npackage_dir =\n    = lib\n", "lib"),
        ("setup.cfg", "[options.packages.find]\nwhere = lib\n", "lib"),
        ("pyproject.toml", "[tool]\nsetuptools = 'odd'\nhatch = [1]\npdm.build = 3\n", "src"),
        ("pyproject.toml", "not TOML", "src"),
        ("setup.cfg", "not an ini file", "src"),
    ],
)
def test_where_the_packages_of_a_project_are(
    tmp_path: Path, file: str, text: str, folder: str
) -> None:
    """Each build tool has its own setting; the root and `src` need none."""
    write(tmp_path, f"{folder}/mypkg/__init__.py")
    tmp_path.joinpath(file).write_text(text)
    assert source_roots(str(tmp_path)) == (str(tmp_path / folder), str(tmp_path))


def test_a_repository_of_several_projects(tmp_path: Path) -> None:
    """Each project has its packages; environments and hidden folders are no projects.

    Neither are copies of others, which may be installed too.
    """
    write(tmp_path, "one/pyproject.toml", "one/src/x.py", "packages/two/setup.py")
    write(tmp_path, ".venv/x/setup.py", "env/pyvenv.cfg", "env/x/setup.py", ".hidden/setup.py")
    write(tmp_path, "third_party/x/setup.py", "submodule/setup.py", "submodule/.git")
    roots = source_roots(str(tmp_path))
    expected = ("one/src", "one", "packages/two")
    assert roots == (str(tmp_path), *(str(tmp_path / each) for each in expected))


def test_names_of_own_packages(tmp_path: Path) -> None:
    """Packages, modules, and packages in namespaces; not tests, scripts and other folders."""
    write(tmp_path, "mypkg/__init__.py", "mypkg/sub.py", "single.py", "ns/part/__init__.py")
    write(tmp_path, "tests/__init__.py", "setup.py", "data-files/x.py", "read.me")
    assert own_names([str(tmp_path)]) == {"mypkg", "single", "ns.part"}


class Loaded:
    """Modules that this process seems to have loaded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._modules = dict(sys.modules)
        monkeypatch.setattr(sys, "modules", self._modules)

    def add(self, name: str, file: Path) -> None:
        """Add a module that was loaded from a file."""
        module = self._modules[name] = ModuleType(name)
        module.__file__ = str(file)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Loaded:
    """Return the modules of this process, to which a test may add some."""
    return Loaded(monkeypatch)


@pytest.fixture
def redirect(tmp_path: Path) -> Redirect:
    """Return a redirect between two trees with `mypkg` and `ns.part` in `src`."""
    for name in ("origin", "tree"):
        write(tmp_path / name, "src/mypkg/__init__.py", "src/ns/part/__init__.py", "tests/x.py")
    return Redirect(str(tmp_path / "origin"), str(tmp_path / "tree"))


def test_what_came_from_the_tree_is_not_foreign(loaded: Loaded, redirect: Redirect) -> None:
    """Nor what is not the project's, nor what was installed for the tree alone."""
    tree, site = Path(redirect.tree), Path(redirect.tree).parent / "site-packages"
    loaded.add("mypkg", tree / "src/mypkg/__init__.py")
    loaded.add("torch", site.with_name("other") / "torch/__init__.py")
    loaded.add("mypkg._core", site / f"mypkg/_core{EXTENSION_SUFFIXES[0]}")
    loaded.add("pytest_greenops", Path(redirect.origin) / "pytest_greenops/__init__.py")
    loaded.add("installed", Path(redirect.origin) / ".venv/lib/site-packages/installed.py")
    roots = source_roots(redirect.tree)
    assert foreign(redirect._replace(site=str(site)), roots) == {}


def test_what_came_from_elsewhere(loaded: Loaded, redirect: Redirect) -> None:
    """Installed copies, installed compiled modules of the package, and files of the other tree."""
    tree, site = Path(redirect.tree), Path(redirect.tree).parent / "site-packages"
    extension = site / f"mypkg/_core{EXTENSION_SUFFIXES[0]}"
    loaded.add("mypkg", tree / "src/mypkg/__init__.py")
    loaded.add("mypkg._core", extension)
    loaded.add("ns.part", site / "ns/part/__init__.py")
    loaded.add("ns.other", site / "ns/other/__init__.py")
    loaded.add("conftest", Path(redirect.origin) / "tests/conftest.py")
    assert foreign(redirect, source_roots(redirect.tree)) == {
        "mypkg._core": str(extension),
        "ns.part": str(site / "ns/part/__init__.py"),
        "conftest": str(Path(redirect.origin) / "tests/conftest.py"),
    }


def test_the_candidates_packages(loaded: Loaded, redirect: Redirect) -> None:
    """An installed copy is not its code; its compiled modules may be installed."""
    origin, site = Path(redirect.origin), Path(redirect.tree).parent / "site-packages"
    same = Redirect(redirect.origin, redirect.origin)
    roots = source_roots(redirect.origin)
    loaded.add("mypkg", origin / "src/mypkg/__init__.py")
    loaded.add("mypkg._core", site / f"mypkg/_core{EXTENSION_SUFFIXES[0]}")
    assert foreign(same, roots) == {}
    loaded.add("mypkg", site / "mypkg/__init__.py")
    assert foreign(same, roots) == {"mypkg": str(site / "mypkg/__init__.py")}
