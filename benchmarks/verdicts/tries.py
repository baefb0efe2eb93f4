"""How often the plugin finds work that grew by 20 %, and leaves unchanged work alone: for real.

    python -m benchmarks.verdicts.tries [tries]

Saves five sessions of a small project, each in a fresh process, then runs it unchanged and grown
in turns, and counts the verdicts. Nothing is simulated: the joules are those of this machine, or
its estimate of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

SESSIONS = 5
GROWN = 1.2
PROJECT = '''
import os
import pytest

STEPS = int(100_000 * float(os.environ["GROWTH"]))


@pytest.mark.energy_budget(max_increase="5%")
def test_work(energy):
    """A fixed number of steps."""
    assert energy(lambda: sum(i * i for i in range(STEPS))) > 0
'''


def run(folder: Path, growth: float, *options: str) -> tuple[str, int]:
    """Run the project once; its verdict and pytest's exit status."""
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
    return result["verdict"]["outcome"], process.returncode


def main() -> None:
    """Print the counts."""
    tries = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    verdicts: dict[float, Counter[tuple[str, int]]] = {1.0: Counter(), GROWN: Counter()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_work.py").write_text(PROJECT)
        (folder / "pytest.ini").touch()
        for _ in range(SESSIONS):
            run(folder, 1.0, "--energy-save")
        for _ in range(tries):
            for growth, counts in verdicts.items():
                counts[run(folder, growth, "--energy")] += 1
    for growth, counts in verdicts.items():
        said = ", ".join(f"{n} {outcome} (exit {code})" for (outcome, code), n in counts.items())
        print(f"work x {growth:g}: {tries} tries: {said}")


if __name__ == "__main__":
    main()
