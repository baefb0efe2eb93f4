"""The comparison of a working tree with a git ref, whose processes worked in turns (A/B)."""

from __future__ import annotations

from typing import Literal

import msgspec

from pytest_greenops.model.outcome import Outcome


class Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One pair: what the candidate (the working tree) and the ref used, in turns.

    candidate_j, ref_j  joules of a unit of work on either side
    relative  the change over the ref (0.083 is +8.3 %). Like both joules it is a trimmed mean over
              the windows of the pair, so it may differ a little from their ratio
    first     the side whose first window came first
    windows   windows of either side, in which they take turns, unless each side ended before the
              other started
    start     number of the start of both sides, from 1
    process   number of the pair of processes, from 1
    counts    whether the change is computed from it; other processes of the same code may disagree
    """

    candidate_j: float
    ref_j: float
    relative: float
    first: Literal["candidate", "ref"]
    windows: int = 1
    start: int = 1
    process: int = 1
    counts: bool = True


class Interleaved(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What pairs of the candidate (the working tree) and the ref show.

    ref         the ref as the user wrote it: `main`, `merge-base:main`, `stash`
    commit      its commit, abbreviated: `3f2a91c`
    outcome     of this comparison alone
    margin      the smallest increase that is a regression (0.05 is 5 %)
    cause       why, where the pairs do not say it: `not in main`
    relative    the change over the ref (0.083 is +8.3 %); None if nothing was compared, like the
                figures below
    low, high   its 95 % confidence interval, valid at whichever pair the comparison stopped
    baseline_j  joules of a unit of work in the ref
    smallest    the smallest increase that this number of pairs detects
    pairs       pairs that count
    starts      starts of each of the two processes, over which the pairs are spread
    needs_pairs pairs that would decide an inconclusive comparison; None if that is not known
    good        the commit at which HEAD left the ref, abbreviated: where a bisect begins; None if
                there are no commits in between
    fix         options with which a run would compare them: `--energy-ab-setup=pip install -e .`
    branch      the branch that the ref is, or is computed from; None if the ref does not move
    every_pair  each pair that was made, in this order; empty in older files
    notes       what was done beyond the usual: `each side ended before the other started: …`
    """

    ref: str
    commit: str
    outcome: Outcome
    margin: float
    cause: str | None = None
    relative: float | None = None
    low: float | None = None
    high: float | None = None
    baseline_j: float | None = None
    smallest: float | None = None
    pairs: int = 0
    starts: int = 0
    needs_pairs: int | None = None
    notes: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
    good: str | None = None
    branch: str | None = None
    every_pair: tuple[Pair, ...] = ()

    @property
    def label(self) -> str:
        """Return the ref for readers: `3f2a91c (main)`."""
        return label(self.ref, self.commit)

    @property
    def compared(self) -> bool:
        """Return whether there is a change."""
        return self.relative is not None


def label(ref: str, commit: str) -> str:
    """Return a ref for readers: `3f2a91c (main)`; the commit alone if that is what was written."""
    return commit if ref.startswith(commit) else f"{commit} ({ref})"
