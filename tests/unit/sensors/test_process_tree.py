"""The descendants of this process, by the kernel's lists and without them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pytest_greenops.sensors import process_tree
from pytest_greenops.system import SYSTEM

#: A process that starts another, prints its process id, and waits.
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
input()
child.communicate(b"\\n")
"""


@pytest.fixture
def family() -> Iterator[set[int]]:
    """The process ids of a child of this process, and of its child."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", PARENT], **pipes) as child:
        yield {child.pid, int(child.stdout.readline())}
        child.communicate("\n")


@pytest.mark.parametrize("lists", [True, False])
def test_the_tree_has_children_and_grandchildren(
    family: set[int], lists: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And this process itself, whether or not the kernel keeps lists of children."""
    if lists and not process_tree.listed():
        pytest.skip("this kernel keeps no lists of children")
    monkeypatch.setattr(process_tree, "listed", lambda: lists)
    assert process_tree.tree() >= {os.getpid(), *family}


def test_the_tree_has_neither_parents_nor_reaped_children(family: set[int]) -> None:
    """A child that was waited for has no process id any more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    assert not process_tree.tree() & {ended.pid, os.getppid()}


def test_a_process_that_ends_during_the_walk_hides_no_other(
    family: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tree is then read from the list of all processes."""

    def gone(pid: int) -> list[int]:
        raise ProcessLookupError(pid)

    monkeypatch.setattr(process_tree, "children", gone)
    assert process_tree.tree() >= {os.getpid(), *family}


def test_a_system_that_cannot_look_for_children_may_have_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """macOS has no `waitid` before Python 3.13, and Windows has none."""
    monkeypatch.setattr(process_tree, "SYSTEM", replace(SYSTEM, waitid=None))
    assert process_tree.has_children()
