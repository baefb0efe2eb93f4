"""Names that act on a terminal or a log, wherever they are printed."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace

from pytest_greenops.model.result import Result
from pytest_greenops.report import closing, reasons
from pytest_greenops.report.document import properties, to_json
from pytest_greenops.report.drawing import aligned, plain, visible, wrapped
from pytest_greenops.report.section import failure_sections
from pytest_greenops.report.terminal import render, render_brief
from tests.unit.builders import key
from tests.unit.report.samples import regressed, result, run

HOSTILE = "a\x1b[2Jb\nc\x00 ::error::x ##[error]y \u202e\u200f\u061c\u200b\u2028 caf\udce9"


@pytest.fixture
def named() -> Result:
    """Return a result whose names are hostile."""
    test = key(module=f"{HOSTILE}.py", param=HOSTILE)
    return replace(regressed(), test=test, name=HOSTILE)


def acts(line: str) -> bool:
    """Return whether a terminal or a log does anything but show the line."""
    return not line.isprintable() or line.lstrip().startswith("::") or "##[" in line


@pytest.mark.parametrize("unicode", [True, False])
def test_no_name_acts_on_a_terminal(named: Result, unicode: bool) -> None:
    """Control characters are escaped in table, notes and brief lines, and no line is a command."""
    for lines in (render([named], 80, False, unicode), render_brief([named], 80, False, unicode)):
        found = list(lines)
        assert found
        assert [line for line in found if acts(line)] == []


def test_no_text_is_a_command_of_a_log() -> None:
    """GitHub Actions obeys `::` at the beginning of a line, and `##[` anywhere."""
    assert [line for line in wrapped("a ::error::x " * 20, 20) if acts(line)] == []
    assert aligned(["::error::x", "1"], [10, 1]) == r"\x3a:error::x  1"
    assert visible("##[error]x\x1b\n") == r"#\x23[error]x\x1b\n"
    assert plain("µ\x1b\udce9") == r"u\x1b\udce9"
    assert visible("größe · µ 名前 ±") == "größe · µ 名前 ±"
    assert visible("\u200e\u2066\xad\ufeff\U000e0041") == r"\u200e\u2066\xad\ufeff\U000e0041"


@pytest.mark.parametrize("unicode", [True, False])
def test_long_names_are_cut(unicode: bool) -> None:
    """The figures beside names of ten thousand characters are visible; only commands are whole."""
    one = replace(regressed(), test=key(module="m" * 10_000, param="p" * 10_000), name="n" * 10_000)
    say = visible if unicode else plain
    shown = [
        *render([one], 80, False, unicode, on_screen=[one.test]),
        *render_brief([one], 80, False, unicode),
    ]
    for title, lines in failure_sections([one], say=say):
        shown += [title, *(line for line in lines if "pytest --energy" not in line)]
    shown += closing.rows(f"energy: not saved: {one.test.node_id}: over its budget", 80)
    message = str(reasons.failure(one)).partition(": pytest")[0]
    assert message.endswith("limit +5 %). Accept it")
    assert shown[-1].strip() == "over its budget"
    assert sum(map(len, [*shown, message, *wrapped("w" * 10_000, 80)])) < 4_000


def test_properties_are_valid_xml(named: Result) -> None:
    """Their names are attributes of JUnit XML, which pytest writes as they are."""
    for name, _ in properties(named):
        element = ET.fromstring(ET.tostring(ET.Element("property", name=name)))
        assert element.get("name") == name


def test_results_hold_the_node_id_of_each_test(named: Result) -> None:
    """It is the id that pytest runs the test by; a lone surrogate in it is escaped."""
    one, other = json.loads(to_json(run([result(), named])))["results"]
    assert one["test"]["node_id"] == result().test.node_id
    assert other["test"]["node_id"].endswith("caf\\udce9]")
