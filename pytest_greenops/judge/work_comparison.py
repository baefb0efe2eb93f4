"""The verdict on counted work: the work of one call against the accepted table and its limits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from pytest_greenops.judge.work_changes import (
    counts_text,
    difference,
    largest_change,
    memory_text,
    relative_change,
    steps,
)
from pytest_greenops.judge.work_places import parts
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.counted import ELSEWHERE, Counted, Coverage, accelerators
from pytest_greenops.model.units import counted as count_of
from pytest_greenops.model.work_baseline import MODEL_PACKAGES, AcceptedWork
from pytest_greenops.model.work_verdict import WorkLimit, WorkOutcome, WorkVerdict

#: The largest increase of the weighted sum that passes, for tests that name none.
MARGIN = 0.005
#: A verdict lists at most this many operators, and as many modules.
LISTED = 12
#: Counts say that the joules cannot have grown if they cover this share of the CPU time, so that
#: threads and children have no more than the rest, and if the baseline's share is this near.
COVERED, APART = 0.9, 0.05


def judge_work(
    counted: Counted,
    facts: Mapping[str, str],
    accepted: AcceptedWork | None,
    budget: Budget,
    margin: float = MARGIN,
) -> WorkVerdict:
    """Compare the work of one call with the accepted work, and with the limits of its budget.

    `facts` are those of this process that must be the same; `margin` applies if the budget names
    none. An exceeded limit outweighs the comparison.
    """
    margin = margin if budget.max_work is None else budget.max_work
    limits = tuple(_limits(counted, budget))
    if accepted is None:
        verdict = _without_baseline(counted)
    else:
        verdict = _against(counted, facts, accepted, margin)
    if any(limit.exceeded for limit in limits):
        verdict = replace(verdict, outcome=WorkOutcome.OVER_LIMIT)
    return replace(verdict, margin=margin, limits=limits)


def not_counted(cause: str) -> WorkVerdict:
    """Return the verdict on a call whose work has no count."""
    return WorkVerdict(WorkOutcome.NOT_COUNTED, cause)


def proves_same(verdict: WorkVerdict, coverage: Coverage, accepted: Coverage) -> bool:
    """Return whether the same work in torch means the same work of the whole call."""
    if verdict.outcome is not WorkOutcome.SAME or coverage.share is None or accepted.share is None:
        return False
    apart = abs(coverage.share - accepted.share)
    return (
        coverage.share >= COVERED
        and apart <= APART
        and coverage.threads + coverage.children <= 1 - COVERED
        and not (coverage.compiled or accepted.compiled)
    )


def _limits(counted: Counted, budget: Budget) -> Iterator[WorkLimit]:
    if budget.max_flop is not None:
        yield WorkLimit("flop", counted.total.flop, budget.max_flop)
    if budget.max_memory_bytes is not None:
        yield WorkLimit("memory", counted.peak_bytes, budget.max_memory_bytes)


def _without_baseline(counted: Counted) -> WorkVerdict:
    return _nothing(counted) if counted.empty else WorkVerdict(WorkOutcome.NO_BASELINE)


def _nothing(counted: Counted) -> WorkVerdict:
    elsewhere = counted.coverage.elsewhere
    return not_counted(ELSEWHERE if elsewhere else "the call runs no operator of torch")


def _against(
    counted: Counted, facts: Mapping[str, str], accepted: AcceptedWork, margin: float
) -> WorkVerdict:
    before = accepted.counted
    if counted.empty and before.empty:
        return _nothing(counted)
    relative = relative_change(counted, before)
    differing = _differing(facts, accepted.facts) or _other_device(counted, before)
    changed = largest_change(counted, before)
    same = 0.0 if changed is None else relative
    return WorkVerdict(
        WorkOutcome.NOT_COMPARABLE if differing else _outcome(same, changed, margin),
        differing or None,
        relative=same if same is not None and math.isfinite(same) else None,
        largest=changed,
        changes=_operators(counted, before),
        modules=_modules(counted, before),
        difference=difference(counted, before) if changed else None,
        share_before=before.coverage.share,
        accepted_at=accepted.accepted_at,
        commit=accepted.revision.commit,
    )


def _outcome(relative: float | None, changed: str | None, margin: float) -> WorkOutcome:
    if changed is None:
        return WorkOutcome.SAME
    if relative is None or relative > margin:
        return WorkOutcome.MORE
    return WorkOutcome.LESS if relative < -margin else WorkOutcome.CHANGED


def _differing(facts: Mapping[str, str], others: Mapping[str, str]) -> str:
    """Return the facts that differ: `torch 2.12.1 -> 2.13.0`.

    A test uses no package that one of the processes has not loaded; other tests of it may.
    """
    unused = (facts.keys() ^ others.keys()) & {*MODEL_PACKAGES}
    return ", ".join(
        f"{name} {others.get(name, 'none')} -> {facts.get(name, 'none')}"
        for name in sorted((facts.keys() | others.keys()) - unused)
        if facts.get(name) != others.get(name)
    )


def _other_device(counted: Counted, before: Counted) -> str:
    """Return the kinds of device that compute, if they are others: `device cpu -> cuda`.

    The same code runs other operators there. Work that moves to the CPU in part is compared.
    """
    if counted.empty or before.empty:
        return ""
    now, then = (accelerators(o.device for o in each.operators) for each in (counted, before))
    if now == then:
        return ""
    return f"device {', '.join(sorted(then)) or 'cpu'} -> {', '.join(sorted(now)) or 'cpu'}"


def _operators(counted: Counted, before: Counted) -> tuple[str, ...]:
    memory = memory_text(counted, before)
    lines = [step.text for step in steps(counted, before)]
    return (*([memory] if memory else []), *_cut(lines, "operator"))


def _modules(counted: Counted, before: Counted) -> tuple[str, ...]:
    changed = [part for part in parts(counted, before) if part.old != part.new]
    return _cut(
        [f"{p.path or 'outside of modules'}: {counts_text(p.old, p.new)}" for p in changed],
        "module",
    )


def _cut(lines: Sequence[str], thing: str) -> tuple[str, ...]:
    """Return the first lines, and how many there are besides."""
    more = len(lines) - LISTED
    if more <= 1:
        return tuple(lines)
    return (*lines[:LISTED], f"and {count_of(more, f'more {thing}')}")
