"""The list of baselines."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_greenops.model.baseline import SeriesOverview, TestKey
from pytest_greenops.report.drawing import cells
from pytest_greenops.report.overview_table import inventory_lines
from tests.unit.report.samples import key


def held(**more: Any) -> SeriesOverview:
    """Return a baseline of five sessions."""
    given: dict[str, Any] = {
        "test": key(),
        "name": "call",
        "joules": {"call": 2.0},
        "sessions": 5,
        "spread": 0.008,
        "since_anchor": 0.012,
        "saved_at": "2026-01-09T12:00:00+00:00",
        "commit": "0123456789abcdef",
        "dirty": False,
        "provisional": False,
        **more,
    }
    return SeriesOverview(**given)


def shown(*holdings: SeriesOverview, width: int = 80, unicode: bool = True) -> list[str]:
    """Return the lines of one machine."""
    return list(inventory_lines({"epyc-1a2b3c4d": holdings}, width, unicode))


def test_a_measurement_has_two_lines() -> None:
    """Energy, spread and date are above sessions, energy per unit, creep and commit."""
    assert [
        "epyc-1a2b3c4d: 1 test",
        "── tests/test_x.py ──────────────────────────────────",
        "test_parse    2.00 J         spread 0.8 %  2026-01-09",
        "  5 sessions  31.2 mJ/token  creep +1.2 %  0123456",
        "",
        "energy: 1 measurement with a baseline",
    ] == shown(held(joules={"call": 2.0, "token": 0.03125}))


@pytest.mark.parametrize("width", [40, 80, 100])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Long names are cut in the middle; the least width is 80 columns."""
    long = key("test_" + "a_rather_long_name_" * 5, "tests/" + "deep/" * 30 + "test_x.py")
    lines = shown(held(test=long, joules={"call": 2.0, "token": 0.123}), width=width)
    assert max(map(cells, lines)) <= max(80, width)
    assert any("…" in line for line in lines)


def test_modules_and_machines_are_separated() -> None:
    """Each machine has the number of its tests, and each module a heading."""
    two = [held(), held(name="decode"), held(test=key("test_z", "tests/test_z.py"))]
    lines = list(inventory_lines({"a-00000001": two, "b-00000002": [held()]}, 80, True))
    assert ["a-00000001: 2 tests", "b-00000002: 1 test"] == [
        line for line in lines if line.startswith(("a-", "b-"))
    ]
    assert 2 == sum("test_x.py" in line for line in lines)
    assert any(line.startswith("test_parse · decode ") for line in lines)
    assert "energy: 4 measurements with a baseline" in lines


def test_an_unknown_figure_is_a_dash() -> None:
    """A single session has no spread and no creep."""
    text = "\n".join(
        shown(held(sessions=1, spread=None, since_anchor=None, commit=None, provisional=True))
    )
    assert "  1 session, provisional" in text
    assert "spread -" in text
    assert "creep -" in text
    assert "1 provisional: with sessions of fewer than 3 hours" in text


def test_a_series_without_energy_says_so() -> None:
    """There are no joules to show."""
    assert any("no energy" in line for line in shown(held(joules={}, spread=None)))


def test_creep_over_five_percent_is_reported() -> None:
    """The largest creep is first; smaller creep is not mentioned."""
    lines = shown(
        held(test=key("test_a"), since_anchor=0.051),
        held(test=key("test_b"), since_anchor=0.3, name="decode"),
        held(test=key("test_c"), since_anchor=0.05),
    )
    assert (
        "2 crept up more than 5 % in small accepted steps: test_b · decode +30 %, test_a\n"
        "+5.1 %; acknowledge with --acknowledge"
    ) == "\n".join(lines[-2:])


def test_many_that_crept_are_counted() -> None:
    """Only five are named."""
    many = [held(test=key(f"test_{n}"), since_anchor=0.1) for n in range(7)]
    assert " ".join(shown(*many)).endswith("and 2 more; acknowledge with --acknowledge")


def test_a_dirty_tree_is_marked() -> None:
    """The commit has a sign, which is explained."""
    lines = shown(held(dirty=True))
    assert any(line.endswith(" 0123456+") for line in lines)
    assert lines[-1] == "+ after a commit: saved with uncommitted changes"


def test_plain_ascii_without_unicode() -> None:
    """A terminal without Unicode gets ASCII."""
    lines = shown(held(name="décode", joules={"call": 2e-6}), unicode=False)
    assert all(line.isascii() for line in lines)
    assert any("2.00 uJ" in line for line in lines)


@pytest.mark.parametrize("unicode", [True, False])
def test_names_do_not_act_on_the_terminal(unicode: bool) -> None:
    """A file may have been written by hand, or by another program."""
    hostile = "a\x1b[2J\n::error::b"
    test = TestKey(f"{hostile}.py", hostile)
    lines = shown(held(test=test, name=hostile, joules={hostile: 1.0}), unicode=unicode)
    assert [line for line in lines if not line.isprintable() or line.startswith("::")] == []
