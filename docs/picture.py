"""Make the picture of a regression in the README: `python docs/picture.py`.

It is what the second half of `make bench-regression` prints on the machine that draws it: text
generation without a key-value cache, against the baseline that the first half saved.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "regression.svg"
BASELINES = "build/right-way"
#: As the Makefile names it: the picture shows no folder of this machine.
PYTHON = os.path.relpath(sys.executable, ROOT)
WIDTH = 104
#: Lines of pytest's header that name folders and versions of this machine.
MACHINE = ("platform ", "rootdir: ", "plugins: ", "configfile: ", "cachedir: ")


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
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(Text("$ make bench-regression", style="bold"))
    for line in output.splitlines():
        text = Text.from_ansi(line)
        if not text.plain.startswith(MACHINE):
            console.print(text)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(console.export_svg(title="make bench-regression", unique_id="regression"))


if __name__ == "__main__":
    main()
