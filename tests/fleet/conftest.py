"""A Ray cluster of nodes with simulated hardware, and projects whose tests know their node."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.commands import ROOT
from tests.integration.projects import INI, fill

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

#: Each raylet has its kind in its environment, as its workers and what they start have. The sensor
#: of a kind spends other joules for the same work.
CONFTEST = """
import os
import time
from pathlib import Path

import pytest

from pytest_greenops import machine
from pytest_greenops.measure.observer import NoLoad
from pytest_greenops.testing import FakeSensor

SENSOR = FakeSensor()
KIND = os.environ.get("SIMULATED_KIND", "here")
NODE = os.environ.get("SIMULATED_NODE", "here")
#: Shared by all nodes, and not part of the project.
SHARED = Path(os.environ.get("SHARED", "/nowhere"))
machine.LoadProbe = NoLoad


def pytest_energy_sensors(config):
    return [SENSOR]


def pytest_energy_facts(config):
    return {"cpu": f"Simulated {KIND}"}


@pytest.fixture
def work():
    return lambda: SENSOR.spend({"small": 1.0, "large": 3.0}.get(KIND, 2.0))


@pytest.fixture(autouse=True)
def noted(request):
    if SHARED.is_dir():
        with (SHARED / "ran").open("a") as file:
            file.write(f"{NODE} {request.node.name}\\n")


@pytest.fixture
def waits():
    # A test waits here until the other process has killed the node, or pressed Ctrl-C.
    (SHARED / f"waiting-{KIND}-{os.getpid()}").touch()
    until = time.monotonic() + 60
    while not (SHARED / "go").exists() and time.monotonic() < until:
        time.sleep(0.05)
"""
TESTS = """
def test_first(energy, work):
    energy(work)

def test_second(energy, work):
    energy(work)
"""


class SimulatedCluster:
    """A cluster whose head runs nothing.

    shared  a folder for all nodes, in which `ran` has a line for each test that ran
    """

    def __init__(self, shared: Path) -> None:
        from ray.cluster_utils import Cluster

        self.shared = shared
        head = {"num_cpus": 0, "include_dashboard": False}
        self._cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        self._nodes: dict[str, Any] = {}

    @property
    def address(self) -> str:
        """The address for `--address`."""
        return str(self._cluster.address)

    def add(self, kind: str, name: str) -> None:
        """Add a node of a kind, which has two CPUs and a resource of that kind."""
        variables = {"SIMULATED_KIND": kind, "SIMULATED_NODE": name, "SHARED": str(self.shared)}
        resources = {kind: 1}
        self._nodes[name] = self._cluster.add_node(
            num_cpus=2, resources=resources, env_vars=variables
        )

    def kill(self, name: str) -> None:
        """End a node as a lost machine ends: at once, with what runs on it."""
        self._cluster.remove_node(self._nodes.pop(name), allow_graceful=False)

    def close(self) -> None:
        """End all nodes."""
        self._cluster.shutdown()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[SimulatedCluster]:
    """A cluster without nodes."""
    shared = tmp_path / "shared"
    shared.mkdir()
    made = SimulatedCluster(shared)
    yield made
    made.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two energy tests."""
    folder = tmp_path / "project"
    folder.mkdir()
    fill(folder, {"pytest.ini": INI, "conftest.py": CONFTEST, "test_it.py": TESTS})
    return folder


def start(project: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the command `fleet` in a project."""
    return subprocess.Popen(
        [sys.executable, "-m", "pytest_greenops.commands.main", "fleet", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def waiting(cluster: SimulatedCluster, process: subprocess.Popen[str], kind: str) -> str:
    """Wait until a test waits on a node of a kind, and return the id of its process."""
    until = time.monotonic() + 240
    while process.poll() is None and time.monotonic() < until:
        found = sorted(cluster.shared.glob(f"waiting-{kind}-*"))
        if found:
            return found[0].name.rpartition("-")[2]
        time.sleep(0.05)
    process.terminate()
    raise AssertionError("no test waits: " + "".join(process.communicate(timeout=60)))


def until_said(process: subprocess.Popen[str], text: str) -> str:
    """Return what the command prints until it has said a text: it knows of a test a bit later."""
    assert process.stdout is not None
    printed = ""
    while text not in printed and (line := process.stdout.readline()):
        printed += line
    return printed


def ran(cluster: SimulatedCluster) -> list[tuple[str, str]]:
    """Return the node and the name of each test that ran, in order."""
    lines = (cluster.shared / "ran").read_text().splitlines()
    return [(node, test) for node, _, test in (line.partition(" ") for line in lines)]


def ends(pid: str) -> bool:
    """Return whether a process ends within a minute."""
    until = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    return not Path(f"/proc/{pid}").exists()
