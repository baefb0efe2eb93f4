"""How often `--energy-ab` is right on this machine, for unchanged code and for more work.

    python -m benchmarks.ab.machine [case ...] [--folder FOLDER] [--share 0.1]

Cases: `estimate` (a torch encoder and a parser in plain Python, joules estimated), `rapl` (the same
on a simulated machine with RAPL counters; needs root), `neighbours` (the same beside two processes
that start and stop at random), `training` (a training step). Each case makes git repositories whose
last commit is the ref, changes the amount of work in the working tree, and runs pytest as a user
does. A run of pytest compares several copies of one test. Each case takes half an hour to an hour,
and writes its table to docs/evidence/ab.md; with no case all run. With a folder, finished
comparisons are kept there, and the next call continues from them. Run nothing else meanwhile; cases
without counters may run side by side, each on a CPU of its own (`taskset`).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.markdown import publish, table
from benchmarks.verdicts.projects import PROJECTS
from tests.simulated_host.host import Host, Socket
from tests.simulated_host.live_counters import LiveZone
from tests.simulated_host.power import PowerOverTime

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "ab.md"
WRITER = "python -m benchmarks.ab.machine"
OUTCOMES = ("passed", "improved", "inconclusive", "regressed", "not comparable")
#: Copies of a test in one run of pytest, which imports torch once a side.
COPIES = 10
BOTH = ("torch encoder, 20 layers", "JSON parsing")
#: What differs from the projects of stored baselines: where the growth comes from, and less work in
#: a call of the encoder.
CHANGED = {
    'GROWTH = float(os.environ["GROWTH"])': "from growth import GROWTH",
    "torch.randn(4, 64, 128)": "torch.randn(1, 32, 128)",
}
#: Seconds that a neighbour is busy, and idle, on average.
BUSY_S, IDLE_S = 1.0, 1.0
#: Watts of the simulated machine, which change every 1 to 20 ms.
PACKAGE_W, DRAM_W, PIECE_S, SCRIPT_S = (48.0, 52.0), (7.8, 8.2), (0.001, 0.02), 900.0


class Case(NamedTuple):
    """One row of the table for each growth: its projects and how many comparisons it has.

    growths  the work of the candidate over that of the ref, with the number of comparisons
    """

    title: str
    projects: Sequence[str]
    growths: dict[float, int]
    neighbours: int = 0
    rapl: bool = False


CASES = {
    "estimate": Case("estimated joules", BOTH, {1.0: 100, 1.1: 50, 1.05: 50}),
    "rapl": Case("simulated RAPL counters", BOTH, {1.0: 100, 1.1: 50, 1.05: 50}, rapl=True),
    "neighbours": Case("two busy neighbours", BOTH, {1.0: 50, 1.2: 50}, neighbours=2),
    "training": Case(
        "estimated joules", ["training step, 20 x Linear(512, 512)"], {1.0: 50, 1.1: 50}
    ),
}


class Try(NamedTuple):
    """What one comparison found, and how long it took: a share of its run of pytest."""

    outcome: str
    change: float | None
    pairs: int
    starts: int
    seconds: float


def prepared(parent: Path, project: str) -> Path:
    """Make a git repository with a project, unless it is there."""
    folder = parent / project.split(",")[0].replace(" ", "_")
    if folder.exists():
        return folder
    folder.mkdir(parents=True)
    text = PROJECTS[project]
    for there, here in CHANGED.items():
        text = text.replace(there, here)
    copies = f"""

def pytest_generate_tests(metafunc):
    metafunc.fixturenames.append("copy")
    metafunc.parametrize("copy", range({COPIES}))
"""
    files = {
        "test_project.py": text + copies,
        "growth.py": "GROWTH = 1.0\n",
        "pytest.ini": "[pytest]\n",
        ".gitignore": "__pycache__\nresults.json\n",
    }
    for name, content in files.items():
        (folder / name).write_text(content)
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "The ref"]):
        who = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
        subprocess.run(["git", *who, *command], cwd=folder, check=True)
    return folder


def compare(folder: str, growth: float) -> list[Try]:
    """Run pytest once in a repository whose working tree does more work than its commit."""
    Path(folder, "growth.py").write_text(f"GROWTH = {growth}\n")
    results = Path(folder, "results.json")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--energy"]
    command += ["--energy-ab", "main", "--energy-estimates", "fail", "--energy-json", str(results)]
    begun_s = time.monotonic()
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    seconds = time.monotonic() - begun_s
    if not results.exists():
        raise SystemExit(process.stdout + process.stderr)
    document = json.loads(results.read_text())
    results.unlink()
    tries = []
    for result in document["results"]:
        found = result["verdict"].get("interleaved") or {}
        outcome = result["verdict"]["outcome"]
        figures = found.get("relative"), found.get("pairs", 0), found.get("starts", 0)
        tries.append(Try(outcome, *figures, seconds / COPIES))
    return tries


def host() -> Host:
    """Return a machine with one socket of nearly steady power."""
    chance = random.Random(13)

    def zone(watts: tuple[float, float]) -> LiveZone:
        pieces, at_s = [], 0.0
        while at_s < SCRIPT_S:
            pieces.append((at_s, chance.uniform(*watts)))
            at_s += chance.uniform(*PIECE_S)
        power: PowerOverTime = tuple(pieces)
        return LiveZone(power)

    return Host(sockets=(Socket(zone(PACKAGE_W), zone(DRAM_W)),))


def on_host(folder: str, growth: float) -> list[Try]:
    """Compare on a simulated machine with RAPL counters."""
    with tempfile.TemporaryDirectory() as built:
        found = host().run(compare, folder, growth, folder=Path(built))
        return [Try(*one) for one in found]


@contextmanager
def neighbours(number: int) -> Iterator[None]:
    """Let processes compute inside, each for random times with random rests."""
    program = f"""
import random, time
while True:
    until = time.monotonic() + random.expovariate(1 / {BUSY_S})
    while time.monotonic() < until:
        sorted(random.random() for _ in range(2000))
    time.sleep(random.expovariate(1 / {IDLE_S}))
"""
    running = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(number)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def try_out(parent: Path, case: Case, share: float) -> dict[float, list[Try]]:
    """Compare until each growth has its number; growths and projects take turns."""
    parent.mkdir(parents=True, exist_ok=True)
    folders = [prepared(parent, project) for project in case.projects]
    log = parent / "done.jsonl"
    log.touch()
    found: dict[float, list[Try]] = {growth: [] for growth in case.growths}
    for line in log.read_text().splitlines():
        growth, *one = json.loads(line)
        found[growth].append(Try(*one))
    wanted = {growth: math.ceil(number * share) for growth, number in case.growths.items()}
    run = on_host if case.rapl else compare
    with neighbours(case.neighbours):
        while any(len(found[growth]) < number for growth, number in wanted.items()):
            for growth in (each for each in found if len(found[each]) < wanted[each]):
                for folder in folders:
                    tries = run(str(folder), growth)
                    found[growth] += tries
                    with log.open("a") as file:
                        file.writelines(json.dumps([growth, *one]) + "\n" for one in tries)
                    shown = ", ".join(f"{one.outcome} {one.change or 0:+.1%}" for one in tries)
                    print(f"{time.strftime('%T')} {folder.name} x {growth:g}: {shown}", flush=True)
    return found


def rows(case: Case, found: dict[float, list[Try]]) -> Iterator[list[str]]:
    """Yield a row for each growth."""
    for growth, tries in found.items():
        counts = Counter(one.outcome for one in tries)
        changes = sorted(one.change for one in tries if one.change is not None)
        seen = f"{changes[0]:+.1%} … {changes[-1]:+.1%}" if changes else ""
        yield [
            f"{', '.join(case.projects)}: {case.title}",
            f"x {growth:g}",
            str(len(tries)),
            *(str(counts[outcome]) for outcome in OUTCOMES),
            seen,
            f"{statistics.mean(one.pairs for one in tries):.1f}",
            f"{statistics.mean(one.seconds for one in tries):.1f} s",
        ]


def main() -> None:
    """Print the table of each case and write it to the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="*", metavar="case")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--share", type=float, default=1.0)
    given = parser.parse_args()
    head = ["work", "growth", "runs", *OUTCOMES, "change, from … to", "pairs", "a test"]
    with tempfile.TemporaryDirectory() as temporary:
        for name in given.cases or CASES:
            found = try_out((given.folder or Path(temporary)) / name, CASES[name], given.share)
            lines = [
                f"Margin 5 %, {COPIES} comparisons in a run of pytest; a virtual machine of "
                f"{os.cpu_count()} CPUs, Python {platform.python_version()}, "
                f"{time.strftime('%Y-%m-%d')}.",
                "",
                *table(head, list(rows(CASES[name], found))),
            ]
            publish(lines, PAGE, f"{WRITER} {name}", whole=given.share == 1)


if __name__ == "__main__":
    main()
