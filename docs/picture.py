"""Make the picture of a regression in the README: `python docs/picture.py`.

A small project in a temporary folder saves three sessions, then loads its weights as float64.
Its joules come from a `FakeSensor`; the terminal output is that of real pytest runs.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).parent / "images" / "regression.svg"
WIDTH = 104
PROJECT = {
    "pytest.ini": "[pytest]\n",
    "conftest.py": """
import os

import pytest

from pytest_greenops.testing import FakeSensor

SENSOR = FakeSensor(name="fake-meter", noise=0.01, seed=int(os.environ["SESSION"]))


def pytest_energy_sensors(config):
    return [SENSOR]


@pytest.fixture
def encode():
    # As if weights in float64 took half as much energy and time again.
    slower = 1.49 if os.environ["WEIGHTS"] == "float64" else 1.0

    def encode(samples):
        SENSOR.spend(0.032 * len(samples) * slower, seconds=0)
        SENSOR.spend(0.020 * len(samples) * slower, "dram:0", seconds=0.1 * slower)
        return samples

    return encode
""",
    "test_encoder.py": """
import pytest


@pytest.mark.energy_budget(max_increase="5%")
def test_encode(energy, encode):
    batch = list(range(16))
    energy.units(sample=16)
    assert energy(encode, batch) == batch
""",
}
#: Loads this plugin and no other.
PLUGIN = ("-p", "greenops")
#: Lines of pytest's header that name folders and versions of this machine.
MACHINE = ("platform ", "rootdir: ", "plugins: ", "configfile: ", "cachedir: ")


def run(folder: Path, session: int, *options: str, weights: str = "float32") -> str:
    """Run pytest with this plugin only, and return its coloured output.

    The noise of the sensor is that of `session`.
    """
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": "",
        "PYTHONIOENCODING": "utf-8",
        "COLUMNS": str(WIDTH),
        "WEIGHTS": weights,
        "SESSION": str(session),
    }
    output = subprocess.run(
        [programs / "pytest", *PLUGIN, "--color=yes", *options],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ).stdout
    return output.replace(f" {' '.join(PLUGIN)}", "")  # in advised commands


def main() -> None:
    """Run the project four times, and write the output of the last run as an SVG file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in PROJECT.items():
            (folder / file).write_text(text, encoding="utf-8")
        for session in range(3):
            run(folder, session, "--energy-save")
        output = run(folder, 3, "--energy", "-rN", weights="float64")
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(Text("$ pytest --energy", style="bold"))
    for line in output.splitlines():
        text = Text.from_ansi(line)
        if not text.plain.startswith(MACHINE):
            console.print(text)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(console.export_svg(title="test_encoder.py", unique_id="regression"))


if __name__ == "__main__":
    main()
