"""`--energy-ab`: what a user reads of a test that uses more energy than in a git ref."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ET

import pytest

from tests.integration import commands
from tests.integration.projects import Project, Ran
from tests.unit.bisection.histories import git

TESTS = """
    import model

    def test_it(energy, spend):
        energy(spend, model.JOULES)
"""
NEW = """
    def test_new(energy, spend):
        energy(spend, 1.0)
"""
PEOPLE = ("-c", "user.name=Ada Lovelace", "-c", "user.email=ada@example.org")


@pytest.fixture
def topic(project: Project) -> Project:
    """Return a project on the branch `topic`, whose last commit uses 20 % more than `main`."""
    git(project.path, "init", "--quiet", "--initial-branch=main")
    project.write("test_it.py", TESTS)
    project.write(".gitignore", "runpytest-*\n__pycache__\n*.json\n*.xml\n")
    for subject, joules in (("Begin", 2.0), ("Load as float64", 2.4)):
        project.write("model.py", f"JOULES = {joules}  # {subject}\n")
        git(project.path, "add", "--all")
        git(project.path, *PEOPLE, "commit", "--quiet", "--message", subject)
        if subject == "Begin":
            git(project.path, "checkout", "--quiet", "-b", "topic")
    return project


def label(project: Project) -> str:
    """Return the ref as a reader sees it."""
    return f"{git(project.path, 'rev-parse', '--short=7', 'main')} (main)"


def read_by_a_shell(command: str) -> list[str]:
    """Return the words of a command, as bash reads it."""
    printed = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, text=True, check=True
    )
    return printed.stdout.split("\0")[:-1]


def test_a_regression(topic: Project) -> None:
    """Screen, JUnit file and closing line have the figures, and a test that only one side has."""
    topic.write("test_new.py", NEW)
    ran = topic.energy("--energy-ab=main", "--junit-xml=junit.xml")
    ref = label(topic)
    assert (ran.code, ran.outcomes) == (1, {"failed": 1, "passed": 1})
    assert f"compares with {ref}, in turns on this machine" in ran.energy_lines
    assert ran.document.policy.ab == ref
    first, *below = ran.failure("test_it").splitlines()
    assert re.fullmatch(
        rf"EnergyRegression: call used 2\.40 J, 2\.00 J in {re.escape(ref)}: \+20 % "
        r"\(95 % CI \+\d+…\+\d+\), \d+ pairs, limit \+5 %",
        first,
    )
    assert "if intended     merge it: once main has it, later runs pass" in below
    steps = [line[:16].strip() for line in below if re.match(".{16}(pytest|energy_budget)", line)]
    assert steps == [
        "find the cause",
        "find the commit",
        "try again",
        "allow it",
    ]
    ran.stdout.fnmatch_lines(
        [
            "test_it * +20 % *regressed",
            f"    A/B  * pairs against {ref}",
            "test_new * no baseline",
            "no baseline: test_new.py::test_new",
            "  no baseline (not in main): *",
        ]
    )
    assert ran.closing.endswith(f"; 1 no baseline; 1 by A/B against {ref}")
    ab = ran.results["test_it"].verdict.interleaved
    assert ab is not None
    assert sum(pair.counts for pair in ab.every_pair) == ab.pairs
    assert {(pair.candidate_j, pair.ref_j, pair.relative) for pair in ab.every_pair} == {
        (2.4, 2.0, 0.2)
    }
    found = ET.parse(topic.path / "junit.xml").iterfind(".//testcase[@name='test_it']//property")
    figures = {each.get("name"): each.get("value") for each in found}
    assert figures["energy.ab_ref"] == "main"
    assert figures["energy.ab_verdict"] == "regressed"
    assert float(figures["energy.ab_change"] or 0) == pytest.approx(0.2)


def test_advised_commands_do_what_they_say(topic: Project) -> None:
    """Pasted into a shell, one compares again, one finds the commit, and one saves."""
    ran = topic.energy("--energy-ab", "main")
    advised = dict(re.findall(r"^(.{16})(pytest.*)$", ran.failure("test_it"), re.MULTILINE))
    again = _paste(topic, advised["try again       "])
    assert (again.code, again.verdicts) == (1, {"test_it": "regressed"})
    assert again.results["test_it"].verdict.interleaved is not None
    program, *arguments = read_by_a_shell(advised["find the commit "])
    assert program == "pytest-greenops"
    at = arguments.index("--") + 1
    # As the run had them; what pytest prints of them is taken out of its text.
    arguments[at:at] = ["-p", "greenops"]
    bisected = commands.run(topic.path, *arguments, JOULES="2", COLUMNS="80")
    assert bisected.code == 0, bisected.err
    assert "Load as float64" in bisected.out.partition("found: ")[2].splitlines()[0]

    topic.write("test_it.py", NEW)
    new = topic.energy("--energy-ab", "main")
    [save] = re.findall(r"^ +(pytest .*--energy-save .*)$", new.text, re.MULTILINE)
    assert _paste(topic, save).counts["baseline saved"] == 1


def _paste(project: Project, command: str) -> Ran:
    program, *arguments = read_by_a_shell(command)
    assert program == "pytest"
    return project.energy(*arguments)
