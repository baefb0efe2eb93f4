"""Jobs of several ranks, whose tests use a known number of joules.

The sensor of each rank counts what `spend` spends. It counts a whole host, so only that of the
first rank of each host is read, unless it sees `OWN` processes only.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from pytest_greenops.model.result import Result, Results
from tests.integration.projects import fill

CONFTEST = """
import os

import pytest

from pytest_greenops import machine
from pytest_greenops.measure.observer import NoLoad
from pytest_greenops.testing import FakeSensor

RANK = int(os.environ.get("RANK", 0))
SENSOR = FakeSensor(source="estimated" if "OWN" in os.environ else "sensed")
if "OWN" in os.environ:
    SENSOR.charges_waiting = True
#: The sensor has its own clock and joules, which other processes do not change.
machine.LoadProbe = NoLoad


def pytest_energy_sensors(config):
    return [SENSOR]


@pytest.fixture
def spend():
    return SENSOR.spend


@pytest.fixture
def rank():
    return RANK
"""
INI = """
[pytest]
energy_sensors = fake
energy_rank_wait = {wait}
"""
ROOT = Path(__file__).parents[2]
_ARGS = ("-p", "greenops", "-p", "no:cacheprovider", "--energy-json=results.json")


class Ranks(NamedTuple):
    """A job that has ended: its exit status, and what each rank printed."""

    code: int
    printed: tuple[str, ...]
    folder: Path

    @property
    def results(self) -> dict[str, Result]:
        """The results that rank 0 has written, by the name of their test."""
        raw = (self.folder / "results.json").read_bytes()
        return {r.test.name: r for r in msgspec.json.decode(raw, type=Results).results}

    @property
    def verdicts(self) -> dict[str, str]:
        """The outcome of each result, with its reason if it has one."""
        return {
            name: f"{r.verdict.outcome.value}: {r.verdict.cause}"
            if r.verdict.cause
            else r.verdict.outcome.value
            for name, r in self.results.items()
        }


def write(folder: Path, tests: str, wait: str = "60 s") -> None:
    """Write a project."""
    fill(
        folder, {"conftest.py": CONFTEST, "pytest.ini": INI.format(wait=wait), "test_it.py": tests}
    )


def environ(**more: str) -> dict[str, str]:
    """Return the environment of a rank, without what this run of pytest has added."""
    outer = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "GITHUB_"))}
    own = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return {**outer, **own, **more}


def torchrun(folder: Path, number: int, *args: str, **more: str) -> Ranks:
    """Run the tests of a folder under torchrun, each rank's output in a file of its own."""
    logs = folder / "logs"
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(number))
    kept = ("--log-dir", str(logs), "--redirects", "3")
    command = [sys.executable, *launcher, *kept, "-m", "pytest", *_ARGS, *args]
    ran = subprocess.run(
        command, cwd=folder, env=environ(**more), capture_output=True, text=True, timeout=180
    )
    found = (sorted(logs.rglob(f"{rank}/stdout.log")) for rank in range(number))
    printed = tuple(files[-1].read_text() if files else ran.stderr for files in found)
    return Ranks(ran.returncode, printed, folder)


def started(
    folder: Path,
    number: int,
    *args: str,
    prefix: Mapping[int, tuple[str, ...]] | None = None,
    address: str = "127.0.0.1",
    port: int = 0,
    **more: str,
) -> tuple[list[int], Ranks]:
    """Run each rank as a process of its own, as MPI does: the end of one ends no other.

    prefix  what starts the process of a rank: another network, for example

    Return the exit status of each rank, and the job.
    """
    job = {"WORLD_SIZE": str(number), "MASTER_ADDR": address, "MASTER_PORT": str(port or 29411)}
    running = [
        subprocess.Popen(
            [*(prefix or {}).get(rank, ()), sys.executable, "-m", "pytest", *_ARGS, *args],
            cwd=folder,
            env=environ(**job, RANK=str(rank), **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(number)
    ]
    try:
        printed = tuple(rank.communicate(timeout=120)[0] for rank in running)
    finally:
        for rank in running:
            rank.kill()
    codes = [rank.returncode for rank in running]
    return codes, Ranks(codes[0], printed, folder)
