"""Which regressions counted work sees, and whether the first line of the cause names them.

    python -m benchmarks.work.regressions [--only TEXT ...]

Counts each side of the catalogue (`catalogue_models.py`, `catalogue_code.py`) as the plugin does,
in its second and third call, and compares them with the plugin's judge. Prints a row for each
regression; without `--only` it also writes them to docs/evidence/work.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.markdown import publish, table
from benchmarks.work.catalogue_code import CODE
from benchmarks.work.catalogue_models import MODELS, Regression
from benchmarks.work.counting import chosen, covered, setting
from benchmarks.work.models import Work, seeded
from pytest_greenops.judge.weights import VERSION, weighted
from pytest_greenops.judge.work_comparison import MARGIN, judge_work
from pytest_greenops.model.baseline import Revision
from pytest_greenops.model.budget import Budget
from pytest_greenops.model.counted import Counted
from pytest_greenops.model.units import format_percent
from pytest_greenops.model.work_baseline import AcceptedWork
from pytest_greenops.model.work_verdict import WorkOutcome, WorkVerdict

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "work.md"
WRITER = "python -m benchmarks.work.regressions"
CATALOGUE: dict[str, Regression] = {**MODELS, **CODE}
#: A weighted change from which on a regression must be found.
MUST = 0.01
HEAD = [
    *("regression", "FLOP", "bytes", "calls", "views", "peak", "weighted", "covers", "verdict"),
    *("first line of the cause", "names it"),
]


class Compared(NamedTuple):
    """One regression: the counts of both sides, and the verdict on the second."""

    name: str
    before: Counted
    after: Counted
    verdict: WorkVerdict

    @property
    def change(self) -> float:
        """The change of the weighted sum."""
        then = weighted(self.before)
        return (weighted(self.after) - then) / then

    @property
    def found(self) -> bool:
        """Whether the verdict fails the test."""
        return self.verdict.red

    @property
    def seen(self) -> bool:
        """Whether some count differs."""
        return self.verdict.outcome is not WorkOutcome.SAME

    @property
    def named(self) -> bool:
        """Whether the first line has a word that a reviewer expects."""
        line = (self.verdict.largest or "").lower()
        return any(word.lower() in line for word in CATALOGUE[self.name].expected)


def compare(name: str) -> Compared:
    """Count both sides of a regression, and judge the second by the first."""
    before, after = (_counted(name, side) for side in CATALOGUE[name][:2])
    accepted = AcceptedWork(before, {}, VERSION, "", Revision(None, None))
    return Compared(name, before, after, judge_work(after, {}, accepted, Budget()))


def _counted(name: str, side: Callable[[], Work]) -> Counted:
    found = covered(seeded(side))
    if isinstance(found, str):
        raise ValueError(f"{name}: {found}")
    return found


def row(each: Compared) -> list[str]:
    """Return the row of a regression."""
    old, new = each.before.total, each.after.total
    shares = (each.before.coverage.share, each.after.coverage.share)
    pairs = [
        *((old.flop, new.flop), (old.moved, new.moved), (old.calls, new.calls)),
        *((old.views, new.views), (each.before.peak_bytes, each.after.peak_bytes)),
        (weighted(each.before), weighted(each.after)),
    ]
    expected = CATALOGUE[each.name].expected
    return [
        each.name,
        *(_change(*pair) for pair in pairs),
        " → ".join("unknown" if s is None else f"{s:.0%}" for s in shares),
        str(each.verdict.outcome),
        f"`{each.verdict.largest}`" if each.verdict.largest else "–",
        ("yes" if each.named else "no") if expected else "–",
    ]


def _change(old: float, new: float) -> str:
    if old == new:
        return "0"
    return format_percent((new - old) / old) if old else "new"


def summary(found: Sequence[Compared]) -> Iterator[str]:
    """Yield the lines above the table."""
    due = [each for each in found if each.change >= MUST]
    seen = [each for each in found if each.seen]
    asked = [each for each in seen if CATALOGUE[each.name].expected]
    yield f"{setting()}; margin {format_percent(MARGIN, signed=False)}, weights {VERSION}."
    yield ""
    yield f"* {len(seen)} of {len(found)} regressions change some count."
    yield (
        f"* {len(due)} change the weighted sum by at least {format_percent(MUST)}: "
        f"{sum(each.found for each in due)} of them are found in one run."
    )
    yield (
        f"* Of {len(asked)} that are seen and have expected words, the first line names "
        f"{sum(each.named for each in asked)}."
    )
    yield ""


def main() -> None:
    """Print the table, and write it to the page if it is whole."""
    parser = argparse.ArgumentParser(description="Count the catalogue of regressions.")
    parser.add_argument("--only", nargs="*", default=[], help="texts in the names of regressions")
    only = parser.parse_args().only
    torch.set_num_threads(1)
    found = []
    for name in chosen(only, CATALOGUE):
        found.append(compare(name))
        print(" | ".join(row(found[-1])), file=sys.stderr, flush=True)
    publish([*summary(found), *table(HEAD, [row(e) for e in found])], PAGE, WRITER, not only)


if __name__ == "__main__":
    main()
