"""Reading and checking a result file, as `--energy-json` writes it."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from pytest_greenops.baselines.store import refuse_newer
from pytest_greenops.model.errors import ResultsError
from pytest_greenops.model.result import SCHEMA, Result, Results
from pytest_greenops.model.verdict import Outcome

_FIX = "name a file that pytest --energy --energy-json=PATH wrote"


class _Kind(msgspec.Struct):
    """The fields that identify a document and its version."""

    schema: int
    results: msgspec.Raw = msgspec.Raw()
    measurements: msgspec.Raw = msgspec.Raw()


def read(path: Path) -> Results:
    """Read a result file; raises `ResultsError`, one line with the file and the fix."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read ({error.strerror}); {_FIX}") from None
    try:
        kind = msgspec.json.decode(data, type=_Kind)
        refuse_newer(path, kind.schema, SCHEMA, ResultsError)
        if bytes(kind.measurements) and not bytes(kind.results):
            raise ResultsError(f"{path}: a baseline, not a result file; {_FIX}")
        results = msgspec.json.decode(data, type=Results)
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{path}: not a result file ({error}); {_FIX}") from None
    for result in results.results:
        if lacks := _lacks(result):
            raise ResultsError(f"{path}: damaged ({result.test.node_id}: {lacks}); {_FIX}")
    return results


def _lacks(result: Result) -> str | None:
    """Return what is missing in a result, if anything."""
    if result.verdict.energy is Outcome.NOT_MEASURED or not result.provenance.sensors:
        return None
    names = {domain.name for domain in result.domains} | result.provenance.sensors.keys()
    units = set() if result.unit == "call" else {result.unit}
    if not math.isnan(result.joules) and units - result.per_unit.keys():
        return f"no joules per {result.unit}"
    all_rounds = (result.rounds, *result.fresh, result.confirming)
    for round_ in (round_ for rounds in all_rounds for round_ in rounds):
        if missing := (names - round_.energy_uj.keys()) | (units - round_.units.keys()):
            return f"a round without {min(missing)}"
    return None
