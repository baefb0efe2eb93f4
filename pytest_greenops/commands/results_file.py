"""Files of JSON results, as `--energy-json` writes them: read whole, checked, or refused."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from pytest_greenops.model.errors import ResultsError
from pytest_greenops.model.result import SCHEMA, Result, Results
from pytest_greenops.model.verdict import Outcome

_MEND = "name a file that pytest --energy --energy-json=PATH wrote"


class _Kind(msgspec.Struct):
    """What tells results from other documents, and which version they are of."""

    schema: int
    results: msgspec.Raw = msgspec.Raw()
    measurements: msgspec.Raw = msgspec.Raw()


def read(path: Path) -> Results:
    """Read one file of results; raises `ResultsError`, one line that names it and the mend."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read ({error.strerror}); {_MEND}") from None
    try:
        kind = msgspec.json.decode(data, type=_Kind)
        if kind.schema > SCHEMA:
            raise ResultsError(
                f"{path}: written by a newer pytest-greenops (schema {kind.schema}, this one reads "
                f"up to {SCHEMA}); upgrade it: pip install -U pytest-greenops"
            )
        if bytes(kind.measurements) and not bytes(kind.results):
            raise ResultsError(f"{path}: a baseline, not the results of a run; {_MEND}")
        results = msgspec.json.decode(data, type=Results)
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{path}: no results of a run ({error}); {_MEND}") from None
    for result in results.results:
        if lacks := _lacks(result):
            raise ResultsError(f"{path}: damaged ({result.test.node_id}: {lacks}); {_MEND}")
    return results


def _lacks(result: Result) -> str | None:
    """What a result names and does not hold, if anything."""
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
