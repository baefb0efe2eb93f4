"""Measure what `pytest-greenops fleet` adds to the time of the slowest node.

    python -m benchmarks.fleet.wall_time [seconds]

Starts a Ray cluster of four nodes on this machine, each of its own kind, and runs a suite on it
whose tests sleep: `seconds` on the slowest node, less on the others. So the nodes do not share
CPUs in a way that matters. The time of the slowest node is that of pytest alone, with the same
tests and without a cluster.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

#: What each kind sleeps, as a share of the slowest.
KINDS = {"slowest": 1.0, "second": 0.75, "third": 0.5, "fastest": 0.25}
TESTS = 12
CONFTEST = """
import os

import pytest

from pytest_greenops.testing import FakeSensor

SENSOR = FakeSensor()


def pytest_energy_sensors(config):
    return [SENSOR]


def pytest_energy_facts(config):
    return {"cpu": f"Simulated {os.environ['SIMULATED_KIND']}"}


@pytest.fixture
def work():
    return lambda: SENSOR.spend(2.0)
"""
SUITE = """
import os
import time

import pytest


@pytest.mark.parametrize("number", range(%d))
def test_sleeps(energy, work, number):
    time.sleep(float(os.environ["SLEEP_S"]))
    energy(work)
"""


def main() -> None:
    """Print both times, and their ratio."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 300.0
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "project")
        project.mkdir()
        (project / "conftest.py").write_text(CONFTEST)
        (project / "test_sleeps.py").write_text(SUITE % TESTS)
        (project / "pytest.ini").write_text("[pytest]\nenergy_sensors = fake\n")
        alone_s = timed([sys.executable, "-m", "pytest", "--energy"], project, "slowest", seconds)
        cluster: Any = started(seconds)
        try:
            command = [sys.executable, "-m", "pytest_greenops.commands.main", "fleet"]
            command.append(f"--address={cluster.address}")
            fleet_s = timed([*command, "--"], project, "slowest", seconds)
        finally:
            cluster.shutdown()
    print(f"slowest node alone: {alone_s:.1f} s; fleet of {len(KINDS)} nodes: {fleet_s:.1f} s")
    print(f"{fleet_s / alone_s:.2f} times, {fleet_s - alone_s:.1f} s more")


def started(seconds: float) -> Any:
    """Start a cluster with a node of each kind."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for kind in KINDS:
        cluster.add_node(num_cpus=1, resources={kind: 1}, env_vars=variables(kind, seconds))
    return cluster


def variables(kind: str, seconds: float) -> dict[str, str]:
    """Return the environment of a node."""
    return {"SIMULATED_KIND": kind, "SLEEP_S": str(seconds * KINDS[kind] / TESTS)}


def timed(command: list[str], project: Path, kind: str, seconds: float) -> float:
    """Run a command, and return how long it took."""
    environ = {**os.environ, **variables(kind, seconds)}
    begun = time.perf_counter()
    ran = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
