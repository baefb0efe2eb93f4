"""Accepted work: a file for each test beside the machines' folders, readable in a diff."""

from __future__ import annotations

import difflib
import json
import multiprocessing
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.baselines.store import Store, machines, survey
from pytest_greenops.baselines.work_file import encode, read_existing
from pytest_greenops.baselines.work_store import (
    WorkStore,
    accept_work,
    survey_work,
    unite_work,
)
from pytest_greenops.model.baseline import Revision, TestKey
from pytest_greenops.model.counted import Amount, Counted, Coverage, Operator
from pytest_greenops.model.errors import BaselineError
from pytest_greenops.model.work_baseline import WORK_SCHEMA, AcceptedWork, WorkBaseline
from tests.unit.builders import baseline, key, message_of
from tests.unit.works import accepted, calls, layers, table

refusal = partial(message_of, BaselineError)
MACHINE = "epyc-1a2b3c4d"


@pytest.fixture
def store(tmp_path: Path) -> WorkStore:
    """Return an empty store in a folder that does not exist."""
    return WorkStore(tmp_path / "baselines")


def later(work: AcceptedWork, day: int = 2) -> AcceptedWork:
    """Return the same work, accepted on a later day at another commit."""
    at = f"2026-01-{day:02}T00:00:00+00:00"
    return replace(work, accepted_at=at, revision=Revision("89abcde", dirty=True))


# --- files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "path"),
    [
        (key("test_parse"), "tests/test_x.py/test_parse.json"),
        (key("test_parse", param="4-gzip"), "tests/test_x.py/test_parse[4-gzip].json"),
        (key("test_parse", module="../a/test_x.py"), "_up/a/test_x.py/test_parse.json"),
    ],
)
def test_files_are_named_like_those_of_energy(store: WorkStore, test: TestKey, path: str) -> None:
    """They lie in the folder `work`, on every machine."""
    assert store.path(test) == store.folder / "work" / path
    assert store.accept(test, {"call": accepted()}) == store.path(test)
    of_energy = Store(store.folder, MACHINE).path(test)
    assert of_energy.relative_to(store.folder / MACHINE) == Path(path)


ODD = Counted(
    {
        Operator("aten._to_copy", "float64 -> float32", "cpu -> cuda"): calls(3),
        Operator("my | lib.op", "", ""): calls(1),
        Operator("aten.rand", "", "cpu"): Amount(1, 0, 0, 0, 1 << 61, 5),
    },
    {"": Amount(), "Modell \N{LATIN SMALL LETTER A WITH DIAERESIS}.0": calls(2)},
    0,
    Coverage(None, "the call takes less than 1 ms", 0.25, 0.5, True, ("quantized.x",)),
    {"Modell \N{LATIN SMALL LETTER A WITH DIAERESIS}.0": 7_000_000},
)


@pytest.mark.parametrize("counted", [table(), table({}, {}, 0), ODD], ids=["usual", "empty", "odd"])
def test_what_was_accepted_is_read(store: WorkStore, counted: Counted) -> None:
    """Another run finds the same tables, facts and coverage under both names of the test."""
    work = {"call": accepted(counted, torch="2.9"), "decode": accepted()}
    path = store.accept(key(), work)
    again = WorkStore(store.folder)
    assert again.load(key()) == WorkBaseline(WORK_SCHEMA, key(), work)
    assert again.load(key("test_other")) is None
    assert again.files() == {path: WorkBaseline(WORK_SCHEMA, key(), work)}


def test_a_missing_folder_is_empty(store: WorkStore) -> None:
    """Reading does not create it."""
    assert (store.files(), store.load(key()), survey_work(store.folder).empty) == ({}, None, True)
    assert not store.folder.exists()


def lines_of(**works: AcceptedWork) -> list[str]:
    """Return the lines of a file."""
    return encode(accept_work(None, key(), works)).decode().splitlines()


def test_one_layer_more_is_a_few_lines_of_a_diff() -> None:
    """There is a line for each changed operator, new module and total, and sorted keys."""
    before = lines_of(call=accepted())
    more = table(
        {
            "aten.mm float32": calls(29, 537, 900),
            "aten.gelu float32": calls(4),
            "aten.t float32": calls(28),
        },
        layers(5),
    )
    now = lines_of(call=accepted(more))
    added = [line[2:] for line in difflib.ndiff(before, now) if line.startswith("+ ")]
    assert sum('"model.layers.4.' in line for line in added) == 4
    assert sum('"aten.mm | float32 | cpu": {"calls": 29, ' in line for line in added) == 1
    assert len(added) <= 11
    assert max(map(len, now)) < 130


def test_a_file_has_sorted_keys_and_whole_numbers() -> None:
    """Its totals by dtype, facts and commit are for readers; no count has a decimal point."""
    text = encode(accept_work(None, key(), {"call": accepted(table(share=0.123456789))})).decode()
    document = json.loads(text, object_pairs_hook=in_order)
    call = document["measurements"]["call"]
    assert call["totals"] == {
        "calls": 32,
        "flop": {"float32": 28 * 537_000_000},
        "moved": 28 * 900_000 + 4 * 4000,
        "peak_bytes": 12_000_000,
        "views": 28,
    }
    assert (call["weights"], call["facts"]["torch"]) == ("v1", "2.13.0")
    assert call["revision"] == {"commit": "1234567", "dirty": False}
    amounts = [*call["operators"].values(), *call["modules"].values()]
    assert {type(count) for amount in amounts for count in amount.values()} == {int}
    assert text.endswith("}\n")


def in_order(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON whose keys must be sorted."""
    assert [name for name, _ in pairs] == sorted(name for name, _ in pairs)
    return dict(pairs)


# --- accepting -------------------------------------------------------------------------------


def test_another_name_is_added(store: WorkStore) -> None:
    """What the test did not count in this run stays."""
    store.accept(key(), {"prefill": accepted()})
    store.accept(key(), {"decode": accepted(ODD)})
    found = WorkStore(store.folder).load(key())
    assert found is not None
    assert found.measurements == {"prefill": accepted(), "decode": accepted(ODD)}


def test_other_work_replaces_what_was_accepted() -> None:
    """There are no sessions: one table for each name."""
    known = accept_work(None, key(), {"call": accepted()})
    for work in (accepted(ODD), accepted(torch="2.14"), accepted(table(peak_mb=13))):
        again = accept_work(known, key(), {"call": later(work)})
        assert again.measurements == {"call": later(work)}


@pytest.mark.parametrize(
    "coverage",
    [{"share": 0.97}, {"share": 0.93}, {"share": 1.01}, {"threads": 0.04}, {"children": 0.05}],
)
def test_the_same_work_keeps_its_date(coverage: dict[str, Any]) -> None:
    """A run that saves unchanged work changes no file, though coverage is never the same twice."""
    known = accept_work(None, key(), {"call": accepted()})
    again = accept_work(known, key(), {"call": later(accepted(table(**coverage)))})
    assert again == known


@pytest.mark.parametrize("share", [0.03, 0.97])
def test_an_unknown_share_is_not_a_small_or_a_large_one(share: float) -> None:
    """What is known the second time is accepted anew, and what stays unknown is not."""
    known = accept_work(None, key(), {"call": accepted(table(share=None))})
    assert accept_work(known, key(), {"call": later(accepted(table(share=None)))}) == known
    work = later(accepted(table(share=share)))
    assert accept_work(known, key(), {"call": work}).measurements == {"call": work}


def test_peak_memory_that_varies_keeps_its_date() -> None:
    """It is another in each run of the same work."""
    known = accept_work(None, key(), {"call": accepted(table(peak_varies=True))})
    work = later(accepted(table(peak_mb=13, peak_varies=True)))
    assert accept_work(known, key(), {"call": work}) == known


@pytest.mark.parametrize(
    "coverage",
    [{"share": 0.8}, {"share": None}, {"threads": 0.2}, {"compiled": True}, {"blind": ("x.y",)}],
)
def test_other_coverage_is_accepted_anew(coverage: dict[str, Any]) -> None:
    """A later comparison needs to know how much this table covers."""
    known = accept_work(None, key(), {"call": accepted()})
    work = later(accepted(table(**coverage)))
    assert accept_work(known, key(), {"call": work}).measurements == {"call": work}


def save(folder: Path, name: str) -> None:
    """Accept work under several names, in a process."""
    for turn in range(8):
        WorkStore(folder).accept(key(), {f"{name}.{turn}": accepted()})


def test_processes_that_save_at_once_keep_what_each_accepted(tmp_path: Path) -> None:
    """They wait for each other, and for processes that save energy."""
    context = multiprocessing.get_context("fork")
    running = [context.Process(target=save, args=(tmp_path, name)) for name in "abc"]
    for process in running:
        process.start()
    for process in running:
        process.join(60)
        assert process.exitcode == 0
    found = WorkStore(tmp_path).load(key())
    assert found is not None
    assert sorted(found.measurements) == sorted(f"{n}.{t}" for n in "abc" for t in range(8))
    assert sorted(os.listdir(tmp_path / ".saving")) == [".gitignore", "lock"]


# --- damaged and newer files -----------------------------------------------------------------

GOOD = encode(accept_work(None, key(), {"call": accepted()}))
DAMAGED = {
    "empty": b"",
    "cut off": GOOD[:-20],
    "no JSON": b"a line\n",
    "zeros": bytes(300),
    "a file of energy": b'{"schema": 1, "test": {"module": "a", "qualname": "b"}, "machine": {},'
    b' "measurements": {}}',
    "unknown field": GOOD.replace(b'"schema"', b'"extra": 1,\n "schema"'),
    "unknown count": GOOD.replace(b'"calls": 28', b'"calls": 28, "joules": 3'),
    "negative count": GOOD.replace(b'"calls": 28', b'"calls": -28'),
    "count with decimals": GOOD.replace(b'"calls": 28', b'"calls": 28.5'),
    "huge count": GOOD.replace(b'"calls": 28', b'"calls": 1' + b"0" * 40),
    "operator without a device": GOOD.replace(b"aten.mm | float32 | cpu", b"aten.mm | float32"),
    "negative share": GOOD.replace(b'"share": 0.97', b'"share": -0.97'),
    "infinite share": GOOD.replace(b'"share": 0.97', b'"share": 1e999'),
    "no schema": b"{}\n",
    "schema 0": GOOD.replace(b'"schema": 1', b'"schema": 0'),
    "no UTF-8": GOOD.replace(b"test_parse", b"test_\xff"),
    "too deep": b'{"schema": 1, "x": ' + b"[" * 100_000,
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_refused_and_never_overwritten(store: WorkStore, data: bytes) -> None:
    """Reading and saving raise one line with the file and the fix."""
    path = store.accept(key(), {"call": accepted()})
    assert data != path.read_bytes() == GOOD
    path.write_bytes(data)
    fresh = WorkStore(store.folder)
    save_again = partial(fresh.accept, key(), {"call": accepted()})
    for act in (fresh.sample, partial(fresh.load, key()), save_again):
        message = refusal(act)
        assert message.startswith(f"{path}: damaged (")
        assert message.endswith(
            f": restore it (git checkout -- {path}), or delete it and save again"
        )
        assert "\n" not in message
    assert path.read_bytes() == data
    assert len(survey_work(store.folder).damaged) == 1


def test_a_newer_file_is_refused_and_never_overwritten(store: WorkStore) -> None:
    """It needs an upgrade, whatever else is in it."""
    path = store.accept(key(), {"call": accepted()})
    data = b'{"schema": %d, "tables": "in some new way"}' % (WORK_SCHEMA + 1)
    path.write_bytes(data)
    said = refusal(partial(WorkStore(store.folder).accept, key(), {"call": accepted()}))
    assert said.startswith(f"{path}: written by a newer pytest-greenops (schema 2, ")
    assert path.read_bytes() == data


def test_a_merge_conflict_is_named(store: WorkStore) -> None:
    """The message has the commands of Git."""
    path = store.accept(key(), {"call": accepted()})
    path.write_bytes(b"<<<<<<< HEAD\n{}\n=======\n[]\n>>>>>>> theirs\n")
    said = refusal(WorkStore(store.folder).sample)
    assert said.startswith(f"{path}: in a merge conflict: keep one side: git checkout --ours")


def test_a_folder_that_cannot_be_written_is_refused_before_counting(tmp_path: Path) -> None:
    """The message names the option for another folder."""
    (tmp_path / "work").symlink_to("elsewhere")
    assert ": a link, and nothing is saved through it: " in refusal(
        WorkStore(tmp_path).check_writable
    )


# --- beside the machines ---------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_names_the_option_for_another(tmp_path: Path) -> None:
    """It is that of pytest, if no other is named."""
    (tmp_path / "file").touch()
    for store, option in (
        (WorkStore(tmp_path / "file"), "--energy-baselines=DIR"),
        (WorkStore(tmp_path / "file", "merge DIR"), "merge DIR"),
    ):
        assert refusal(store.check_writable).endswith(f", or use another folder: {option}")


def test_work_is_no_machine(store: WorkStore) -> None:
    """What reads the baselines of all machines leaves it alone, and the other way round."""
    store.accept(key(), {"call": accepted()})
    said = refusal(lambda: machines(store.folder))
    assert said.startswith(f"{store.folder}: contains no baselines of energy, only accepted work: ")
    assert survey(store.folder, optional=True) == ({}, ())
    energy = Store(store.folder, MACHINE)
    energy.update(key(), lambda known: baseline())
    assert [path.name for path in machines(store.folder)] == [MACHINE]
    assert list(survey(store.folder).baselines) == [energy.path(key())]
    assert energy.elsewhere(key()) is None
    assert list(survey_work(store.folder).baselines) == [store.path(key())]
    assert list(WorkStore(store.folder).files()) == [store.path(key())]


def test_removing_the_last_file_removes_its_folders(store: WorkStore) -> None:
    """The folder of baselines stays."""
    store.remove(store.accept(key(), {"call": accepted()}))
    assert not (store.folder / "work").exists()
    assert read_existing(store.path(key())) is None


# --- merging ---------------------------------------------------------------------------------


def test_merged_work_is_that_accepted_last() -> None:
    """Of each name; the order of the files does not matter."""
    old = accept_work(None, key(), {"call": accepted(), "a": accepted()})
    new = accept_work(None, key(), {"call": later(accepted(ODD)), "b": accepted()})
    expected = {"call": later(accepted(ODD)), "a": accepted(), "b": accepted()}
    for files in ([old, new], [new, old], [new, old, old]):
        united, lost = unite_work(files)
        assert (united.measurements, lost) == (expected, ())


def test_work_of_two_environments_cannot_be_merged() -> None:
    """The line says which facts differ, and what is kept."""
    one, other = (
        accept_work(None, key(), {"call": work})
        for work in (accepted(), later(accepted(torch="2.14", transformers="5")))
    )
    united, lost = unite_work([other, one])
    assert united == other
    assert lost == ("call: the facts differ (torch, transformers): the work accepted last is kept",)


def test_a_file_without_work_merges_with_another(store: WorkStore) -> None:
    """It has no date, so it is the oldest."""
    full = accept_work(None, key(), {"call": accepted()})
    empty = WorkBaseline(WORK_SCHEMA, key(), {})
    assert unite_work([full, empty]) == unite_work([empty, full]) == (full, ())
