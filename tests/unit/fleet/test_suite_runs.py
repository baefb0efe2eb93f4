"""Which nodes can run the suite, and what is said of the others, without a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pytest_greenops.fleet.cluster import Node
from pytest_greenops.fleet.node_events import to_line
from pytest_greenops.fleet.suite_runs import SuiteRuns
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.result import Origin
from tests.unit.builders import message_of
from tests.unit.fleet.runs import collected, node

LINE = to_line(collected()).rstrip(b"\n")
BROKEN = """
E   ModuleNotFoundError: No module named 'torch'
=== short test summary info ===
ERROR tests/test_x.py
!!! Interrupted: 1 error during collection !!!
"""
USAGE = """
ERROR: usage: python -m pytest [options] [file_or_dir]
python -m pytest: error: unrecognized arguments: --nonsense
  rootdir: /tmp
"""


class SimulatedRemote:
    """A node that answers what it was given: the lines first, its exit status when it has ended."""

    lost = None

    def __init__(self, node: Node, answers: list[tuple[list[bytes], int | None, str]]) -> None:
        self.node = node
        self._answers = iter(answers)

    def start(self, *_: object, **__: object) -> None:
        """Start nothing."""

    def poll(self, after: int, wait_s: float) -> tuple[list[bytes], int | None, str]:
        """Return the next answer."""
        return next(self._answers)

    def end(self) -> None:
        """End nothing."""


class SimulatedCluster:
    """A cluster whose nodes collect, and end with a status after they have printed something."""

    def __init__(self, **ends: tuple[int, str]) -> None:
        self._ends = ends

    def visit(self, node: Node) -> SimulatedRemote:
        """Return what is on a node."""
        return SimulatedRemote(node, [([LINE], None, ""), ([], *self._ends[node.name])])

    def first_ready(self, remotes: Sequence[SimulatedRemote], wait_s: float) -> SimulatedRemote:
        """Return the first one, which is ready."""
        return remotes[0]


def runs_on(said: list[str], **ends: tuple[int, str]) -> SuiteRuns:
    """Return runs on a cluster."""
    cluster: Any = SimulatedCluster(**ends)
    return SuiteRuns(cluster, [], "project", Origin("1", "project"), 1.0, said.append)


def kinds(runs: SuiteRuns, names: str) -> list[str]:
    """Return the nodes of each kind."""
    found = runs.kinds([node(name) for name in names])
    return [" ".join(each.name for each in kind.nodes) for kind in found]


@pytest.mark.parametrize("status", [0, 1, 5])
def test_nodes_that_collect_are_of_one_kind(status: int) -> None:
    """A node without tests runs none, and one that goes on after an error says so in its run."""
    said: list[str] = []
    runs = runs_on(said, a=(status, ""), b=(0, ""))
    assert kinds(runs, "ab") == ["a b"]
    assert (said, runs.uncollected) == ([], [])


def test_a_node_with_an_error_of_collection_is_left_out() -> None:
    """pytest would run none of the tests there, so its exit status counts."""
    said: list[str] = []
    runs = runs_on(said, a=(2, BROKEN), b=(0, ""))
    assert kinds(runs, "ab") == ["b"]
    assert runs.uncollected == [2]
    assert said == runs.left_out
    assert said == [
        "a: pytest cannot collect the tests (exit status 2): ERROR tests/test_x.py "
        "(ModuleNotFoundError: No module named 'torch')"
    ]


def test_the_same_problem_of_several_nodes_is_one_line() -> None:
    """If no node can collect, the error says where the reasons are."""
    said: list[str] = []
    ends = dict.fromkeys("abcde", (4, USAGE))
    assert message_of(GreenopsError, lambda: kinds(runs_on(said, **ends), "abcde")) == (
        "pytest could collect the tests on no node; the lines above say why"
    )
    assert said == [
        "a, b, c and 2 more: pytest cannot collect the tests (exit status 4): "
        "unrecognized arguments: --nonsense"
    ]
