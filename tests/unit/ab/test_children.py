"""Python processes that a side starts."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from pytest_greenops.ab.children import prepare
from pytest_greenops.ab.redirect import Redirect


@pytest.mark.parametrize("same", [False, True])
def test_a_child_imports_from_the_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    """So do its children; the environment's own `sitecustomize` runs, and PYTHONPATH is kept."""
    for name in ("origin", "tree"):
        tmp_path.joinpath(name).mkdir()
        tmp_path.joinpath(name, "mypkg.py").write_text(f"print({name!r})\n")
    tmp_path.joinpath("usual").mkdir()
    tmp_path.joinpath("usual/sitecustomize.py").write_text("print('usual')\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}/origin{os.pathsep}{tmp_path}/usual")
    tree = "origin" if same else "tree"
    redirect = Redirect(str(tmp_path / "origin"), str(tmp_path / tree))
    environ = prepare(redirect, str(tmp_path / "tree"), tmp_path / "start", os.environ)
    grandchild = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import mypkg'])"
    for code in ("import mypkg", grandchild):
        command = [sys.executable, "-c", code]
        ran = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True)
        assert ran.stderr == ""
        assert set(ran.stdout.split()) == {"usual", tree}


def test_the_candidates_children_import_what_they_would_anyway(tmp_path: Path) -> None:
    """They do the same work as those of the ref: packages may have compiled modules elsewhere."""
    for name in ("origin", "tree"):
        tmp_path.joinpath(name, "mypkg").mkdir(parents=True)
        tmp_path.joinpath(name, "mypkg/__init__.py").touch()
    elsewhere = tmp_path / f"elsewhere/mypkg/_core{EXTENSION_SUFFIXES[0]}"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.touch()
    origin = str(tmp_path / "origin")
    start = {"PYTHONPATH": origin}
    environ = prepare(Redirect(origin, origin), str(tmp_path / "tree"), tmp_path / "start", start)
    code = (
        "import importlib.util as u, mypkg, sys; mypkg.__path__.append(sys.argv[1]); "
        "print(type(sys.meta_path[0]).__name__, mypkg.__file__, u.find_spec('mypkg._core').loader)"
    )
    command = [sys.executable, "-c", code, str(elsewhere.parent)]
    ran = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True)
    finder, package, loader = ran.stdout.split(maxsplit=2)
    assert (finder, package) == ("TreeFinder", f"{origin}/mypkg/__init__.py")
    assert "ExtensionFileLoader" in loader
