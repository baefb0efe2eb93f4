"""`--energy-baselines`: the folder of the baselines."""

from __future__ import annotations

from tests.integration.projects import ALONE, Project


def test_names_the_folder(saved: Project) -> None:
    """Baselines are written to and read from this folder, relative to the root directory."""
    default = saved.files()
    saved.write("pytest.ini", "[pytest]\nenergy_sensors = fake\nenergy_baselines = of/this\n")
    ran = saved.save(joules=3.0)
    assert ran.energy_lines[1].startswith("no baseline yet in this/")
    assert saved.files() == default
    assert sorted(saved.files("of/this")) == ["test_it.py/test_works.json"]
    assert saved.energy(joules=3.0).verdicts == {"test_works": "passed"}
    over = saved.energy("--energy-baselines=baselines", *ALONE, joules=3.0)
    assert over.verdicts == {"test_works": "regressed"}


def test_folder_is_found_from_below(saved: Project) -> None:
    """A run in a folder below the root finds the same baselines."""
    (saved.path / "below").mkdir()
    saved.monkeypatch.chdir(saved.path / "below")
    ran = saved.run("--energy", "../test_it.py")
    assert ran.energy_lines[1].startswith("baselines of 1 test in baselines/")
    assert ran.counts == {"measured": 1, "compared": 1, "passed": 1}


def test_absolute_folder(saved: Project) -> None:
    """An absolute path is used as it is."""
    (saved.path / "baselines").rename(saved.path / "elsewhere")
    ran = saved.energy(f"--energy-baselines={saved.path / 'elsewhere'}")
    assert ran.verdicts == {"test_works": "passed"}
