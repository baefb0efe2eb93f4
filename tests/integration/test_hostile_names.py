"""Names that act in some format: one run of a hostile suite with every report on."""

from __future__ import annotations

import csv
import json
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
from markdown_it import MarkdownIt
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from pytest_greenops.commands import results_file
from pytest_greenops.report.exports import FORMATS
from tests.integration import commands, forked_python
from tests.integration.projects import ALONE, INI, conftest, fill
from tests.unit.report.test_exports import SCHEMAS

#: The printable ones are names of measurements, units, qualities and windows too.
NAMES = (
    *("<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "a|b`c``", "&lt;b&gt;"),
    *("[x](http://e.com)", "![x](y)", "@torvalds #1 GH-1 www.e.com", "- **a** _b_ ~~c~~", "=1+1"),
    *(
        "::error file=x::boo",
        "##[error]boo",
        "%0A::error::boo",
        'a"b\\c{}=',
        "caf\udce9",
        "名前\u202e",
    ),
    *("+4-cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1"),
    *("a\nb\r\n::error::c", "\x1b[31mred\x07\x00", "x" * 10_000),
)
FOLDER = "a|b <i>`@c` [x](y)"
SUITE = f"""
import pytest

NAMES = {NAMES!r}

def name_of(n):
    return NAMES[n][:200] if NAMES[n].isprintable() else f"name {{n}}"

@pytest.mark.parametrize("n", range(len(NAMES)), ids=NAMES)
@pytest.mark.energy_budget("1 J")
def test_over(energy, work, n):
    energy.units(**{{"u" + name_of(n)[:199]: 3}})
    energy.quality(**{{name_of(n): 0.5}})
    energy.named(name_of(n))(work)

@pytest.mark.parametrize("n", range(len(NAMES)), ids=NAMES)
@pytest.mark.energy_budget("1 J", action="warn")
def test_warned(energy, work, n):
    for _ in energy.rounds():
        with energy.measure(name_of(n)):
            work()
"""

#: Of each test there is one measurement.
MEASURED = 2 * len(NAMES)
#: Every kind of report, each in a file of its name.
REPORTS = [f"--energy-{name}={name}" for name in ("json", "html", "markdown")]
REPORTS += [f"--energy-export={name}:{name}" for name in FORMATS]
REPORTS += ["--energy-history=sqlite:///history.db", "--junit-xml=junit"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the suite once, and return the folder of its reports; `log` is what it printed."""
    folder = tmp_path_factory.mktemp("hostile")
    fill(folder, {"pytest.ini": INI, "conftest.py": conftest()})
    (folder / FOLDER).mkdir()
    (folder / FOLDER / "test_it.py").write_text(SUITE, encoding="utf-8")
    given = {"JOULES": "2.0", "SEED": "0", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "80"}
    given |= {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(folder / "summary")}
    given["PYTHONIOENCODING"] = "utf-8"
    options = ["-p", "greenops", "--energy", *ALONE, *REPORTS]
    ran = forked_python.run("pytest", *options, environ={**os.environ, **given}, folder=folder)
    assert (ran.code, ran.err) == (1, "")
    (folder / "log").write_text(ran.out, encoding="utf-8")
    return folder


class Elements(HTMLParser):
    """Gathers the elements of a page, and their attributes that act."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.acting: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element."""
        self.found.add(tag)
        links = [value for name, value in attrs if name in ("href", "src") and value]
        self.acting += [name for name, _ in attrs if name.startswith("on")]
        self.acting += [value for value in links if not value.startswith("#")]


def is_page(text: str, folder: Path) -> None:
    """Check that a page has no element or link of a name."""
    page = Elements(text)
    assert page.acting == ["data:,"]  # no icon
    assert not {"img", "i"} & page.found
    assert text.count("<script") == text.count("</script>")


def is_markdown(text: str, folder: Path) -> None:
    """Check that Markdown makes the elements of a report, and no link, image or mention."""
    html = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(text)
    ours = {"h2", "h3", "p", "strong", "ul", "li", "pre", "code", "details", "summary", "sub", "br"}
    ours |= {"table", "thead", "tbody", "tr", "th", "td"}
    assert Elements(html).found <= ours
    prose = re.sub(r"<(code|pre)[^>]*>.*?</\1>", "", html, flags=re.DOTALL)
    assert not re.search(r"@\w|http:/|www\.\w|GH-\d|#\d", prose)
    assert len(text.encode()) <= 65_000
    assert f"{MEASURED // 2} of {MEASURED} tests failed" in text


def is_log(text: str, folder: Path) -> None:
    """Check that a log has no command but our annotations, and no line that a terminal obeys."""
    obeyed = [line for line in text.splitlines() if line.lstrip().startswith("::")]
    assert len(obeyed) == 20
    assert all(
        re.match(r"::(error|warning) file=[^:,]*,line=\d+,title=[^:,]*::", o) for o in obeyed
    )
    assert [line for line in text.split("\n") if not line.isprintable()] == []
    cut = [line for line in text.splitlines() if line.startswith("EnergyBudgetExceeded")]
    assert max(map(len, cut)) < 500


def is_history(text: str, folder: Path) -> None:
    """Check that a history draws each name in lines that fit."""
    listed = commands.run(folder, "history", "--history=sqlite:///history.db")
    drawn = commands.run(folder, "history", "test_over[x*", "--history=sqlite:///history.db")
    for ran in (listed, drawn):
        assert (ran.code, ran.err) == (0, "")
        assert [line for line in ran.lines if not line.isprintable() or len(line) > 80] == []
    assert f"{MEASURED} trends" in listed.lines[-1]
    asked = ("history", "--history=sqlite:///history.db", f"--html={folder.parent / 'trends.html'}")
    assert commands.run(folder, *asked).code == 0
    is_page((folder.parent / "trends.html").read_text(encoding="utf-8"), folder)


def is_schema(name: str) -> Callable[[str, Path], None]:
    """Return a check that a file has the schema of its consumer."""
    return lambda text, folder: jsonschema.validate(json.loads(text), SCHEMAS[name])


def is_results(text: str, folder: Path) -> None:
    """Check that the results can be read again."""
    assert len(results_file.read(folder / "json").results) == MEASURED


def is_junit(text: str, folder: Path) -> None:
    """Check that JUnit has each test, and properties with short names."""
    cases = [*ET.fromstring(text).iter("testcase")]
    assert len(cases) == MEASURED
    names = [each.get("name", "") for case in cases for each in case.iter("property")]
    assert 0 < max(map(len, names)) < 500


def is_openmetrics(text: str, folder: Path) -> None:
    """Check that Prometheus finds each test."""
    [found] = [f for f in text_string_to_metric_families(text) if f.name == "greenops_power_watts"]
    assert len({each.labels["test"] for each in found.samples}) == MEASURED


def is_csv(text: str, folder: Path) -> None:
    """Check that a table has a row for each measurement, and no formula."""
    rows = [*csv.reader(text.splitlines())]
    assert len(rows) == MEASURED + 1
    acting = ("=", "+", "-", "@", "\t", "\r")
    assert [cell for row in rows for cell in row if cell.startswith(acting)] == []


CHECKS = {
    "log": is_log,
    "json": is_results,
    "html": is_page,
    "markdown": is_markdown,
    "summary": is_markdown,
    "junit": is_junit,
    "openmetrics": is_openmetrics,
    "csv": is_csv,
    "history.db": is_history,
    **{name: is_schema(name) for name in SCHEMAS},
}


@pytest.mark.parametrize("name", CHECKS)
def test_no_name_acts(name: str, folder: Path) -> None:
    """Names with HTML, Markdown, commands, ANSI, surrogates or 10,000 characters are data."""
    text = (folder / name).read_text(encoding="utf-8", errors="replace")
    CHECKS[name](text, folder)


def test_every_report_is_checked(folder: Path) -> None:
    """No file of the run is left out."""
    ours = {"pytest.ini", "conftest.py", ".pytest_cache", "__pycache__", FOLDER}
    assert {path.name for path in folder.iterdir()} - ours == {*CHECKS}
