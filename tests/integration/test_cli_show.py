"""`pytest-greenops show`: list baselines."""

from __future__ import annotations

import pytest

from tests.integration.commands import refused, run
from tests.integration.projects import Project

MORE = """
    def test_load(energy, spend):
        energy.units(row=4)
        energy(spend, 1.0)
"""


@pytest.fixture
def stored(saved: Project) -> Project:
    """Return a project with baselines of two tests, with one session each."""
    saved.write("test_more.py", MORE)
    saved.save("test_more.py")
    return saved


def test_baselines_are_listed(stored: Project) -> None:
    """Each test has its energy, by module, without color and within 80 columns."""
    ran = run(stored.path, "show")
    assert (0, "") == (ran.code, ran.err)
    assert ran.lines[0].endswith(": 2 tests")
    assert max(map(len, ran.lines)) <= 80
    assert "\x1b" not in ran.out
    by_name = {line.split()[0]: line for line in ran.lines if line.startswith("test_")}
    assert " 2.00 J " in by_name["test_works"]
    assert " 1.00 J " in by_name["test_load"]
    assert " 250 mJ/row " in ran.out
    assert "energy: 2 measurements with a baseline" in ran.lines
    assert max(map(len, run(stored.path, "show", COLUMNS="60").lines)) <= 60


@pytest.mark.parametrize(
    "arguments", [["load"], ["baselines", "load"], ["test_more.py::"], ["--machine=fake", "load"]]
)
def test_tests_can_be_chosen(stored: Project, arguments: list[str]) -> None:
    """A part of a name is sufficient, with or without the folder."""
    ran = run(stored.path, "show", *arguments)
    assert 0 == ran.code
    assert "test_load" in ran.out
    assert "test_works" not in ran.out


def test_another_folder_can_be_named(stored: Project) -> None:
    """The command works in any folder, and advises how to add sessions to these baselines."""
    baselines = stored.path / "baselines"
    ran = run(stored.path.parent, "show", baselines)
    *table, save = ran.lines
    assert (ran.code, save) == (0, f"  pytest --energy-save --energy-baselines={baselines}")
    assert run(stored.path, "show").lines == [*table, "  pytest --energy-save"]


def test_nothing_found_exits_with_1(stored: Project) -> None:
    """The message says what was looked for, and what exists."""
    said = "pytest-greenops: baselines: no baseline of a test named like "
    for arguments, found in (
        (["nothing", "at-all"], "nothing or at-all; it has 2 tests: test_works, test_load\n"),
        (["test_wroks"], "test_wroks; the nearest: test_works\n"),
    ):
        ran = run(stored.path, "show", *arguments)
        assert (1, "", said + found) == (ran.code, ran.out, ran.err)


def test_a_damaged_file_does_not_hide_others(stored: Project) -> None:
    """The rest is listed, the file is named, and the exit status is 2."""
    [path] = (stored.path / "baselines").rglob("test_load.json")
    path.write_text("{")
    ran = run(stored.path, "show")
    assert 2 == ran.code
    assert "test_works" in ran.out
    [line] = ran.err.splitlines()
    assert f"{path.relative_to(stored.path)}: damaged" in line


def test_a_folder_without_baselines_is_reported(stored: Project) -> None:
    """A subfolder that contains them is named."""
    assert refused(stored.path, "show", ".") == ".: contains no baselines: use baselines"
    assert refused(stored.path.parent, "show").startswith("baselines: no such folder")
    nope = "nope: no such folder, and no folder baselines with a test of that name: "
    assert refused(stored.path.parent, "show", "nope").startswith(nope)
    assert "no machine's name contains 'xeon'" in refused(stored.path, "show", "--machine=xeon")
