"""Imports that come from the tree of a ref, however the project is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import pytest

from pytest_greenops.ab.own_packages import source_roots
from pytest_greenops.ab.redirect import Redirect, load
from tests.unit.ab.editable import KINDS

SUFFIX = EXTENSION_SUFFIXES[0]
#: Without the site-packages of these tests, whose place another folder takes.
START = [sys.executable, "-S", "-E", "-c"]
REPORT = """
import importlib, importlib.metadata, importlib.resources, importlib.util, json, sys
def outcome(act):
    try:
        return act()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
def file(name):
    return outcome(lambda: importlib.import_module(name).__file__)
"""


class Trees:
    """A working tree, a tree to compare with, and a folder of installed packages."""

    def __init__(self, folder: Path) -> None:
        self.origin, self.tree = folder / "origin", folder / "tree"
        self.site = folder / "site-packages"
        for each in (self.origin, self.tree, self.site):
            each.mkdir(parents=True)

    def write(self, where: Path, *names: str) -> None:
        """Write modules of the project that say which tree they are of."""
        for name in names:
            path = where / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"OF = {where.name!r}\n")

    def run(self, code: str, *, before: str = "", site: Path | None = None) -> Any:
        """Return what an expression with `file` is in a process that imports from the tree."""
        roots = source_roots(str(self.tree))
        redirect = Redirect(str(self.origin), str(self.tree), site and str(site), roots)
        start = f"import site, sys\nsite.addsitedir({str(self.site)!r})\n{before}\n"
        program = f"{start}{load(redirect)}{REPORT}print(json.dumps({code}))"
        ran = subprocess.run([*START, program], cwd=self.tree, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        assert ran.stderr == ""
        return json.loads(ran.stdout)


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    """Return two trees of package `mypkg`, each with a module that the other one lacks."""
    trees = Trees(tmp_path)
    for where in (trees.origin, trees.tree):
        trees.write(where, "src/mypkg/__init__.py", "src/mypkg/sub.py", "src/ns/part.py")
        trees.write(where, "src/mypkg/deep/__init__.py", "src/mypkg/deep/er.py")
        where.joinpath("src/mypkg/data.txt").write_text(where.name)
    trees.write(trees.origin, "src/mypkg/new.py", "src/new_package/__init__.py")
    trees.write(trees.tree, "src/mypkg/old.py", "src/old_package/__init__.py")
    metadata = trees.origin / "src/mypkg.egg-info"
    metadata.mkdir()
    metadata.joinpath("PKG-INFO").write_text("Metadata-Version: 2.1\nName: mypkg\nVersion: 0.1\n")
    metadata.joinpath("entry_points.txt").write_text("[mygroup]\nname = mypkg.sub:OF\n")
    return trees


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_editable_installation(trees: Trees, kind: str) -> None:
    """Modules, data and metadata are those of the tree, and what it lacks is not found.

    No kind builds the working tree, as those do that build when a package is imported.
    """
    KINDS[kind](trees.site, trees.origin)
    names = ("mypkg", "mypkg.sub", "mypkg.deep.er", "mypkg.old", "old_package")
    found, data, new, new_package, core = trees.run(
        f"[[file(name) for name in {names}],"
        "importlib.resources.files('mypkg').joinpath('data.txt').read_text(),"
        "file('mypkg.new'), file('new_package'), file('mypkg._core')]"
    )
    package = trees.tree / "src/mypkg"
    expected = ("__init__.py", "sub.py", "deep/er.py", "old.py", "../old_package/__init__.py")
    assert [Path(each) for each in found] == [(package / each).resolve() for each in expected]
    assert data == "tree"
    assert new == (
        "ModuleNotFoundError: No module named 'mypkg.new' in the tree to compare with; the working "
        "tree has it (is it generated? then build it with --energy-ab-setup COMMAND)"
    )
    assert new_package.startswith("ModuleNotFoundError: No module named 'new_package'")
    assert not trees.origin.joinpath("build/rebuilt").exists()
    if kind in ("meson-python", "scikit-build-core"):
        assert core == (
            "ImportError: mypkg._core is compiled in the working tree, but not in the tree to "
            "compare with: build it with --energy-ab-setup 'pip install -e . --no-deps'"
        )
    else:
        assert core == "ModuleNotFoundError: No module named 'mypkg._core'"


@pytest.mark.parametrize("kind", ["a path entry", "setuptools' finder with a namespace"])
def test_namespace_packages(trees: Trees, kind: str) -> None:
    """Their parts in the tree are found next to parts that are installed."""
    install = next(install for name, install in KINDS.items() if name.startswith(kind))
    install(trees.site, trees.origin)
    trees.write(trees.site, "ns/installed.py")
    part, installed = trees.run("[file('ns.part'), file('ns.installed')]")
    assert part == str(trees.tree / "src/ns/part.py")
    assert installed == str(trees.site / "ns/installed.py")


def test_data_of_a_namespace_package(trees: Trees) -> None:
    """They are read from both places, also where only a late entry of the path has the package."""
    trees.write(trees.site, "ns/installed.py")
    names = "sorted(each.name for each in importlib.resources.files('ns').iterdir())"
    code = f"[sys.path.insert(0, {str(trees.origin / 'src')!r}), {names}]"
    assert trees.run(code)[1] == ["installed.py", "part.py"]


@pytest.mark.parametrize("kind", ["a path entry", "easy-install"])
def test_metadata_in_the_working_tree_are_found(trees: Trees, kind: str) -> None:
    """Git ignores *.egg-info, so the tree lacks it; entry points load from the tree."""
    install = next(install for name, install in KINDS.items() if name.startswith(kind))
    install(trees.site, trees.origin)
    version, entry, of = trees.run(
        "[importlib.metadata.version('mypkg'),"
        "[each.value for each in importlib.metadata.entry_points(group='mygroup')],"
        "[each.load() for each in importlib.metadata.entry_points(group='mygroup')]]"
    )
    assert (version, entry, of) == ("0.1", ["mypkg.sub:OF"], ["tree"])


def test_metadata_of_the_tree_go_first(trees: Trees) -> None:
    """They are there if the tree was built."""
    KINDS["easy-install.pth and egg-link (setup.py develop)"](trees.site, trees.origin)
    metadata = trees.tree / "src/mypkg.egg-info"
    metadata.mkdir()
    metadata.joinpath("PKG-INFO").write_text("Metadata-Version: 2.1\nName: mypkg\nVersion: 0.2\n")
    assert trees.run("importlib.metadata.version('mypkg')") == "0.2"


def test_a_flat_layout(trees: Trees) -> None:
    """Packages in the root of the repository work as those in `src`."""
    trees.write(trees.origin, "flat/__init__.py", "flat/new.py", "top.py", "new_top.py")
    trees.write(trees.tree, "flat/__init__.py", "top.py")
    trees.site.joinpath("flat.pth").write_text(str(trees.origin))
    found = trees.run("[file(name) for name in ('flat', 'top', 'flat.new', 'new_top')]")
    assert found[:2] == [str(trees.tree / "flat/__init__.py"), str(trees.tree / "top.py")]
    assert [each.partition(":")[0] for each in found[2:]] == ["ModuleNotFoundError"] * 2


def test_compiled_modules_that_are_not_built(trees: Trees) -> None:
    """The error says how to build them, and a fallback to Python code does not hide it.

    Code that the working tree has compiled, and the tree as Python code, is such a module too.
    """
    trees.write(trees.tree, "src/mypkg/mypyc.py", "src/mypkg/whole/__init__.py")
    for name in ("mypkg/_core", "mypkg/mypyc", "_top", "mypkg/whole/__init__"):
        path = trees.origin / f"src/{name}{SUFFIX}"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    KINDS["setuptools' finder"](trees.site, trees.origin)
    trees.site.joinpath("also.pth").write_text(f"{trees.origin}/src")
    names = ("mypkg._core", "mypkg.mypyc", "_top", "mypkg.whole")
    found, not_built, spec = trees.run(
        f"[[file(name) for name in {names}],"
        f"next(each.not_built for each in sys.meta_path if hasattr(each, 'not_built')),"
        "importlib.util.find_spec('mypkg._core').origin]"
    )
    for name, said in zip(names, found, strict=True):
        assert said.startswith(f"ImportError: {name} is compiled in the working tree, but not in ")
    assert not_built == {
        "mypkg._core": str(trees.origin / f"src/mypkg/_core{SUFFIX}"),
        "mypkg.mypyc": str(trees.origin / f"src/mypkg/mypyc{SUFFIX}"),
        "_top": str(trees.origin / f"src/_top{SUFFIX}"),
        "mypkg.whole": str(trees.origin / f"src/mypkg/whole/__init__{SUFFIX}"),
    }
    assert spec == not_built["mypkg._core"]


def test_compiled_modules_that_are_built_in_the_tree(trees: Trees) -> None:
    """They are the ones that are found."""
    for where in (trees.origin, trees.tree):
        where.joinpath(f"src/mypkg/_core{SUFFIX}").touch()
    KINDS["setuptools' finder"](trees.site, trees.origin)
    found = trees.run("importlib.util.find_spec('mypkg._core').origin")
    assert found == str(trees.tree / f"src/mypkg/_core{SUFFIX}")


def test_what_is_installed_within_the_working_tree_stays(trees: Trees) -> None:
    """Virtual environments in the repository hold other packages, whatever they are called."""
    places = ("venv/lib/site-packages", ".tox/py/lib", "my-env/lib")
    for i, place in enumerate(places):
        trees.write(trees.origin, f"{place}/installed_{i}.py")
    trees.origin.joinpath("my-env/pyvenv.cfg").touch()
    paths = "\n".join(str(trees.origin / place) for place in places)
    trees.site.joinpath("environments.pth").write_text(f"{paths}\n{trees.origin}/src")
    found = trees.run("[file(f'installed_{i}') for i in range(3)] + [file('mypkg')]")
    expected = [str(trees.origin / f"{place}/installed_{i}.py") for i, place in enumerate(places)]
    assert found == [*expected, str(trees.tree / "src/mypkg/__init__.py")]


def test_packages_installed_for_the_tree_go_first(trees: Trees, tmp_path: Path) -> None:
    """The finder of the tree's own installation has the name of the one that it replaces."""
    KINDS["setuptools' finder"](trees.site, trees.origin)
    own = tmp_path / "environment/lib/site-packages"
    own.mkdir(parents=True)
    KINDS["setuptools' finder"](own, trees.tree)
    trees.write(trees.tree, "src/mypkg/_core/__init__.py")
    trees.write(own, "compiled.py", "mypkg_core.py")
    trees.write(trees.site, "compiled.py")
    found, finders, path = trees.run(
        "[[file(name) for name in ('mypkg', 'mypkg.old', 'compiled')],"
        "[each.__module__ for each in sys.meta_path], sys.path[0]]",
        site=own,
    )
    package = trees.tree / "src/mypkg"
    expected = [package / "__init__.py", package / "old.py", own / "compiled.py"]
    assert found == [str(each) for each in expected]
    assert finders.count("__editable___mypkg_0_1_finder") == 2
    assert path == str(own)


def test_a_package_installed_for_the_tree_replaces_its_sources(
    trees: Trees, tmp_path: Path
) -> None:
    """`pip install .` puts the built package there, and not into the sources."""
    KINDS["meson-python"](trees.site, trees.origin)
    own = tmp_path / "environment/lib/site-packages"
    trees.write(own, "mypkg/__init__.py", "mypkg/sub.py")
    own.joinpath(f"mypkg/_core{SUFFIX}").touch()
    package, sub, core = trees.run(
        "[file('mypkg'), file('mypkg.sub'), importlib.util.find_spec('mypkg._core').origin]",
        site=own,
    )
    assert [Path(each).parent for each in (package, sub, core)] == [own / "mypkg"] * 3


def test_modules_that_were_imported_before_are_imported_again(trees: Trees) -> None:
    """A .pth file may import a package of the project when the interpreter starts."""
    trees.site.joinpath("a.pth").write_text(f"{trees.origin}/src\n")
    trees.site.joinpath("b.pth").write_text("import mypkg.sub\n")
    assert trees.run("[sys.modules.get('mypkg'), file('mypkg.sub')]") == [
        None,
        str(trees.tree / "src/mypkg/sub.py"),
    ]


def test_a_redirect_can_be_installed_again(trees: Trees) -> None:
    """A start that replaces `sys.path` by the one of its parent calls it again."""
    KINDS["setuptools' strict mode"](trees.site, trees.origin)
    trees.site.joinpath("path.pth").write_text(f"{trees.origin}/src\n")
    before = f"path = list(sys.path)\n{load(Redirect(str(trees.origin), str(trees.tree)))}"
    found, finders = trees.run(
        "[file('mypkg.sub'), [type(each).__name__ for each in sys.meta_path]]",
        before=f"{before}sys.path[:] = path",
    )
    assert found == str(trees.tree / "src/mypkg/sub.py")
    assert finders.count("TreeFinder") == finders.count("_Metadata") == 1


def test_late_entries_of_the_path(trees: Trees) -> None:
    """What a test or a plugin adds to `sys.path` later comes from the tree too."""
    code = f"[sys.path.insert(0, {str(trees.origin / 'src')!r}), file('mypkg'), file('mypkg.new')]"
    _, package, new = trees.run(code)
    assert package == str(trees.tree / "src/mypkg/__init__.py")
    assert new.startswith("ModuleNotFoundError")


def test_modules_that_are_made_later(trees: Trees) -> None:
    """A module that was not found is found when it is there, in the tree or through a finder."""
    KINDS["setuptools' finder"](trees.site, trees.origin)
    later = trees.tree / "src/mypkg/later.py"
    write = f"open({str(later)!r}, 'w').close()"
    code = f"[file('mypkg.later'), {write}, importlib.invalidate_caches(), file('mypkg.later')]"
    before, _, _, after = trees.run(code)
    assert before == "ModuleNotFoundError: No module named 'mypkg.later'"
    assert after == str(later)


def test_links_lead_to_the_same_tree(trees: Trees, tmp_path: Path) -> None:
    """The project may be installed by a path with a link, or its repository be given by one."""
    linked = tmp_path / "linked"
    linked.symlink_to(trees.origin)
    KINDS["setuptools' finder"](trees.site, linked)
    assert trees.run("file('mypkg.sub')") == str(trees.tree / "src/mypkg/sub.py")
    trees.origin = linked
    assert trees.run("file('mypkg.sub')") == str(trees.tree / "src/mypkg/sub.py")


def test_names_of_folders_with_anything_in_them(tmp_path: Path) -> None:
    """Blanks, quotes and letters beyond ASCII are names as others."""
    trees = Trees(tmp_path / "my prøject's {tree}")
    for where in (trees.origin, trees.tree):
        trees.write(where, "mypkg.py")
    trees.site.joinpath("path.pth").write_text(str(trees.origin), "utf-8")
    assert trees.run("file('mypkg')") == str(trees.tree / "mypkg.py")


def test_the_candidate_stays_as_it_is(trees: Trees) -> None:
    """A redirect of a tree to itself changes nothing."""
    KINDS["setuptools' finder"](trees.site, trees.origin)
    before = "path, finders = list(sys.path), list(sys.meta_path)"
    trees.tree = trees.origin
    code = "[file('mypkg.new'), path == sys.path, finders == sys.meta_path]"
    assert trees.run(code, before=before) == [str(trees.origin / "src/mypkg/new.py"), True, True]


def test_this_package_is_never_redirected(trees: Trees) -> None:
    """Also if it is the project: both sides measure with the same version of it."""
    name = "pytest_greenops"
    trees.write(trees.tree, f"{name}/__init__.py", f"{name}/ab/__init__.py")
    trees.write(trees.origin, f"{name}/__init__.py")
    trees.site.joinpath("path.pth").write_text(str(trees.origin))
    own = Path(__file__).parents[3] / name
    code = f"[sys.modules.get({name!r}), file({name!r}), file('{name}.ab')]"
    assert trees.run(code) == [None, str(own / "__init__.py"), str(own / "ab/__init__.py")]


def test_a_redirect_is_json() -> None:
    """A parent gives it to its sides."""
    redirect = Redirect("/a", "/b", None, ["/b/src"])
    assert Redirect(*json.loads(json.dumps(redirect))) == redirect
