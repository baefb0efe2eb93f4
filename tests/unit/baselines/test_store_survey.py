"""Looking through a whole folder of baselines, writing and removing by path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_greenops.baselines.store import Store, machines, survey
from pytest_greenops.model.errors import BaselineError
from tests.unit.builders import baseline, key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Baselines of one test on two machines, and what else may lie there."""
    folder = tmp_path / "baselines"
    for machine in ("epyc-1a2b3c4d", "xeon-00000000"):
        Store(folder, machine).update(key(), lambda known: baseline())
    (folder / "README.md").touch()
    (folder / ".cache").mkdir()
    (folder / "old").mkdir()
    return folder


def refusal(act: Callable[[], object]) -> str:
    """What a `BaselineError` says."""
    with pytest.raises(BaselineError) as raised:
        act()
    return str(raised.value)


def test_machines_are_told_by_their_fingerprint(folder: Path) -> None:
    """Other folders and files are none."""
    assert ["epyc-1a2b3c4d", "xeon-00000000"] == [path.name for path in machines(folder)]


@pytest.mark.parametrize("naming", ["xeon-00000000", "xeon", "0000"])
def test_a_part_of_a_name_chooses_a_machine(folder: Path, naming: str) -> None:
    """The whole name does too."""
    assert ["xeon-00000000"] == [path.name for path in machines(folder, naming)]


def test_an_unknown_machine_is_told_with_those_that_there_are(folder: Path) -> None:
    """The mend is in the line."""
    assert refusal(lambda: machines(folder, "grace")) == (
        f"{folder}: no machine's name contains 'grace': expected part of one of "
        "epyc-1a2b3c4d, xeon-00000000"
    )


@pytest.mark.parametrize("name", ["gone", "file"])
def test_a_folder_that_is_not_there_is_told(tmp_path: Path, name: str) -> None:
    """A missing folder, and a file in its place, are none of baselines."""
    (tmp_path / "file").touch()
    said = refusal(lambda: machines(tmp_path / name))
    assert said.startswith(f"{tmp_path / name}: no such folder: ")


def test_the_folder_above_is_told_from_that_of_baselines(folder: Path) -> None:
    """Who names the project is told where its baselines begin."""
    assert refusal(lambda: machines(folder.parent)) == (
        f"{folder.parent}: contains no baselines: use {folder}"
    )


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    """With how to fill it."""
    assert refusal(lambda: machines(tmp_path)) == (
        f"{tmp_path}: contains no baselines: save some with pytest --energy-save"
    )


def test_a_survey_reads_all_and_tells_what_it_cannot(folder: Path) -> None:
    """A damaged file hides no other."""
    path = Store(folder, "xeon-00000000").path(key())
    path.write_text("{")
    found, damaged = survey(folder)
    assert [Store(folder, "epyc-1a2b3c4d").path(key())] == list(found)
    [line] = damaged
    assert line.startswith(f"{path}: damaged")


def test_a_file_is_written_by_its_path(folder: Path) -> None:
    """What stood there is given to the change, and what it makes stands there then."""
    store = Store(folder, "")
    there = Store(folder, "xeon-00000000").path(key())
    other = baseline(key("test_other"))
    seen = []
    for path in (there, folder / "new-11111111" / "x.json"):
        assert other == store.write(path, lambda known: seen.append(known) or other)
        assert other == survey(folder).baselines[path]
    assert [baseline(), None] == seen


def test_removing_what_is_gone_already_is_no_mishap(folder: Path) -> None:
    """Another process may have been faster."""
    store = Store(folder, "xeon-00000000")
    path = store.path(key())
    path.unlink()
    store.remove(path)
    assert not (folder / "xeon-00000000").exists()


def test_what_cannot_be_removed_is_told(folder: Path) -> None:
    """It is named, in one line."""
    store = Store(folder, "xeon-00000000")
    path = store.path(key())
    path.unlink()
    path.mkdir()
    said = refusal(lambda: store.remove(path))
    assert said.startswith(f"{path}: cannot be removed (")
    assert said.endswith("): fix its permissions")


def test_another_folder_is_named_as_its_user_would(tmp_path: Path) -> None:
    """Who merges is not told an option of pytest."""
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file", "", other_folder="pytest-greenops merge DIR ...")
    said = refusal(store.check_writable)
    assert said.startswith(f"{tmp_path / 'file'}: cannot be written (File exists): ")
    assert said.endswith("or use another folder: pytest-greenops merge DIR ...")
