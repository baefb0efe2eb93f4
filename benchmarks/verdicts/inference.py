"""Verdicts on a real inference test on this machine, unchanged and changed.

    python -m benchmarks.verdicts.inference [unchanged] [grown] [folder]

Saves sessions of a torch inference test, each in a fresh pytest process. Then runs it in random
order: unchanged, unchanged next to processes that become busy at a random time (half of those
runs), and with a tenth more layers. Counts the verdicts; with the default of 200 and 100 runs it
also writes them to docs/evidence/verdict.md. Run nothing else meanwhile: it takes most of an hour.
With a folder, it keeps finished runs there and continues from them.
"""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.markdown import publish, table
from benchmarks.verdicts.tries import Try, run

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "verdict.md"
WRITER = "python -m benchmarks.verdicts.inference"
#: Sessions to save: a baseline keeps ten, and restarts when one differs too much.
SESSIONS = 20
UNCHANGED, GROWN = 200, 100
GROWTH = 1.1
SEED = 20
#: Number of busy processes, and their latest start after the test in seconds.
NEIGHBOURS, LATEST_S = 2, 5.0
FILES = {
    "pytest.ini": "",
    "test_inference.py": """
import os

import pytest
import torch

torch.manual_seed(0)
torch.set_num_threads(1)
LAYERS = round(10 * float(os.environ["GROWTH"]))
layer = torch.nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True)
model = torch.nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False).eval()
tokens = torch.randn(4, 64, 128)


@pytest.mark.energy_budget(max_increase="5%")
def test_inference(energy):
    with torch.inference_mode():
        assert energy(model, tokens).shape == tokens.shape
""",
}
CASES = {
    "unchanged": (1.0, False),
    "unchanged, busy neighbour": (1.0, True),
    "a tenth more layers": (GROWTH, False),
}
#: File of finished runs in the project's folder, one line each.
DONE = "done.jsonl"
OUTCOMES = ("passed", "inconclusive", "regressed", "improved")


@contextmanager
def neighbour() -> Iterator[None]:
    """Keep CPUs busy from a random moment on, until the block ends."""
    wait_s = random.uniform(0, LATEST_S)
    code = f"import time; time.sleep({wait_s})\nwhile True: pass"
    busy = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(NEIGHBOURS)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def attempt(folder: Path, case: str) -> Try:
    """Run the test once with `--energy`, as in CI."""
    growth, busy = CASES[case]
    if busy:
        with neighbour():
            return run(folder, growth, "--energy")
    return run(folder, growth, "--energy")


def prepared(folder: Path) -> Path:
    """Create a project with saved sessions, unless the folder has one."""
    if not (folder / DONE).exists():
        for file, text in FILES.items():
            (folder / file).write_text(text)
        for _ in range(SESSIONS):
            run(folder, 1.0, "--energy-save")
        (folder / DONE).touch()
    return folder


def try_out(cases: list[str], folder: Path) -> dict[str, list[Try]]:
    """Save the sessions, then run the remaining cases in order."""
    log = prepared(folder) / DONE
    for case in cases[len(log.read_text().splitlines()) :]:
        one = attempt(folder, case)
        with log.open("a") as file:
            file.write(json.dumps([case, *one]) + "\n")
        print(f"{time.strftime('%H:%M:%S')} {case}: {one}", flush=True)
    found: dict[str, list[Try]] = {case: [] for case in CASES}
    for line in log.read_text().splitlines():
        case, *one = json.loads(line)
        found[case].append(Try(*one))
    return found


def rows(found: dict[str, list[Try]]) -> Iterator[list[str]]:
    """Yield a row for each case with runs."""
    for case, tries in found.items():
        if not tries:
            continue
        counts = Counter(one.outcome for one in tries)
        changes = sorted(one.change for one in tries if one.change is not None)
        seen = f"{changes[0]:+.1%} … {changes[-1]:+.1%}" if changes else ""
        middle = f"{changes[len(changes) // 2]:+.1%}" if changes else ""
        others = sum(count for outcome, count in counts.items() if outcome not in OUTCOMES)
        shown = [str(counts[outcome]) for outcome in OUTCOMES]
        yield [case, str(len(tries)), *shown, str(others), middle, seen]


def main() -> None:
    """Print the counts and write them to the page."""
    given = [int(n) for n in sys.argv[1:3]]
    folder = Path(sys.argv[3] if len(sys.argv) > 3 else tempfile.mkdtemp())
    unchanged, grown = *given, *(UNCHANGED, GROWN)[len(given) :]
    quiet, crowded, more = CASES
    cases = [quiet] * (unchanged - unchanged // 2) + [crowded] * (unchanged // 2) + [more] * grown
    random.seed(SEED)
    random.shuffle(cases)
    found = try_out(cases, folder)
    head = ["work", "runs", *OUTCOMES, "other", "change (median)", "from … to"]
    lines = [
        f"{SESSIONS} saved sessions, then the runs in random order; the joules are estimated, a "
        f"regression fails; {os.cpu_count()} CPUs, a virtual machine, Python "
        f"{platform.python_version()}.",
        "",
        *table(head, list(rows(found))),
    ]
    publish(lines, PAGE, WRITER, whole=(unchanged, grown) == (UNCHANGED, GROWN))


if __name__ == "__main__":
    main()
