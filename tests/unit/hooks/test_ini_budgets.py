"""Which tests a line of `energy_budgets` is about, and what that costs."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_greenops.hooks.ini_budgets import IniBudgets, _parse
from pytest_greenops.hooks.selection import INI_MARK, invalid_marks

CHAIN = ("", "bench", "bench/test_it.py")
IN_CLASS = {"TestMarked::test_encode", "TestMarked::test_own"}
NAMES = {"test_encode", "test_sizes[1]", "test_sizes[20]", "test_other", *IN_CLASS}


class Item:
    """What a test item tells: its names, its nodes and its marks."""

    def __init__(self, name: str) -> None:
        *classes, self.name = name.split("::")
        self.originalname = self.name.partition("[")[0]
        chain = [*CHAIN, *(f"{CHAIN[-1]}::{each}" for each in classes)]
        self.nodeid = f"{chain[-1]}::{self.name}"
        self.nodes = [SimpleNamespace(nodeid=each) for each in chain]
        self.parent = self.nodes[-1]
        self.stash = pytest.Stash()
        self.own_markers: list[pytest.Mark] = []

    def listchain(self) -> list[Any]:
        """Return the nodes from the session to this item."""
        return [*self.nodes, self]

    def add_marker(self, mark: pytest.MarkDecorator) -> None:
        """Take a mark."""
        self.own_markers.append(mark.mark)

    def iter_markers(self, name: str) -> list[pytest.Mark]:
        """Return all marks."""
        return self.own_markers


def marked(lines: list[str], items: list[Any]) -> list[Any]:
    """Return the items that lines match."""
    budgets = IniBudgets(Any, [_parse("pytest.ini", line) for line in lines])
    budgets.pytest_collection_modifyitems(SimpleNamespace(testsfailed=0), items)
    return [item for item in items if INI_MARK in item.stash]


@pytest.mark.parametrize(
    ("glob", "matched"),
    [
        ("bench/test_it.py::test_sizes", {"test_sizes[1]", "test_sizes[20]"}),
        ("bench/test_it.py::test_sizes[2?]", {"test_sizes[20]"}),
        ("*[1]", {"test_sizes[1]"}),
        ("*::Test*::*", IN_CLASS),
        ("bench/test_it.py::TestMarked", IN_CLASS),
        ("*::test_encode", {"test_encode", "TestMarked::test_encode"}),
        ("benc?", NAMES),
        ("test_encode", set()),
        ("bench/test_it.py::test_size", set()),
        ("benc", set()),
        ("bench/test_it.py::test_sizes[[]1]", set()),
    ],
)
def test_globs(glob: str, matched: set[str]) -> None:
    """Only `*` and `?` are special, and a glob covers what lies in the path, class or test."""
    found = marked([f"{glob} ="], list(map(Item, NAMES)))
    assert matched == {item.nodeid.removeprefix("bench/test_it.py::") for item in found}


def test_ten_thousand_tests_and_twenty_lines_take_less_than_half_a_second() -> None:
    """Budgets in the ini file cost a large suite nothing that anybody notices."""
    items: list[Any] = [Item(f"test_sizes[{number}]") for number in range(10_000)]
    begun = time.process_time()
    found = marked([f"bench/*::test_?i*[{i}?] = {i} J" for i in range(1, 21)], items)
    assert [] == invalid_marks(items)
    assert 0.5 > time.process_time() - begun
    assert 200 == len(found)
