"""A finder of modules in front of all others: what would come from `origin` comes from the tree.

Like `imports_of_tree`, it imports next to nothing.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, PathFinder

from pytest_greenops.ab.places import Places, within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import ModuleType
    from typing import Any

PLUGIN = "pytest_greenops"
OF_PLUGIN = __file__.rpartition(f"{os.sep}{PLUGIN}{os.sep}")[0]


class _NotBuilt:
    """Loads nothing: the tree lacks a compiled module that `origin` has."""

    def __init__(self, file: str) -> None:
        self._file = file

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Raise the error of a module that cannot be imported."""
        raise ImportError(
            f"{spec.name} is compiled in the working tree, but not in the tree to compare with: "
            "build it with --energy-ab-setup 'pip install -e . --no-deps'",
            name=spec.name,
            path=self._file,
        )

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: there is no module."""


class TreeFinder:
    """The finder in front: the tree's own modules, and those of others mapped into the tree.

    left_out   entries of `sys.path` in `origin`, which are not on it any more
    not_built  compiled modules of `origin` that the tree lacks and that were asked for: their files
    """

    def __init__(
        self,
        places: Places,
        roots: Iterable[str],
        left_out: Iterable[str],
        site: str | None,
        own: bool = False,
    ) -> None:
        """Prepare the search; nothing is imported yet.

        roots     folders in the tree with top-level packages
        left_out  entries of `sys.path` in `origin`
        site      a folder with packages that were installed for this tree alone
        own       whether the project is installed from this tree: then compiled modules of its
                  packages may be anywhere
        """
        self.left_out = list(left_out)
        self.not_built: dict[str, str] = {}
        self._lost: dict[str, str] = {}
        self._nowhere: set[tuple[str, tuple[str, ...] | None]] = set()
        self._path_then: list[str] = []
        self._places = places
        self._own = own
        self._roots = list(roots)
        self._site = None if site is None else os.path.realpath(site)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module of the tree, or of one that has nothing to do with it.

        Raises `ModuleNotFoundError` for a module that only `origin` has: if this finder returned
        None for it, Python would ask the others, which find it there.
        """
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names:
            return None
        if sys.path != self._path_then:
            self._path_then = list(sys.path)
            self._nowhere.clear()
        key = (name, None if path is None else tuple(path))
        if key in self._nowhere:
            # Python asks the others, and finds nothing: a test that tries an import again and again
            # should not need more energy in this tree.
            return None
        self._lost.pop(name, None)
        if top == PLUGIN:
            return PathFinder.find_spec(name, [OF_PLUGIN] if path is None else path, target)
        local = [each for each in path or () if self._is_local(each)]
        first = [self._site] if path is None and self._site is not None else local
        found = PathFinder.find_spec(name, first, target) if first else None
        if found is None or found.loader is None:
            found = self._ask_others(name, path, target)
        if found is None and path is None:
            found = self._left(name)
        file = self._missing_extension(name, found, local if path is not None else self._tops())
        if file is not None:
            self.not_built[name] = file
            loader: Any = _NotBuilt(file)
            return ModuleSpec(name, loader, origin=file)
        if found is None and self._is_in_origin(name, path):
            raise ModuleNotFoundError(
                f"No module named {name!r} in the tree to compare with; the working tree has it "
                "(is it generated? then build it with --energy-ab-setup COMMAND)",
                name=name,
            )
        if found is None:
            self._nowhere.add(key)
        return found

    def invalidate_caches(self) -> None:
        """Search again for what was not found: `importlib.invalidate_caches` calls this."""
        self._nowhere.clear()

    def _is_local(self, path: str) -> bool:
        """Return whether a file or folder is of the tree, or was installed for it."""
        installed = (
            self._site is not None and within(os.path.realpath(path), self._site) is not None
        )
        return self._places.in_tree(path) or installed

    def _ask_others(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        after = sys.meta_path.index(self) + 1 if self in sys.meta_path else 0
        for finder in sys.meta_path[after:]:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None else None
            if spec is not None:
                spec = self._in_tree(name, spec)
            if spec is not None:
                return spec
        return None

    def _left(self, name: str) -> ModuleSpec | None:
        """Return a module that only the tree has, or that was on a path which the tree lacks."""
        own = PathFinder.find_spec(name, self._roots) if self._roots else None
        if own is not None and own.loader is not None:
            return own
        other = PathFinder.find_spec(name, self.left_out) if self.left_out else None
        return None if other is None else self._in_tree(name, other)

    def _in_tree(self, name: str, spec: ModuleSpec) -> ModuleSpec | None:
        """Return what the tree has in place of a found module; None if it has nothing."""
        locations = spec.submodule_search_locations
        mapped = self._places.mapped(spec.origin)
        if mapped is not None:
            if not os.path.isfile(mapped):
                self._lost[name] = str(spec.origin)
                return None
            if locations is not None:
                locations = [os.path.dirname(mapped), *self._folders(locations)]
                locations = list(dict.fromkeys(locations))
            from importlib.util import spec_from_file_location

            return spec_from_file_location(name, mapped, submodule_search_locations=locations)
        if locations is None or not any(self._places.mapped(each) for each in locations):
            return spec
        folders = self._folders(locations)
        if spec.origin is not None and spec.has_location:  # another package with a folder here
            spec.submodule_search_locations = folders
            return spec
        if not folders:
            self._lost[name] = ""
            return None
        namespace = ModuleSpec(name, None, is_package=True)
        # What importlib makes of a namespace; importlib.resources accepts nothing else.
        from importlib import import_module

        kind = import_module("importlib._bootstrap_external")._NamespacePath
        namespace.submodule_search_locations = kind(name, folders, self.find_spec)
        return namespace

    def _folders(self, locations: Iterable[str]) -> list[str]:
        """Return folders of a package: those of `origin` mapped, or left out."""
        folders = []
        for each in locations:
            mapped = self._places.mapped(each)
            if mapped is None or os.path.isdir(mapped):
                folders.append(each if mapped is None else mapped)
        return folders

    def _is_in_origin(self, name: str, path: Iterable[str] | None) -> bool:
        """Return whether `origin` has Python code for a module that the tree lacks."""
        if name in self._lost or self._own:
            return not self._own
        folders = [each for each in (self._places.in_origin(entry) for entry in path or ()) if each]
        found = PathFinder.find_spec(name, folders) if folders else None
        return found is not None and found.loader is not None

    def _tops(self) -> Iterator[str]:
        yield from (each for each in (*sys.path, *self._roots) if self._places.in_tree(each))

    def _missing_extension(
        self, name: str, found: ModuleSpec | None, folders: Iterable[str]
    ) -> str | None:
        """Return the compiled file of a module for which the tree has Python code or nothing.

        The compiled one goes first in `origin`, so that the two trees would not run the same kind
        of code. It may also be installed elsewhere, where it was built from `origin`.
        """
        if self._own:
            return None
        own = found.origin if found is not None else None
        parent, _, last = name.rpartition(".")
        if own is not None and own.endswith(tuple(EXTENSION_SUFFIXES)):
            of_tree = self._places.in_tree(getattr(sys.modules.get(parent), "__file__", None))
            return own if of_tree and not self._is_local(own) else None
        if own is not None and self._places.in_tree(own) and os.path.dirname(own):
            folders = [os.path.dirname(own)]
            last = os.path.basename(own).partition(".")[0]
        elif found is not None:
            return None
        lost = self._lost.get(name, "")
        if own is None and lost.endswith(tuple(EXTENSION_SUFFIXES)):
            return lost
        for folder in folders:
            there = self._places.in_origin(folder)
            for suffix in EXTENSION_SUFFIXES if there is not None else ():
                file = os.path.join(there or "", last + suffix)
                if os.path.isfile(file):
                    return file
        return None
