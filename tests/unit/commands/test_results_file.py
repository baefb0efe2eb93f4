"""Result files: read, or refused with a message of one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_greenops.baselines.store import encode
from pytest_greenops.commands import results_file
from pytest_greenops.model.errors import ResultsError
from pytest_greenops.report.document import to_json
from tests.unit.builders import baseline, rounds
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
    ],
)
def test_an_incomplete_document_is_reported(tmp_path: Path, spoil: Any, lacks: str) -> None:
    """A file that was edited by hand is refused, with the name of the test."""
    path = tmp_path / "energy.json"
    document = json.loads(to_json(results(measured(unit="token", units={"token": 2.0}))))
    spoil(document["results"][0])
    path.write_text(json.dumps(document))
    assert f"{path}: damaged (tests/test_x.py::test_parse: {lacks}); {FIX}" == refusal(path)
