"""Measure how much the same work differs between two starts of its process, by allocator.

    python -m benchmarks.verdicts.starts [starts] [work ...]

Starts two processes of the same code and lets them work in random turns, in pairs of windows of
0.1 s. Pairs cancel what the machine does meanwhile, but not what a process does to its own heap.
The table shows, for each work and setting of the allocator, the spread of the pairs of one start
and of the medians of several starts, in CPU time of one thread, and the peak memory. With the
default of 6 starts and all works it also writes the table to docs/evidence/verdict.md. It needs
torch and a quiet machine, and takes ten minutes.
"""

from __future__ import annotations

import json
import math
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.markdown import publish, table

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "verdict.md"
WRITER = "python -m benchmarks.verdicts.starts"
STARTS, PAIRS, WINDOW_S, SEED = 6, 12, 0.1, 8
#: How the allocator is set up: by this plugin, or by the environment of the process.
KEPT = "freed memory kept (this plugin)"
SETTINGS: dict[str, dict[str, str]] = {
    "as it is": {},
    KEPT: {},
    "MALLOC_TOP_PAD_=256 MB": {"MALLOC_TOP_PAD_": str(256 << 20)},
    "GLIBC_TUNABLES=…hugetlb=1": {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
}


# --- the process that works ------------------------------------------------------------------


def plain_loop() -> Callable[[], Any]:
    """Return a loop without large blocks of memory."""
    return lambda: sum(i * i for i in range(20_000))


def json_parsing() -> Callable[[], Any]:
    """Return the parsing of a document of 200 kB."""
    text = json.dumps([{"id": i, "name": f"item {i}", "values": [i] * 8} for i in range(2_000)])
    return lambda: json.loads(text)


def training_step() -> Callable[[], Any]:
    """Return a step of 20 linear layers of 512 features, batch 64, by SGD."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    layers = [torch.nn.Linear(512, 512) for _ in range(20)]
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    samples, targets = torch.randn(64, 512), torch.randn(64, 512)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(samples), targets).backward()
        optimizer.step()

    return step


def array_sums() -> Callable[[], Any]:
    """Return sums of arrays of 4 MB, which are freed each time."""
    import numpy as np

    one, two = np.ones(500_000), np.ones(500_000)
    return lambda: float(((one + two) * (one - two)).sum())


WORKS = {
    "plain Python loop": plain_loop,
    "json.loads": json_parsing,
    "NumPy arrays of 4 MB": array_sums,
    "training step, 20 x Linear(512, 512)": training_step,
}


def serve(name: str, setting: str) -> None:
    """Work whenever a line comes in, and answer with the CPU time of one call."""
    if setting == KEPT:
        from pytest_greenops.machine import keep_memory

        keep_memory("on")
    work = WORKS[name]()
    calls = 1
    while (taken_s := _cpu_s(work, calls)) < WINDOW_S:
        calls = math.ceil(calls * min(10.0, 1.1 * WINDOW_S / taken_s))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)
    for _ in sys.stdin:
        print(_cpu_s(work, calls) / calls, flush=True)


def _cpu_s(work: Callable[[], Any], calls: int) -> float:
    begun = time.process_time()
    for _ in range(calls):
        work()
    return time.process_time() - begun


# --- the process that asks -------------------------------------------------------------------


class Start(NamedTuple):
    """One start of two processes: the logarithms of their ratio in each pair, and their memory."""

    pairs: list[float]
    memory_mb: float


def start(name: str, setting: str) -> Start:
    """Start two processes of the same work, and let them work in turns."""
    command = [sys.executable, "-m", "benchmarks.verdicts.starts", "serve", name, setting]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    environ = {**os.environ, **SETTINGS[setting]}
    both: list[Any] = [subprocess.Popen(command, env=environ, **pipes) for _ in range(2)]
    try:
        memory_mb = max(float(process.stdout.readline()) for process in both)
        pairs = []
        for _ in range(PAIRS):
            took_s = {}
            for place in random.sample((0, 1), 2):
                both[place].stdin.write("\n")
                took_s[place] = float(both[place].stdout.readline())
            pairs.append(math.log(took_s[1] / took_s[0]))
        return Start(pairs, memory_mb)
    finally:
        for process in both:
            process.stdin.close()
            process.wait()


def rows(names: list[str], starts: int) -> Iterator[list[str]]:
    """Yield a row for each work and setting; the settings take turns."""
    for name in names:
        found: dict[str, list[Start]] = {setting: [] for setting in SETTINGS}
        for _ in range(starts):
            for setting, seen in found.items():
                seen.append(start(name, setting))
        for setting, seen in found.items():
            within = statistics.median(statistics.stdev(each.pairs) for each in seen)
            medians = [statistics.median(each.pairs) for each in seen]
            between, most = statistics.stdev(medians), max(map(abs, medians))
            memory = f"{max(each.memory_mb for each in seen):.0f} MB"
            spreads = (f"{math.expm1(sd):.1%}" for sd in (within, between, most))
            row = [name, setting, *spreads, memory]
            print(row, file=sys.stderr, flush=True)
            yield row


def main() -> None:
    """Print the table and write it to the page."""
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:4])
        return
    starts = int(sys.argv[1]) if len(sys.argv) > 1 else STARTS
    names = [name for name in WORKS if not sys.argv[2:] or name.split()[0] in sys.argv[2:]]
    random.seed(SEED)
    head = ["work", "allocator", "pairs of a start", "starts", "furthest start", "peak memory"]
    lines = [
        f"{starts} starts, {PAIRS} pairs each, standard deviations; {os.cpu_count()} CPUs, Python "
        f"{platform.python_version()}, {time.strftime('%Y-%m-%d')}.",
        "",
        *table(head, list(rows(names, starts))),
    ]
    publish(lines, PAGE, WRITER, whole=starts == STARTS and len(names) == len(WORKS))


if __name__ == "__main__":
    main()
