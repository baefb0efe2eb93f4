"""The descendants of this process, by the kernel's lists and without them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import psutil
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


class Kernel:
    """Processes that a test makes up: 1 is this one.

    lists   the children of each thread, by process and thread
    asked   what psutil was asked about; None: this process
    """

    def __init__(self) -> None:
        self.lists = {
            1: {"1": b"2 3 ", "7": b"4"},
            2: {"2": b""},
            3: {"3": b"5"},
            4: {"4": b""},
            5: {"5": b""},
            50: {"50": b"51"},
            51: {"51": b""},
        }
        self.asked: list[int | None] = []

    def listdir(self, path: str) -> list[str]:
        """Return the threads of a process."""
        found = self.lists.get(int(path.removeprefix("/proc/").removesuffix("/task")))
        if found is None:
            raise FileNotFoundError(path)
        return list(found)

    def read_file(self, path: str) -> bytes:
        """Return the list of a thread."""
        _, _, pid, task, thread, name = path.split("/")
        assert (task, name) == ("task", "children")
        return self.lists[int(pid)][thread]

    def psutil_process(self, pid: int | None = None) -> SimpleNamespace:
        """Return a process as psutil knows it: with a descendant; 60 has ended, 70 is hidden."""
        self.asked.append(pid)
        if pid == 60:
            raise psutil.NoSuchProcess(pid)
        if pid == 70:
            raise PermissionError(pid)
        below = [SimpleNamespace(pid=52 if pid else 6)]
        return SimpleNamespace(children=lambda recursive: below if recursive else [])


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    """The processes of a kernel that keeps lists of children."""
    kernel = Kernel()
    system = SimpleNamespace(
        psutil_error=psutil.Error,
        getpid=lambda: 1,
        is_there=lambda path: path == "/proc/self/task/1/children",
        listdir=kernel.listdir,
        read_file=kernel.read_file,
        psutil_process=kernel.psutil_process,
    )
    monkeypatch.setattr(process_tree, "SYSTEM", system)
    monkeypatch.setattr(process_tree, "has_children", lambda: True)
    yield kernel
    process_tree.adopt([])


def test_the_lists_of_all_threads_are_walked(kernel: Kernel) -> None:
    """Down to the last generation."""
    assert process_tree.tree() == {1, 2, 3, 4, 5}
    assert process_tree.children(1) == [2, 3, 4]
    assert kernel.asked == []


def test_a_process_without_children_is_not_walked(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lists would be empty."""
    monkeypatch.setattr(process_tree, "has_children", lambda: False)
    kernel.lists.clear()
    assert process_tree.tree() == {1}


def test_the_trees_of_other_ranks_are_ours(kernel: Kernel) -> None:
    """A rank that has ended is named all the same, and hides nobody."""
    process_tree.adopt([60, 50])
    assert process_tree.ranks() == (60, 50)
    assert process_tree.tree() == {1, 2, 3, 4, 5, 50, 51, 60}
    process_tree.adopt([])
    assert process_tree.tree() == {1, 2, 3, 4, 5}


def test_where_a_list_is_lost_all_processes_are_asked_for(kernel: Kernel) -> None:
    """Of each rank by itself: one that ended, or may not be seen, hides nobody."""
    del kernel.lists[3]
    process_tree.adopt([60, 70, 50])
    assert process_tree.tree() == {1, 6, 50, 52, 60, 70}
    assert kernel.asked == [None, 60, 70, 50]


def test_a_list_of_something_else_is_an_error(kernel: Kernel) -> None:
    """A file of another kernel is not guessed from."""
    kernel.lists[1]["7"] = b"4 five"
    with pytest.raises(OSError, match="/proc/1/task/7/children is not a list of processes"):
        process_tree.children(1)


def test_a_system_that_cannot_look_for_children_may_have_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """macOS has no `waitid` before Python 3.13, and Windows has none."""
    monkeypatch.setattr(process_tree, "SYSTEM", replace(SYSTEM, waitid=None))
    assert process_tree.has_children()
