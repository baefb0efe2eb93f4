"""Make this interpreter import a project from another tree than the one that it is installed from.

Used in fresh interpreters, some of which a measured test starts: so this module, `finder` and
`places` import next to nothing.

Python asks each finder on `sys.meta_path` for a module. A finder in front of them looks into the
tree first, asks the others next, and maps what they found: so all kinds of `pip install -e` work,
a folder on `sys.path` and the finders of setuptools, editables, meson-python and scikit-build-core.
A module that the tree does not have is not found, although `origin` has it.
"""

from __future__ import annotations

import importlib
import os
import site as sites
import sys

from pytest_greenops.ab.finder import PLUGIN, TreeFinder
from pytest_greenops.ab.places import Places

TYPE_CHECKING = False  # `typing` takes longer than all else here
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_KEPT = {"__main__", "sitecustomize", "usercustomize"}
#: Attributes of finders that build a project when it is imported, and values that build nothing.
_BUILDS_ON_IMPORT = {"_build_cmd": ["true"], "rebuild_flag": False}


class _Metadata:
    """Finds what is installed by its metadata in `origin`, which git ignores: *.egg-info."""

    def __init__(self, left_out: Iterable[str]) -> None:
        self._folders = list(left_out)

    def find_spec(self, *_: object) -> None:
        """Find no module."""

    def find_distributions(self, context: Any = None) -> Iterable[Any]:
        """Return distributions whose metadata lie in `origin`, if no other finder has them."""
        from importlib.metadata import DistributionFinder, MetadataPathFinder

        name = getattr(context, "name", None)
        within = DistributionFinder.Context(name=name, path=self._folders)
        return MetadataPathFinder.find_distributions(within)


def install(
    origin: str, tree: str, site: str | None = None, roots: Iterable[str] = (), own: bool = False
) -> None:
    """Redirect imports, with the values of a `Redirect`; nothing changes if both are one tree.

    own  whether `tree`, and not `origin`, is what the project is installed from: this interpreter
         does as much as the one that it is compared with, and imports what it would anyway

    To be called again after `sys.path` was replaced.
    """
    if os.path.realpath(origin) == os.path.realpath(tree):
        return
    places = Places(origin, tree)
    left_out = [each for each in sys.path if places.mapped(each) is not None]
    for other in list(sys.meta_path):
        for attribute, harmless in _BUILDS_ON_IMPORT.items():
            if hasattr(other, attribute) and not own:
                try:
                    setattr(other, attribute, harmless)
                except AttributeError:  # it has another meaning there
                    continue
        if type(other).__name__ in (TreeFinder.__name__, _Metadata.__name__):  # of an earlier call
            left_out += [each for each in getattr(other, "left_out", ()) if each not in left_out]
            sys.meta_path.remove(other)
    sys.path[:] = _mapped_entries(sys.path, places)
    if "PYTHONPATH" in os.environ:
        entries = os.environ["PYTHONPATH"].split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join(_mapped_entries(entries, places))
    if site:
        _add_site(site)
    sys.meta_path.insert(0, TreeFinder(places, roots, left_out, site, own))
    sys.meta_path.append(_Metadata(left_out))
    _forget(places)
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()


def _mapped_entries(entries: Iterable[str], places: Places) -> list[str]:
    """Return entries of `sys.path`, those of `origin` mapped or left out."""
    mapped = ((each, places.mapped(each)) for each in entries)
    kept = [each if to is None else to for each, to in mapped if to is None or os.path.exists(to)]
    return list(dict.fromkeys(kept))


def _add_site(folder: str) -> None:
    """Put a folder of installed packages in front of all others, with its finders.

    Finders of two installations may be modules of the same name: the ones that are loaded go.
    """
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        stem, suffix = os.path.splitext(name)
        if suffix == ".py":
            sys.modules.pop(stem, None)
    entries, finders = list(sys.path), list(sys.meta_path)
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    sites.addsitedir(folder)
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
