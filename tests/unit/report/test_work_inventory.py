"""The list of accepted work."""

from __future__ import annotations

import pytest

from pytest_greenops.report.work_inventory import Held, work_lines
from tests.unit.builders import key
from tests.unit.works import accepted, table, views

#: Two tests of one module, one of them with two names, and a test of another module.
HELD: list[Held] = [
    (key("test_generate", param="8"), "decode", accepted()),
    (key("test_generate", param="8"), "prefill", accepted()),
    (key("test_é"), "call", accepted(table({"aten.t float32": views(3)}))),
    (key(module="tests/test_y.py"), "call", accepted()),
]


def test_each_measurement_has_a_line() -> None:
    """Under its module, with FLOP, bytes, and when which code was accepted."""
    assert list(work_lines(HELD, 80, unicode=True)) == [
        "work: 3 tests",
        "── tests/test_x.py ─────────────────────────────────────────────────────",
        "test_generate[8] · decode   15 GFLOP  25.2 MB moved  2026-01-01  1234567",
        "test_generate[8] · prefill  15 GFLOP  25.2 MB moved  2026-01-01  1234567",
        "test_é                      0 calls   0 B moved      2026-01-01  1234567",
        "── tests/test_y.py ─────────────────────────────────────────────────────",
        "test_parse                  15 GFLOP  25.2 MB moved  2026-01-01  1234567",
        "",
        "energy: 4 measurements with accepted work",
    ]


@pytest.mark.parametrize("width", [20, 40, 60])
def test_a_narrow_terminal_cuts_names(width: int) -> None:
    """No line is longer than the terminal, which has at least 40 columns, also in ASCII."""
    lines = list(work_lines(HELD, width, unicode=False))
    assert max(map(len, lines)) <= max(width, 40)
    assert "".join(lines).isascii()
    assert sum("15 GFLOP  25.2 MB moved" in line for line in lines) == 3
