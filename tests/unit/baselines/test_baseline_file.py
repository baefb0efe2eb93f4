"""One file of baselines: its layout to the letter, and why its figures are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_greenops.baselines.baseline_file import encode, read
from pytest_greenops.model.errors import BaselineError
from tests.unit.builders import a_round, baseline, message_of, series, session

WHOLE = """\
{
 "machine": {
  "cores": "4",
  "cpu": "AMD EPYC 9654",
  "sensors": "fake"
 },
 "measurements": {
  "call": {
   "anchor": {
    "joules_per_unit": {"call": {"cpu:0": 2.0}},
    "saved_at": "2026-01-01T00:00:00+00:00"
   },
   "conditions": {},
   "domains": [
    {"kind": "cpu", "name": "cpu:0"}
   ],
   "sessions": [
    {
     "control_j": {},
     "layers": null,
     "quality": {},
     "recorded": {},
     "revision": {"commit": "1234567", "dirty": false},
     "rounds": [
      {"energy_uj": {"cpu:0": 1000000}, "iterations": 1, "seconds": 0.1}
     ],
     "run": null,
     "saved_at": "2026-01-01T00:00:00+00:00",
     "versions": {"python": "3.12.1"}
    }
   ]
  }
 },
 "schema": 1,
 "test": {"module": "tests/test_x.py", "param_id": null, "qualname": "test_parse"}
}
"""


def test_a_file_has_a_line_for_each_round() -> None:
    """A diff then shows which rounds are new, each at its depth."""
    assert encode(baseline(call=series(session([a_round(1.0)])))).decode() == WHOLE


def test_of_too_many_sessions_the_last_ones_count(tmp_path: Path) -> None:
    """As a merge by hand may leave them; a series of fewer stays whole."""
    many = [session(day=day) for day in range(1, 13)]
    saved = baseline(many=series(*many), few=series(*many[:10]))
    path = tmp_path / "test.json"
    path.write_bytes(encode(saved))
    assert read(path) == baseline(many=series(*many[2:]), few=series(*many[:10]))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """Another process may have removed it."""
    path = tmp_path / "gone.json"
    assert message_of(BaselineError, lambda: read(path)) == f"{path}: no such file: save it again"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('{"cpu:0": 1000000}', '{"gpu:0": 1}', "call: a round without cpu:0"),
        (
            '"domains": [\n    {"kind": "cpu", "name": "cpu:0"}\n   ]',
            '"domains": []',
            "call: no counted domain",
        ),
        (
            '"name": "cpu:0"}',
            '"name": "cpu:0"}, {"kind": "cpu", "name": "cpu:0"}',
            "call: a domain twice",
        ),
        (
            '"control_j": {}',
            '"control_j": {"cpu:0": -1.0}',
            "call: control_j: expected 0 or 1e-30 to 1e+30",
        ),
        (
            '{"cpu:0": 2.0}',
            '{"cpu:0": 2e31}',
            "call: anchor: 2e+31 J of cpu:0 per call, expected 0 or 1e-30 to 1e+30",
        ),
        (
            '"seconds": 0.1',
            '"seconds": 1e-40',
            "call: a round of 1e-40 s, expected 0 or 1e-30 to 1e+30",
        ),
        ('"schema": 1', '"schema": "1"', "Expected `int`, got `str` - at `$.schema`"),
    ],
)
def test_a_figure_that_no_measurement_has_is_named(
    tmp_path: Path, old: str, new: str, why: str
) -> None:
    """The message says where it is, and what is expected."""
    path = tmp_path / "x.json"
    assert WHOLE.count(old) == 1
    path.write_text(WHOLE.replace(old, new))
    said = message_of(BaselineError, lambda: read(path))
    assert said.startswith(f"{path}: damaged ({why}): ")
