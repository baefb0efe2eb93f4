"""Small projects that share the benchmarks' options, axes, facts and tables; none needs torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.projects import Project, Ran

SHARED = """
from benchmarks.checkpoints import Checkpoint
from benchmarks.conftest import (
    axes_told,
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
    """A project whose checkpoint, if the run names one, is that of a causal language model."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(pytester, monkeypatch)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        self.sensor(more=SHARED)

    def collected(self, *args: str) -> list[str]:
        """The names of the tests that a run would take."""
        ran = self.run("--collect-only", "-q", *args)
        return [line.rpartition("::")[2] for line in ran.lines if "::" in line]

    def refusal(self, *args: str) -> tuple[int, list[str]]:
        """The exit status of a run, and the lines of its error."""
        ran: Ran = self.run("-q", *args)
        return ran.code, ran.errors
