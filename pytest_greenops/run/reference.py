"""What was accepted of one test, as the run that tries it sees it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from msgspec.structs import replace

from pytest_greenops import machine
from pytest_greenops.judge.case import Reference
from pytest_greenops.judge.quality import AcceptedQualities
from pytest_greenops.model.baseline import Series, TestKey
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.explanation import LayerJoules
from pytest_greenops.model.verdict import Cause, CauseKind
from pytest_greenops.run.context import RunContext


class Accepted:
    """The baseline of a test by the names of its measurements."""

    def __init__(self, context: RunContext, test: TestKey) -> None:
        self._context = context
        self._test = test

    @property
    def stored(self) -> Mapping[str, Series]:
        """What this machine has of it, comparable or not."""
        baseline = self._context.store.load(self._test)
        return baseline.measurements if baseline else {}

    def reference(self, name: str) -> Reference:
        """The accepted sessions of a name, or why those that there are cannot be used."""
        store = self._context.store
        here = replace(self._context.environment, conditions=machine.conditions())
        for find in (store.load, store.elsewhere):
            baseline = find(self._test)
            if baseline and name in baseline.measurements:
                series = baseline.measurements[name]
                there = Environment(baseline.machine, series.conditions)
                return Reference(series, here.differences(there))
        return Reference()

    def sessions(self, name: str | None) -> int:
        """Comparable sessions of a name; of None the fewest of any name that there is."""
        names = [name] if name else list(self.stored)
        known = [self.reference(each) for each in names]
        return min(
            (len(r.series.sessions) if r.series and not r.differences else 0 for r in known),
            default=0,
        )

    def layers(self, name: str) -> list[LayerJoules]:
        """The layers of each comparable session that was explained."""
        reference = self.reference(name)
        if reference.series is None or reference.differences:
            return []
        return [session.layers for session in reference.series.sessions if session.layers]

    def qualities(self, name: str) -> AcceptedQualities:
        """What each session was told of its quality, on whatever machine it was."""
        series = self.reference(name).series
        if series is None:
            return AcceptedQualities()
        return AcceptedQualities(
            [session.quality for session in series.sessions], series.anchor.quality
        )

    def grows(self, name: str | None) -> bool:
        """Whether this run accepts what it measures under a name, if it can be accepted."""
        save, stored = self._context.options.save, self.stored
        return save == "all" or (save == "new" and (name not in stored if name else not stored))

    def renamed(self) -> Cause | None:
        """A baseline of the same function with other parameters, which no test of this run has."""
        store = self._context.store
        for orphan in store.orphans(self._test, self._context.collected):
            old, new = (store.shown(test) for test in (orphan.test, self._test))
            return Cause(
                CauseKind.RENAMED_TEST,
                f"{orphan.test.name} has one and was not collected; if it was renamed: "
                f"git mv {shlex.quote(old)} {shlex.quote(new)}",
            )
        return None
