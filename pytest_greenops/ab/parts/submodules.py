"""Check out the submodules of a worktree at its commit, from what is here: without a network."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pytest_greenops.ab.git import GitError, common_folder, git
from pytest_greenops.ab.parts import lent

_SUBMODULE = "160000"


def check_out(users: Path, common: Path, tree: Path, commit: str) -> list[str]:
    """Check out the submodules that the user's tree has, at the commits that this commit names.

    users   the user's working tree, whose clones of submodules lend their objects
    common  its git folder, with clones of submodules in `modules`
    tree    the worktree of the commit

    Each becomes a repository of its own, so that the user's is not changed. Return a line for each
    that cannot be checked out here.
    """
    notes = []
    names = _names(tree, commit)
    for path, wanted in _wanted(tree, commit):
        if not tree.joinpath(path).is_dir():  # not in a sparse checkout
            continue
        sources = [_git_folder(users / path), common / "modules" / names.get(path, path)]
        found = [each for each in sources if each is not None and each.joinpath("objects").is_dir()]
        source = next((each for each in found if _has(each, wanted)), None)
        if source is not None:
            try:
                lent.check_out(source, tree / path, wanted)
                notes += check_out(users / path, source, tree / path, wanted)
                continue
            except GitError as error:
                notes.append(f"submodule {path} could not be checked out: {error.last_line}")
        elif found:
            notes.append(
                f"submodule {path}: its commit {wanted[:10]} is not here: "
                f"git -C {path} fetch origin {wanted}"
            )
    return notes


def _wanted(tree: Path, commit: str) -> list[tuple[str, str]]:
    """Return the path and the commit of each submodule of a commit."""
    listed = git(tree, "ls-tree", "-r", "-z", "--full-tree", commit)
    entries = (entry.partition("\t") for entry in listed.split("\0") if entry)
    return [(path, what.split()[2]) for what, _, path in entries if what.startswith(_SUBMODULE)]


def _names(tree: Path, commit: str) -> dict[str, str]:
    """Return the name of each submodule by its path: its clone keeps it when the path changes."""
    try:
        keys = ("--blob", f"{commit}:.gitmodules", "--get-regexp", r"^submodule\..*\.path$")
        listed = git(tree, "config", "-z", *keys)
    except GitError:
        return {}
    pairs = (entry.partition("\n") for entry in listed.split("\0") if entry)
    return {path: key[len("submodule.") : -len(".path")] for key, _, path in pairs}


def _git_folder(folder: Path) -> Path | None:
    """Return the git folder with the objects of a checked-out submodule, or None."""
    if not folder.joinpath(".git").exists():
        return None
    with suppress(GitError):
        return common_folder(folder)
    return None


def _has(git_folder: Path, commit: str) -> bool:
    with suppress(GitError):
        git(git_folder, f"--git-dir={git_folder}", "cat-file", "-e", f"{commit}^{{commit}}")
        return True
    return False
