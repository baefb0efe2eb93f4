"""Make the pictures of docs/output.md: `python -m docs.pictures`, with Chromium and git.

They are what the plugin prints and writes for a small suite with simulated joules, but for the
doctor's, which is of this machine.
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from textwrap import dedent

from docs.terminal_picture import draw
from tests.integration.ab_projects import repository
from tests.integration.projects import spread_over_days

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
COLUMNS = 88
#: In pixels, of the page that is photographed; its height is at most this.
SIZE = {"width": 900, "height": 860}
TESTS = "test_model.py"
JOULES = "JOULES = 19.0  # of a call\n"
#: A change that uses 17 % more.
MORE = "JOULES = 19.0 * 1.17\n"
FILES = {
    ".gitignore": "__pycache__/\n.pytest_cache/\nbaselines/\n*.json\n*.html\n*.md\n*.db\n",
    "pytest.ini": """
        [pytest]
        energy_sensors = simulated
        pythonpath = .
        addopts = -rN -p greenops
        """,
    "conftest.py": """
        import math
        import random

        import pytest
        from pytest_greenops import machine
        from pytest_greenops.measure.observer import NoLoad
        from pytest_greenops.model.measurement import Domain
        from pytest_greenops.testing import FakeSensor

        KINDS = ("cpu", "dram", "gpu")
        SENSOR = FakeSensor(*(Domain(f"{kind}:0", kind) for kind in KINDS), name="simulated")
        CHANCE = random.SystemRandom()
        machine.LoadProbe = NoLoad

        def pytest_energy_sensors(config):
            return [SENSOR]

        @pytest.fixture
        def run():
            def run(joules, seconds=0.1):
                for kind, share in zip(KINDS, (0.25, 0.05, 0.7)):
                    spent = joules * share * math.exp(CHANCE.gauss(0.0, 0.005))
                    SENSOR.spend(spent, f"{kind}:0", seconds if kind == "cpu" else 0)
            return run
        """,
    "model.py": JOULES,
    TESTS: """
        import model
        import pytest

        def test_generate(energy, run):
            for _ in energy.rounds():
                with energy.measure("prefill"):
                    run(41.0, 0.3)
                with energy.measure("decode"):
                    run(127.0, 1.1)

        @pytest.mark.energy_budget(max_increase="5%")
        def test_classify(energy, run):
            energy.units(sample=8)
            energy(run, model.JOULES)

        @pytest.mark.parametrize("width", [64, 512])
        def test_accuracy(energy, run, width):
            energy(run, width / 20)
            energy.quality(accuracy=1 - 2.4 / width**0.5)
        """,
}
#: How GitHub shows Markdown, in short.
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 52em; margin: 1.5em auto; padding: 0 1.5em;
       background: #fff; color: #1f2328 }
code, pre { font: 13px/1.45 monospace; background: #f3f4f6; border-radius: 4px; padding: .1em .3em }
pre { padding: .8em } pre code { padding: 0 }
table { border-collapse: collapse } td, th { border: 1px solid #d1d9e0; padding: .3em .7em }
a { color: #0969da } h2, h3 { margin: .8em 0 .4em }
"""


def main() -> None:
    """Write the pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        repository(folder, {file: dedent(text) for file, text in FILES.items()})
        terminal_pictures(folder)
        photograph(folder)


def terminal_pictures(folder: Path) -> None:
    """Draw what a terminal shows; leave the HTML and Markdown of the run with a regression."""
    draw("first-run", "pytest --energy", pytest(folder, "--energy"), COLUMNS)
    for _ in range(5):
        pytest(folder, "--energy-save")
    spread_over_days(folder / "baselines")
    draw("passed", "pytest --energy", pytest(folder, "--energy"), COLUMNS)
    history(folder)
    (folder / "model.py").write_text(MORE)
    documents = ("--energy-html=report.html", "--energy-markdown=summary.md")
    draw("failed", "pytest --energy", pytest(folder, "--energy", *documents), COLUMNS)
    compared = ("--energy", "--energy-ab=main", f"{TESTS}::test_classify")
    shutil.rmtree(folder / "baselines")
    draw("ab", f"pytest {' '.join(compared)}", pytest(folder, *compared), COLUMNS)
    draw("doctor", "pytest-greenops doctor", command(folder, "doctor"), COLUMNS)


def history(folder: Path) -> None:
    """Draw the trend of 16 runs, one a day, of which the last seven use 17 % more."""
    begun = datetime.fromisoformat("2026-11-02T02:10:00+00:00")
    for number in range(16):
        (folder / "model.py").write_text(JOULES if number < 9 else MORE)
        pytest(folder, "--energy", "--energy-json=run.json", f"{TESTS}::test_classify")
        run = json.loads((folder / "run.json").read_text())
        run["created_at"] = (begun + timedelta(days=number)).isoformat()
        commit = f"{hash((number, 'commit')) % 16**7:07x}" + "0" * 33
        run["origin"] |= {"commit": commit, "dirty": False, "id": f"{number:032x}"}
        (folder / "run.json").write_text(json.dumps(run))
        command(folder, "history", "--add=run.json", "--history=sqlite:///energy.db")
    (folder / "model.py").write_text(JOULES)
    asked = ("history", "test_classify", "--history=sqlite:///energy.db")
    draw("trend", f"pytest-greenops {' '.join(asked)}", command(folder, *asked), COLUMNS)


def pytest(folder: Path, *options: str) -> str:
    """Run the suite with this plugin only, and return its coloured output."""
    ran = subprocess.run(
        ["pytest", "--color=yes", *options],
        cwd=folder,
        env=environment({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    return ran.stdout


def command(folder: Path, *arguments: str) -> str:
    """Run `pytest-greenops` in a terminal, and return its coloured output."""
    ours, its = pty.openpty()
    words = [sys.executable, "-m", "pytest_greenops.commands.main", *arguments]
    with subprocess.Popen(words, cwd=folder, env=environment({}), stdout=its, stderr=its):
        os.close(its)
        read = []
        try:
            while part := os.read(ours, 65536):
                read.append(part)
        except OSError:  # it has ended
            pass
    os.close(ours)
    return b"".join(read).decode().replace("\r\n", "\n")


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a run whose terminal is as wide as the pictures."""
    apart = {"COLUMNS": str(COLUMNS), "PYTEST_ADDOPTS": "", "PYTHONIOENCODING": "utf-8"}
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ours = {"PATH": programs, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    return {**os.environ, **apart, **ours, **more}


def photograph(folder: Path) -> None:
    """Take pictures of the HTML report, and of the Markdown as a page shows it."""
    from markdown_it import MarkdownIt
    from playwright.sync_api import sync_playwright

    text = MarkdownIt("gfm-like", {"linkify": False}).render((folder / "summary.md").read_text())
    text = text.replace(
        "❌", '<span style="color:#d1242f">✖</span>'
    )  # it may need a font of its own
    page = f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{text}"
    page = page.replace("<details>", "<details open>")
    (folder / "summary.html").write_text(page, encoding="utf-8")
    with sync_playwright() as playwright:
        options = {"executable_path": shutil.which("chromium"), "args": ["--no-sandbox"]}
        tab = playwright.chromium.launch(**options).new_page(viewport=SIZE)
        for name in ("report", "summary"):
            tab.goto((folder / f"{name}.html").as_uri())
            height = min(SIZE["height"], int(tab.evaluate("document.body.offsetHeight")) + 48)
            tab.screenshot(
                path=IMAGES / f"{name}.png", clip={**SIZE, "x": 0, "y": 0, "height": height}
            )


if __name__ == "__main__":
    main()
