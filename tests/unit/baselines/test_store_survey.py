"""Reading a whole folder of baselines, and writing and removing files by path."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path

import pytest

from pytest_greenops.baselines.store import Store, machines, survey
from pytest_greenops.model.errors import BaselineError
from tests.unit.builders import baseline, key, message_of

refusal = partial(message_of, BaselineError)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return baselines of one test on two machines, next to other files."""
    folder = tmp_path / "baselines"
    for machine in ("epyc-1a2b3c4d", "xeon-00000000"):
        Store(folder, machine).update(key(), lambda known: baseline())
    (folder / "README.md").touch()
    (folder / ".cache").mkdir()
    (folder / "old").mkdir()
    return folder


def test_machines_are_recognised_by_their_fingerprint(folder: Path) -> None:
    """Other folders and files are ignored."""
    assert ["epyc-1a2b3c4d", "xeon-00000000"] == [path.name for path in machines(folder)]


@pytest.mark.parametrize("naming", ["xeon-00000000", "xeon", "0000"])
def test_a_part_of_a_name_selects_a_machine(folder: Path, naming: str) -> None:
    """The whole name does too."""
    assert ["xeon-00000000"] == [path.name for path in machines(folder, naming)]


def test_an_unknown_machine_is_refused_with_the_known_ones(folder: Path) -> None:
    """The message lists the machines of the folder."""
    assert refusal(lambda: machines(folder, "grace")) == (
        f"{folder}: no machine's name contains 'grace': expected part of one of "
        "epyc-1a2b3c4d, xeon-00000000"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "gone",
            "no such folder: name an existing folder of baselines, or save some with "
            "pytest --energy-save --energy-baselines={gone}",
        ),
        ("file", "no such folder: "),
        (".", "contains no baselines: use {baselines}"),
        (
            "baselines/old",
            "contains no baselines: save some with pytest --energy-save "
            "--energy-baselines={baselines}/old",
        ),
    ],
)
def test_a_path_without_baselines_is_refused(folder: Path, name: str, message: str) -> None:
    """The message names the folder of baselines below, or says how to save some."""
    (folder.parent / "file").touch()
    path = folder.parent / name
    said = refusal(lambda: machines(path))
    assert said.startswith(f"{path}: {message.format(baselines=folder, gone=path)}")


def test_a_survey_reads_all_files_and_lists_damaged_ones(folder: Path) -> None:
    """A damaged file does not hide another."""
    path = Store(folder, "xeon-00000000").path(key())
    path.write_text("{")
    found, damaged = survey(folder)
    assert [Store(folder, "epyc-1a2b3c4d").path(key())] == list(found)
    [line] = damaged
    assert line.startswith(f"{path}: damaged")


def test_a_survey_reads_only_what_is_called_like_a_baseline(folder: Path) -> None:
    """A machine's folder may have a README."""
    before = survey(folder)
    (folder / "epyc-1a2b3c4d" / "README.md").touch()
    assert survey(folder) == before


def test_a_file_is_written_by_its_path(folder: Path) -> None:
    """The change gets the old baseline, and its result is written."""
    store = Store(folder, "")
    there = Store(folder, "xeon-00000000").path(key())
    other = baseline(key("test_other"))
    seen = []
    for path in (there, folder / "new-11111111" / "x.json"):
        assert other == store.write(path, lambda known: seen.append(known) or other)
        assert other == survey(folder).baselines[path]
    assert [baseline(), None] == seen


def test_removing_a_missing_file_is_no_error(folder: Path) -> None:
    """Another process may have removed it."""
    store = Store(folder, "xeon-00000000")
    path = store.path(key())
    path.unlink()
    store.remove(path)
    assert not (folder / "xeon-00000000").exists()


def test_a_file_that_cannot_be_removed_is_refused(folder: Path) -> None:
    """The message names it, in one line."""
    store = Store(folder, "xeon-00000000")
    path = store.path(key())
    path.unlink()
    path.mkdir()
    said = refusal(lambda: store.remove(path))
    assert said.startswith(f"{path}: cannot be removed (")
    assert said.endswith("): free space, fix its permissions")


def test_the_message_names_the_option_of_the_command(tmp_path: Path) -> None:
    """`merge` does not advise an option of pytest."""
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file", "", other_folder="pytest-greenops merge DIR ...")
    said = refusal(store.check_writable)
    assert said.startswith(f"{tmp_path / 'file'}: cannot be written (File exists): ")
    assert said.endswith("or use another folder: pytest-greenops merge DIR ...")


def test_a_survey_reads_the_machines_that_it_names(folder: Path) -> None:
    """A folder without any is an error, unless it may be empty."""
    assert list(survey(folder, "xeon").baselines) == [Store(folder, "xeon-00000000").path(key())]
    assert list(survey(folder, "xeon", optional=True).baselines) == list(
        survey(folder, "xeon").baselines
    )
    assert "contains no baselines" in refusal(lambda: survey(folder / "old"))
    assert survey(folder / "old", optional=True) == ({}, ())


def test_a_folder_that_cannot_be_listed_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not taken for an empty one."""

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "listdir", fail)
    monkeypatch.setattr(os, "scandir", fail)
    assert refusal(lambda: machines(folder)) == (
        f"{folder}: cannot be read (Input/output error): check its disk or network drive, and run "
        "again"
    )
