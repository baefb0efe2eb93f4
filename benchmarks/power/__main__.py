"""Compare error and detection rates of the judge with other rules on the same noise.

    python -m benchmarks.power [repetitions]

Prints the tables; with the default of 20,000 repetitions it also writes them to
docs/evidence/verdict.md. The verdicts come from the project's own `screen`, on arrays. A row takes
a few seconds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.markdown import publish, table
from benchmarks.power.rows import (
    CHANGES,
    DESIGNS,
    GOALS,
    REPETITIONS,
    RUNS,
    WORLDS,
    Row,
    Run,
    any_mean_5,
)
from benchmarks.power.stored import Shares

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "verdict.md"
WRITER = "python -m benchmarks.power"
#: Measurements in a suite; main() simulates fewer suites by this factor.
TESTS_A_SUITE = 20
#: Rows that also try the peers.
PEER_ROWS = (GOALS[0], GOALS[2], WORLDS[-1])

Tried = dict[float, Shares]


def percent(share: float) -> str:
    """Return a percentage: small and large shares with two decimals, others with one."""
    digits = 2 if share < 0.01 or share > 0.99 else 1
    return f"{share * 100:.{digits}f} %"


def tried(row: Row, repetitions: int) -> Tried:
    """Simulate all true changes of a row."""
    return {change: row.tried(change, repetitions) for change in CHANGES}


def verdicts(rows: Sequence[Row], found: Sequence[Tried], first: str) -> list[str]:
    """Return a table row per kind of noise: outcomes of unchanged code, detected changes."""
    up = [change for change in CHANGES if change > 0]
    down = [change for change in CHANGES if change < 0]
    head = [first, "sessions", "false alarms", "passed", "inconclusive", "rounds"]
    head += [f"{change:+.0%}" for change in (*up, *down)]
    lines = []
    for row, shares in zip(rows, found, strict=True):
        same = shares[0.0]
        cells = [row.name, str(row.sessions), percent(same.regressed), percent(same.passed)]
        cells += [percent(same.inconclusive), f"{same.rounds:.1f}"]
        cells += [percent(shares[change].regressed) for change in up]
        cells += [percent(shares[change].improved) for change in down]
        lines.append(cells)
    return table(head, lines)


def compared(found: Sequence[tuple[Row, Tried, dict[float, dict[str, float]]]]) -> list[str]:
    """Return a table of the share that each rule calls regressed on the same noise."""
    up = [change for change in CHANGES if change >= 0]
    lines = []
    for row, shares, by_peer in found:
        ours = [percent(shares[change].regressed) for change in up]
        lines.append([row.name, "pytest-greenops", *ours, f"{shares[0.0].rounds:.1f}"])
        for name in by_peer[0.0]:
            called = [percent(by_peer[change][name]) for change in up]
            lines.append([row.name, name, *called, "20"])
    head = ["noise", "rule", "false alarms", *(f"{c:+.0%}" for c in up[1:]), "rounds"]
    return table(head, lines)


def peers(row: Row, repetitions: int) -> dict[float, dict[str, float]]:
    """Return the share that each peer calls regressed, by true change."""
    return {change: row.peers(change, repetitions) for change in CHANGES if change >= 0}


def suite(run: Run, suites: int) -> list[str]:
    """Return a table row for runs of whole suites."""
    alarms = run.any_false_alarm(suites)
    found, error = run.tried(0.10, suites)
    return [run.name, percent(alarms), percent(found.shares.regressed), percent(error)]


def main() -> None:
    """Print the tables and write them to the page."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else REPETITIONS
    suites = repetitions // TESTS_A_SUITE
    rows = (*GOALS, *DESIGNS, *WORLDS)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        of_rows = list(pool.map(partial(tried, repetitions=repetitions), rows))
        of_peers = list(pool.map(partial(peers, repetitions=repetitions), PEER_ROWS))
        of_runs = list(pool.map(partial(suite, suites=suites), RUNS))
    by_row = dict(zip(rows, of_rows, strict=True))
    gate = any_mean_5(GOALS[0].world, suites)
    of_runs.insert(1, ["the same, gate at the mean + 5 %", percent(gate), "", ""])
    lines = [
        *("### Rounds, sessions", "", *verdicts(GOALS, of_rows[: len(GOALS)], "noise"), ""),
        *("### Other rules on the same noise", ""),
        *compared([(r, by_row[r], p) for r, p in zip(PEER_ROWS, of_peers, strict=True)]),
        *("", "### How the baseline was saved", ""),
        *verdicts(DESIGNS, [by_row[row] for row in DESIGNS], "3 % / 1 %"),
        *("", "### Other worlds", "", *verdicts(WORLDS, [by_row[row] for row in WORLDS], "world")),
        *("", f"### Runs of {TESTS_A_SUITE} tests", ""),
        *table(["sessions' scatter", "any false alarm", "+10 % found", "error (sd)"], of_runs),
    ]
    publish(lines, PAGE, WRITER, whole=repetitions == REPETITIONS)


if __name__ == "__main__":
    main()
