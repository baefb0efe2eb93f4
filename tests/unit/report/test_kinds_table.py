"""Kinds of machine side by side, in a terminal and on a page."""

from __future__ import annotations

from pytest_greenops.report.html.page_of_kinds import page_of_kinds
from pytest_greenops.report.kinds_table import kinds_lines, letters
from tests.unit.builders import MACHINE, key
from tests.unit.judge.test_two_files import measured, results

A, B = measured(test=key("test_a")), measured(test=key("test_b"))


def test_a_row_for_each_measurement_and_a_column_for_each_kind() -> None:
    """Kinds have letters, as their names are long; a test that did not run has a dash."""
    assert list(kinds_lines({"small-1a2b3c4d": [A, B], "large-5e6f7a8b": [B]}, 80, True)) == [
        "A  small-1a2b3c4d",
        "B  large-5e6f7a8b",
        "",
        "        A                   B",
        "test_a  2.00 J no baseline  -",
        "test_b  2.00 J no baseline  2.00 J no baseline",
    ]


def test_many_kinds_become_several_tables() -> None:
    """No line is wider than the terminal, and each kind is in one of them."""
    kinds = {f"kind-{number:08x}": [A] for number in range(5)}
    lines = list(kinds_lines(kinds, 60, True))
    assert max(map(len, lines)) <= 60
    heads = [line.split() for line in lines if line and not line[0].isalpha()]
    assert heads == [["A", "B"], ["C", "D"], ["E"]]


def test_no_results_are_no_table() -> None:
    """Only the kinds are named."""
    assert list(kinds_lines({"small-1a2b3c4d": []}, 80, True)) == ["A  small-1a2b3c4d"]


def test_letters_go_on_after_z() -> None:
    """As the columns of a spreadsheet."""
    assert letters(28)[-3:] == ["Z", "AA", "AB"]


def test_a_name_cannot_move_the_cursor() -> None:
    """What a node calls its tests is escaped."""
    hostile = measured(test=key("test_\x1b[2J"))
    lines = list(kinds_lines({"kind\x1b[1m": [hostile]}, 80, True))
    assert all(line.isprintable() for line in lines)


def test_one_page_has_the_entries_of_all_machines() -> None:
    """Each has an id of its own, says its machine, and keeps its place in the data."""
    runs = {
        "small": results(A, B),
        "large": results(B, machine={**MACHINE, "cores": "8"}),
    }
    page = page_of_kinds(runs)
    assert [entry.module.full for entry in page.entries] == [
        *(2 * ["A: tests/test_x.py"]),
        "B: tests/test_x.py",
    ]
    assert len({entry.anchor for entry in page.entries}) == len(page.data["tests"]) == 3
    assert len(page.plain) == 3
    assert [count.number for count in page.counts] == [3]
    assert page.beside is not None
    assert page.beside.words == "A is small; B is large."
    assert page.beside.rows == (
        ("test_a", "2.00 J no baseline", "-"),
        ("test_b", "2.00 J no baseline", "2.00 J no baseline"),
    )
