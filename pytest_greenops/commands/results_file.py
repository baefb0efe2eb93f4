"""Reading and checking a result file, as `--energy-json` writes it."""

from __future__ import annotations

import math
import os
from pathlib import Path

import msgspec

from pytest_greenops.baselines import whole_file
from pytest_greenops.baselines.baseline_file import refuse_newer
from pytest_greenops.baselines.meaning import round_faults
from pytest_greenops.model.errors import ResultsError
from pytest_greenops.model.measurement import belonging
from pytest_greenops.model.result import SCHEMA, FleetResults, Result, Results
from pytest_greenops.model.verdict import Outcome

_FIX = "name a file that pytest --energy --energy-json=PATH wrote"

#: No results are larger: this is about fifty thousand measurements.
_MOST_BYTES = 512 << 20


class _Kind(msgspec.Struct):
    """The fields that identify a document and its version."""

    schema: int
    results: msgspec.Raw = msgspec.Raw()
    measurements: msgspec.Raw = msgspec.Raw()
    machines: msgspec.Raw = msgspec.Raw()


def read(path: Path) -> Results:
    """Read a result file of one machine; raises `ResultsError`, a line with the file and the fix.

    A file of several machines is refused, as no other one of them would be shown.
    """
    first, *others = read_machines(path)
    if others:
        raise ResultsError(
            f"{path}: results of {len(others) + 1} machines; name that of one, such as "
            f"{of_machine(path, first.environment.slug)}"
        )
    return first


def of_machine(path: Path, machine: str) -> Path:
    """Return the file with the results of one machine, beside the file of all of them."""
    return path.with_name(f"{path.stem}.{machine}{path.suffix or '.json'}")


def read_machines(path: Path) -> tuple[Results, ...]:
    """Read a result file of one machine or of a fleet; raises `ResultsError`, as `read`."""
    try:
        data = whole_file.read_bytes(path, _MOST_BYTES, streams=True)
    except FileNotFoundError as error:
        raise ResultsError(f"{path}: cannot be read ({error.strerror}); {_FIX}") from None
    except whole_file.FileProblem as problem:
        raise ResultsError(f"{path}: {problem.why}; {_FIX}") from None
    text = whole_file.without_mark(data)
    try:
        kind = msgspec.json.decode(text, type=_Kind)
        refuse_newer(path, kind.schema, SCHEMA, ResultsError)
        if bytes(kind.measurements) and not bytes(kind.results):
            raise ResultsError(f"{path}: a baseline, not a result file; {_FIX}")
        all_results: tuple[Results, ...]
        if bytes(kind.machines):
            all_results = msgspec.json.decode(text, type=FleetResults).machines
            if not all_results:
                raise ValueError("no machine")
        else:
            all_results = (msgspec.json.decode(text, type=Results),)
    except (ValueError, RecursionError) as error:
        damage = whole_file.damage(path, data, error)
        if damage.why.startswith("damaged"):
            raise ResultsError(f"{path}: not a result file ({error}); {_FIX}") from None
        raise ResultsError(f"{path}: {damage}") from None
    for result in (result for results in all_results for result in results.results):
        if lacks := _lacks(result):
            raise ResultsError(f"{path}: damaged ({result.test.node_id}: {lacks}); {_FIX}")
    return all_results


def _lacks(result: Result) -> str | None:
    """Return what is missing in a result, if anything."""
    if result.verdict.energy is Outcome.NOT_MEASURED or not result.provenance.sensors:
        return None
    names = {domain.name for domain in result.domains}
    sensors = result.provenance.sensors.keys()
    if unknown := sensors - names:
        return f"no domain {min(unknown)}"
    if unread := set(belonging(result.domains, result.domain)) - sensors:
        return f"no sensor of {min(unread)}"
    units = set() if result.unit == "call" else {result.unit}
    if not math.isnan(result.joules) and units - result.per_unit.keys():
        return f"no joules per {result.unit}"
    all_rounds = (result.rounds, *result.fresh, result.confirming)
    return next((why for rounds in all_rounds for why in round_faults(rounds, names, units)), None)


def check_writable(path: Path) -> None:
    """Raise `ResultsError` if results cannot be written there, or would replace something else."""
    try:
        whole_file.check_writable(path)
        known = b"" if _is_new(path) else whole_file.read_bytes(path, _MOST_BYTES)
    except FileNotFoundError:
        return
    except OSError as error:
        raise unwritable(path, error) from None
    except whole_file.FileProblem as problem:
        raise ResultsError(f"{path}: {problem.why}; name another file") from None
    try:
        kind = msgspec.json.decode(known, type=_Kind) if known else None
        holds_results = kind is None or bool(bytes(kind.results) or bytes(kind.machines))
    except (ValueError, RecursionError):
        holds_results = False
    if not holds_results:
        raise ResultsError(
            f"{path}: holds no results of pytest-greenops, and would be overwritten; name another "
            f"file, or delete it: rm {whole_file.quoted(path)}"
        )


def unwritable(path: Path, error: OSError) -> ResultsError:
    """Return the error of a file that the system does not let us write."""
    return ResultsError(f"{path}: cannot be written ({error.strerror}); name another file")


def _is_new(path: Path) -> bool:
    """Return whether nothing is lost if it is written: it is empty, a pipe or a device."""
    return not path.is_file() or os.path.getsize(path) == 0
