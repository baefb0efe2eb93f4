"""`pytest-greenops prune`: remove baselines whose tests no longer exist."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_greenops.commands.prune import collect
from tests.integration.commands import refused, run
from tests.integration.projects import WORKS, Project

MORE = """
    import pytest

    class TestMore:
        @pytest.mark.parametrize("size", [1, 2])
        def test_load(self, energy, spend, size):
            energy(spend, size)
"""


@pytest.fixture
def stored(saved: Project) -> Project:
    """Return a project with baselines of `test_works` and of `TestMore.test_load[1]` and `[2]`."""
    saved.write("sub/test_more.py", MORE)
    saved.save("sub")
    return saved


def kept(project: Project) -> list[str]:
    """Return the baselines by the name of the test, with the start of the machine's name."""
    found = (project.path / "baselines").rglob("*.json")
    return sorted(f"{path.relative_to(project.path).parts[1][:4]}/{path.stem}" for path in found)


def test_baselines_of_tests_that_are_gone_are_removed(stored: Project) -> None:
    """Each removed file is printed with the reason; what exists is compared as before."""
    before = kept(stored)
    ran = run(stored.path.parent, "prune", stored.path / "baselines")
    assert ran == (0, "energy: 0 of 3 baselines removed\n", "")
    assert kept(stored) == before

    stored.write("sub/test_more.py", MORE.replace("[1, 2]", "[1]"))
    [path] = (stored.path / "baselines").rglob("TestMore*[[]2]*.json")
    why = f"{path.relative_to(stored.path)}: sub/test_more.py has no TestMore.test_load[2]"
    dry = run(stored.path, "prune", "--dry-run")
    assert (dry.code, dry.err) == (0, "")
    assert dry.lines == [f"would remove {why}", "energy: 1 of 3 baselines would be removed"]
    assert kept(stored) == before
    ran = run(stored.path, "prune")
    assert (ran.code, ran.err) == (0, "")
    assert ran.lines == [f"removed {why}", "energy: 1 of 3 baselines removed"]
    assert len(kept(stored)) == 2

    (stored.path / "sub" / "test_more.py").unlink()
    assert "removed" in run(stored.path, "prune").lines[0]
    assert stored.energy().verdicts == {"test_works": "passed"}


def test_what_cannot_be_collected_stays(stored: Project) -> None:
    """A module with an error, or one that is skipped, is named; without a collection nothing goes.

    Nor does a module go that the configuration does not collect.
    """
    before = kept(stored)
    stored.write("test_it.py", "import no_such_module\n")
    stored.write("sub/test_more.py", "import pytest\npytest.importorskip('no_such_module')\n")
    ran = run(stored.path, "prune")
    assert (ran.code, ran.out) == (0, "energy: 0 of 3 baselines removed\n")
    reasons = [line.removeprefix("pytest-greenops: ") for line in ran.err.splitlines()]
    assert [reason.partition(" (")[0] for reason in reasons] == [
        "sub/test_more.py: not collected",
        "test_it.py: not collected",
    ]
    assert all("no_such_module" in reason for reason in reasons)
    assert all(reason.endswith("; its baselines stay") for reason in reasons)

    stored.write("sub/conftest.py", "import no_such_module\n")
    stored.write("test_it.py", WORKS)
    ran = run(stored.path, "prune")
    assert (ran.code, ran.out) == (0, "energy: 0 of 3 baselines removed\n")
    assert ran.err.startswith("pytest-greenops: sub: not collected (")

    (stored.path / "sub" / "conftest.py").unlink()
    stored.write("sub/test_more.py", "")
    stored.write("pytest.ini", "[pytest]\nenergy_sensors = fake\ntestpaths = test_it.py\n")
    assert run(stored.path, "prune") == (0, "energy: 0 of 3 baselines removed\n", "")

    stored.write("conftest.py", "import no_such_module\n")
    said = refused(stored.path, "prune")
    assert "pytest cannot collect the tests (exit status 4: " in said
    assert "no_such_module" in said
    assert kept(stored) == before


def test_age_and_machine_can_be_chosen(stored: Project) -> None:
    """Days are counted from the last session; other machines are not examined."""
    assert run(stored.path, "prune", "--older-than=1").lines == ["energy: 0 of 3 baselines removed"]
    ran = run(stored.path, "prune", "--older-than=0", "--dry-run")
    assert ran.lines[-1] == "energy: 3 of 3 baselines would be removed"
    assert "last saved on 20" in ran.lines[0]

    [machine] = (stored.path / "baselines").glob("[!.]*")
    machine.rename(machine.with_name("other-00000000"))
    stored.save("test_it.py")
    stored.write("test_it.py", "")
    ran = run(stored.path, "prune", "--machine=other")
    assert ran.lines[-1] == "energy: 1 of 3 baselines removed"
    assert machine.is_dir()
    [damaged] = machine.rglob("*.json")
    damaged.write_text("{")
    ran = run(stored.path, "prune")
    assert (ran.code, ran.lines) == (2, ["energy: 0 of 2 baselines removed"])
    assert f"{damaged.relative_to(stored.path)}: damaged" in ran.err


def test_the_folder_of_the_tests_can_be_named(stored: Project) -> None:
    """By default it is the parent of the baselines; a wrong one is refused."""
    moved = stored.path / "energy" / "baselines"
    moved.parent.mkdir()
    (stored.path / "baselines").rename(moved)
    said = refused(stored.path, "prune", "energy/baselines")
    assert said.endswith(f"use --root {Path(stored.path).resolve()}")
    ran = run(stored.path, "prune", "energy/baselines", "--root=.")
    assert ran.lines == ["energy: 0 of 3 baselines removed"]


@pytest.mark.parametrize("days", ["soon", "-1", "1.5", "", "9" * 12])
def test_a_wrong_age_is_refused(tmp_path: Path, days: str) -> None:
    """The message is one line."""
    ran = run(tmp_path, "prune", f"--older-than={days}")
    assert (ran.code, ran.out) == (2, "")
    assert f"{days!r}: expected a whole number of days >= 0, e.g. 90" in ran.err


ADDOPTS = """
    [pytest]
    markers = slow
    addopts = -p extra -k nothing -m slow -x --lf -n 2 --cov=. --junitxml=junit.xml sub --energy
"""
EXTRA = """
    import pytest

    class Recipe(pytest.File):
        def collect(self):
            yield Step.from_parent(self, name="stir")

    class Step(pytest.Item):
        def runtest(self):
            pass

    def pytest_collect_file(file_path, parent):
        if file_path.suffix == ".recipe":
            return Recipe.from_parent(parent, path=file_path)
"""


def test_addopts_do_not_narrow_the_collection(project: Project) -> None:
    """Selection, parallel runs and reports are dropped; plugins of `-p` are loaded."""
    project.monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)
    project.monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing_either")
    project.monkeypatch.setenv("PYTHONPATH", str(project.path), prepend=os.pathsep)
    project.write("pytest.ini", ADDOPTS)
    project.write("extra.py", EXTRA)
    project.write("cake.recipe", "")
    project.write("test_it.py", WORKS)
    project.write("test_broken.py", "def test_a(): pass\nraise ValueError('broken')\n")
    project.write("sub/test_more.py", MORE)
    project.write("sub/conftest.py", "def pytest_collection_modifyitems(items): del items[:]\n")
    collection = collect(project.path)
    assert collection.rootdir == str(project.path)
    assert collection.tests == {
        ("cake.recipe", "cake.recipe::stir", None),
        ("test_it.py", "test_works", None),
        ("sub/test_more.py", "TestMore.test_load", "1"),
        ("sub/test_more.py", "TestMore.test_load", "2"),
    }
    assert collection.reports["test_broken.py"] == "ValueError: broken"
    written = {path.name for path in project.path.iterdir()}
    assert not written & {"junit.xml", ".coverage"}
