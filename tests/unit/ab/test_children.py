"""Python processes that an arm starts."""

from __future__ import annotations

import os
import subprocess
import sys
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
    environ = {**os.environ, **prepare(redirect, tmp_path / "start")}
    grandchild = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import mypkg'])"
    for code in ("import mypkg", grandchild):
        command = [sys.executable, "-c", code]
        ran = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True)
        assert ran.stderr == ""
        assert set(ran.stdout.split()) == {"usual", tree}
