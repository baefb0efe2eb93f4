"""The stored baseline of one test, as its trial uses it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from msgspec.structs import replace

from pytest_greenops.judge.case import Reference
from pytest_greenops.judge.creep import in_small_steps
from pytest_greenops.judge.quality import AcceptedQualities
from pytest_greenops.model.advised import shell_line
from pytest_greenops.model.baseline import Series, TestKey
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.explanation import LayerJoules
from pytest_greenops.model.verdict import Cause, CauseKind
from pytest_greenops.run.context import RunContext


class StoredBaseline:
    """The baseline of a test, by the names of its measurements."""

    def __init__(self, context: RunContext, test: TestKey) -> None:
        """Read what there is, before the test can replace what files are read with."""
        self._context = context
        self._test = test
        if not self._stored:
            context.store.elsewhere(test)

    def reference(self, name: str, conditions: Mapping[str, str] | None = None) -> Reference:
        """Return the accepted sessions of a name, or why they cannot be used.

        conditions  those of the measurement; by default those of this moment
        """
        store = self._context.store
        if conditions is None:
            conditions = self._context.probes.conditions()
        here = replace(self._context.environment, conditions=dict(conditions))
        for find in (store.load, store.elsewhere):
            baseline = find(self._test)
            if baseline and name in baseline.measurements:
                series = baseline.measurements[name]
                there = Environment(baseline.machine, series.conditions)
                return Reference(series, here.differences(there))
        return Reference()

    def occasions(self, name: str | None) -> int:
        """Return the occasions of a name's comparable sessions; for None the fewest of any name."""
        names = [name] if name else list(self._stored)
        usable = [self.reference(each).usable for each in names]
        return min((series.occasions if series else 0 for series in usable), default=0)

    def layers(self, name: str) -> list[LayerJoules]:
        """Return the layers of each comparable session that was explained."""
        series = self.reference(name).usable
        return [session.layers for session in series.sessions if session.layers] if series else []

    def qualities(self, name: str) -> AcceptedQualities:
        """Return the quality of each session, whatever machine measured it."""
        series = self.reference(name).series
        if series is None:
            return AcceptedQualities()
        qualities = [session.quality for session in series.sessions]
        first = series.anchor.quality if in_small_steps(series) else {}
        return AcceptedQualities(qualities, first)

    def grows(self, name: str | None) -> bool:
        """Return whether this run saves what it measures under a name."""
        save, stored = self._context.options.save, self._stored
        return save == "all" or (save == "new" and (name not in stored if name else not stored))

    def renamed(self) -> Cause | None:
        """Return the cause that a baseline of the same function has a test that is gone."""
        store, folder = self._context.store, self._context.options.called_in
        if orphan := self._context.orphans.get((self._test.module, self._test.qualname)):
            paths = (str(store.path(test)) for test in (orphan.test, self._test))
            rename = shell_line(["git", "mv", *(posixpath.relpath(path, folder) for path in paths)])
            gone = f"{orphan.test.name} has one and was not collected; if it was renamed: {rename}"
            return Cause(CauseKind.RENAMED_TEST, gone)
        return None

    @property
    def _stored(self) -> Mapping[str, Series]:
        """What this machine's baseline has, comparable or not."""
        baseline = self._context.store.load(self._test)
        return baseline.measurements if baseline else {}
