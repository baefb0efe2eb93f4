"""Verdicts on five small projects on this machine, unchanged and with a fifth more work.

    python -m benchmarks.verdicts.projects [runs] [folder]

The projects: a torch encoder of 20 layers, a training step of 20 linear layers, the fit of a random
forest, JSON parsing, a plain Python loop. Saves three sessions of each, one right after the other,
as a newcomer does. Then runs each in turns, unchanged and grown, and counts the verdicts; with the
default of ten runs each it also writes them to docs/evidence/verdict.md. Run nothing else
meanwhile: it takes a quarter of an hour. With a folder, it keeps finished runs there and continues
from them.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.markdown import publish, table
from benchmarks.verdicts.tries import Try, run

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "verdict.md"
WRITER = "python -m benchmarks.verdicts.projects"
SESSIONS = 3
RUNS = 10
GROWN = 1.2
OUTCOMES = ("passed", "improved", "inconclusive", "regressed")
_HEAD = """
import os
import pytest

GROWTH = float(os.environ["GROWTH"])
"""
_TORCH = f"""{_HEAD}
import torch

torch.manual_seed(0)
torch.set_num_threads(1)
"""
PROJECTS = {
    "torch encoder, 20 layers": f"""{_TORCH}
layer = torch.nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True)
model = torch.nn.TransformerEncoder(layer, round(20 * GROWTH), enable_nested_tensor=False).eval()
tokens = torch.randn(4, 64, 128)


@pytest.mark.energy_budget(max_increase="5%")
def test_encoder(energy):
    with torch.inference_mode():
        energy(model, tokens)
""",
    "training step, 20 x Linear(512, 512)": f"""{_TORCH}
model = torch.nn.Sequential(*(torch.nn.Linear(512, 512) for _ in range(round(20 * GROWTH))))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
batch = torch.randn(64, 512)


def step():
    optimizer.zero_grad()
    model(batch).square().mean().backward()
    optimizer.step()


@pytest.mark.energy_budget(max_increase="5%")
def test_step(energy):
    energy(step)
""",
    "random forest, 20 trees": f"""{_HEAD}
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier

x, y = make_classification(2000, 20, random_state=0)


@pytest.mark.energy_budget(max_increase="5%")
def test_fit(energy):
    energy(RandomForestClassifier(round(20 * GROWTH), random_state=0).fit, x, y)
""",
    "JSON parsing": f"""{_HEAD}
import json

numbers = range(round(2000 * GROWTH))
records = [dict(id=i, name=f"name {{i}}", values=[i * 0.5] * 10) for i in numbers]
text = json.dumps(records)


@pytest.mark.energy_budget(max_increase="5%")
def test_parse(energy):
    energy(json.loads, text)
""",
    "plain Python loop": f"""{_HEAD}


def loop():
    total = 0
    for i in range(round(100_000 * GROWTH)):
        total += i * i % 7
    return total


@pytest.mark.energy_budget(max_increase="5%")
def test_loop(energy):
    energy(loop)
""",
}


def prepared(parent: Path, project: str) -> Path:
    """Create a project with saved sessions, unless the folder has one."""
    folder = parent / project.split(",")[0].replace(" ", "_")
    if not (folder / "done.jsonl").exists():
        folder.mkdir(parents=True)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "test_project.py").write_text(PROJECTS[project])
        for _ in range(SESSIONS):
            run(folder, 1.0, "--energy-save")
        (folder / "done.jsonl").touch()
    return folder


def try_out(folder: Path, runs: int) -> dict[float, list[Try]]:
    """Run a project in turns, unchanged and grown, until each has `runs` runs."""
    log = folder / "done.jsonl"
    for number in range(len(log.read_text().splitlines()), 2 * runs):
        growth = (1.0, GROWN)[number % 2]
        one = run(folder, growth, "--energy")
        with log.open("a") as file:
            file.write(json.dumps([growth, *one]) + "\n")
        print(f"{time.strftime('%H:%M:%S')} {folder.name} x {growth:g}: {one}", flush=True)
    found: dict[float, list[Try]] = {1.0: [], GROWN: []}
    for line in log.read_text().splitlines():
        growth, *one = json.loads(line)
        found[growth].append(Try(*one))
    return found


def rows(project: str, found: dict[float, list[Try]]) -> Iterator[list[str]]:
    """Yield a row for the unchanged runs of a project, and one for the grown ones."""
    for growth, tries in found.items():
        counts = Counter(one.outcome for one in tries)
        changes = sorted(one.change for one in tries if one.change is not None)
        seen = f"{changes[0]:+.1%} … {changes[-1]:+.1%}" if changes else ""
        shown = [str(counts[outcome]) for outcome in OUTCOMES]
        yield [project, f"x {growth:g}", str(len(tries)), *shown, seen]


def main() -> None:
    """Print the counts and write them to the page."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    parent = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp())
    folders = {project: prepared(parent, project) for project in PROJECTS}
    found = [row for name, folder in folders.items() for row in rows(name, try_out(folder, runs))]
    lines = [
        f"{SESSIONS} sessions saved within a minute or two; the joules are estimated, a regression "
        f"fails; {os.cpu_count()} CPUs, a virtual machine, Python {platform.python_version()}.",
        "",
        *table(["project", "work", "runs", *OUTCOMES, "change, from … to"], found),
    ]
    publish(lines, PAGE, WRITER, whole=runs == RUNS)


if __name__ == "__main__":
    main()
