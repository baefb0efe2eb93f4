"""Put large files of Git LFS in place of their pointers, where this clone has them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from pytest_greenops.ab.git import GitError, git

#: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n.*oid sha256:([0-9a-f]{64})", re.S
)
_LONGEST_POINTER = 1024


def put(common: Path, tree: Path) -> list[str]:
    """Replace each pointer by its file; return a line if some of the files are not here.

    common  the git folder, which has the files in `lfs/objects`
    """
    missing = []
    for path in _tracked(tree):
        file = tree / path
        if file.is_symlink() or not file.is_file() or file.stat().st_size > _LONGEST_POINTER:
            continue
        match = _POINTER.match(file.read_bytes())
        if match is None:
            continue
        name = match[1].decode()
        source = common / "lfs/objects" / name[:2] / name[2:4] / name
        if source.is_file():
            shutil.copyfile(source, file)
        else:
            missing.append(path)
    if not missing:
        return []
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return [f"{missing[0]}{more}: Git LFS has not downloaded this version (git lfs fetch --all)"]


def _tracked(tree: Path) -> list[str]:
    """Return the files that Git LFS keeps, by their attribute."""
    try:
        listed = git(tree, "ls-files", "-z", "--", ":(attr:filter=lfs)")
    except GitError:
        return []
    return [path for path in listed.split("\0") if path]
