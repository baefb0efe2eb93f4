"""`pytest-greenops merge` of baselines folders that have accepted work."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from pytest_greenops.baselines.store import Store
from pytest_greenops.baselines.work_store import WorkStore, survey_work
from pytest_greenops.commands.merge import merge
from pytest_greenops.model.errors import BaselineError
from tests.unit.builders import baseline, key, message_of
from tests.unit.works import accepted


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """Return two folders, each with the accepted work of one test."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder, name in zip(folders, ("test_one", "test_two"), strict=True):
        WorkStore(folder).accept(key(name), {"call": accepted()})
    return folders


def test_accepted_work_is_merged(tmp_path: Path, shards: list[Path]) -> None:
    """With baselines of energy or without; a second merge changes nothing."""
    Store(shards[0], "epyc-1a2b3c4d").update(key(), lambda known: baseline())
    out = tmp_path / "out"
    assert list(merge(out, shards)) == [
        f"1 baseline from 2 folders: 1 new or changed in {out}",
        f"2 files of accepted work: 2 new or changed in {out}",
    ]
    assert list(survey_work(out).baselines) == [
        WorkStore(out).path(key(name)) for name in ("test_one", "test_two")
    ]
    assert list(merge(out, shards))[-1] == f"2 files of accepted work: 0 new or changed in {out}"


def test_folders_with_nothing_else_are_merged(tmp_path: Path, shards: list[Path]) -> None:
    """A run that only counts saves no energy."""
    out = tmp_path / "out"
    assert list(merge(out, shards))[-1] == f"2 files of accepted work: 2 new or changed in {out}"


def test_work_of_two_environments_is_named(tmp_path: Path, shards: list[Path]) -> None:
    """The line says which facts differ."""
    WorkStore(shards[0]).accept(key("test_two"), {"call": accepted(torch="2.9")})
    line, *_ = (each for each in merge(tmp_path / "out", shards) if "facts" in each)
    path = "work/tests/test_x.py/test_two.json"
    assert line == f"{path}: call: the facts differ (torch): the work accepted last is kept"


def test_a_damaged_file_is_refused_before_anything_is_written(
    tmp_path: Path, shards: list[Path]
) -> None:
    """Energy is not merged either."""
    Store(shards[0], "epyc-1a2b3c4d").update(key(), lambda known: baseline())
    path = WorkStore(shards[1]).path(key("test_two"))
    path.write_text("{")
    said = message_of(BaselineError, partial(list, merge(tmp_path / "out", shards)))
    assert said.startswith(f"{path}: damaged (")
    assert not (tmp_path / "out").exists()
