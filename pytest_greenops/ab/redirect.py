"""Import a project from another tree: what would come from `origin` comes from `tree`.

A fresh interpreter does so before it imports anything of the project, of pytest, or of this
package, which pytest itself imports as a plugin. `load` returns the code for that.

Python asks each finder on `sys.meta_path` for a module. A finder in front of them looks into the
tree first, asks the others next, and maps what they found: so all kinds of `pip install -e` work,
a folder on `sys.path` and the finders of setuptools, editables, meson-python and scikit-build-core.
A module that the tree does not have is not found, although `origin` has it.
"""

from __future__ import annotations

import importlib
import json
import os
import site
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pytest_greenops.ab.finder import PLUGIN, TreeFinder
from pytest_greenops.ab.places import Places
from pytest_greenops.model.run_options import TREE_VARIABLE

_KEPT = {"__main__", "sitecustomize", "usercustomize"}
#: Attributes of finders that build a project when it is imported, and values that build nothing.
_BUILDS_ON_IMPORT = {"_build_cmd": ["true"], "rebuild_flag": False}
_PACKAGES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


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


def load(redirect: Redirect) -> str:
    """Return Python code that installs a redirect, for the beginning of an interpreter.

    It leaves no module of this package behind, which pytest could not rewrite any more.
    """
    return f"""import sys
sys.path.insert(0, {_PACKAGES!r})
from {__name__} import Redirect, install
sys.path.remove({_PACKAGES!r})
install(Redirect(*{(*redirect,)!r}))
for name in [each for each in sys.modules if each.partition(".")[0] == {PLUGIN!r}]:
    del sys.modules[name]
del name, Redirect, install
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


class _Metadata:
    """Finds what is installed by its metadata in `origin`, which git ignores: *.egg-info."""

    def __init__(self, left_out: Iterable[str]) -> None:
        self._folders = list(left_out)

    def find_spec(self, *_: object) -> None:
        """Return that this is not how a module is found."""

    def find_distributions(self, context: Any = None) -> Iterable[Any]:
        """Return distributions whose metadata lie in `origin`, if no other finder has them."""
        from importlib.metadata import DistributionFinder, MetadataPathFinder

        name = getattr(context, "name", None)
        within = DistributionFinder.Context(name=name, path=self._folders)
        return MetadataPathFinder.find_distributions(within)


def install(redirect: Redirect) -> None:
    """Make this interpreter import from the tree; nothing changes if the tree is `origin`.

    To be called again after `sys.path` was replaced.
    """
    if os.path.realpath(redirect.origin) == os.path.realpath(redirect.tree):
        return
    places = Places(redirect.origin, redirect.tree)
    left_out = [each for each in sys.path if places.mapped(each) is not None]
    for other in list(sys.meta_path):
        for attribute, harmless in _BUILDS_ON_IMPORT.items():
            if hasattr(other, attribute):
                with suppress(AttributeError):
                    setattr(other, attribute, harmless)
        if type(other).__name__ in (TreeFinder.__name__, _Metadata.__name__):  # of an earlier call
            left_out += [each for each in getattr(other, "left_out", ()) if each not in left_out]
            sys.meta_path.remove(other)
    sys.path[:] = _mapped_entries(sys.path, places)
    if "PYTHONPATH" in os.environ:
        entries = os.environ["PYTHONPATH"].split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join(_mapped_entries(entries, places))
    if redirect.site:
        _add_site(redirect.site)
    sys.meta_path.insert(0, TreeFinder(places, redirect.roots, left_out, redirect.site))
    sys.meta_path.append(_Metadata(left_out))
    _forget(places)
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()


def not_built() -> dict[str, str]:
    """Return the compiled modules that were asked for and that the tree lacks: their files."""
    finder = next((each for each in sys.meta_path if hasattr(each, "not_built")), None)
    return dict(getattr(finder, "not_built", {}))


def _mapped_entries(entries: Iterable[str], places: Places) -> list[str]:
    """Return entries of `sys.path`, those of `origin` mapped or left out."""
    mapped = ((each, places.mapped(each)) for each in entries)
    kept = [each if to is None else to for each, to in mapped if to is None or os.path.exists(to)]
    return list(dict.fromkeys(kept))


def _add_site(folder: str) -> None:
    """Put a folder of installed packages in front of all others, with its finders.

    Finders of two installations may be modules of the same name: the ones that are loaded go.
    """
    with suppress(OSError):
        for name in os.listdir(folder):
            stem, suffix = os.path.splitext(name)
            if suffix == ".py":
                sys.modules.pop(stem, None)
    entries, finders = list(sys.path), list(sys.meta_path)
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    site.addsitedir(folder)
    added = [each for each in sys.path if each not in entries and each != folder]
    sys.path[:] = list(dict.fromkeys([folder, *added, *entries]))
    new = [each for each in sys.meta_path if each not in finders]
    sys.meta_path[:] = [*new, *finders]


def _forget(places: Places) -> None:
    """Forget modules of `origin` that were imported when the interpreter started."""
    for name, module in list(sys.modules.items()):
        if name in _KEPT or name.partition(".")[0] == PLUGIN:
            continue
        if places.mapped(getattr(module, "__file__", None)) is not None:
            del sys.modules[name]
        elif isinstance(folders := getattr(module, "__path__", None), list):
            folders[:] = _mapped_entries(folders, places)
