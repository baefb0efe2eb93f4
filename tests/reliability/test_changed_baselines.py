"""What a change of a baseline file can hide, for somebody who reviews the diff and the output."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.projects import ALONE, Project

Json = dict[str, Any]
#: What a diff shows of a file with one measurement of one counter fits on a screen.
LONGEST_LINE = 200


def write(path: Path, document: Json) -> None:
    """Write a baseline by hand, with a line for each value."""
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


def series(document: Json) -> Json:
    """Return the only measurement."""
    found: Json = document["measurements"]["call"]
    return found


def all_rounds(document: Json) -> Iterator[Json]:
    """Yield each round of each session."""
    for session in series(document)["sessions"]:
        yield from session["rounds"]


def more_joules(document: Json) -> None:
    """Accept half more."""
    for each in all_rounds(document):
        each["energy_uj"] = {name: round(uj * 1.5) for name, uj in each["energy_uj"].items()}


def fewer_calls(document: Json) -> None:
    """Say that each joule was that of two thirds of a call."""
    for each in all_rounds(document):
        each["iterations"] = each.get("iterations", 1) * 2
        each["energy_uj"] = {name: uj * 3 for name, uj in each["energy_uj"].items()}


def wide_spread(document: Json) -> None:
    """Let the sessions differ as much as possible."""
    for number, session in enumerate(series(document)["sessions"]):
        for each in session["rounds"]:
            each["energy_uj"] = {n: uj * 10 ** (number % 3) for n, uj in each["energy_uj"].items()}


def noisy_rounds(document: Json) -> None:
    """Let the rounds of a session differ as much as possible."""
    for number, each in enumerate(all_rounds(document)):
        each["energy_uj"] = {n: uj * 10 ** (number % 3) for n, uj in each["energy_uj"].items()}


def other_conditions(document: Json) -> None:
    """Say that there were other conditions."""
    conditions = series(document)["conditions"]
    first = min(conditions)
    conditions[first] = f"{conditions[first]} "


def other_machine(document: Json) -> None:
    """Say that it was another machine."""
    first = min(document["machine"])
    document["machine"][first] = f"{document['machine'][first]} "


def other_name(document: Json) -> None:
    """Say that another measurement was saved."""
    document["measurements"]["other"] = document["measurements"].pop("call")


def one_session(document: Json) -> None:
    """Keep one session, whose successors are provisional."""
    del series(document)["sessions"][1:]


def other_anchor(document: Json) -> None:
    """Hide what crept up."""
    anchor = series(document)["anchor"]
    anchor["joules_per_unit"] = {"call": dict.fromkeys(anchor["joules_per_unit"]["call"], 9.0)}


def many_sessions(document: Json) -> None:
    """Put three hundred sessions of three times the joules before the real ones."""
    real = series(document)["sessions"]
    cheap = json.loads(json.dumps(real[0]))
    for each in cheap["rounds"]:
        each["energy_uj"] = {name: uj * 3 for name, uj in each["energy_uj"].items()}
    series(document)["sessions"] = [cheap] * 300 + real * 2


#: Each change, and the verdict that a test gets which uses a half more.
CHANGES: dict[Callable[[Json], None], str] = {
    more_joules: "passed",
    fewer_calls: "passed",
    wide_spread: "inconclusive",
    noisy_rounds: "improved",
    other_conditions: "not comparable",
    other_machine: "not comparable",
    other_name: "no baseline",
    one_session: "regressed",
    other_anchor: "regressed",
    many_sessions: "regressed",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_regression_passes_only_where_the_joules_or_calls_of_a_line_change(
    grown: Project, change: Callable[[Json], None]
) -> None:
    """Every other change of a baseline leaves it red, or the closing line counts it."""
    path = grown.baseline_path()
    document = json.loads(path.read_bytes())
    write(path, document)
    before = path.read_text().splitlines()
    change(document)
    write(path, document)
    diff = [*difflib.unified_diff(before, path.read_text().splitlines(), n=0, lineterm="")]
    assert diff
    assert all(line.isprintable() and len(line) < LONGEST_LINE for line in diff)
    ran = grown.energy(*ALONE, joules=3.0)
    assert ran.verdicts == {"test_works": CHANGES[change]}
    assert ran.counts[CHANGES[change]] == 1
    if CHANGES[change] in ("passed", "improved"):
        assert [line for line in diff if '"cpu:0": ' in line or '"iterations": ' in line]
    else:
        assert grown.energy("--energy-strict", *ALONE, joules=3.0).code == 1


def test_what_is_saved_has_a_short_line_for_each_round(grown: Project) -> None:
    """No line hides a figure beside others, and nothing in it is binary."""
    lines = grown.baseline_path().read_text("ascii").splitlines()
    assert max(map(len, lines)) < LONGEST_LINE
    rounds = sum(1 for _ in all_rounds(json.loads("\n".join(lines))))
    assert sum('"energy_uj"' in line for line in lines) == rounds


def test_a_file_without_lines_is_refused(grown: Project) -> None:
    """A diff of it would show that something changed, and not what."""
    path = grown.baseline_path()
    path.write_text(json.dumps(json.loads(path.read_bytes())))
    ran = grown.energy()
    assert (ran.code, ran.outcomes) == (4, {})
    assert ran.errors == [
        f"ERROR: {path}: damaged (its figures share a line, which no diff shows): restore it (git "
        f"checkout -- {path}), or delete it and save again"
    ]


@pytest.mark.parametrize(
    "place",
    [
        (),
        ("measurements", "call"),
        ("measurements", "call", "anchor"),
        ("measurements", "call", "domains", 0),
        ("measurements", "call", "sessions", 0),
        ("measurements", "call", "sessions", 0, "revision"),
        ("measurements", "call", "sessions", 0, "rounds", 0),
    ],
    ids=lambda place: ".".join(map(str, place)) or "file",
)
def test_an_unknown_field_is_refused(grown: Project, place: tuple[str | int, ...]) -> None:
    """A margin, a program or a path has no place in a baseline."""
    path = grown.baseline_path()
    document = json.loads(path.read_bytes())
    part: Any = document
    for name in place:
        part = part[name]
    part["max_increase"] = "50%"
    write(path, document)
    ran = grown.energy()
    assert (ran.code, ran.outcomes) == (4, {})
    assert f"{path}: damaged (Object contains unknown field `max_increase`" in ran.errors[0]


def test_a_baseline_of_another_test_is_named(grown: Project) -> None:
    """Git shows a renamed file without its figures: the run says whose they are."""
    grown.write(
        "test_it.py",
        """
        def test_works(energy, work):
            energy(work)

        def test_heavy(energy, work):
            energy(lambda: [work() for _ in range(3)])
        """,
    )
    light = grown.baseline_path()
    heavy = light.with_name("test_heavy.json")
    assert grown.save("-k", "heavy").code == 0
    assert grown.energy(*ALONE, joules=3.0).counts["regressed"] == 2
    heavy.replace(light)
    ran = grown.energy(*ALONE, joules=3.0)
    assert ran.verdicts == {"test_works": "improved", "test_heavy": "no baseline"}
    note = f"{light} was saved by test_it.py::test_heavy: restore it unless the test was renamed"
    assert ran.energy_lines.count(note) == 1
    grown.save("-k", "works")
    assert note not in grown.energy("-k", "works").energy_lines
    assert grown.baseline().test.name == "test_works"


def test_a_link_to_the_baseline_of_another_test_is_named(grown: Project) -> None:
    """It is the figures of that test, whatever the path says."""
    path = grown.baseline_path()
    other = path.with_name("test_other.json")
    other.write_text(path.read_text().replace("test_works", "test_other"))
    path.unlink()
    path.symlink_to(other.name)
    ran = grown.energy(*ALONE, joules=3.0)
    assert ran.verdicts == {"test_works": "regressed"}
    assert f"{path} was saved by test_it.py::test_other" in ran.text
