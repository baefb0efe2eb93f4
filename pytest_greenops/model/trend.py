"""The figures of a measurement over runs, and the steps in them."""

from __future__ import annotations

from typing import Literal

import msgspec

#: Version of the document of `pytest-greenops history --json`. Its history:
#: 1  the first.
TREND_SCHEMA = 1
#: A step in joules has at least this many runs on each side: one or two may be outliers.
LEAST_RUNS = 3


class TrendPoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """The figure of one run.

    run         the id of the run
    at          when it was written, in UTC: `2026-11-29T12:00:00+00:00`
    commit, dirty, branch  the measured code, where git knows it
    value       joules of the judged unit of work, or the weighted work of a call
    low, high   the 95 % confidence interval of the joules
    outcome     the verdict of that run
    saved       whether that run accepted it as a baseline
    versions    of Python and libraries
    conditions  what the test set: threads, dtype, TF32
    """

    run: str
    at: str
    value: float
    outcome: str
    commit: str | None = None
    dirty: bool | None = None
    branch: str | None = None
    low: float | None = None
    high: float | None = None
    saved: bool = False
    versions: dict[str, str] = {}
    conditions: dict[str, str] = {}


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place where the level changes, between two points of a trend.

    at        the most probable first point of the new level, as an index
    after     the last point that is surely of the old level: the change is later than its commit
    until     the first point that is surely of the new one: the change is in its commit or before
    relative  the change of the level (0.083 is +8.3 %)
    low, high its 95 % confidence interval; None for counted work, which has no noise
    """

    at: int
    after: int
    until: int
    relative: float
    low: float | None = None
    high: float | None = None


class Trend(msgspec.Struct, frozen=True, omit_defaults=True):
    """The comparable figures of one measurement, in the order of their runs.

    Figures of two machines, domains or units, and sensed and estimated joules, are never in one.

    test, name  the node id of the test, and the name of the measurement
    machine     the folder name of the machine's baselines
    quantity    `energy` in joules of a `unit`, or `work`: the weighted work of a call, without unit
    points      the oldest first
    steps       in order
    """

    project: str
    test: str
    name: str
    machine: str
    quantity: Literal["energy", "work"]
    domain: str
    unit: str
    estimated: bool
    points: tuple[TrendPoint, ...]
    steps: tuple[Step, ...] = ()

    @property
    def subject(self) -> str:
        """The names of test and measurement: `tests/test_x.py::test_generate · prefill`."""
        return self.test if self.name == "call" else f"{self.test} · {self.name}"

    def differences(self, step: Step) -> tuple[str, ...]:
        """Return what else changed with a step: `('torch 2.12.0 -> 2.13.0', 'threads 1 -> 8')`.

        Where the branch did, neither commit may contain the other.
        """
        old, new = self.points[step.after], self.points[step.until]
        branches = [{"branch": point.branch} if point.branch else {} for point in (old, new)]
        kinds = (branches, (old.versions, new.versions), (old.conditions, new.conditions))
        return tuple(
            f"{name} {before[name]} -> {after[name]}"
            for before, after in kinds
            for name in sorted(before.keys() & after.keys())
            if before[name] != after[name]
        )

    def has_commits_between(self, step: Step) -> bool:
        """Return whether a step is between two commits of one branch."""
        old, new = self.points[step.after], self.points[step.until]
        known = None not in (old.commit, new.commit)
        return known and old.commit != new.commit and old.branch == new.branch


class Trends(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document of `pytest-greenops history --json`."""

    schema: int
    trends: tuple[Trend, ...]
