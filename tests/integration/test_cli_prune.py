"""`pytest-greenops prune`: baselines whose tests are gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.commands import refused, run
from tests.integration.projects import WORKS, Project

MORE = """
    class TestMore:
        def test_load(self, energy, spend):
            energy(spend, 1.0)
"""


@pytest.fixture
def stored(saved: Project) -> Project:
    """A project with baselines of `test_works` and of `TestMore.test_load`."""
    saved.write("sub/test_more.py", MORE)
    saved.save("sub")
    return saved


def kept(project: Project) -> list[str]:
    """Baselines and folders that are there, within that of the machine."""
    [machine] = (project.path / "baselines").iterdir()
    return sorted(str(path.relative_to(machine)) for path in machine.rglob("*"))


def test_nothing_is_removed_while_all_tests_are_there(stored: Project) -> None:
    """It says how many it looked at."""
    before = kept(stored)
    told = run(stored.path, "prune")
    assert (0, "energy: 0 of 2 baselines removed\n", "") == told
    assert before == kept(stored)


def test_a_test_that_is_gone_loses_its_baseline(stored: Project) -> None:
    """Each removed file is printed with the reason, and its empty folders go too."""
    stored.write("sub/test_more.py", MORE.replace("test_load", "test_store"))
    [path] = (stored.path / "baselines").rglob("TestMore*.json")
    shown = path.relative_to(stored.path)
    why = f"{shown}: sub/test_more.py has no TestMore.test_load"

    dry = run(stored.path, "prune", "--dry-run")
    assert (0, [f"would remove {why}", "energy: 1 of 2 baselines would be removed"], "") == (
        dry.code,
        dry.lines,
        dry.err,
    )
    assert path.exists()

    told = run(stored.path, "prune")
    assert (0, [f"removed {why}", "energy: 1 of 2 baselines removed"], "") == (
        told.code,
        told.lines,
        told.err,
    )
    assert ["test_it.py", "test_it.py/test_works.json"] == kept(stored)


def test_what_still_is_measured_stays_measured(stored: Project) -> None:
    """A run after it compares what it compared before."""
    (stored.path / "sub" / "test_more.py").unlink()
    assert "removed" in run(stored.path, "prune").lines[0]
    assert {"test_works": "passed"} == stored.energy().verdicts


def test_old_baselines_go_on_request(stored: Project) -> None:
    """Days are counted from the last session."""
    assert run(stored.path, "prune", "--older-than=1").lines == ["energy: 0 of 2 baselines removed"]
    told = run(stored.path, "prune", "--older-than=0", "--dry-run")
    assert "energy: 2 of 2 baselines would be removed" == told.lines[-1]
    assert "saved last on 20" in told.lines[0]


def test_a_machine_can_be_chosen(stored: Project) -> None:
    """Others are not looked at."""
    (stored.path / "test_it.py").write_text("")
    [machine] = (stored.path / "baselines").iterdir()
    other = machine.with_name("other-00000000")
    machine.rename(other)
    stored.write("test_it.py", WORKS)
    stored.save("test_it.py")
    (stored.path / "test_it.py").write_text("")
    told = run(stored.path, "prune", "--machine=other")
    assert "energy: 1 of 2 baselines removed" == told.lines[-1]
    assert machine.is_dir()


def test_a_damaged_file_is_named_and_kept(stored: Project) -> None:
    """The exit status is 2, and the rest is pruned all the same."""
    [damaged] = (stored.path / "baselines").rglob("test_works.json")
    damaged.write_text("{")
    (stored.path / "sub" / "test_more.py").unlink()
    stored.write("test_it.py", "")
    told = run(stored.path, "prune", "--root=.")
    assert (2, "energy: 1 of 1 baseline removed") == (told.code, told.lines[-1])
    assert f"{damaged.relative_to(stored.path)}: damaged" in told.err
    assert damaged.exists()


def test_tests_are_looked_for_beside_the_baselines(stored: Project) -> None:
    """Wherever the command is called; another place is named, and a wrong one refused."""
    baselines = stored.path / "baselines"
    above = stored.path.parent
    assert run(above, "prune", baselines).lines == ["energy: 0 of 2 baselines removed"]

    moved = stored.path / "energy" / "baselines"
    moved.parent.mkdir()
    baselines.rename(moved)
    said = refused(stored.path, "prune", "energy/baselines")
    assert said.endswith(f"name that: --root {Path(stored.path).resolve()}")
    told = run(stored.path, "prune", "energy/baselines", "--root=.")
    assert told.lines == ["energy: 0 of 2 baselines removed"]


@pytest.mark.parametrize("days", ["soon", "-1", "1.5", "", "9" * 12])
def test_a_wrong_age_is_told(stored: Project, days: str) -> None:
    """In one line."""
    told = run(stored.path, "prune", f"--older-than={days}")
    assert (2, "") == (told.code, told.out)
    assert f"{days!r} is no number of days; write a whole number such as 90" in told.err


def test_a_repository_around_the_project_is_refused(stored: Project) -> None:
    """Baselines beside the project's folder, in its repository: nothing is removed by a guess."""
    for name in ("pytest.ini", "conftest.py", "test_it.py", "sub"):
        (stored.path / "pkg").mkdir(exist_ok=True)
        (stored.path / name).rename(stored.path / "pkg" / name)
    (stored.path / ".git").mkdir()
    before = kept(stored)
    said = refused(stored.path, "prune")
    assert said.endswith(f"name the folder that pytest runs in: --root {stored.path / 'pkg'}")
    assert before == kept(stored)
    told = run(stored.path, "prune", "--root=pkg")
    assert (0, ["energy: 0 of 2 baselines removed"]) == (told.code, told.lines)
