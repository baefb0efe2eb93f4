"""The measurements that cost the most, for a first look at a suite without baselines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_greenops.model.counted import WorkRecord
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import format_energy, format_memory, format_power
from pytest_greenops.model.verdict import Verdict
from pytest_greenops.report import figures, work_text
from pytest_greenops.report.advice import Advice

#: How many are named. If there are no more than these, the table above shows them all.
_NAMED = 3


def costliest(results: Sequence[Result]) -> Iterator[Advice]:
    """Yield which measurements use the most energy, or without joules do the most work.

    Nothing is said of a small suite, nor once there is a change: then that matters more.
    """
    if not is_first(results) or len(results) <= _NAMED:
        return
    energy = sorted(filter(figures.measured, results), key=lambda result: -result.joules)
    work = sorted(((r.work.weighted, _work(r, r.work)) for r in results if r.work), reverse=True)
    named = list(map(_energy, energy)) or [text for _, text in work]
    most = "energy" if energy else "work"
    yield Advice(f"Most {most} per call: {'; '.join(named[:_NAMED])}.")


def is_first(results: Sequence[Result]) -> bool:
    """Return whether a run measured or counted something, and shows no change of it.

    Absolute budgets may have been judged: they need nothing to compare with.
    """
    known = any(figures.measured(result) or result.work for result in results)
    return known and not any(_compared(result.verdict) for result in results)


def _compared(verdict: Verdict) -> bool:
    """Return whether a verdict has a change over a baseline or a git ref, of any kind."""
    of_work = verdict.work is not None and verdict.work.relative is not None
    of_quality = any(quality.baseline is not None for quality in verdict.qualities)
    of_joules = verdict.change is not None or verdict.interleaved is not None
    return of_joules or of_work or of_quality


def _energy(result: Result) -> str:
    """Return `test_decode ~310 mJ, 8.50 W, ~4.80 mJ/token, 2.2 GFLOP`."""
    mark = "~" if figures.estimated(result) else ""
    said = [f"{mark}{format_energy(result.joules)}", format_power(result.watts)]
    said += [f"{mark}{figures.energy(j, u)}" for u, j in figures.known_units(result).items()][:1]
    said += [work_text.done(result.work.totals)] if result.work else []
    return f"{figures.subject(result)} {', '.join(said)}"


def _work(result: Result, work: WorkRecord) -> str:
    """Return `test_decode 2.2 GFLOP, 79 MB moved`."""
    moved = format_memory(work.totals.moved)
    return f"{figures.subject(result)} {work_text.done(work.totals)}, {moved} moved"
