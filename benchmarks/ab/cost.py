"""What a comparison with a git ref costs beyond its windows.

    python -m benchmarks.ab.cost

Compares a small project with itself: calls of a few milliseconds and of 100 ms, in plain Python and
with torch and transformers imported. The table shows how long the processes of both sides take to
start and collect, once for a run, then for each test the time in windows, its warm-up among them,
and the rest: forks, fixtures, messages, the judge. Run nothing else meanwhile: it takes a minute.
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
from pytest_greenops.ab.redirect import Redirect
from pytest_greenops.ab.ref_comparison import RefComparison
from pytest_greenops.ab.side import Side, SideRequest
from pytest_greenops.ab.work import Limits
from pytest_greenops.measure.commanded import Order, Slice
from pytest_greenops.run.against_ref import Compared
from pytest_greenops.run.process import Invocation

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "ab.md"
WRITER = "python -m benchmarks.ab.cost"
TESTS = 5
IMPORTS = {"plain Python": "", "torch and transformers": "import torch\nimport transformers\n"}
CALLS = {"5 ms": 0.005, "100 ms": 0.1}
NAMES = {"call": Compared("call", "call", "total", 0.05)}


class TimedSide(Side):
    """A side that adds up how long it works in windows."""

    worked_s = 0.0

    def work(self, order: Order, limit_s: float) -> Slice:
        """Work in one window."""
        begun_s = time.monotonic()
        try:
            return super().work(order, limit_s)
        finally:
            self.worked_s += time.monotonic() - begun_s


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
            worked, rest, pairs = [], [], []
            for _ in range(TESTS):
                before_s, begun_s = sum(each.worked_s for each in sides), time.monotonic()
                limits = Limits.from_now(60.0, 60.0)
                compared = RefComparison(
                    sides,
                    ("main", ""),
                    "test_work.py::test_work",
                    NAMES,
                    limits,
                    load=machine.LoadProbe,
                )
                pairs.append(compared.run()["call"].pairs)
                total_s = time.monotonic() - begun_s
                worked.append(sum(each.worked_s for each in sides) - before_s)
                rest.append(total_s - worked[-1])
        finally:
            for each in sides:
                each.abandon()
    figures = (
        ready_s,
        statistics.mean(worked),
        statistics.mean(rest),
        statistics.mean(worked + rest) * 2,
    )
    shown = [f"{seconds:.2f} s" for seconds in figures]
    return [imports, call, f"{statistics.mean(pairs):.1f}", *shown]


def main() -> None:
    """Print the table and write it to the page."""
    rows = [row(imports, call) for imports in IMPORTS for call in CALLS]
    head = [
        "imports",
        "a call",
        "pairs",
        "start of both, once",
        "windows of a test",
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
