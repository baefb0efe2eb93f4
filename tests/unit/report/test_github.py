"""Annotations for GitHub Actions: where, how many, and that nothing else becomes a command."""

from __future__ import annotations

import re

import pytest

from pytest_greenops.model.place import Place
from pytest_greenops.report.github import annotate, workflow_command
from tests.unit.builders import key
from tests.unit.report.samples import inconclusive, regressed, result, run
from tests.unit.report.test_markdown import HOSTILE


def test_annotation_on_the_line_of_a_test() -> None:
    """A failure is an error at its test, with the reason and the commands."""
    of = regressed()
    [line] = annotate(run([of, result(test=key("test_b"))]), {of.test: Place("sub/test_x.py", 12)})
    assert line == (
        "::error file=sub/test_x.py,line=12,title=regressed%3A test_parse::"
        "call used 3.10 J/sample, baseline 2.00 J/sample (+55 %25, 95 %25 CI +48…+61 %25, "
        "limit +5 %25)"
        "%0Afind the cause: pytest --energy --energy-explain tests/test_x.py::test_parse"
        "%0Atry again: pytest --energy tests/test_x.py::test_parse"
        "%0Aaccept it: pytest --energy-save tests/test_x.py::test_parse"
    )


def test_warning() -> None:
    """What only warns is a warning; what could not be judged has no annotation."""
    [line] = annotate(run([regressed(action="warn"), inconclusive(test=key("test_b"))]), {})
    assert line.startswith("::warning file=tests/test_x.py,line=1,title=regressed (warned)%3A ")


def test_no_more_than_github_shows() -> None:
    """Ten errors and ten warnings are commands; a line says how many more there are."""
    many = [regressed(test=key(f"test_{number}")) for number in range(13)]
    many += [regressed(test=key(f"test_w{number}"), action="warn") for number in range(11)]
    *lines, last = annotate(run(many), {})
    assert [line.partition(" ")[0] for line in lines] == ["::error"] * 10 + ["::warning"] * 10
    assert last == (
        "energy: GitHub shows 10 errors and 10 warnings of a step: 3 errors and 1 warning more in "
        "the job summary"
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_data(name: str) -> None:
    """A name cannot end its line, its property or its command, and is cut."""
    [line] = annotate(run([regressed(test=key(param=name), name=name)]), {})
    assert line.isprintable()
    assert len(line) < 10_000
    found = re.fullmatch(r"::error file=([^,:]*),line=1,title=([^,:]*)::(.*)", line)
    assert found
    assert len(found[2]) <= 700
    assert "%" not in re.sub(r"%(25|0A|3A|2C)", "", found[2] + found[3])


def test_characters_of_commands_are_escaped() -> None:
    """Percent signs and line ends are escaped in both parts, commas and colons in properties."""
    made = workflow_command("error", {"file": "a,b:c%"}, "50 %, a: b\nc")
    assert made == "::error file=a%2Cb%3Ac%25::50 %25, a: b%0Ac"
