"""`--energy-baselines`: the folder of the baselines."""

from __future__ import annotations

from tests.integration.projects import ALONE, Project


def test_names_the_folder(saved: Project) -> None:
    """Baselines are written to and read from this folder, relative to the root directory."""
    default = saved.files()
    saved.write("pytest.ini", "[pytest]\nenergy_sensors = fake\nenergy_baselines = of/this\n")
    ran = saved.save(joules=3.0)
    assert ran.energy_lines[1].startswith("no baseline yet in of/this/")
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
    """An absolute path is used, and shown, as it is."""
    (saved.path / "baselines").rename(saved.path / "elsewhere")
    ran = saved.energy(f"--energy-baselines={saved.path / 'elsewhere'}")
    assert ran.verdicts == {"test_works": "passed"}
    assert f"baselines of 1 test in {saved.path / 'elsewhere'}/" in ran.text


def test_a_file_is_no_folder_of_baselines(saved: Project) -> None:
    """It is refused before anything is measured, whether the run saves or not."""
    for option in ("--energy", "--energy-save"):
        ran = saved.run(option, "--energy-baselines=test_it.py")
        assert (ran.code, ran.outcomes) == (4, {})
        assert ran.errors == [
            f"ERROR: {saved.path / 'test_it.py'}: a file, expected a folder of baselines: "
            "--energy-baselines=DIR"
        ]


def test_a_damaged_file_of_another_machine_is_noted_once(saved: Project) -> None:
    """The test runs, its baseline is saved, and the run says which file it left out."""
    path = saved.baseline_path()
    machine = path.relative_to(saved.path / "baselines").parts[0]
    (saved.path / "baselines" / machine).rename(saved.path / "baselines" / "other-00000000")
    [other] = (saved.path / "baselines").rglob(path.name)
    other.write_text("{")
    ran = saved.save()
    assert (ran.code, ran.verdicts) == (0, {"test_works": "no baseline"})
    [note] = [line for line in ran.energy_lines if "other-00000000" in line]
    assert note.startswith(f"not compared with another machine: {other}: damaged (")
    assert path.exists()
    assert other.read_text() == "{"


def test_a_baseline_of_another_machine_is_read_before_the_test_runs(saved: Project) -> None:
    """The test may replace what files are read with."""
    [machine] = (saved.path / "baselines").glob("[!.]*")
    machine.rename(machine.with_name("other-00000000"))
    saved.write(
        "test_it.py",
        """
        import os

        def test_works(energy, work, monkeypatch):
            for name in ("open", "listdir", "scandir", "stat"):
                monkeypatch.setattr(os, name, None)
            energy(work)
        """,
    )
    assert saved.energy().counts == {"measured": 1, "compared": 1, "passed": 1}


def test_a_folder_that_a_test_removes_is_made_again(project: Project) -> None:
    """What was measured is saved all the same."""
    project.write(
        "test_it.py",
        """
        import shutil

        def test_works(energy, work):
            energy(work)
            shutil.rmtree("baselines")
        """,
    )
    assert project.save().counts == {"measured": 1, "no baseline": 1, "baseline saved": 1}
    assert list(project.files()) == ["test_it.py/test_works.json"]
