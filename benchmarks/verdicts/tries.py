"""Count how often the plugin detects 20 % more work, and passes unchanged work.

    python -m benchmarks.verdicts.tries [tries]

Saves five sessions of a small project, each in a fresh pytest process. Then runs it in turns,
unchanged and grown, and counts the verdicts: first with a sensor of known joules (1 % noise between
sessions, 3 % between rounds), then with this machine's sensors.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

SESSIONS = 5
GROWN = 1.2
KNOWN = {
    "conftest.py": """
import random
import pytest
from pytest_greenops.testing import FakeSensor

SENSOR = FakeSensor(noise=0.03, seed=random.SystemRandom().getrandbits(32))
SESSION = random.SystemRandom().gauss(1.0, 0.01)


def pytest_energy_sensors(config):
    return [SENSOR]


@pytest.fixture
def work():
    return lambda growth: SENSOR.spend(2.0 * SESSION * growth)
""",
    "test_work.py": """
import os
import pytest


@pytest.mark.energy_budget(max_increase="5%")
def test_work(energy, work):
    energy(work, float(os.environ["GROWTH"]))
""",
}
REAL = {
    "test_work.py": """
import os
import pytest

STEPS = int(100_000 * float(os.environ["GROWTH"]))


@pytest.mark.energy_budget(max_increase="5%")
def test_work(energy):
    assert energy(lambda: sum(i * i for i in range(STEPS))) > 0
"""
}


class Try(NamedTuple):
    """The verdict of one run, pytest's exit status, and the measured change."""

    outcome: str
    exit_status: int
    change: float | None


def run(folder: Path, growth: float, *options: str) -> Try:
    """Run the project once."""
    results = folder / "results.json"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += [*options, "--energy-estimates", "fail", "--energy-json", str(results)]
    environ = {**os.environ, "GROWTH": str(growth)}
    process = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)
    if not results.exists():
        raise SystemExit(process.stdout + process.stderr)
    document = json.loads(results.read_text())
    results.unlink()
    (result,) = document["results"]
    change = result["verdict"].get("change") or {}
    return Try(result["verdict"]["outcome"], process.returncode, change.get("relative"))


def try_out(files: dict[str, str], tries: int) -> None:
    """Save the sessions, run the tries, and print the verdicts."""
    seen: dict[float, list[Try]] = {1.0: [], GROWN: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in {**files, "pytest.ini": ""}.items():
            (folder / file).write_text(text)
        saved = [run(folder, 1.0, "--energy-save").outcome for _ in range(SESSIONS)]
        print("  saved sessions:", ", ".join(saved))
        for _ in range(tries):
            for growth, found in seen.items():
                found.append(run(folder, growth, "--energy"))
    for growth, found in seen.items():
        counts = Counter((one.outcome, one.exit_status) for one in found)
        said = ", ".join(f"{n} {outcome} (exit {code})" for (outcome, code), n in counts.items())
        print(f"  work x {growth:g}: {tries} tries: {said}")
        changes = [one.change for one in found if one.change is not None]
        if changes:
            print(f"    measured change: {min(changes):+.1%} to {max(changes):+.1%}")


def main() -> None:
    """Print the counts of both projects."""
    tries = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    for title, files in (("known joules", KNOWN), ("this machine", REAL)):
        print(title)
        try_out(files, tries)


if __name__ == "__main__":
    main()
