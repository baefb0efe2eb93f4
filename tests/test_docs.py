"""The documentation: snippets run, names exist, links resolve, and the guide stays short."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from unittest.mock import Mock

import msgspec
import pytest

from benchmarks import conftest as benchmarks
from docs.reference_tables import TABLES
from pytest_greenops.commands.main import COMMANDS
from pytest_greenops.hooks.options import add_options
from pytest_greenops.model.counted import Amount, Coverage, OperatorWork, WorkRecord, WorkTotals
from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.result import Benchmark, Origin, Policy, Result, Results
from pytest_greenops.model.verdict import Change, Limit, Outcome, QualityChange, Verdict
from pytest_greenops.model.work_verdict import WorkLimit, WorkVerdict
from pytest_greenops.sensors.rapl.powercap import UDEV_RULE
from tests.integration import forked_python

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
#: What a user reads; evidence and generated tables are apart.
GUIDE = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
EVIDENCE = sorted((DOCS / "evidence").glob("*.md"))
EXAMPLES = sorted(ROOT.glob("examples/**/README.md"))
PAGES = [*GUIDE, ROOT / "CONTRIBUTING.md", *EVIDENCE, *EXAMPLES]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
#: At most this many words, outside of generated tables, in each page of the guide and in all.
WORDS = {"README.md": 900, "docs/reference.md": 1830}
WORDS_OF_A_PAGE = 1200
WORDS_OF_THE_GUIDE = 18_600
#: A table that a command writes, with its marks.
GENERATED = re.compile(r"<!-- begin: (.*?) -->.*?<!-- end: \1 -->", re.DOTALL)
#: A fenced block, with the comment before it that makes the test run it:
#: `<!-- test: run [file] -->`.
BLOCK = re.compile(
    r"^(?P<mark><!-- test: run ?(?P<file>\S*) -->\n)?"
    r"^```(?P<language>[\w{}-]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
#: The file of a snippet that neither its comment nor its own first line names.
FILES = {"python": "test_snippet.py", "toml": "pyproject.toml", "ini": "pytest.ini"}
#: A sensor for projects that have none: each reading adds a millijoule and 0.2 s.
CONFTEST = """
from pytest_greenops.testing import FakeSensor


class Working(FakeSensor):
    def read(self):
        self.spend(0.001, seconds=0.2)
        return super().read()


def pytest_energy_sensors(config):
    return [Working()]
"""
#: No other plugins, and one thread per process.
ALONE = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTHONIOENCODING": "utf-8",
    "OMP_NUM_THREADS": "1",
}


class Snippet(NamedTuple):
    """A block of code in a page, and the name of its file."""

    file: str
    text: str
    runs: bool


def snippets(page: Path) -> Iterator[Snippet]:
    """Yield the snippets of a page in a language that can run."""
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if block["language"] in FILES:
            named = re.match(r"# (\S+\.\w+)\n", block["text"])
            file = block["file"] or (named[1] if named else FILES[block["language"]])
            yield Snippet(file, block["text"], block["mark"] is not None)


def projects(page: Path) -> Iterator[dict[str, str]]:
    """Yield the files of a page's project: before each change of a file, and at the end."""
    files: dict[str, str] = {}
    for snippet in snippets(page):
        if snippet.runs:
            if snippet.file in files:
                yield dict(files)
            files[snippet.file] = snippet.text
    if files:
        yield files


def imports(files: dict[str, str]) -> set[str]:
    """Return the modules that a project imports and does not contain."""
    text = "\n".join(files.values())
    found = re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)
    return {name for name in found if f"{name}.py" not in files}


def run(folder: Path, *arguments: str) -> list[str]:
    """Run pytest in a folder, with this plugin only, and return the lines of its output."""
    strict = ("--strict-markers", "--strict-config", "--color=no")
    others = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    ran = forked_python.run(
        "pytest", "-p", "greenops", *strict, *arguments, environ={**others, **ALONE}, folder=folder
    )
    return [*ran.lines, *ran.err.splitlines()]


def options() -> dict[str, tuple[str | None, str]]:
    """Return the flag, if any, and the type of each ini name that the plugin registers."""
    parser = Mock()
    add_options(parser)
    group = parser.getgroup.return_value
    flags = {call.kwargs["dest"]: call.args[0] for call in group.addoption.call_args_list}
    return {
        call.args[0]: (flags.get(call.args[0]), call.kwargs["type"])
        for call in parser.addini.call_args_list
    }


def benchmark_flags() -> set[str]:
    """Return the flags that only the benchmarks register."""
    parser = Mock()
    benchmarks.pytest_addoption(parser)
    calls = parser.getgroup.return_value.addoption.call_args_list
    return {call.args[0] for call in calls}


def section(name: str, title: str) -> str:
    """Return a section of a page, including its subsections."""
    text = (DOCS / name).read_text(encoding="utf-8")
    begun = text.index(f"\n{title}\n") + 1
    level = title.partition(" ")[0]
    ended = re.search(rf"^#{{1,{len(level)}}} ", text[begun + len(title) :], re.MULTILINE)
    return text[begun:][: ended.start() + len(title) if ended else None]


def in_code(text: str) -> set[str]:
    """Return the words in backticks."""
    return {word for code in re.findall(r"`([^`\n]+)`", text) for word in re.findall(r"\w+", code)}


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


STEPS = {
    f"{name}-{number}": files
    for name, page in zip(NAMES, PAGES, strict=True)
    for number, files in enumerate(projects(page))
}


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(files, marks=pytest.mark.needs_torch if "torch" in imports(files) else ())
        for files in STEPS.values()
    ],
    ids=STEPS,
)
def test_snippets_run(files: dict[str, str], tmp_path: Path) -> None:
    """The snippets of a page are a project whose tests pass, both plain and measured."""
    if absent := [name for name in imports(files) if not find_spec(name)]:
        pytest.skip(f"needs {', '.join(absent)}")
    more = {"conftest.py": CONFTEST}
    if not any(file.startswith("test_") for file in files):
        more["test_it.py"] = "def test_it(energy): assert energy(len, 'ab') == 2"
    for file, text in {**more, **files}.items():
        (tmp_path / file).write_text(text, encoding="utf-8")

    plain, measured = run(tmp_path), run(tmp_path, "--energy")
    outcomes = pytest.RunResult.parse_summary_nouns(plain)
    assert outcomes.keys() - {"skipped"} == {"passed"}, "\n".join(plain)
    passed = {"passed": sum(outcomes.values())}
    assert pytest.RunResult.parse_summary_nouns(measured) == passed, "\n".join(measured)
    [closing] = [line for line in measured if line.startswith("energy: ") and "compared" in line]
    assert re.match(r"energy: [1-9]\d* measured, \d+ compared: [a-z0-9]", closing)
    assert not [line for line in measured if re.match(r"energy: .*\d not measured", line)]


@pytest.mark.needs_torch
def test_first_example_finds_float64(tmp_path: Path) -> None:
    """After the change that the README describes, its example fails with the line that it shows."""
    pytest.importorskip("torch")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [example] = [snippet for snippet in snippets(ROOT / "README.md") if snippet.runs]
    [shown] = re.findall(r"^EnergyWorkIncreased: [^`]*(?=\n```$)", readme, re.MULTILINE)
    [change] = re.findall(r"`(\.eval\(\)\.\w+\(\))`", readme)
    test = tmp_path / example.file
    test.write_text(example.text, encoding="utf-8")
    run(tmp_path, "--energy-count-only", "--energy-save")
    test.write_text(example.text.replace(".eval()", change), encoding="utf-8")
    lines = run(tmp_path, "--energy-count-only")
    assert f"{shown}\n" in "\n".join(lines)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_snippet_runs(page: Path) -> None:
    """Every snippet of Python or configuration is part of the test above."""
    assert [snippet.text for snippet in snippets(page) if not snippet.runs] == []


def test_pages_that_teach_have_snippets() -> None:
    """The pages that people copy code from have snippets that run."""
    taught = {step.rpartition("-")[0] for step in STEPS}
    pages = ("first-budget", "from-pytest-benchmark", "comparing", "hooks", "reference")
    assert taught >= {"README.md", *(f"docs/{page}.md" for page in pages)}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_options_exist(page: Path) -> None:
    """Every option and ini name on a page exists."""
    text = page.read_text(encoding="utf-8")
    flags = {flag for flag, _ in options().values()} | benchmark_flags()
    names = {*options(), "energy_budget", "energy_uj", "energy_joules"}
    assert set(re.findall(r"--(?:energy|bench)(?!mark)[a-z-]*", text)) - flags == set()
    assert set(re.findall(r"(?<![\w.])energy_[a-z_]+", text)) - names == set()


@pytest.mark.parametrize(("page", "write"), TABLES, ids=[write.__name__ for _, write in TABLES])
def test_reference_is_written_from_the_code(page: str, write: Callable[[], list[str]]) -> None:
    """A table of the reference is the one that `make reference` writes."""
    by = f"written by make reference ({write.__name__}) -->"
    text = (DOCS / page).read_text(encoding="utf-8")
    [written] = re.findall(
        f"<!-- begin: {re.escape(by)}\n\n(.*?)\n\n<!-- end: {re.escape(by)}", text, re.DOTALL
    )
    assert written.splitlines() == write(), "run make reference"


@pytest.mark.parametrize(
    ("title", "kinds"),
    [
        (
            "### energy.results",
            (Result, Benchmark, Verdict, Change, Interleaved, Limit, QualityChange),
        ),
        ("### energy.results", (WorkRecord, WorkTotals, Coverage, OperatorWork, Amount)),
        ("### energy.results", (WorkVerdict, WorkLimit)),
        ("## The JSON document", (Results, Policy, Origin)),
    ],
)
def test_reference_has_every_field(title: str, kinds: tuple[type[msgspec.Struct], ...]) -> None:
    """Every field of a result and of the JSON document is in the reference."""
    fields = {field for kind in kinds for field in kind.__struct_fields__}
    assert fields - in_code(section("reference.md", title)) == set()


def test_commands_exist() -> None:
    """The commands on all pages exist, and the reference has every one."""
    commands = {command.name for command in COMMANDS}
    pattern = re.compile(r"(?:`|\$ |/)pytest-greenops ([a-z]+)")
    named = {page: set(pattern.findall(page.read_text(encoding="utf-8"))) for page in PAGES}
    assert set().union(*named.values()) == commands
    assert named[DOCS / "reference.md"] == commands


def test_every_verdict_is_explained() -> None:
    """Each verdict has a row in the table of verdicts."""
    rows = re.findall(r"^\| `([a-z ]+)` \|", section("comparing.md", "## Verdicts"), re.MULTILINE)
    assert sorted(rows) == sorted(outcome.value for outcome in Outcome)


def test_udev_rule_is_the_printed_one() -> None:
    """The udev rule for reading RAPL is the one that the sensor prints."""
    assert UDEV_RULE in section("sensors-and-permissions.md", "## RAPL: the right to read")


def test_every_package_has_its_place() -> None:
    """The table of packages in the architecture page has exactly the existing packages."""
    package = ROOT / "pytest_greenops"
    packages = {str(file.parent.relative_to(package)) for file in package.rglob("__init__.py")}
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `([\w/]+)/` \|", text, re.MULTILINE))
    assert named == packages - {"."}


def test_index_leads_to_every_page() -> None:
    """The index links to every page of the documentation."""
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(((?:evidence/)?[\w-]+\.md)\)", text))
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert linked == pages - {"index.md"}


def test_pictures_are_shown_and_small() -> None:
    """Each picture is on a page, has less than 200 kB, and loads no font from elsewhere."""
    pictures = sorted((DOCS / "images").iterdir())
    shown = {
        Path(name).name
        for page in PAGES
        for name in re.findall(r"!\[.*?\]\((.*?)\)", page.read_text())
    }
    assert {picture.name for picture in pictures} == shown
    assert [picture.name for picture in pictures if picture.stat().st_size >= 200_000] == []
    drawn = [picture for picture in pictures if picture.suffix == ".svg"]
    assert [picture.name for picture in drawn if "@font-face" in picture.read_text()] == []


def test_the_plug_is_that_of_the_example() -> None:
    """The page of the hooks has the sensor of `examples/smart_plug`, word by word."""
    [shown] = [each.text for each in snippets(DOCS / "hooks.md") if each.file == "smart_plug.py"]
    example = (ROOT / "examples/smart_plug/smart_plug.py").read_text(encoding="utf-8")
    sensor = example.partition("def pytest_addoption")[0].replace("import pytest\n\n", "")
    assert "class SmartPlug:" in shown
    assert shown.rstrip() == sensor.rstrip()


def test_guide_is_short() -> None:
    """The README, each page of the guide and the whole guide keep to their number of words."""
    words = {
        page.relative_to(ROOT).as_posix(): len(
            GENERATED.sub("", page.read_text(encoding="utf-8")).split()
        )
        for page in GUIDE
    }
    assert {
        name: count for name, count in words.items() if count > WORDS.get(name, WORDS_OF_A_PAGE)
    } == {}
    assert sum(words.values()) <= WORDS_OF_THE_GUIDE


def test_why_quotes_the_table() -> None:
    """The percentages of false alarms in `why.md` are those of the generated table."""
    table = section("evidence/verdict.md", "### Other rules on the same noise")
    text = section("why.md", "## Why not a threshold on the mean")
    quoted = re.findall(r"\d+\.\d+(?=\s+(?:to|%))", text)
    assert len(quoted) == 6
    assert [figure for figure in quoted if f"| {figure} % |" not in table] == []


def test_generated_tables_are_marked() -> None:
    """A generated table names its command, in the marks and in the sentence before them."""
    marked = {}
    for page in EVIDENCE:
        text = page.read_text(encoding="utf-8")
        writers = re.findall(r"<!-- begin: written by (.*?) -->", text)
        assert writers == re.findall(r"<!-- end: written by (.*?) -->", text)
        assert [each for each in writers if f"`{each}`" not in text] == []
        marked[page.name] = len(writers)
    assert {name: count for name, count in marked.items() if count} == {
        "ab.md": 8,
        "accuracy.md": 1,
        "history.md": 1,
        "overhead.md": 1,
        "reliability.md": 1,
        "suites.md": 1,
        "verdict.md": 4,
        "work.md": 6,
    }


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_cells_without_a_value_are_alike(page: Path) -> None:
    """Such a cell of a table is `–` on every page: no hyphen, no long dash."""
    rows = re.findall(r"^\|.*\|$", BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    assert [row for row in rows if {"-", "—"} & set(re.split(r" *\| *", row))] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_resolve(page: Path) -> None:
    """Every relative link leads to an existing file, and to a heading in it."""
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
