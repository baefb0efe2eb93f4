"""Files of results: read, or refused in one line that names them."""

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

MEND = "name a file that pytest --energy --energy-json=PATH wrote"


def refusal(path: Path) -> str:
    """What a `ResultsError` says."""
    with pytest.raises(ResultsError) as raised:
        results_file.read(path)
    return str(raised.value)


def test_what_a_run_writes_is_read(tmp_path: Path) -> None:
    """A document comes back as it was, further sessions too."""
    path = tmp_path / "energy.json"
    document = results(measured(fresh=(rounds(2.0),)))
    path.write_bytes(to_json(document))
    assert document == results_file.read(path)


def test_what_an_older_version_wrote_is_read(tmp_path: Path) -> None:
    """Fields that came later may be missing."""
    path = tmp_path / "energy.json"
    document = json.loads(to_json(results(measured())))
    [result] = document["results"]
    required = {"test", "name", "domain", "unit", "provenance", "verdict", "rounds", "domains"}
    document["results"] = [{name: result[name] for name in required}]
    path.write_text(json.dumps(document))
    [read] = results_file.read(path).results
    assert ((), rounds(2.0)) == (read.fresh, read.rounds)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """It is named, with what was expected."""
    path = tmp_path / "energy.json"
    assert f"{path}: cannot be read (No such file or directory); {MEND}" == refusal(path)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"schema": 1}', b"\xff\xfe", b"[" * 10_000])
def test_what_is_no_document_is_told(tmp_path: Path, data: bytes) -> None:
    """Whatever else a file holds, it is named, in one line."""
    path = tmp_path / "energy.json"
    path.write_bytes(data)
    said = refusal(path)
    assert said.startswith(f"{path}: no results of a run (")
    assert said.endswith(f"; {MEND}")


def test_a_baseline_is_told_from_results(tmp_path: Path) -> None:
    """Who gives a file of the baselines folder is told so."""
    path = tmp_path / "test_x.json"
    path.write_bytes(encode(baseline()))
    assert f"{path}: a baseline, not the results of a run; {MEND}" == refusal(path)


def test_a_newer_document_asks_for_an_upgrade(tmp_path: Path) -> None:
    """A schema of the future is not guessed at."""
    path = tmp_path / "energy.json"
    path.write_text('{"schema": 2, "news": []}')
    assert refusal(path) == (
        f"{path}: written by a newer pytest-greenops (schema 2, this one reads up to 1); upgrade "
        "it: pip install -U pytest-greenops"
    )


def without_counter(result: Any) -> None:
    """A round in which a counter was not read."""
    del result["rounds"][0]["energy_uj"]["cpu:0"]


def without_counter_again(result: Any) -> None:
    """A round of the process that was asked about a regression, in which a counter was not read."""
    result["confirming"] = [{**result["rounds"][0], "energy_uj": {}}]


def without_work(result: Any) -> None:
    """A round that did no work."""
    del result["rounds"][3]["units"]


def without_joules(result: Any) -> None:
    """No figure of the unit that is judged."""
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
def test_a_document_that_lacks_its_own_parts_is_told(
    tmp_path: Path, spoil: Any, lacks: str
) -> None:
    """What was edited by hand is refused before it is judged, with the test's name."""
    path = tmp_path / "energy.json"
    document = json.loads(to_json(results(measured(unit="token", units={"token": 2.0}))))
    spoil(document["results"][0])
    path.write_text(json.dumps(document))
    assert f"{path}: damaged (tests/test_x.py::test_parse: {lacks}); {MEND}" == refusal(path)
