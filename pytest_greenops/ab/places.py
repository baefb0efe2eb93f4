"""Which files are those of a project, and where another tree has them.

Like `imports_of_tree`, it imports next to nothing.
"""

from __future__ import annotations

import os
import sys

#: Folders in a project that hold what is installed, not what is developed.
INSTALLED = {"site-packages", "dist-packages", ".tox", ".nox", ".venv", "node_modules"}
_OF_ENVIRONMENTS = ("pyvenv.cfg", "conda-meta")


class Places:
    """Which files are those of a project, and where another tree has them."""

    def __init__(self, origin: str, tree: str) -> None:
        self._origins = tuple(dict.fromkeys((os.path.abspath(origin), os.path.realpath(origin))))
        self.tree = os.path.realpath(tree)
        self._environments: dict[str, bool] = {}

    def in_tree(self, path: object) -> bool:
        """Return whether a file or folder lies in the tree."""
        return isinstance(path, str) and os.path.isabs(path) and within(path, self.tree) is not None

    def mapped(self, path: object) -> str | None:
        """Return where the tree has a file of `origin`, or would have it; None for other files.

        A link counts as the file that it leads to, unless it is a file of `origin` itself.
        """
        if not isinstance(path, str) or not os.path.isabs(path):
            return None
        for each in dict.fromkeys((os.path.normpath(path), os.path.realpath(path))):
            if within(each, self.tree) is not None:
                return None
            for origin in self._origins:
                below = within(each, origin)
                if below is not None and not self._is_installed(origin, below):
                    return os.path.join(self.tree, below) if below else self.tree
        return None

    def in_origin(self, path: str) -> str | None:
        """Return the file of `origin` that a file of the tree takes the place of."""
        below = within(path, self.tree)
        return None if below is None else os.path.join(self._origins[-1], below)

    def _is_installed(self, origin: str, below: str) -> bool:
        """Return whether a path in `origin` lies in a virtual environment."""
        if not below:
            return False
        folder = origin
        for part in below.split(os.sep):
            folder = os.path.join(folder, part)
            if folder not in self._environments:
                self._environments[folder] = is_environment(folder)
            if self._environments[folder]:
                return True
        return False


def is_environment(folder: str) -> bool:
    """Return whether a folder is a virtual environment, or a part of one."""
    return (
        os.path.basename(folder) in INSTALLED
        or folder in (sys.prefix, sys.base_prefix)
        or any(os.path.exists(os.path.join(folder, name)) for name in _OF_ENVIRONMENTS)
    )


def within(path: str, folder: str) -> str | None:
    """Return the path relative to a folder that it is or lies in, or None."""
    if path == folder:
        return ""
    start = folder if folder.endswith(os.sep) else folder + os.sep
    return path[len(start) :] if path.startswith(start) else None
