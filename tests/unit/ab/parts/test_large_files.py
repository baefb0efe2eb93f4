"""Large files of Git LFS in a worktree: from this clone, or named as missing."""

from __future__ import annotations

from hashlib import sha256

from pytest_greenops.ab.worktree import Worktree
from tests.unit.ab.repositories import Repository


def pointer(content: bytes) -> str:
    """Return what Git LFS commits in place of a file."""
    oid = sha256(content).hexdigest()
    start = "version https://git-lfs.github.com/spec/v1"
    return f"{start}\noid sha256:{oid}\nsize {len(content)}\n"


def test_large_files_come_from_this_clone(repository: Repository) -> None:
    """A version that was not downloaded is said, with its command, and stays a pointer."""
    names = {b"weights": "here.bin", b"older": "missing.bin", b"oldest": "missing too.bin"}
    files = {name: pointer(content) for content, name in names.items()}
    plain = {"plain.bin": "no pointer", "text.txt": pointer(b"weights")}
    attributes = {".gitattributes": "*.bin filter=lfs\n"}
    commit = repository.commit({**attributes, **files, **plain})
    oid = sha256(b"weights").hexdigest()
    stored = repository.folder / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid
    stored.parent.mkdir(parents=True)
    stored.write_bytes(b"weights")
    worktree = Worktree(repository.folder, commit)
    worktree.make()
    found = {path.name: path.read_text() for path in worktree.tree.glob("*.*")}
    worktree.remove()
    assert found["here.bin"] == "weights"
    assert found["missing.bin"] == files["missing.bin"]
    assert found["plain.bin"] == "no pointer"
    assert found["text.txt"] == plain["text.txt"]
    assert worktree.notes == [
        "missing too.bin and 1 more: Git LFS has not downloaded this version (git lfs fetch --all)"
    ]
