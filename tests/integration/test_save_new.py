"""`--energy-save-new`: baselines for tests that have none; other tests are judged as usual."""

from __future__ import annotations

import pytest

from tests.integration.projects import ALONE, WORKS, Project

NEW = "\n\ndef test_new(energy, work): energy(work)\n"


def test_only_new_tests_are_saved(saved: Project) -> None:
    """A test without a baseline gets one; the file of another test is not touched."""
    [before] = saved.files().values()
    saved.write("test_it.py", WORKS + NEW)
    ran = saved.energy("--energy-save-new", joules=2.02)
    assert ran.verdicts == {"test_works": "passed", "test_new": "no baseline"}
    assert {name: result.saved for name, result in ran.results.items()} == {
        "test_works": False,
        "test_new": True,
    }
    files = saved.files()
    assert sorted(files) == ["test_it.py/test_new.json", "test_it.py/test_works.json"]
    assert files["test_it.py/test_works.json"] == before
    expected = {"measured": 2, "compared": 1, "passed": 1, "no baseline": 1, "baseline saved": 1}
    assert ran.counts == expected


def test_regressions_still_fail(saved: Project) -> None:
    """A test that has a baseline fails if it regressed."""
    before = saved.files()
    saved.write("test_it.py", WORKS + NEW)
    ran = saved.energy("--energy-save-new", *ALONE, joules=4.0)
    assert ran.outcomes == {"passed": 1, "failed": 1}
    assert ran.verdicts == {"test_works": "regressed", "test_new": "no baseline"}
    after = saved.files()
    assert after.pop("test_it.py/test_new.json")
    assert after == before


def test_saves_for_new_tests_under_strict(project: Project) -> None:
    """A test that gets its first baseline does not fail because it had none."""
    project.write("test_it.py", WORKS + "\n\ndef test_never(energy): pass\n")
    ran = project.energy("--energy-save-new", "--energy-strict")
    assert ran.outcomes == {"passed": 1, "failed": 1}
    assert list(project.files()) == ["test_it.py/test_works.json"]


def test_excludes_energy_save(project: Project) -> None:
    """With `--energy-save` it is a usage error."""
    ran = project.run("--energy-save", "--energy-save-new")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert ran.errors == ["ERROR: --energy-save and --energy-save-new exclude each other: use one"]
