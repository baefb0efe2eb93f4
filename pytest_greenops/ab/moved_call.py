"""How pytest is called in another tree, as it was called in the user's."""

from __future__ import annotations

import os

from msgspec.structs import replace

from pytest_greenops.ab.places import Places
from pytest_greenops.run.process import Invocation


def move(invocation: Invocation, top: str, tree: str, origin: str) -> Invocation:
    """Return an invocation whose folder, arguments and `sys.path` lie in another tree.

    top     the root of the tree that it was called in
    origin  the tree that imports are redirected from: what `tree` lacks of it, the redirect
            leaves out of `sys.path`, which must therefore have it still

    Virtual environments in `top` stay where they are.
    """
    places = Places(top, tree)
    if places.mapped(top) is None:  # the same tree
        return invocation
    folder = places.mapped(os.path.realpath(invocation.folder)) or invocation.folder
    same_origin = os.path.realpath(origin) == os.path.realpath(top)
    path = []
    for entry in invocation.path:
        mapped = places.mapped(entry)
        if mapped is None or os.path.exists(mapped):
            path.append(entry if mapped is None else mapped)
        elif same_origin:
            path.append(entry)
    return replace(
        invocation,
        args=[moved_argument(argument, places) for argument in invocation.args],
        folder=folder if os.path.isdir(folder) else tree,
        path=path,
    )


def moved_argument(argument: str, places: Places) -> str:
    """Return an argument with its absolute path in the other tree: of `--rootdir=/top/x`, too."""
    option, equals, value = argument.partition("=")
    if not (equals and option.startswith("-")):
        option, equals, value = "", "", argument
    path, colons, names = value.partition("::")
    return f"{option}{equals}{places.mapped(path) or path}{colons}{names}"
