"""Runs of a suite on simulated kinds of machine, without a cluster."""

from __future__ import annotations

from pytest_greenops.fleet.cluster import Node
from pytest_greenops.fleet.node_events import Collected, Ended
from pytest_greenops.fleet.part import Kind, Part
from pytest_greenops.model.result import Result
from tests.unit.builders import MACHINE
from tests.unit.judge.test_two_files import results

TESTS = ("tests/test_x.py::test_a", "tests/test_x.py::test_b")


def node(name: str = "10.0.0.1") -> Node:
    """Return a node."""
    return Node(name, name, {"CPU": 8.0})


def collected(machine: dict[str, str] = MACHINE, saved: int = 0) -> Collected:
    """Return what a machine says before its two tests."""
    return Collected(results(machine=machine), TESTS, saved)


def part(machine: dict[str, str] = MACHINE, *nodes: Node) -> Part:
    """Return a run on a kind of machine that has not begun."""
    said = collected(machine)
    return Part(Kind(said.results.environment.slug, nodes or (node(),), said), 1)


def ended(test: str, *of: Result, outcome: str = "passed", **files: str) -> Ended:
    """Return the end of a test."""
    return Ended(test, outcome, 0.1, of, files=files)
