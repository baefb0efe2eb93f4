"""`pytest-greenops init` in a project that uses torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.test_cli_init import PLAIN, fill, init, measure

pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch


def test_up_to_the_first_failing_budget(tmp_path: Path) -> None:
    """Its test runs as it stands, and fails when its model does more work."""
    folder = fill(tmp_path / "net", {**PLAIN, "net.py": "import torch\n"})
    asked = init(folder, "--write", "all")
    advised = [line.strip() for line in asked.lines if line.startswith("  pytest ")]
    assert advised == ["pytest --energy-only --energy-save", "pytest --energy-only --energy"]
    save, judge = (f"{command} --energy-count-only" for command in advised)
    assert "energy: work of 1 measurement saved" in measure(folder, save).lines
    test = folder / "test_energy.py"
    text = test.read_text(encoding="utf-8")
    grown = text.replace(".eval()", ".eval().double()").replace("n(64, 256)", "n(64, 256).double()")
    test.write_text(grown, encoding="utf-8")
    red = measure(folder, judge)
    assert red.code == 1
    assert "EnergyWorkIncreased: call does +" in red.out
