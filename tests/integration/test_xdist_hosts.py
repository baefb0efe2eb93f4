"""pytest-xdist over hosts: each of two socket servers is a machine of its own, with its joules."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from pytest_greenops.baselines.baseline_file import read
from pytest_greenops.model.result import Results
from tests.integration.projects import ALONE, INI, Project, Ran, conftest, fill

#: A machine by its name: other facts, another boot, and joules that are not those of the run.
ON_A_HOST = """
from pytest_greenops import machine

HOST = os.environ.get("HOST", "controller")
RECORDED_FACTS = machine.recorded_facts


def pytest_energy_facts(config):
    return {"rack": HOST}


def recorded_facts(**instruments):
    return {**RECORDED_FACTS(**instruments), "boot": os.environ.get("BOOT", HOST)}


machine.recorded_facts = recorded_facts
"""
SUITE = """
    import os

    import pytest

    @pytest.mark.parametrize("times", [1, 2])
    def test_it(energy, work, times):
        energy(lambda: [work() for _ in range(times)])
    """
#: What the processes of a host have in their environment: this plugin alone.
_HOST = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "SEED": "0"}
FILES = {"pytest.ini": INI, "conftest.py": conftest("", ON_A_HOST), "test_it.py": SUITE}


@contextmanager
def _host(folder: Path, **environ: str) -> Iterator[str]:
    """Start a socket server of execnet in a checkout of its own; yield its argument for `--tx`."""
    folder.mkdir(exist_ok=True)
    outer = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_XDIST")}
    searched = os.pathsep.join(filter(None, (os.getcwd(), outer.get("PYTHONPATH"))))
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "execnet.script.socketserver", "127.0.0.1:0"],
        cwd=folder,
        env={**outer, "PYTHONPATH": searched, **_HOST, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        found = re.search(r"127\.0\.0\.1', (\d+)", server.stdout.readline())
        assert found
        yield f"socket=127.0.0.1:{found[1]}//chdir={folder}"
    finally:
        server.kill()
        server.communicate()


class Hosts:
    """A project of a controller, and its checkouts on two hosts without baselines."""

    def __init__(self, project: Project) -> None:
        self.project = project
        fill(project.path, FILES)
        self.machines = {
            "a": {"HOST": "a", "JOULES": "2"},
            "b": {"HOST": "b", "JOULES": "3"},
        }

    def run(self, *args: str, dist: str = "each", **joules: str) -> Ran:
        """Run pytest on both hosts with the joules of each; keep no results of the controller."""
        with ExitStack() as stack:
            specs = []
            for name, environ in self.machines.items():
                folder = self.project.path.parent / f"{self.project.path.name}-{name}"
                folder.mkdir(exist_ok=True)
                fill(folder, FILES)
                environ = {**environ, "JOULES": joules.get(name, environ["JOULES"])}
                specs += ["--tx", stack.enter_context(_host(folder, **environ))]
            given = ("-p", "xdist", "--max-worker-restart=0", f"--dist={dist}", *specs, *args)
            return self.project.run(*given, *ALONE)

    def folder(self, name: str) -> Path:
        """Return the folder of the baselines of a host."""
        every = (self.project.path / "baselines").glob("*/test_it.py/test_it[[]1].json")
        [found] = [path for path in every if read(path).machine["rack"] == name]
        return found.parents[1]

    def joules(self, name: str) -> list[float]:
        """Return the joules of the sessions of `test_it[1]` that a host has."""
        series = read(self.folder(name) / "test_it.py" / "test_it[1].json").measurements["call"]
        used = [session.rounds[0].energy_uj["cpu:0"] for session in series.sessions]
        return [energy_uj / 1e6 for energy_uj in used]


@pytest.fixture
def hosts(project: Project) -> Hosts:
    """Return two hosts, on which a test uses 2 J and 3 J, and their controller."""
    return Hosts(project)


def test_each_machine_has_its_own_baselines(hosts: Hosts) -> None:
    """The controller writes baselines of both machines, and their hosts write none."""
    ran = hosts.run("--energy-save")
    assert (ran.code, ran.outcomes) == (0, {"passed": 4})
    assert (hosts.joules("a"), hosts.joules("b")) == ([2.0], [3.0])
    written = [path.name for path in hosts.project.path.parent.glob("*-[ab]/baselines")]
    assert written == []
    for host in ("a", "b"):
        assert f"energy: on {hosts.folder(host).name}" in ran.lines
    assert [line for line in ran.lines if "2 baselines saved" in line] != []


def test_each_machine_is_compared_with_its_baselines(hosts: Hosts) -> None:
    """Baselines of the controller count, though no host has them; advice is for the same hosts."""
    hosts.run("--energy-save")
    ran = hosts.run("--energy", "--energy-json=results.json", "--junitxml=junit.xml", b="4")
    assert (ran.code, ran.outcomes) == (1, {"passed": 2, "failed": 2})
    found = {}
    for path in hosts.project.path.glob("results-*.json"):
        document = msgspec.json.decode(path.read_bytes(), type=Results)
        host = document.environment.machine["rack"]
        assert path.name == f"results-{hosts.folder(host).name}.json"
        found[host] = {r.test.name: (r.joules, r.verdict.outcome.value) for r in document.results}
    assert found == {
        "a": {"test_it[1]": (2.0, "passed"), "test_it[2]": (4.0, "passed")},
        "b": {"test_it[1]": (4.0, "regressed"), "test_it[2]": (8.0, "regressed")},
    }
    cases = ElementTree.parse(hosts.project.path / "junit.xml").iter("testcase")
    properties = [{p.get("name"): p.get("value") for p in each.iter("property")} for each in cases]
    assert sorted((p["energy.machine"], p["energy.joules"]) for p in properties) == sorted(
        [
            *((hosts.folder("a").name, joules) for joules in ("2.0", "4.0")),
            *((hosts.folder("b").name, joules) for joules in ("4.0", "8.0")),
        ]
    )
    [advice, _] = [line for line in ran.lines if line.startswith("accept it")]
    assert " --dist=each --tx socket=127.0.0.1:" in advice
    assert advice.endswith("--energy-save 'test_it.py::test_it[1]'")


def test_two_hosts_of_one_kind(hosts: Hosts) -> None:
    """Workers on two machines of one kind add a session each, and are shown apart."""
    hosts.machines["b"] = {"HOST": "a", "BOOT": "second", "JOULES": "2"}
    ran = hosts.run("--energy-save")
    assert hosts.joules("a") == [2.0, 2.0]
    name = hosts.folder("a").name
    assert [line for line in ran.lines if line.startswith("energy: on ")] == [
        f"energy: on {name}-gw0",
        f"energy: on {name}-gw1",
    ]


def test_two_workers_on_one_host(hosts: Hosts) -> None:
    """The second worker on a host whose counters count all of it measures nothing, and says why."""
    hosts.machines["b"]["BOOT"] = "a"
    ran = hosts.run("--energy")
    assert ran.code != 0
    assert ran.outcomes["passed"] == 2
    assert re.search(r"worker gw\d of pytest-xdist runs on the host of another one: ", ran.text)


def test_hosts_need_dist_each(hosts: Hosts) -> None:
    """Tests that are distributed over hosts are refused: chance would choose their baselines."""
    ran = hosts.run("--energy", dist="load")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert any(line.startswith("ERROR: --dist load: chance would say") for line in ran.errors)


def test_damaged_baseline(hosts: Hosts) -> None:
    """A damaged baseline of the controller is an error of the worker that needs it."""
    hosts.run("--energy-save")
    path = hosts.folder("b") / "test_it.py" / "test_it[1].json"
    path.write_text("{")
    ran = hosts.run("--energy")
    assert ran.code != 0
    assert f"{path}: damaged" in ran.text.replace("\n", "")
    assert ran.outcomes["passed"] == 2


def test_a_worker_that_cannot_measure(hosts: Hosts) -> None:
    """A sensor that a host lacks is an error of its worker, which is not started again."""
    ran = hosts.run("--energy", "--energy-sensors=pyrapl")
    assert ran.code != 0
    assert "pyrapl" in ran.text
    assert "replacing crashed worker" not in ran.text
