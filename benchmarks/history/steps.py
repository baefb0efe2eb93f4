"""How often a step in a trend is wrong, and which steps are found.

    python -m benchmarks.history.steps

Simulates trends of runs with the code that marks steps in a history, in noise of three kinds with a
standard deviation of 2 %: normal; with heavy tails (Student's t with 3 degrees of freedom); and
correlated between neighbors (0.5). A minute.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.markdown import publish, table
from pytest_greenops.history.steps import find_steps

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "history.md"
WRITER = "python -m benchmarks.history.steps"
KINDS = ("normal", "heavy tails", "correlated")
RUNS = (6, 10, 20, 50)
SIZES = (0.03, 0.05, 0.10)
NOISE, TRIES = 0.02, 300


def noise(kind: str, runs: int, rng: np.random.Generator) -> np.ndarray:
    """Return the noise of some runs, as logarithms."""
    if kind == "heavy tails":
        return rng.standard_t(3, runs) / math.sqrt(3) * NOISE
    found = rng.normal(0, NOISE, runs)
    if kind == "correlated":
        for run in range(1, runs):
            found[run] = 0.5 * found[run - 1] + math.sqrt(0.75) * found[run]
    return found


def false_steps() -> Iterator[list[str]]:
    """Yield for each kind of noise how many trends without a step have one."""
    for kind in KINDS:
        rng = np.random.default_rng(1)
        shares = [
            sum(bool(find_steps(np.exp(noise(kind, runs, rng)))) for _ in range(TRIES)) / TRIES
            for runs in RUNS
        ]
        yield [kind, *(f"{share * 100:.1f} %" for share in shares)]


def found_steps() -> Iterator[list[str]]:
    """Yield for each size how many steps are found, and how often size and place are right."""
    for size in SIZES:
        for runs in RUNS[1:]:
            rng = np.random.default_rng(2)
            at, sizes, places, ranges = runs // 2, 0, 0, []
            for _ in range(TRIES):
                logs = noise("normal", runs, rng)
                logs[at:] += math.log1p(size)
                steps = find_steps(np.exp(logs))
                if len(steps) == 1:
                    [step] = steps
                    sizes += (step.low or 0) <= size <= (step.high or 0)
                    places += step.after < at <= step.until
                    ranges.append(step.until - step.after)
            found = len(ranges)
            shares = [found / TRIES, *(n / max(found, 1) for n in (sizes, places))]
            cells = [f"{share * 100:.0f} %" for share in shares]
            yield [f"+{size * 100:g} %", str(runs), *cells, f"{np.mean(ranges or [0]):.1f}"]


def main() -> None:
    """Print both tables, and write them to the page."""
    lines = [
        f"Trends without a step in which one is marked, of {TRIES} each, by number of runs:",
        "",
        *table(["noise", *map(str, RUNS)], list(false_steps())),
        "",
        f"A step in the middle of a trend with normal noise of {NOISE * 100:g} %. Where one is "
        "found: how often its",
        "95 % interval covers the size, how often the two commits enclose the place, and how many "
        "runs they are apart:",
        "",
        *table(["step", "runs", "found", "size", "place", "runs apart"], list(found_steps())),
    ]
    publish(lines, PAGE, WRITER, whole=True)


if __name__ == "__main__":
    main()
