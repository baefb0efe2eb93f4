"""The counted work of one measured name, and what it does to the verdict on its joules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from pytest_greenops.judge.weights import VERSION
from pytest_greenops.judge.work_and_joules import alone, record, with_work
from pytest_greenops.judge.work_comparison import judge_work, not_counted, proves_same
from pytest_greenops.judge.work_layers import work_by_layer
from pytest_greenops.model.baseline import Revision
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.counted import Counted, WorkRecord
from pytest_greenops.model.marker import Action
from pytest_greenops.model.run_options import Options
from pytest_greenops.model.verdict import Verdict
from pytest_greenops.model.work_baseline import AcceptedWork
from pytest_greenops.model.work_verdict import WorkOutcome, WorkVerdict


class OfRef(NamedTuple):
    """The counted work of a git ref, or why there is none; `label` is the ref for readers."""

    label: str
    work: WorkRecord | str


class MeasuredWork:
    """The counted work of one name.

    counted  what was counted, why there is none, or None if none is expected
    facts    what decides which operators torch runs
    of_ref   the work of a git ref, which replaces the accepted work as what this is compared with
    """

    def __init__(
        self, options: Options, budget: Budget, action: Action, accepted: AcceptedWork | None
    ) -> None:
        """Begin with nothing counted; `action` is what more work does, `accepted` the baseline."""
        self.counted: Counted | str | None = None
        self.facts: dict[str, str] = {}
        self.of_ref: OfRef | None = None
        self._options = options
        self._budget = budget
        self._action = action
        self._accepted = accepted

    @property
    def record(self) -> WorkRecord | None:
        """What was counted, as results have it."""
        if not isinstance(self.counted, Counted) or self._verdict() is None:
            return None
        return record(self.counted, self.facts)

    def judged(self, verdict: Verdict, layers: Sequence[str] = ()) -> Verdict:
        """Return a verdict on joules, combined with that on the work.

        layers  those whose joules are known, if the run explains
        """
        work = self._verdict()
        if work is None:
            return verdict
        if self._options.explain and isinstance(self.counted, Counted):
            comparable = self._before and work.outcome is not WorkOutcome.NOT_COMPARABLE
            accepted = self._before.counted if self._before and comparable else None
            work = replace(work, layers=work_by_layer(self.counted, accepted, layers))
        if self._options.count_only:
            return alone(verdict, work, self._action)
        before = self._before
        same = (
            isinstance(self.counted, Counted)
            and before is not None
            and proves_same(work, self.counted.coverage, before.counted.coverage)
        )
        return with_work(verdict, work, self._action, same=same, strict=self._options.strict)

    def _verdict(self) -> WorkVerdict | None:
        """Return the verdict on the work, or None if none is expected."""
        found, before, ref = self.counted, self._before, self.of_ref
        if not isinstance(found, Counted):
            return None if found is None else not_counted(found)
        expected = before is not None or found.coverage.elsewhere
        if found.empty and self._options.counting == "auto" and not expected:
            return None
        work = judge_work(found, self.facts, before, self._budget)
        if ref is None:
            return work
        if isinstance(ref.work, str) and work.outcome is WorkOutcome.NO_BASELINE:
            work = replace(work, cause=ref.work)
        return replace(work, against=ref.label)

    @property
    def _before(self) -> AcceptedWork | None:
        """The work that this is compared with."""
        if self.of_ref is None:
            return self._accepted
        work = self.of_ref.work
        if isinstance(work, str):
            return None
        return AcceptedWork(work.counted, work.facts, VERSION, "", Revision(None, None))
