"""Make the picture of the HTML report: `python docs/report_picture.py`, with Chromium installed.

A small suite with simulated joules is saved five times, and then runs with a change that uses more.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.integration.projects import spread_over_days

PICTURE = Path(__file__).parent / "images" / "report.png"
SIZE = {"width": 1100, "height": 1280}
FILES = {
    "pytest.ini": "[pytest]\nenergy_sensors = fake\nenergy_fresh_process = false\n",
    "conftest.py": """
        import os
        import pytest
        from pytest_greenops.model.measurement import Domain
        from pytest_greenops.testing import FakeSensor

        KINDS = ("cpu", "dram", "gpu")
        DOMAINS = [Domain(f"{kind}:0", kind) for kind in KINDS]
        SENSOR = FakeSensor(*DOMAINS, noise=0.01, seed=int(os.environ["SEED"]))

        def pytest_energy_sensors(config):
            return [SENSOR]

        @pytest.fixture
        def run():
            def run(joules, seconds=0.1):
                for kind, share in zip(KINDS, (0.25, 0.05, 0.7)):
                    SENSOR.spend(joules * share, f"{kind}:0", seconds if kind == "cpu" else 0)
            return run
        """,
    "test_model.py": """
        import os
        import pytest

        CHANGE = float(os.environ["CHANGE"])

        def test_generate(energy, run):
            for _ in energy.rounds():
                with energy.measure("prefill"):
                    run(41.0, 0.3)
                with energy.measure("decode"):
                    run(127.0 * CHANGE, 1.1)

        @pytest.mark.energy_budget("2.5 J", per="sample")
        def test_classify(energy, run):
            energy.units(sample=8)
            energy(run, 19.0 * CHANGE)

        def test_encode(energy, run):
            energy(run, 0.31)

        @pytest.mark.parametrize("width", [64, 128, 256, 512])
        def test_accuracy(energy, run, width):
            energy(run, width / 20)
            energy.quality(accuracy=1 - 2.4 / width**0.5)
        """,
}


def measured(folder: Path, *options: str, seed: int, change: float = 1.0) -> None:
    """Run the suite with this plugin only."""
    environ = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "SEED": str(seed), "CHANGE": str(change)}
    command = ["pytest", "-q", "-p", "greenops", *options]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path, **environ}, check=False)


def main() -> None:
    """Write the picture."""
    from textwrap import dedent

    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in FILES.items():
            (folder / file).write_text(dedent(text), encoding="utf-8")
        for seed in range(1, 6):
            measured(folder, "--energy-save", seed=seed)
        spread_over_days(folder / "baselines")
        measured(folder, "--energy", "--energy-html=report.html", seed=6, change=1.17)
        with sync_playwright() as playwright:
            chromium = shutil.which("chromium")
            options = {"executable_path": chromium, "args": ["--no-sandbox"]}
            page = playwright.chromium.launch(**options).new_page(viewport=SIZE)
            page.goto((folder / "report.html").as_uri())
            page.screenshot(path=PICTURE)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
