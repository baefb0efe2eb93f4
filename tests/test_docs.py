"""The documents: their snippets run, what they name exists, their links resolve."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from unittest.mock import Mock

import msgspec
import pytest

from benchmarks import conftest as benchmarks
from pytest_greenops.commands.main import COMMANDS
from pytest_greenops.hooks.options import add_options
from pytest_greenops.model.marker import keywords
from pytest_greenops.model.result import Policy, Result, Results
from pytest_greenops.model.verdict import Change, Limit, Outcome, QualityChange, Verdict
from pytest_greenops.sensors.rapl.powercap import UDEV_RULE

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
#: A fenced block, and the comment before it that has it run: `<!-- test: run [file] -->`.
BLOCK = re.compile(
    r"^(?P<mark><!-- test: run ?(?P<file>\S*) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
#: The file of a snippet that is told neither by its mark nor by a comment in its first line.
FILES = {"python": "test_snippet.py", "toml": "pyproject.toml", "ini": "pytest.ini"}
#: Joules for projects that bring no sensor: each reading finds a millijoule more, 0.2 s later.
CONFTEST = """
from pytest_greenops.testing import FakeSensor


class Working(FakeSensor):
    def read(self):
        self.spend(0.001, seconds=0.2)
        return super().read()


def pytest_energy_sensors(config):
    return [Working()]
"""
#: No other plugin, and no threads that get in each other's way.
ALONE = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTHONIOENCODING": "utf-8",
    "OMP_NUM_THREADS": "1",
}
ABSENT = "## Not in this version"


class Snippet(NamedTuple):
    """A block of code in a page, and the file that it is."""

    file: str
    text: str
    runs: bool


def snippets(page: Path) -> Iterator[Snippet]:
    """The snippets of a page in a language that can be run."""
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if block["language"] in FILES:
            named = re.match(r"# (\S+\.\w+)\n", block["text"])
            file = block["file"] or (named[1] if named else FILES[block["language"]])
            yield Snippet(file, block["text"], block["mark"] is not None)


def projects(page: Path) -> Iterator[dict[str, str]]:
    """The files of a page's project: as they stand before one of them changes, and at the end."""
    files: dict[str, str] = {}
    for snippet in snippets(page):
        if snippet.runs:
            if snippet.file in files:
                yield dict(files)
            files[snippet.file] = snippet.text
    if files:
        yield files


def missing(files: dict[str, str]) -> list[str]:
    """Libraries that a project imports and that are not installed."""
    found = re.findall(r"^(?:import|from) (\w+)", "\n".join(files.values()), re.MULTILINE)
    return [name for name in set(found) if f"{name}.py" not in files and not find_spec(name)]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Begin to run pytest in a folder, with this plugin only."""
    strict = ("--strict-markers", "--strict-config", "--color=no")
    others = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "greenops", *strict, *arguments],
        cwd=folder,
        env={**others, **ALONE},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def options() -> dict[str, tuple[str | None, str]]:
    """The flag, if there is one, and the type of each ini name that the plugin registers."""
    parser = Mock()
    add_options(parser)
    group = parser.getgroup.return_value
    flags = {call.kwargs["dest"]: call.args[0] for call in group.addoption.call_args_list}
    return {
        call.args[0]: (flags.get(call.args[0]), call.kwargs["type"])
        for call in parser.addini.call_args_list
    }


def benchmark_flags() -> set[str]:
    """The flags that only the benchmarks register."""
    parser = Mock()
    benchmarks.pytest_addoption(parser)
    calls = parser.getgroup.return_value.addoption.call_args_list
    return {call.args[0] for call in calls}


def section(name: str, title: str) -> str:
    """A section of a page of the documentation, with those below it."""
    text = (DOCS / name).read_text(encoding="utf-8")
    begun = text.index(f"\n{title}\n") + 1
    level = title.partition(" ")[0]
    ended = re.search(rf"^#{{1,{len(level)}}} ", text[begun + len(title) :], re.MULTILINE)
    return text[begun:][: ended.start() + len(title) if ended else None]


def in_code(text: str) -> set[str]:
    """Words that stand in backticks, alone or among others."""
    return {word for code in re.findall(r"`([^`\n]+)`", text) for word in re.findall(r"\w+", code)}


def anchors(page: Path) -> set[str]:
    """What a link may name behind `#`, as GitHub makes it of headings."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


STEPS = {
    f"{name}-{number}": files
    for name, page in zip(NAMES, PAGES, strict=True)
    for number, files in enumerate(projects(page))
}


@pytest.mark.parametrize("files", STEPS.values(), ids=STEPS)
def test_snippets_run(files: dict[str, str], tmp_path: Path) -> None:
    """The snippets of a page make a project whose tests pass plainly, and measured by a sensor."""
    if absent := missing(files):
        pytest.skip(f"needs {', '.join(absent)}")
    more = {"conftest.py": CONFTEST}
    if not any(file.startswith("test_") for file in files):
        more["test_it.py"] = "def test_it(energy): assert energy(len, 'ab') == 2"
    for file, text in {**more, **files}.items():
        (tmp_path / file).write_text(text, encoding="utf-8")

    running = [start(tmp_path), start(tmp_path, "--energy")]
    plain, measured = (process.communicate()[0].splitlines() for process in running)

    outcomes = pytest.RunResult.parse_summary_nouns(plain)
    assert outcomes.keys() - {"skipped"} == {"passed"}, "\n".join(plain)
    passed = {"passed": sum(outcomes.values())}
    assert pytest.RunResult.parse_summary_nouns(measured) == passed, "\n".join(measured)
    [closing] = [line for line in measured if line.startswith("energy: ") and "compared" in line]
    assert re.fullmatch(r"energy: [1-9]\d* measured, .* \d+ not comparable", closing)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_snippet_runs(page: Path) -> None:
    """No snippet of Python or of configuration is left out of the test above."""
    assert [snippet.text for snippet in snippets(page) if not snippet.runs] == []


def test_pages_that_teach_have_snippets() -> None:
    """The pages from which people copy have something that runs."""
    taught = {step.rpartition("-")[0] for step in STEPS}
    assert taught >= {"README.md", "docs/first-budget.md", "docs/hooks.md", "docs/reference.md"}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_options_exist(page: Path) -> None:
    """Every option and ini name that a page mentions is there, save those said to be missing."""
    text = page.read_text(encoding="utf-8")
    if ABSENT in text:
        text = text.replace(section(page.name, ABSENT), "")
    flags = {flag for flag, _ in options().values()} | benchmark_flags()
    names = {*options(), "energy_budget", "energy_uj"}
    assert set(re.findall(r"--(?:energy|bench)[a-z-]*", text)) - flags == set()
    assert set(re.findall(r"(?<![\w.])energy_[a-z_]+", text)) - names == set()


def test_what_is_said_to_be_missing_is() -> None:
    """No option or command that the limits call missing exists."""
    text = section("limits.md", ABSENT)
    options_named = set(re.findall(r"--energy[a-z-]*", text))
    of_the_command = text.partition("* the commands")[2].partition(": there are")[0]
    commands_named = set(re.findall(r"`([a-z]+)`", of_the_command))
    assert options_named
    assert commands_named
    assert options_named & {flag for flag, _ in options().values()} == set()
    assert commands_named & {command.name for command in COMMANDS} == set()


def test_reference_has_every_option() -> None:
    """The table of options holds each of them, with its ini twin and its type, and no other."""
    table = section("reference.md", "## Options")
    rows = re.findall(r"^\| (?:`(--[a-z-]+)[^|]*|none) \| `(\w+)` \| (\w+) \|", table, re.MULTILINE)
    assert {ini: (flag or None, kind) for flag, ini, kind in rows} == options()


def test_reference_has_every_keyword() -> None:
    """The table of the marker holds each of its keywords, and no other."""
    table = section("reference.md", "## The marker")
    first_cells = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    assert {word for cell in first_cells for word in in_code(cell)} == set(keywords())


@pytest.mark.parametrize(
    ("title", "kinds"),
    [
        ("### energy.results", (Result, Verdict, Change, Limit, QualityChange)),
        ("## The JSON document", (Results, Policy)),
    ],
)
def test_reference_has_every_field(title: str, kinds: tuple[type[msgspec.Struct], ...]) -> None:
    """What a test can read of a result, and a program of the document, is in the reference."""
    fields = {field for kind in kinds for field in kind.__struct_fields__}
    assert fields - in_code(section("reference.md", title)) == set()


def test_commands_exist() -> None:
    """The commands that pages mention exist, and the reference has every one."""
    commands = {command.name for command in COMMANDS}
    pattern = re.compile(r"(?:`|\$ |/)pytest-greenops ([a-z]+)")
    named = {page: set(pattern.findall(page.read_text(encoding="utf-8"))) for page in PAGES}
    assert set().union(*named.values()) == commands
    assert named[DOCS / "reference.md"] == commands


def test_every_verdict_is_explained() -> None:
    """Each of the verdicts has a row where verdicts are explained."""
    rows = re.findall(r"^\| `([a-z ]+)` \|", section("comparing.md", "## Verdicts"), re.MULTILINE)
    assert sorted(rows) == sorted(outcome.value for outcome in Outcome)


def test_right_to_read_is_the_one_that_is_printed() -> None:
    """The rule that gives the right to read RAPL is the one that the sensor names."""
    assert UDEV_RULE in section("sensors-and-permissions.md", "## RAPL: the right to read")


def test_every_package_has_its_place() -> None:
    """The architecture page names every package, and none that does not exist."""
    package = ROOT / "pytest_greenops"
    packages = {str(file.parent.relative_to(package)) for file in package.rglob("__init__.py")}
    named = set(
        re.findall(r"^\| `([\w/]+)/` \|", (DOCS / "architecture.md").read_text(), re.MULTILINE)
    )
    assert named == packages - {"."}


def test_index_leads_to_every_page() -> None:
    """The map of the documentation links to each of its pages."""
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", text))
    assert linked == {page.name for page in DOCS.glob("*.md")} - {"index.md"}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_resolve(page: Path) -> None:
    """Every relative link leads to a file that is there, and to a heading in it."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []
