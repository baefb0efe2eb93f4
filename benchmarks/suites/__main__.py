"""Benchmark suites of other projects, unmodified: what they report with and without this plugin.

    python -m benchmarks.suites [--only NAME ...] [--from DIR] [--folder DIR]

Each suite is cloned at a fixed commit, gets an environment of its own, and runs three times: plain,
with `--energy --energy-benchmarks`, and plain. `--from` takes the clones of its repositories
from a folder, for machines without internet. `--folder` keeps checkouts, environments and finished
runs, and the next call continues from them. Without `--only` the table is written to
docs/evidence/suites.md. Takes half an hour; run nothing else.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.markdown import publish, table
from benchmarks.suites.catalogue import CATALOGUE, Suite
from benchmarks.suites.figures import Run, differences, ratios
from benchmarks.suites.runs import ENERGY, command, prepare, run

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "suites.md"
WRITER = "python -m benchmarks.suites"
HEAD = (
    "suite",
    "tests",
    "measured",
    "outcomes, other figures",
    "time beside plain",
    "its medians",
    "its minima",
    "counted work",
    "added to the product for it",
)


class Tried(NamedTuple):
    """The runs of one suite: plain, with this plugin, plain."""

    suite: Suite
    before: Run
    measured: Run
    after: Run

    @property
    def slower(self) -> float:
        """The time of its run with this plugin, over that of its plain runs."""
        return 2 * self.measured.seconds / (self.before.seconds + self.after.seconds)

    @property
    def differences(self) -> list[str]:
        """What differs with this plugin, besides times."""
        return differences(self.measured, self.before)


def try_out(suite: Suite, folder: Path, clones: Path | None) -> Tried:
    """Run a suite three times, so that what drifts meets both sides, unless that was done."""
    done = folder / "runs.json"
    if not done.exists():
        prepare(suite, folder, clones)
        runs = [run(suite, folder, energy) for energy in (False, True, False)]
        done.write_bytes(msgspec.json.encode(runs))
    return Tried(suite, *msgspec.json.decode(done.read_bytes(), type=list[Run]))


def row(tried: Tried) -> list[str]:
    """Return the row of a suite."""
    outcomes = Counter(tried.before.outcomes.values())
    ours = tried.measured.ours
    assert ours is not None
    return [
        f"{tried.suite.name}: {tried.suite.style}",
        ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items())),
        str(ours.measured) + (f" ({ours.not_measured} not)" if ours.not_measured else ""),
        f"{len(tried.differences)} differ" if tried.differences else "equal",
        f"{tried.slower:.1f} x ({tried.before.seconds:.0f} s plain)",
        *(
            f"{ratios(tried.measured, [tried.before, tried.after], of).text}; "
            f"plain {ratios(tried.after, [tried.before], of).text}"
            for of in ("medians_s", "minima_s")
        ),
        "; ".join(f"{said} ({number})" for said, number in ours.work.items()),
        tried.suite.added,
    ]


def page(tries: Sequence[Tried]) -> Iterator[str]:
    """Yield the lines of the generated part of the page."""
    yield (
        f"{os.cpu_count()} CPUs, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}. "
        "Of the times that a suite reports: those with this plugin over those without, and one "
        "plain run over the other; the median of all tests, the least and the greatest."
    )
    yield ""
    yield from table(HEAD, [row(tried) for tried in tries])
    yield ""
    yield "```sh"
    for tried in tries:
        yield f"# {tried.suite.url} at {tried.suite.commit[:7]}"
        yield shlex.join(command(tried.suite, *ENERGY))
    yield "```"


def main() -> None:
    """Print the table and write it to the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="+", choices=CATALOGUE, default=list(CATALOGUE))
    parser.add_argument("--from", dest="clones", type=Path)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    tries = []
    with tempfile.TemporaryDirectory() as temporary:
        for name in given.only:
            folder = (given.folder or Path(temporary)).resolve() / name
            tries.append(try_out(CATALOGUE[name], folder, given.clones))
            print(" | ".join(row(tries[-1])), flush=True)
            print(*tries[-1].differences, sep="\n", flush=True)
    publish(list(page(tries)), PAGE, WRITER, whole=given.only == list(CATALOGUE))


if __name__ == "__main__":
    main()
