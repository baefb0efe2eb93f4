"""Small projects with the options, axes, facts and tables of the benchmarks, without torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.projects import Project, Ran

SHARED = """
from benchmarks.checkpoints import Checkpoint
from benchmarks.conftest import (
    axis_facts,
    facts,
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_generate_tests,
)


class Causal:
    id = "real"

    def is_a(self, suffix):
        return suffix == "ForCausalLM"


Checkpoint.read = lambda name: Causal() if name else None
"""
ROOT = Path(__file__).parents[2]


class Study(Project):
    """A project in which every checkpoint is that of a causal language model."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(pytester, monkeypatch)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        self.sensor(more=SHARED)

    def collected(self, *args: str) -> list[str]:
        """Return the names of the tests of a run."""
        ran = self.run("--collect-only", "-q", *args)
        return [line.rpartition("::")[2] for line in ran.lines if "::" in line]

    def refusal(self, *args: str) -> tuple[int, list[str]]:
        """Return the exit status and the error lines of a run."""
        ran: Ran = self.run("-q", *args)
        return ran.code, ran.errors


def run_benchmarks(*args: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on benchmarks in a process, offline and with this plugin only."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    settings = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "greenops", "-p", "no:cacheprovider", *args],
        cwd=ROOT,
        env={**others, **settings, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
    )
