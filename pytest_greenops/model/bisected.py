"""Values of a bisect: commits, what was measured at each, and where the search ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

#: The words of `git bisect`.
Mark = Literal["good", "bad", "skip"]


class Commit(NamedTuple):
    """A commit as a reader knows it.

    short    its abbreviated name: `3f2a91c`
    date     the author's date: `2026-11-03`
    parents  whole names of its parents; several if it is a merge
    """

    sha: str
    short: str
    author: str
    date: str
    subject: str
    parents: Sequence[str]


class Step(NamedTuple):
    """What was measured at a commit, against GOOD: `+14.9 % (95 % CI +11…+19), 9 pairs`."""

    commit: Commit
    mark: Mark
    finding: str

    @property
    def noted(self) -> tuple[str, Mark, str]:
        """The step with the commit's whole name alone."""
        return self.commit.sha, self.mark, self.finding


class Measured(NamedTuple):
    """A measurement that a bisect may follow: its test's node id, and its name.

    work  whether its counted work is followed, and not its joules
    """

    node_id: str
    name: str
    work: bool = False

    def __str__(self) -> str:
        name = self.node_id if self.name == "call" else f"{self.node_id} · {self.name}"
        return f"the counted work of {name}" if self.work else name


class Found(NamedTuple):
    """The commit that made a test use more energy.

    finding  the change over its first parent
    alone    whether that change is a regression by itself
    """

    commit: Commit
    parent: Commit
    finding: str
    alone: bool


class Remaining(NamedTuple):
    """The commits that are left where some could not be measured, the newest first.

    The newest one is bad, the others were skipped: each of them may be the first bad one.
    """

    commits: Sequence[Commit]
