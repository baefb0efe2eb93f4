"""`pytest-greenops show`: what baselines hold."""

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
    """A project with baselines of two tests of one session each."""
    saved.write("test_more.py", MORE)
    saved.save("test_more.py")
    return saved


def test_levels_are_shown(stored: Project) -> None:
    """Each test with its level, by module, without colour and within 80 columns."""
    told = run(stored.path, "show")
    assert (0, "") == (told.code, told.err)
    assert told.lines[0].endswith(": 2 tests")
    assert max(map(len, told.lines)) <= 80
    assert "\x1b" not in told.out
    by_name = {line.split()[0]: line for line in told.lines if line.startswith("test_")}
    assert " 2.00 J " in by_name["test_works"]
    assert " 1.00 J " in by_name["test_load"]
    assert " 250 mJ/row " in told.out
    assert "energy: 2 measurements with a baseline" in told.lines


@pytest.mark.parametrize(
    "arguments", [["load"], ["baselines", "load"], ["test_more.py::"], ["--machine=fake", "load"]]
)
def test_tests_can_be_chosen(stored: Project, arguments: list[str]) -> None:
    """A part of a name is enough, with or without the folder."""
    told = run(stored.path, "show", *arguments)
    assert 0 == told.code
    assert "test_load" in told.out
    assert "test_works" not in told.out


def test_another_folder_can_be_named(stored: Project) -> None:
    """From anywhere."""
    told = run(stored.path.parent, "show", stored.path / "baselines")
    assert (0, run(stored.path, "show").out) == (told.code, told.out)


def test_nothing_found_exits_with_1(stored: Project) -> None:
    """What was asked for is named."""
    told = run(stored.path, "show", "nothing", "at-all")
    assert (1, "") == (told.code, told.out)
    expected = "pytest-greenops: baselines: no baseline of a test named like nothing or at-all\n"
    assert expected == told.err


def test_a_damaged_file_hides_no_other(stored: Project) -> None:
    """The rest is shown, the file is named, and the exit status is 2."""
    [path] = (stored.path / "baselines").rglob("test_load.json")
    path.write_text("{")
    told = run(stored.path, "show")
    assert 2 == told.code
    assert "test_works" in told.out
    [line] = told.err.splitlines()
    assert f"{path.relative_to(stored.path)}: damaged" in line


def test_a_folder_without_baselines_is_told(stored: Project) -> None:
    """The one that holds them is named, where it is near."""
    assert refused(stored.path, "show", ".") == ".: holds no baselines; they begin in baselines"
    assert refused(stored.path.parent, "show").startswith("baselines: no such folder")
    assert "no machine's name holds 'xeon'" in refused(stored.path, "show", "--machine=xeon")
