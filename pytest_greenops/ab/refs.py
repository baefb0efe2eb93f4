"""Find the commit that a user means by a ref: a branch, a tag, `merge-base:main`, `stash`."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

from pytest_greenops.ab.git import GitError, git
from pytest_greenops.model.errors import OptionError, nearest, shown

_MERGE_BASE = "merge-base:"
_STASH = "stash"


class Ref(NamedTuple):
    """A commit to compare with.

    written  the ref as the user wrote it: `main`, `merge-base:main`, `stash`
    commit   the full hash of its commit
    short    the hash as git abbreviates it in this repository, at least 7 characters
    branch   the branch that it is, or is computed from; None for what does not move: a tag, a hash
    """

    written: str
    commit: str
    short: str
    branch: str | None = None


def toplevel(folder: Path) -> Path:
    """Return the root of the working tree that this folder lies in.

    Raises `OptionError` outside of a working tree, and where git refuses to work.
    """
    try:
        return Path(git(folder, "rev-parse", "--show-toplevel"))
    except GitError as error:
        raise OptionError(f"--energy-ab: {_why_not(folder, error)}") from None


def _why_not(folder: Path, error: GitError) -> str:
    said = error.said
    if "dubious ownership" in said:
        match = re.search(r"--add safe\.directory (.+)", said)
        path = match[1].strip() if match else shlex.quote(str(folder))
        return (
            f"{folder} belongs to another user, so git does not read it: "
            f"git config --global --add safe.directory {path}"
        )
    if "must be run in a work tree" in said:
        return f"{folder} is not in a working tree (a bare repository?): use a clone of it"
    if "not a git repository" in said:
        return f"{folder} is not in a git repository: run pytest in a clone of the project"
    return f"{folder}: {error.last_line}"


def resolve(written: str, folder: Path) -> Ref:
    """Return the commit that a ref names in the repository of this folder.

    Raises `OptionError` with one line that says what is wrong and how to fix it.
    """
    toplevel(folder)
    repository, branch = _Repository(folder, written), None
    if written == _STASH:
        commit = repository.head_without_changes()
    elif written.startswith(_MERGE_BASE):
        branch = written.removeprefix(_MERGE_BASE)
        commit = repository.merge_base(branch)
    else:
        branch = written
        commit = repository.commit(branch)
    if branch is not None and not repository.is_branch(branch):
        branch = None
    return Ref(written, commit, git(folder, "rev-parse", "--short=7", commit), branch)


class _Repository:
    """Questions about the refs of a repository, answered for the ref that the user wrote."""

    def __init__(self, folder: Path, written: str) -> None:
        self._folder = folder
        self._written = written

    def head_without_changes(self) -> str:
        """Return HEAD if there are uncommitted changes, which a comparison could show."""
        head = self._head()
        if not git(self._folder, "status", "--porcelain", "--ignore-submodules=none"):
            raise self._error(
                "there are no uncommitted changes to compare with HEAD: "
                "use HEAD~1, a branch, a tag or a commit"
            )
        return head

    def merge_base(self, branch: str) -> str:
        """Return the commit at which HEAD left a branch; the first if there are several."""
        if not branch:
            raise self._error("expected merge-base:BRANCH, for example merge-base:main")
        head, other = self._head(), self.commit(branch)
        try:
            found = git(self._folder, "merge-base", head, other)
        except GitError:
            if self._is_shallow():
                raise self._error(
                    f"this shallow clone lacks the commit at which HEAD left {branch}: "
                    f"git fetch --unshallow {self._remote()}"
                ) from None
            raise self._error(f"HEAD and {branch} have no common commit") from None
        return found.splitlines()[0]

    def commit(self, ref: str) -> str:
        """Return the commit of a branch, tag or hash; of the remote branch if there is no other."""
        self._check_ambiguity(ref)
        found = self._parse(ref) or self._parse(f"{self._remote()}/{ref}")
        if found is None:
            raise self._unknown(ref)
        return found

    def is_branch(self, ref: str) -> bool:
        """Return whether a ref that names a commit is a branch, here or of the remote."""
        named = ref if self._parse(ref) else f"{self._remote()}/{ref}"
        name = git(self._folder, "rev-parse", "--symbolic-full-name", named)
        return name.startswith(("refs/heads/", "refs/remotes/"))

    def _parse(self, ref: str) -> str | None:
        if ref.startswith("-"):
            return None
        try:
            named = git(self._folder, "rev-parse", "--verify", ref)
            return git(self._folder, "rev-parse", "--verify", f"{named}^{{commit}}")
        except GitError as error:
            if "is ambiguous" in error.said:
                raise self._error("several commits begin with it: write more characters") from None
            return None

    def _head(self) -> str:
        found = self._parse("HEAD")
        if found is None:
            raise self._error("this repository has no commit yet")
        return found

    def _check_ambiguity(self, ref: str) -> None:
        """Raise an error for a name of a branch and a tag that are different commits."""
        found = {
            f"{kind}/{ref}": commit
            for kind in ("heads", "tags")
            if (commit := self._parse(f"refs/{kind}/{ref}"))
        }
        if len(set(found.values())) > 1:
            raise self._error(f"it is ambiguous: write {' or '.join(found)}")

    def _unknown(self, ref: str) -> OptionError:
        """Return the error for a ref that is not in this clone, and how to fetch it."""
        remote, fetch = self._remote(), "git fetch"
        names = git(
            self._folder, "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags"
        )
        if self._is_shallow():
            fetch += " --depth=1"
            what = "it is not in this shallow clone"
        else:
            what = "no such branch, tag or commit"
            similar = nearest(ref, names.split())
            if similar is not None:
                return self._error(f"{what}: did you mean {similar}?", ref)
        if not git(self._folder, "remote"):
            return self._error(what, ref)
        if re.search(r"[~^@:]", ref):
            if not self._is_shallow():
                return self._error(what, ref)
            return self._error(f"{what}: git fetch --unshallow {remote}", ref)
        if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", ref):
            return self._error(f"{what}: {fetch} {remote} {ref}", ref)
        if re.fullmatch(r"[0-9a-f]{7,63}", ref):
            return self._error(f"{what}: write the whole hash, after {fetch} {remote} HASH", ref)
        if re.match(r"v?\d", ref):
            return self._error(f"{what}: {fetch} {remote} tag {ref}", ref)
        branch = ref.removeprefix(f"{remote}/")
        return self._error(f"{what}: {fetch} {remote} {branch}:refs/remotes/{remote}/{branch}", ref)

    def _is_shallow(self) -> bool:
        return git(self._folder, "rev-parse", "--is-shallow-repository") == "true"

    def _remote(self) -> str:
        """Return the remote to fetch from: `origin`, or the only one."""
        remotes = git(self._folder, "remote").split()
        return remotes[0] if remotes and "origin" not in remotes else "origin"

    def _error(self, what: str, ref: str | None = None) -> OptionError:
        within = "" if ref is None or ref == self._written else f"{ref}: "
        return OptionError(f"--energy-ab={shown(self._written)}: {within}{what}")
