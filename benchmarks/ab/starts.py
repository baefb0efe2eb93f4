"""Measure what is left between two sides of the same code: pairs, starts, and processes.

    python -m benchmarks.ab.starts [processes]

Compares a small project with itself by the machinery of `--energy-ab`: for each work and setting
several pairs of processes, three starts of each, two pairs of windows at each start. The table
shows how much pairs of one start differ, how much starts of the same processes differ beyond that,
and how much processes differ beyond their starts, as standard deviations, and the furthest start.
The settings leave out one by one what `--energy-ab` does to both sides. With the default of 6
processes it also writes the table to docs/evidence/ab.md. It needs torch and a quiet machine, or a
CPU of its own (`taskset`), and takes ten minutes. `benchmarks.verdicts.starts` compares whole
processes with other settings of the allocator.
"""

from __future__ import annotations

import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.markdown import publish, table
from pytest_greenops import machine
from pytest_greenops.ab.interleaving import Interleaving
from pytest_greenops.ab.redirect import Redirect
from pytest_greenops.ab.side import Side, SideRequest
from pytest_greenops.ab.work import Limits
from pytest_greenops.run.against_ref import Compared
from pytest_greenops.run.process import Invocation

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "ab.md"
WRITER = "python -m benchmarks.ab.starts"
PROCESSES, STARTS, PAIRS = 6, 3, 2
_TORCH = """
import torch

torch.manual_seed(0)


"""
WORKS = {
    "plain Python loop": """
def test_work(energy):
    energy(lambda: sum(i * i for i in range(20_000)))
""",
    "json.loads": """
import json

text = json.dumps([{"id": i, "name": f"item {i}", "values": [i] * 8} for i in range(2_000)])


def test_work(energy):
    energy(json.loads, text)
""",
    "dictionaries and texts": """
def count(words):
    found = {}
    for word in words:
        found[word] = found.get(word, 0) + len(word.upper())
    return sorted(found, key=found.get)


def test_work(energy):
    energy(count, [f"word {i % 997}" for i in range(20_000)])
""",
    "training step, 20 x Linear(512, 512)": f"""{_TORCH}def test_work(energy):
    model = torch.nn.Sequential(*(torch.nn.Linear(512, 512) for _ in range(20)))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    batch = torch.randn(64, 512)

    def step():
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()

    energy(step)
""",
    "torch encoder, 6 layers": f"""{_TORCH}def test_work(energy):
    layer = torch.nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True)
    model = torch.nn.TransformerEncoder(layer, 6, enable_nested_tensor=False).eval()
    tokens = torch.randn(4, 64, 128)
    with torch.inference_mode():
        energy(model, tokens)
""",
}


class Setting(NamedTuple):
    """What both sides leave out: variables of their environment, and arguments of pytest."""

    environ: Mapping[str, str]
    args: Sequence[str] = ()


SETTINGS = {
    "as A/B does it": Setting({}),
    "freed memory not kept": Setting({}, ("-o", "energy_stable_memory=off")),
    "each side hashes strings in its own way": Setting({"PYTHONHASHSEED": "random"}),
    "huge pages (glibc.malloc.hugetlb=1)": Setting({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}),
}
NAMES = {"call": Compared("call", "call", "total", 0.05)}


class TwoPairs(Interleaving):
    """Starts that all have the same number of pairs."""

    def _pairs_of_a_start(self) -> int:
        return PAIRS


def always() -> dict[str, int]:
    """Return that further pairs are wanted."""
    return {"call": PAIRS}


def side(name: str, tree: Path, setting: Setting) -> Side:
    """Return a side whose tree is the project itself."""
    request = SideRequest(
        Invocation(["--energy", *setting.args], str(tree), list(sys.path)),
        os.getpid(),
        ["test_work.py"],
        {},
        tempfile.mkdtemp(dir=tree),
        Redirect(str(tree), str(tree)),
        (),
    )
    return Side(name, request, {**os.environ, "OMP_NUM_THREADS": "1", **setting.environ})


def measured(work: str, setting: Setting, processes: int) -> list[list[list[float]]]:
    """Return for each pair of processes its starts, and for each start its pairs."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder).resolve()
        (tree / "pytest.ini").write_text("[pytest]\n")
        (tree / "test_work.py").write_text(WORKS[work])
        sides = side("here", tree, setting), side("main", tree, setting)
        limits, load = Limits.from_now(math.inf, 120.0), machine.LoadProbe()
        starts = TwoPairs(sides, "test_work.py::test_work", NAMES, load, limits)
        try:
            for number in range(processes * STARTS):
                starts.start(always, afresh=number > 0 and number % STARTS == 0)
        finally:
            for each in sides:
                each.abandon()
        (pairs,) = starts.pairs
        return [[[pair.ratio for pair in start] for start in each] for each in pairs.known]


def spreads(found: Sequence[Sequence[Sequence[float]]]) -> Iterator[float]:
    """Yield the standard deviation of pairs, of starts and of processes, and the furthest start.

    A nested analysis of variance: what a level varies by beyond the one below is its own.
    """
    starts = [start for process in found for start in process]
    pair_var = statistics.mean(statistics.variance(start) for start in starts if len(start) > 1)
    per_start = statistics.mean(len(start) for start in starts)
    levels = [[statistics.mean(start) for start in process] for process in found]
    of_starts = statistics.mean(statistics.variance(process) for process in levels)
    per_process = statistics.mean(map(len, levels))
    of_processes = statistics.variance([statistics.mean(process) for process in levels])
    yield math.sqrt(pair_var)
    yield math.sqrt(max(0.0, of_starts - pair_var / per_start))
    yield math.sqrt(max(0.0, of_processes - of_starts / per_process))
    yield max(abs(level) for process in levels for level in process)


def main() -> None:
    """Print the table and write it to the page."""
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else PROCESSES
    rows = []
    for work in WORKS:
        for name, setting in SETTINGS.items():
            found = spreads(measured(work, setting, processes))
            rows.append([work, name, *(f"{math.expm1(each):.1%}" for each in found)])
            print(rows[-1], file=sys.stderr, flush=True)
    lines = [
        f"{processes} pairs of processes, {STARTS} starts of each, {PAIRS} pairs at a start; "
        f"{os.cpu_count()} CPUs, {time.strftime('%Y-%m-%d')}.",
        "",
        *table(["work", "setting", "pairs", "starts", "processes", "furthest start"], rows),
    ]
    publish(lines, PAGE, WRITER, whole=processes == PROCESSES)


if __name__ == "__main__":
    main()
