"""What a comparison with a git ref costs beyond its windows.

    python -m benchmarks.ab.cost

Compares a small project with itself: calls of a few milliseconds and of 100 ms, in plain Python and
with torch and transformers imported. The table shows how long the processes of both sides take to
start and collect, once for a run. Then for each test: the time in windows, its warm-up among them;
the starts of the test, which are forks with their fixtures; and the rest, which is the judge, the
load of the machine, and messages. Run nothing else meanwhile: it takes a minute.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
import timeit
from pathlib import Path

from benchmarks.markdown import publish, table
from pytest_greenops import machine
from pytest_greenops.ab.messages import Ended
from pytest_greenops.ab.redirect import Redirect
from pytest_greenops.ab.ref_comparison import RefComparison
from pytest_greenops.ab.side import Side, SideRequest
from pytest_greenops.ab.work import Limits
from pytest_greenops.measure.commanded import Loop, Order, Slice
from pytest_greenops.run.against_ref import Compared
from pytest_greenops.run.process import Invocation

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "ab.md"
WRITER = "python -m benchmarks.ab.cost"
TESTS = 5
IMPORTS = {"plain Python": "", "torch and transformers": "import torch\nimport transformers\n"}
CALLS = {"5 ms": 0.005, "100 ms": 0.1}
NAMES = {"call": Compared("call", "call", "total", 0.05)}


class TimedSide(Side):
    """A side that adds up how long it works in windows, and how long its starts and ends take.

    starts  how often the test was started
    """

    worked_s = started_s = 0.0
    starts = 0

    def work(self, order: Order, limit_s: float) -> Slice:
        """Work in one window."""
        begun_s = time.monotonic()
        try:
            return super().work(order, limit_s)
        finally:
            self.worked_s += time.monotonic() - begun_s

    def start(self, node: str, limit_s: float, count: bool = False) -> None:
        """Start the test."""
        self.starts += 1
        begun_s = time.monotonic()
        super().start(node, limit_s, count)
        self.started_s += time.monotonic() - begun_s

    def event(self, limit_s: float) -> Loop | Ended:
        """Wait until the test reaches its loop, or has ended."""
        begun_s = time.monotonic()
        try:
            return super().event(limit_s)
        finally:
            self.started_s += time.monotonic() - begun_s


def side(name: str, tree: Path) -> TimedSide:
    """Return a side whose tree is the project itself."""
    request = SideRequest(
        Invocation(["-p", "no:cacheprovider", "--energy"], str(tree), list(sys.path)),
        os.getpid(),
        ["test_work.py"],
        {},
        tempfile.mkdtemp(dir=tree),
        Redirect(str(tree), str(tree)),
        (),
    )
    return TimedSide(name, request, dict(os.environ))


def steps(seconds: float, tried: int = 2_000_000) -> int:
    """Return how far a sum goes that takes about these seconds here."""
    taken_s = min(timeit.repeat(lambda: sum(range(tried)), number=1, repeat=5))
    return round(tried * seconds / taken_s)


def row(imports: str, call: str) -> list[str]:
    """Compare one test several times, and return a row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder).resolve()
        (tree / "pytest.ini").write_text("[pytest]\n")
        (tree / "test_work.py").write_text(
            f"{IMPORTS[imports]}\n\ndef test_work(energy):\n"
            f"    energy(lambda: sum(range({steps(CALLS[call])})))\n"
        )
        sides = side("here", tree), side("main", tree)
        try:
            begun_s = time.monotonic()
            for each in sides:
                each.warm()
            for each in sides:
                each.ready(60.0)
            ready_s = time.monotonic() - begun_s
            tests = []
            for _ in range(TESTS):
                for each in sides:
                    each.worked_s, each.started_s, each.starts = 0.0, 0.0, 0
                begun_s = time.monotonic()
                limits = Limits.from_now(60.0, 60.0)
                compared = RefComparison(
                    sides,
                    ("main", ""),
                    "test_work.py::test_work",
                    NAMES,
                    limits,
                    load=machine.LoadProbe,
                )
                pairs = compared.run()["call"].pairs
                total_s = time.monotonic() - begun_s
                worked_s = sum(each.worked_s for each in sides)
                started_s = sum(each.started_s for each in sides)
                rest_s = total_s - worked_s - started_s
                tests.append((pairs, sides[0].starts, worked_s, started_s, rest_s, total_s))
        finally:
            for each in sides:
                each.abandon()
    pairs, starts, *seconds = (statistics.mean(column) for column in zip(*tests, strict=True))
    shown = [f"{each:.2f} s" for each in (ready_s, *seconds)]
    return [imports, call, f"{pairs:.1f}", f"{starts:.1f}", *shown]


def main() -> None:
    """Print the table and write it to the page."""
    rows = [row(imports, call) for imports in IMPORTS for call in CALLS]
    head = [
        "imports",
        "a call",
        "pairs",
        "starts",
        "processes, once",
        "windows of a test",
        "its starts",
        "rest",
        "a test",
    ]
    lines = [
        f"Means of {TESTS} comparisons of unchanged code; {os.cpu_count()} CPUs, "
        f"{time.strftime('%Y-%m-%d')}.",
        "",
        *table(head, rows),
    ]
    publish(lines, PAGE, WRITER, whole=True)


if __name__ == "__main__":
    main()
