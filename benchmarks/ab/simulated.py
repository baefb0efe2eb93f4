"""Error rates, detection rates and cost of interleaved comparisons, on simulated machines.

    python -m benchmarks.ab.simulated [repetitions]

Prints the tables; with the default of 20,000 repetitions it also writes them to
docs/evidence/ab.md. The project's own `compare` decides, on arrays. That takes minutes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path

from benchmarks.ab.trials import Row, Shares
from benchmarks.markdown import publish, table
from benchmarks.power.worlds import World

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "ab.md"
WRITER = "python -m benchmarks.ab.simulated"
REPETITIONS = 20_000
#: True changes of the work, as multiples of the margin.
CHANGES = (0, 1, 2, -2)

#: Rounds of 3 % with all other noise of `benchmarks.power`, and a session shift of 2 %.
_USUAL = World(0.03, 0.02)
STARTS = tuple(
    Row(f"{100 * start_sd:g} %", _USUAL, start_sd, a_start)
    for a_start, start_sd in product((1, 4), (0.0, 0.005, 0.01, 0.02))
)
_BAR = Row("the usual noise", _USUAL, 0.005)
_QUIET = Row("rounds 0.5 %, starts 2 %", World(0.005, 0.02), 0.02)
WORLDS = (
    _BAR,
    replace(_BAR, name="rounds 1 %", world=replace(_USUAL, round_sd=0.01)),
    replace(_BAR, name="rounds 5 %", world=replace(_USUAL, round_sd=0.05)),
    replace(_BAR, name="rounds 5 %", world=replace(_USUAL, round_sd=0.05), a_start=4),
    replace(_BAR, name="rounds with heavy tails (t3)", tails=3),
    replace(_BAR, name="spikes: 20 %, of 10 %", world=replace(_USUAL, spikes=0.2)),
    replace(_BAR, name="spikes: 10 %, of 30 %", world=replace(_USUAL, spikes=0.1, spike=0.3)),
    replace(_BAR, name="all scatter is drift", world=replace(_USUAL, drift=1.0)),
    replace(_BAR, name="thermal creep of 5 %", world=replace(_USUAL, creep=0.05)),
    _QUIET,
    replace(_QUIET, a_start=4),
    replace(_BAR, name="sessions shift by 10 %", world=replace(_USUAL, session_sd=0.1)),
)
MARGINS = tuple(
    replace(_BAR, name=f"rounds {100 * sd:g} %", world=replace(_USUAL, round_sd=sd), margin=margin)
    for margin, sd in ((0.02, 0.003), (0.02, 0.01), (0.02, 0.03), (0.1, 0.03), (0.1, 0.05))
)

Tried = Mapping[int, Shares]


def percent(share: float) -> str:
    """Return a percentage: small and large shares with two decimals, others with one."""
    digits = 2 if share < 0.01 or share > 0.99 else 1
    return f"{share * 100:.{digits}f} %"


def outcomes(rows: Sequence[Row], found: Mapping[Row, Tried], first: str) -> list[str]:
    """Return a table with a line for each row."""
    head = [first, "pairs a start", "margin", "false alarms", "open", "pairs"]
    head += ["+1 margin: passed", "regressed", "+2 margins: found", "pairs", "-2 margins: found"]
    head += ["interval misses"]
    lines = []
    for row in rows:
        same, one, two, less = (found[row][change] for change in CHANGES)
        cells = [row.name, str(row.a_start), f"{row.margin * 100:g} %", percent(same.regressed)]
        cells += [percent(same.inconclusive), f"{same.pairs:.1f}", percent(one.passed)]
        cells += [percent(one.regressed), percent(two.regressed), f"{two.pairs:.1f}"]
        cells += [percent(less.improved), percent(max(each.missed for each in (same, one, two)))]
        lines.append(cells)
    return table(head, lines)


def _tried(task: tuple[Row, int, int]) -> Shares:
    row, change, repetitions = task
    return row.tried(change * row.margin, repetitions)


def main() -> None:
    """Print the tables and write them to the page."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else REPETITIONS
    rows = tuple(dict.fromkeys((*STARTS, *WORLDS, *MARGINS)))
    tasks = [(row, change, repetitions) for row in rows for change in CHANGES]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        shares = iter(list(pool.map(_tried, tasks)))
    found = {row: {change: next(shares) for change in CHANGES} for row in rows}
    lines = [
        *("### Starts that differ", "", *outcomes(STARTS, found, "starts differ by"), ""),
        *("### Other noise", "", *outcomes(WORLDS, found, "noise"), ""),
        *("### Other margins", "", *outcomes(MARGINS, found, "noise")),
    ]
    publish(lines, PAGE, WRITER, whole=repetitions == REPETITIONS)


if __name__ == "__main__":
    main()
