"""How often the stored-baseline procedure errs, simulated with the project's own judging code.

    python -m benchmarks.verdicts.simulated [repetitions]

Normal noise: 3 % between rounds, 1 % between sessions; a margin of 5 %; ten rounds a session saved.
"""

from __future__ import annotations

import math
import random
import sys
from collections import Counter

from pytest_greenops.model.verdict import Outcome
from pytest_greenops.screen import Look, noise, schedule, screen
from pytest_greenops.stats import trimmed_mean, variance

ROUND_SD, SESSION_SD, MARGIN, ASSUMED_SD, SAVED_ROUNDS = 0.03, 0.01, 0.05, 0.03, 10
ROWS = ((1, 1), (3, 1), (5, 1), (10, 1), (3, 20), (5, 20), (10, 20))
CHANGES = (0.0, 0.1, 0.2)


def session(level: float, rounds: int) -> list[float]:
    """Logarithms of joules of the rounds of one process."""
    shift = level + random.gauss(0, SESSION_SD)
    return [shift + random.gauss(0, ROUND_SD) for _ in range(rounds)]


def verdict(sessions: int, suite: int, change: float) -> Outcome:
    """The verdict on one measurement with a true change, after its looks."""
    pool = [
        variance([trimmed_mean(session(0, SAVED_ROUNDS)) for _ in range(sessions)])
        for _ in range(suite if sessions >= 3 else 0)
    ]
    baseline = [session(0, SAVED_ROUNDS) for _ in range(sessions)]
    looks = schedule(sessions, 5, 25)
    candidate = session(math.log1p(change), looks[-1])
    for number, rounds in enumerate(looks, 1):
        seen = [candidate[:rounds]]
        spread = noise(baseline, seen, pool, ASSUMED_SD)
        outcome = screen(baseline, seen, spread, MARGIN, Look(number, len(looks))).outcome
        if outcome is not Outcome.INCONCLUSIVE:
            break
    return outcome


def main() -> None:
    """Print the table."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    random.seed(1)
    print("sessions  suite  unchanged: regressed  passed  inconclusive  +10 % found  +20 % found")
    for sessions, suite in ROWS:
        counts = [
            Counter(verdict(sessions, suite, change) for _ in range(repetitions))
            for change in CHANGES
        ]
        same, ten, twenty = counts
        shares = [same[o] for o in (Outcome.REGRESSED, Outcome.PASSED, Outcome.INCONCLUSIVE)]
        shares += [ten[Outcome.REGRESSED], twenty[Outcome.REGRESSED]]
        print(f"{sessions:8}  {suite:5}  " + "  ".join(f"{n / repetitions:10.2%}" for n in shares))


if __name__ == "__main__":
    main()
