"""Whether weighted work orders calls as their CPU time does.

    python -m benchmarks.work.fidelity [fit] [--only TEXT ...] [--rounds N]

Measures CPU seconds of a call on one thread (median of rounds, the workloads in turn) and counts
its work. Without `fit`: the workloads of `workloads.py`, on which no weight is chosen; prints
Spearman's rank correlation of CPU seconds with weighted work, FLOPs, bytes and calls. With `fit`:
those of `fitting.py`; prints weights that fit them best (robust least squares of the ratios'
logarithms), to be rounded by hand into `pytest_greenops/judge/weights.py`. Whole runs write their
table to docs/evidence/work.md; they take minutes, on a quiet machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import optimize, stats

from benchmarks.markdown import publish, table
from benchmarks.work.counting import chosen, counted, setting
from benchmarks.work.fitting import FITTED
from benchmarks.work.models import Work, seeded
from benchmarks.work.workloads import OUTSIDE, WORKLOADS
from pytest_greenops.judge.weights import VERSION, weighted
from pytest_greenops.model.counted import Counted

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "work.md"
WRITER = "python -m benchmarks.work.fidelity"
ROUNDS, ROUND_S = 9, 0.1
HELD_OUT = {name: build for name, build in WORKLOADS.items() if name not in OUTSIDE}
#: Which dtypes have a weight of their own, and those that share it.
DTYPES = {
    "float32": ("float32", "complex64"),
    "float64": ("float64", "complex128"),
    "bfloat16": ("bfloat16", "float16"),
    "int8": ("int8", "uint8", "qint8", "quint8"),
}
FEATURES = (*(f"FLOP in {dtype}" for dtype in DTYPES), "byte", "byte of a product", "call", "view")
#: Seconds for one of each feature, from which the fit starts.
START_S = (*(7e-12, 20e-12, 2.5e-12, 2e-12), *(10e-12, 5e-12, 2e-6, 1e-6))
HALVES = 50


class Measured(NamedTuple):
    """A workload: its counted work, and the median and spread of CPU seconds of a call."""

    name: str
    work: Counted
    cpu_s: float
    spread: float


def measure(builders: Mapping[str, Any], names: Sequence[str], rounds: int) -> list[Measured]:
    """Count and measure workloads, all of them in each round."""
    works: dict[str, Work] = {name: seeded(builders[name]) for name in names}
    counts = {}
    for name, work in works.items():
        work.call()
        counts[name] = counted(work.call)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        for name, work in works.items():
            times[name].append(_cpu_s(work))
    return [Measured(name, counts[name], *_middle(times[name])) for name in names]


def _cpu_s(work: Work) -> float:
    """Return CPU seconds of a call, over as many as take a round's time."""
    work.call()
    calls, begun_s = 0, time.process_time()
    while (used_s := time.process_time() - begun_s) < ROUND_S:
        work.call()
        calls += 1
    return used_s / calls


def _middle(times: Sequence[float]) -> tuple[float, float]:
    middle = statistics.median(times)
    return middle, statistics.median(abs(each - middle) for each in times) / middle


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the rank correlation of two figures of the same workloads."""
    return float(stats.spearmanr(one, other).statistic)


def figures(each: Measured) -> tuple[float, float, float, float]:
    """Return weighted work, FLOPs, bytes, and calls with views."""
    whole = each.work.total
    return weighted(each.work), whole.flop, whole.moved, whole.calls + whole.views


def held_out(found: Sequence[Measured]) -> Iterator[str]:
    """Yield the lines on workloads that no weight was chosen on."""
    seconds = [each.cpu_s for each in found]
    columns = list(zip(*map(figures, found), strict=True))
    names = (f"weighted work ({VERSION})", "FLOPs", "bytes", "calls and views")
    yield f"{setting()}; {len(found)} workloads."
    yield ""
    yield from table(
        ["rank correlation with CPU seconds", "Spearman"],
        [
            [name, f"{spearman(column, seconds):.3f}"]
            for name, column in zip(names, columns, strict=True)
        ],
    )
    yield ""
    middle = statistics.median(w / s for w, s in zip(columns[0], seconds, strict=True))
    yield from table(
        ["workload", "CPU ms a call", "spread", "weighted, millions", "over the median ratio"],
        [
            [
                *(each.name, f"{1e3 * each.cpu_s:.2f}", f"{each.spread:.1%}"),
                *(f"{w / 1e6:.1f}", f"{w / each.cpu_s / middle:.2f}"),
            ]
            for each, w in zip(found, columns[0], strict=True)
        ],
    )


def features(count: Counted) -> list[float]:
    """Return what has a weight: FLOPs by dtype, bytes, bytes of products, calls, views."""
    row = dict.fromkeys(FEATURES, 0.0)
    for operator, amount in count.operators.items():
        kind = next((d for d, names in DTYPES.items() if operator.dtype in names), "float32")
        row[f"FLOP in {kind}"] += amount.flop
        row["byte of a product" if amount.flop else "byte"] += amount.moved
        row["call"] += amount.calls
        row["view"] += amount.views
    return list(row.values())


def fit(found: Sequence[Measured]) -> Any:
    """Return seconds for one of each feature, by the logarithms of the ratios; outliers count less.

    No weight is negative. One that nothing in these workloads needs ends far below the others.
    """
    rows = np.array([features(each.work) for each in found])
    seconds = np.log([each.cpu_s for each in found])

    def ratios(logarithms: Any) -> Any:
        return np.log(rows @ np.exp(logarithms)) - seconds

    return np.exp(optimize.least_squares(ratios, np.log(START_S), loss="soft_l1").x)


def other_half(found: Sequence[Measured], random: Random) -> tuple[float, float]:
    """Fit one half of the workloads; return the mean error and Spearman of the other half."""
    mixed = random.sample(list(found), len(found))
    known, asked = mixed[::2], mixed[1::2]
    weights = fit(known)
    expected = [float(np.dot(features(each.work), weights)) for each in asked]
    seconds = [each.cpu_s for each in asked]
    errors = [abs(e / s - 1) for e, s in zip(expected, seconds, strict=True)]
    return statistics.mean(errors), spearman(expected, seconds)


def fitted(found: Sequence[Measured]) -> Iterator[str]:
    """Yield the weights that fit, and how well they predict what they were not fitted on."""
    solved, random = fit(found), Random(0)
    errors, ranks = zip(*(other_half(found, random) for _ in range(HALVES)), strict=True)
    one = solved[0] or 1.0
    yield f"{setting()}; {len(found)} workloads."
    yield (
        f"Over {HALVES} random halves: mean error of the other half "
        f"{statistics.median(errors):.0%}, Spearman {statistics.median(ranks):.2f}."
    )
    yield ""
    yield from table(
        ["one", "picoseconds", "weight (an operation in float32 is 1)"],
        [
            [name, f"{1e12 * each:.3g}", f"{each / one:.3g}"]
            for name, each in zip(FEATURES, solved, strict=True)
        ],
    )
    yield ""
    expected = [float(np.dot(features(each.work), solved)) for each in found]
    yield from table(
        ["workload", "CPU ms a call", "spread", "fitted ms"],
        [
            [each.name, f"{1e3 * each.cpu_s:.2f}", f"{each.spread:.1%}", f"{1e3 * e:.2f}"]
            for each, e in zip(found, expected, strict=True)
        ],
    )


def main() -> None:
    """Print the table, and write it to the page if it is whole."""
    parser = argparse.ArgumentParser(description="Compare weighted work with CPU seconds.")
    parser.add_argument("mode", nargs="?", choices=["fit"], help="fit weights to other workloads")
    parser.add_argument("--only", nargs="*", default=[], help="texts in the names of workloads")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    builders = FITTED if arguments.mode else HELD_OUT
    names = list(chosen(arguments.only, builders))
    lines = (fitted if arguments.mode else held_out)(measure(builders, names, arguments.rounds))
    by = f"{WRITER} fit" if arguments.mode else WRITER
    whole = arguments.rounds == ROUNDS and not arguments.only
    publish(list(lines), PAGE, by, whole)


if __name__ == "__main__":
    main()
