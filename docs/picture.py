"""Make the picture of a regression in the README: `python -m docs.picture`.

It is what the second half of `make bench-regression` prints on the machine that draws it: text
generation without a key-value cache, against the baseline that the first half saved.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from docs.terminal_picture import draw

ROOT = Path(__file__).parents[1]
BASELINES = "build/right-way"
#: As the Makefile names it: the picture shows no folder of this machine.
PYTHON = os.path.relpath(sys.executable, ROOT)
WIDTH = 104


def run(expected: int, *options: str, **environ: str) -> str:
    """Run the benchmark with this plugin only, and return its coloured output.

    Raises `SystemExit` if the run does not end with the expected exit status.
    """
    environment = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": "",
        "PYTHONIOENCODING": "utf-8",
        "COLUMNS": str(WIDTH),
        **environ,
    }
    tests = ("benchmarks/regressions", "-k", "generation", f"--energy-baselines={BASELINES}")
    ran = subprocess.run(
        [PYTHON, "-m", "pytest", "-p", "greenops", "--color=yes", "-rN", *tests, *options],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    if ran.returncode != expected:
        sys.exit(f"{ran.stdout}\nno picture: draw it on a machine that does nothing else")
    return ran.stdout


def main() -> None:
    """Save the right way, measure the mistake, and write the output as an SVG file."""
    shutil.rmtree(ROOT / BASELINES, ignore_errors=True)
    run(0, "--energy-save-new", "--energy-strict")
    output = run(1, "--energy", "--energy-estimates=fail", BENCH_REGRESSION="no_cache")
    draw("regression", "make bench-regression", output, WIDTH)


if __name__ == "__main__":
    main()
