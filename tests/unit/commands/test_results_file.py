"""Result files: read, or refused with a message of one line."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from pytest_greenops.baselines.baseline_file import encode
from pytest_greenops.commands import results_file
from pytest_greenops.model.errors import ResultsError
from pytest_greenops.report.document import to_json
from tests.unit.builders import baseline, message_of, rounds
from tests.unit.judge.test_two_files import measured, results

FIX = "name a file that pytest --energy --energy-json=PATH wrote"


def refusal(path: Path) -> str:
    """Return the message of the `ResultsError`."""
    with pytest.raises(ResultsError) as raised:
        results_file.read(path)
    return str(raised.value)


def test_what_a_run_writes_is_read(tmp_path: Path) -> None:
    """A document is read back unchanged, including sessions of fresh processes."""
    path = tmp_path / "energy.json"
    document = results(measured(fresh=(rounds(2.0),)))
    path.write_bytes(to_json(document))
    assert document == results_file.read(path)


def test_what_an_older_version_wrote_is_read(tmp_path: Path) -> None:
    """Fields that were added later may be missing."""
    path = tmp_path / "energy.json"
    document = json.loads(to_json(results(measured())))
    [result] = document["results"]
    required = {"test", "name", "domain", "unit", "provenance", "verdict", "rounds", "domains"}
    document["results"] = [{name: result[name] for name in required}]
    path.write_text(json.dumps(document))
    [read] = results_file.read(path).results
    assert ((), rounds(2.0)) == (read.fresh, read.rounds)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    """The message names it and what is expected."""
    path = tmp_path / "energy.json"
    assert f"{path}: cannot be read (No such file or directory); {FIX}" == refusal(path)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"schema": 1}', b"\xff\xfe", b"[" * 10_000])
def test_another_content_is_reported(tmp_path: Path, data: bytes) -> None:
    """Whatever the file contains, the message names it in one line."""
    path = tmp_path / "energy.json"
    path.write_bytes(data)
    said = refusal(path)
    assert said.startswith(f"{path}: not a result file (")
    assert said.endswith(f"; {FIX}")


def test_a_baseline_is_not_a_result_file(tmp_path: Path) -> None:
    """The message says that the file is a baseline."""
    path = tmp_path / "test_x.json"
    path.write_bytes(encode(baseline()))
    assert f"{path}: a baseline, not a result file; {FIX}" == refusal(path)


def test_a_newer_document_asks_for_an_upgrade(tmp_path: Path) -> None:
    """A newer schema is not read."""
    path = tmp_path / "energy.json"
    path.write_text('{"schema": 2, "news": []}')
    assert refusal(path) == (
        f"{path}: written by a newer pytest-greenops (schema 2, this version reads up to 1): "
        "pip install -U pytest-greenops"
    )


def without_counter(result: Any) -> None:
    """Remove a counter from a round."""
    del result["rounds"][0]["energy_uj"]["cpu:0"]


def without_counter_again(result: Any) -> None:
    """Remove the counters from a round of the confirming process."""
    result["confirming"] = [{**result["rounds"][0], "energy_uj": {}}]


def without_work(result: Any) -> None:
    """Remove the work of a round."""
    del result["rounds"][3]["units"]


def without_domain(result: Any) -> None:
    """Remove the domain that its sensor counts."""
    result["domains"] = []


def without_sensor(result: Any) -> None:
    """Name another sensor than that of its domain."""
    result["domains"].append({"name": "cpu:1", "kind": "cpu"})


def with_tiny_work(result: Any) -> None:
    """Set an amount of work by which no joules can be divided."""
    result["rounds"][3]["units"]["token"] = 1e-310


def without_joules(result: Any) -> None:
    """Remove the joules of the judged unit."""
    del result["per_unit"]["token"]


@pytest.mark.parametrize(
    ("spoil", "lacks"),
    [
        (without_counter, "a round without cpu:0"),
        (without_counter_again, "a round without cpu:0"),
        (without_work, "a round without token"),
        (without_joules, "no joules per token"),
        (without_domain, "no domain cpu:0"),
        (without_sensor, "no sensor of cpu:1"),
        (with_tiny_work, "a round of 1e-310 units of work, expected 0 or 1e-30 to 1e+30"),
    ],
)
def test_an_incomplete_document_is_reported(tmp_path: Path, spoil: Any, lacks: str) -> None:
    """A file that was edited by hand is refused, with the name of the test."""
    path = tmp_path / "energy.json"
    document = json.loads(to_json(results(measured(unit="token", units={"token": 2.0}))))
    spoil(document["results"][0])
    path.write_text(json.dumps(document))
    assert f"{path}: damaged (tests/test_x.py::test_parse: {lacks}); {FIX}" == refusal(path)


@pytest.mark.parametrize("data", [b"", None])
def test_an_empty_or_missing_file_may_be_written(tmp_path: Path, data: bytes | None) -> None:
    """Nothing is lost, and nothing is left by the check."""
    path = tmp_path / "energy.json"
    if data is not None:
        path.write_bytes(data)
    results_file.check_writable(path)
    assert path.exists() == (data is not None)


@pytest.mark.parametrize("data", [b"def test_x(): pass\n", b"{}", b'{"schema": 1}', b"\0", b"[1]"])
def test_a_file_of_something_else_may_not_be_written(tmp_path: Path, data: bytes) -> None:
    """The message quotes the path in the command that removes it."""
    path = tmp_path / "my [file]"
    path.write_bytes(data)
    assert message_of(ResultsError, lambda: results_file.check_writable(path)) == (
        f"{path}: holds no results of pytest-greenops, and would be overwritten; name another "
        f"file, or delete it: rm '{path}'"
    )


@pytest.mark.parametrize("newer", [False, True])
def test_results_may_be_written_again(tmp_path: Path, newer: bool) -> None:
    """Those of a newer version too: each run replaces them."""
    path = tmp_path / "energy.json"
    data = to_json(results(measured()))
    path.write_bytes(data.replace(b'"schema": 1', b'"schema": 2') if newer else data)
    results_file.check_writable(path)


def test_results_are_read_from_a_pipe(tmp_path: Path) -> None:
    """`compare A <(zcat b.json.gz)` names a pipe."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    document = results(measured())
    writer = threading.Thread(target=lambda: pipe.write_bytes(to_json(document)))
    writer.start()
    assert results_file.read(pipe) == document
    writer.join()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> b\n", "in a merge conflict: keep one side: "),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n",
            "a Git LFS pointer",
        ),
    ],
)
def test_what_git_leaves_is_named(tmp_path: Path, data: bytes, why: str) -> None:
    """Not only that it is no result file."""
    path = tmp_path / "energy.json"
    path.write_bytes(data)
    assert refusal(path).startswith(f"{path}: {why}")


def test_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """Windows PowerShell adds it."""
    path = tmp_path / "energy.json"
    document = results(measured())
    path.write_bytes(b"\xef\xbb\xbf" + to_json(document))
    assert results_file.read(path) == document
