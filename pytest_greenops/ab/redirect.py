"""Import a project from another tree: what would come from `origin` comes from `tree`.

A fresh interpreter does so before it imports anything of the project, of pytest, or of this
package, which pytest itself imports as a plugin. `load` returns the code for that.

`imports_of_tree` has what such an interpreter does.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pytest_greenops.ab.finder import OF_PLUGIN, PLUGIN
from pytest_greenops.model.run_options import TREE_VARIABLE


class Redirect(NamedTuple):
    """Which tree takes the place of which; as JSON a list.

    origin  the working tree that the project was installed from
    tree    the tree to import from
    site    a folder with packages that were installed for this tree alone, or None
    roots   folders in the tree with top-level packages, for those that `origin` does not have
    """

    origin: str
    tree: str
    site: str | None = None
    roots: Sequence[str] = ()


def load(redirect: Redirect, own: bool = False) -> str:
    """Return Python code that installs a redirect, for the beginning of an interpreter.

    It leaves no module of this package behind, which pytest could not rewrite any more, and loads
    no more than it needs: a measured test may start interpreters.

    own  whether the project is installed from the tree, so that nothing has to be redirected
    """
    folder = os.path.join(OF_PLUGIN, PLUGIN)
    folders = {PLUGIN: folder, f"{PLUGIN}.ab": os.path.join(folder, "ab")}
    return f"""import sys
for name, folder in {folders!r}.items():
    sys.modules[name] = type(sys)(name)
    sys.modules[name].__path__ = [folder]
from pytest_greenops.ab.imports_of_tree import install
install(*{(*redirect, own)!r})
for name in [each for each in sys.modules if each.partition(".")[0] == {PLUGIN!r}]:
    del sys.modules[name]
del name, folder, install
"""


def write(redirect: Redirect, path: Path) -> str:
    """Write the file that `TREE_VARIABLE` names, and return its path."""
    content = {"redirect": list(redirect), "program": load(redirect)}
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def of_this_process() -> Redirect | None:
    """Return the redirect that this process was started with, or None."""
    path = os.environ.get(TREE_VARIABLE)
    if path is None:
        return None
    return Redirect(*json.loads(Path(path).read_text(encoding="utf-8"))["redirect"])


def not_built() -> dict[str, str]:
    """Return the compiled modules that were asked for and that the tree lacks: their files."""
    finder = next((each for each in sys.meta_path if hasattr(each, "not_built")), None)
    return dict(getattr(finder, "not_built", {}))
