"""`pytest-greenops fleet` on a real Ray cluster of several raylets."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from tests.fleet.conftest import SimulatedCluster, ends, ran, start, until_said, waiting
from tests.integration.commands import run

pytest.importorskip("ray")

ORDER = ("-p", "no:randomly")
WAITS = """
def test_1(energy, work):
    energy(work)

def test_2(energy, work, waits):
    energy(work)

def test_3(energy, work):
    energy(work)
"""


def finished(project: Path, *arguments: str) -> tuple[int, list[str], str]:
    """Run the command to its end; return its exit status, its lines, and its errors."""
    process = start(project, *arguments)
    out, err = process.communicate(timeout=300)
    return process.returncode, out.splitlines(), err


def baselines(project: Path) -> list[str]:
    """Return the baselines of a project, without the fingerprints."""
    paths = (path.relative_to(project) for path in project.rglob("baselines/**/*.json"))
    return sorted(re.sub(r"-[0-9a-f]{8}/", "/", path.as_posix()) for path in paths)


def test_runs_the_suite_once_on_each_kind(cluster: SimulatedCluster, project: Path) -> None:
    """Baselines of both kinds come into one folder, and results into one table and one file."""
    cluster.add("small", "s1")
    cluster.add("large", "l1")
    cluster.add("large", "l2")
    (project / "test_plain.py").write_text("def test_plain(): assert 0, 'as expected'\n")
    address = f"--address={cluster.address}"
    code, lines, err = finished(
        project, address, "--", "--energy-save", "--energy-json=all.json", "-q", *ORDER
    )
    assert (code, err) == (1, "")
    kinds = [re.sub(r"-[0-9a-f]{8}$", "", line) for line in lines if re.match(r"[AB]  ", line)]
    assert kinds == ["A  simulated-large-2c-fake", "B  simulated-small-2c-fake"]
    table = [" ".join(line.split()) for line in lines if line.startswith("test_")]
    assert [row for row in table if "no baseline" in row] == [
        "test_first 3.00 J no baseline 1.00 J no baseline",
        "test_second 3.00 J no baseline 1.00 J no baseline",
    ]
    assert sum("as expected" in line for line in lines) >= 2
    assert baselines(project) == [
        f"baselines/simulated-{kind}-2c-fake/test_it.py/test_{test}.json"
        for kind in ("large", "small")
        for test in ("first", "second")
    ]
    tests = ["test_first", "test_plain", "test_second"]
    nodes = {node for node, _ in ran(cluster)}
    assert sorted(test for _, test in ran(cluster)) == sorted(2 * tests)
    assert nodes in ({"s1", "l1"}, {"s1", "l2"})

    # The file has both kinds; a report shows them, and other commands are told to take one.
    document = json.loads((project / "all.json").read_text())
    cpus = [each["environment"]["machine"]["cpu"] for each in document["machines"]]
    assert cpus == ["Simulated large", "Simulated small"]
    made = run(project, "report", "all.json", "-o", "all.html")
    assert made.code == 0, made.err
    page = (project / "all.html").read_text()
    assert re.search(r"<th scope=\"row\">test_first</th><td>3.00 J no .*<td>1.00 J no ", page)
    refused = run(project, "compare", "all.json", "all.json")
    [one] = re.findall(
        r"all\.json: results of 2 machines; name that of one, such as (\S+)", refused.err
    )
    assert run(project, "compare", one, one).code == 0

    # The same nodes compare with what they saved, on all of a kind.
    (project / "test_plain.py").unlink()
    code, lines, err = finished(project, address, "--per-kind=all", "--", "--energy-strict", "-q")
    assert (code, err) == (0, ""), lines
    assert sum(line.startswith("energy: 2 measured, 2 compared: 2 passed") for line in lines) == 3
    assert sum("large" in line and line.startswith(("A  ", "B  ", "C  ")) for line in lines) == 2


def test_retries_what_a_lost_node_has_not_done(cluster: SimulatedCluster, project: Path) -> None:
    """The tests that were done stay done; the others run on another node of the same kind."""
    (project / "test_it.py").write_text(WAITS)
    cluster.add("large", "l1")
    cluster.add("large", "l2")
    process = start(project, f"--address={cluster.address}", "--", "--energy-json=all.json", *ORDER)
    pid = waiting(cluster, process, "large")
    before = until_said(process, "1/3 test_it.py::test_1 passed")
    [(lost, _), *_] = ran(cluster)
    cluster.kill(lost)
    assert ends(pid)  # on another machine it had ended at once
    (cluster.shared / "go").touch()
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, ""), before + out
    other = {"l1": "l2", "l2": "l1"}[lost]
    assert ran(cluster) == [
        *((lost, "test_1"), (lost, "test_2")),
        *((other, "test_2"), (other, "test_3")),
    ]
    assert re.search(r": lost \(.*\): 2 of 3 tests left, retried on another node", out)
    document = json.loads((project / "all.json").read_text())
    names = [each["test"]["qualname"] for each in document["results"]]
    assert sorted(names) == ["test_1", "test_2", "test_3"]


def test_keeps_what_was_done_where_no_other_node_is_left(
    cluster: SimulatedCluster, project: Path
) -> None:
    """The tests that did not run are named, the results before are kept, and the run fails."""
    (project / "test_it.py").write_text(WAITS)
    cluster.add("small", "s1")
    process = start(
        project,
        f"--address={cluster.address}",
        "--",
        "--energy-save",
        "--energy-json=a.json",
        *ORDER,
    )
    waiting(cluster, process, "small")
    before = until_said(process, "1/3 test_it.py::test_1 passed")
    cluster.kill("s1")
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (1, ""), before + out
    assert re.search(r"not run: test_it.py::test_2, test_it.py::test_3$", out, re.MULTILINE)
    assert "no other node of this kind" in out
    [result] = json.loads((project / "a.json").read_text())["results"]
    assert result["test"]["qualname"] == "test_1"
    assert baselines(project) == ["baselines/simulated-small-2c-fake/test_it.py/test_1.json"]


def test_ctrl_c_ends_the_runs_on_all_nodes(cluster: SimulatedCluster, project: Path) -> None:
    """Their processes end, and what was done is shown."""
    (project / "test_it.py").write_text(WAITS)
    cluster.add("small", "s1")
    process = start(project, f"--address={cluster.address}", "--", *ORDER)
    pid = waiting(cluster, process, "small")
    until_said(process, "1/3 test_it.py::test_1 passed")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (2, ""), out
    assert "interrupted: ends the runs on all nodes" in out
    assert "1 of 3 tests" in out
    assert ends(pid)


def test_waits_for_a_whole_node_and_not_for_ever(cluster: SimulatedCluster, project: Path) -> None:
    """While Ray runs anything else there, no test does; after the time, a line says why."""
    import ray

    cluster.add("small", "s1")
    ray.init(cluster.address, log_to_driver=False)
    try:

        class Other:
            def there(self) -> int:
                return os.getpid()

        other = ray.remote(Other).options(num_cpus=1).remote()
        ray.get(other.there.remote())
        code, lines, err = finished(project, f"--address={cluster.address}", "--wait=5 s", "--")
    finally:
        ray.shutdown()
    assert (code, err) == (1, "")
    assert any(
        re.search(r"no whole node was free within 5.00 s: \S+ \(2 CPU\); wait longer", line)
        for line in lines
    ), lines
    assert not (cluster.shared / "ran").exists()


def test_local_starts_ray_on_this_machine_alone(project: Path) -> None:
    """Without an address it needs no cluster, and leaves no folder of a run behind."""
    code, lines, err = finished(project, "--", "-q")
    assert (code, err) == (0, ""), lines
    assert any(line.startswith("energy: 2 measured") for line in lines)
