"""git's own bisect in the repository of the user, without a checkout.

`git bisect start --no-checkout` moves the reference BISECT_HEAD instead of HEAD, and leaves index
and working tree alone (git-bisect(1)). All that git knows of a bisect lies in references of this
working tree (`refs/bisect/*`, gitrepository-layout(5)) and in its log. What this package knows of a
step is a comment in that log: `git bisect log` shows it, and `git bisect reset` removes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pytest_greenops.ab.git import GitError, git
from pytest_greenops.model.bisected import Commit, Mark, Measured, Step
from pytest_greenops.model.errors import GreenopsError

#: A bisect of ours has such a comment in its log.
_TASK, _NOTE = "# pytest-greenops: ", "# energy: "
_NOTED = re.compile(rf"^{_NOTE}\[([0-9a-f]+)\] (good|bad|skip): (.*)$", re.MULTILINE)
#: Hash, short hash, author, author's date, subject and parents of a commit.
_COMMIT = "%H%x00%h%x00%an%x00%as%x00%s%x00%P"


class Task(msgspec.Struct, frozen=True):
    """What a bisect looks for.

    good, bad  whole names of commits
    folder     where pytest runs, from the top of the working tree
    args       its arguments
    follows    the measurement whose increase is searched
    """

    good: str
    bad: str
    folder: str
    args: list[str]
    follows: Measured


class GitBisect:
    """The bisect of one working tree, whose top folder is `top`."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._commits: dict[str, Commit] = {}
        self._log = top / self.git("rev-parse", "--git-path", "BISECT_LOG")
        self._start = top / self.git("rev-parse", "--git-path", "BISECT_START")

    def git(self, *arguments: str) -> str:
        """Return what git prints; raises `GitError` if it fails."""
        return git(self._top, *arguments)

    @property
    def in_progress(self) -> bool:
        """Whether there is a bisect, of ours or of the user's own."""
        return self._start.exists()

    @property
    def task(self) -> Task | None:
        """The task of the bisect in progress, if it is one of ours; raises `GreenopsError`."""
        for line in self._lines() if self.in_progress else ():
            if line.startswith(_TASK):
                try:
                    return msgspec.json.decode(line.removeprefix(_TASK), type=Task)
                except (ValueError, RecursionError):
                    raise GreenopsError(
                        f"{self._log}: its line '{_TASK.strip()}' is damaged: end this bisect with "
                        "git bisect reset, and start it again"
                    ) from None
        return None

    def start(self, task: Task) -> None:
        """Start a bisect between the two commits of the task."""
        self.git("bisect", "start", "--no-checkout", task.bad, task.good)
        self._append(_TASK + msgspec.json.encode(task).decode())

    def resume(self) -> None:
        """Choose the commit to test again, in case that a mark was set but not followed."""
        self._bisect("next")

    def note(self, sha: str, mark: Mark, finding: str) -> None:
        """Write what was measured at a commit into the log, as a comment."""
        self._append(f"{_NOTE}[{sha}] {mark}: {' '.join(finding.split())}")

    def mark(self, sha: str, mark: Mark) -> None:
        """Mark a commit, after which `head` is the next commit to test."""
        self._bisect(mark, sha)

    def reset(self) -> None:
        """End the bisect without a checkout."""
        self.git("bisect", "reset")

    @property
    def head(self) -> str:
        """The commit to test."""
        return self.git("rev-parse", "--verify", "BISECT_HEAD")

    def suspects(self) -> tuple[list[str], set[str]]:
        """Return the commits that may be the first bad one, and which of them were skipped.

        The newest one comes first; it is bad.
        """
        refs = self._refs()
        goods = [sha for name, sha in refs.items() if name.startswith("good-")]
        found = self.git("rev-list", "refs/bisect/bad", "--not", *goods).split()
        return found, {sha for name, sha in refs.items() if name.startswith("skip-")}

    def noted(self) -> dict[str, tuple[Mark, str]]:
        """Return the last note about each commit, by its whole name."""
        found = _NOTED.finditer("\n".join(self._lines()))
        return {each[1]: (_mark(each[2]), each[3]) for each in found}

    def steps(self) -> Iterator[Step]:
        """Yield what was measured, in the order of the history, the oldest first."""
        notes, task = self.noted(), self.task
        if task is not None:
            order = ("rev-list", "--topo-order", "--reverse", task.bad, f"^{task.good}")
            for sha in self.git(*order).split():
                if sha in notes:
                    yield Step(self.commit(sha), *notes[sha])

    def commit(self, name: str) -> Commit:
        """Return a commit by its whole name."""
        if name not in self._commits:
            self._commits[name] = commit(self._top, name)
        return self._commits[name]

    def _lines(self) -> list[str]:
        return self._log.read_text(encoding="utf-8", errors="replace").split("\n")

    def _append(self, line: str) -> None:
        with self._log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{line}\n")

    def left(self) -> list[str]:
        """Return the suspects without those that were skipped."""
        suspects, skipped = self.suspects()
        return [sha for sha in suspects if sha not in skipped]

    def _refs(self) -> dict[str, str]:
        form = "--format=%(refname:lstrip=2) %(objectname)"
        lines = self.git("for-each-ref", form, "refs/bisect/").splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def _bisect(self, *arguments: str) -> None:
        """Run a command that also fails where only skipped commits are left."""
        try:
            self.git("bisect", *arguments)
        except GitError:
            if len(self.left()) > 1:
                raise


def ancestry(top: Path, good: Commit, bad: Commit, written: tuple[str, str]) -> str | None:
    """Return why there is nothing to bisect between two commits, if so."""
    names = " and ".join(written)
    if good.sha == bad.sha:
        return f"{names} are the same commit ({good.short})"
    try:
        base = git(top, "merge-base", good.sha, bad.sha)
    except GitError:
        if git(top, "rev-parse", "--is-shallow-repository") == "true":
            return f"{names} are not connected in this shallow clone: git fetch --unshallow"
        return f"{names} have no common commit"
    if base == bad.sha:
        return f"{written[1]} is an ancestor of {written[0]}: exchange them"
    if base != good.sha:
        use = f"use the commit where they parted: {commit(top, base).short}"
        return f"{written[0]} is not an ancestor of {written[1]}: {use}"
    return None


def commit(folder: Path, name: str) -> Commit:
    """Return a commit of the repository around a folder; raises `GitError` without one."""
    form = ("--no-show-signature", "--encoding=UTF-8", f"--format={_COMMIT}")
    sha, short, author, date, subject, parents = git(folder, "log", "-1", *form, name, "--").split(
        "\0"
    )
    return Commit(sha, short, author, date, subject, tuple(parents.split()))


def _mark(word: str) -> Mark:
    return "good" if word == "good" else "bad" if word == "bad" else "skip"
