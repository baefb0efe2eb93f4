"""One file of baselines: its layout, and what is wrong with one that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Set
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from pytest_greenops.baselines import whole_file
from pytest_greenops.baselines.meaning import why_meaningless
from pytest_greenops.baselines.whole_file import FileProblem
from pytest_greenops.model.baseline import MAX_SESSIONS, SCHEMA, Baseline
from pytest_greenops.model.errors import BaselineError, GreenopsError
from pytest_greenops.model.units import significant

Document = TypeVar("Document")
#: No baseline is larger; what is was not written by this plugin.
_MOST_BYTES = 64 << 20

#: The parts of a file that have a line for each entry; each entry of the others is one line.
_OPENED = {
    *("", "machine", "measurements", "measurements.*"),
    *(f"measurements.*.{name}" for name in ("anchor", "conditions", "domains", "sessions")),
    "measurements.*.sessions.*",
    *(f"measurements.*.sessions.*.{name}" for name in ("rounds", "layers", "layers.by_layer")),
}


#: Made before the first test, which may leave no module where msgspec looks for the types.
_DECODER = msgspec.json.Decoder(Baseline)


def read(path: Path) -> Baseline:
    """Read one baseline file; raise `BaselineError`."""
    found = read_existing(path)
    if found is None:
        raise BaselineError(f"{path}: no such file: save it again")
    return found


def read_existing(path: Path) -> Baseline | None:
    """Read one baseline file; return None if there is none. Raise `BaselineError`."""
    data = read_data(path)
    return None if data is None else decode(path, data)


def decode(path: Path, data: bytes) -> Baseline:
    """Return the baseline that a file has; raise `BaselineError`.

    Of more sessions than a save keeps, as a merge by hand may leave, the last ones count.
    """
    found = decode_document(path, data, _DECODER, SCHEMA, why_meaningless, _fewest_lines)
    kept = {
        name: replace(series, sessions=series.sessions[-MAX_SESSIONS:])
        for name, series in found.measurements.items()
        if len(series.sessions) > MAX_SESSIONS
    }
    return replace(found, measurements={**found.measurements, **kept}) if kept else found


def _fewest_lines(baseline: Baseline) -> int:
    series = baseline.measurements.values()
    return sum(len(session.rounds) for each in series for session in each.sessions)


def read_data(path: Path) -> bytes | None:
    """Return the bytes of a file; None if there is none. Raise `BaselineError`."""
    try:
        return whole_file.read_bytes(path, _MOST_BYTES)
    except FileNotFoundError:
        return None
    except FileProblem as problem:
        raise as_error(path, problem) from None


def decode_document(
    path: Path,
    data: bytes,
    decoder: msgspec.json.Decoder[Document],
    schema: int,
    why_meaningless: Callable[[Document], str | None],
    fewest_lines: Callable[[Document], int],
) -> Document:
    """Return what a file of a schema has, by its decoder; raise `BaselineError`.

    A file with fewer lines than `fewest_lines` is refused: no diff would show what changed in it.
    """
    try:
        text = whole_file.without_mark(data)
        version = msgspec.json.decode(text, type=_Version).schema
        refuse_newer(path, version, schema, BaselineError)
        document = decoder.decode(text)
        if why := why_meaningless(document):
            raise ValueError(why)
        if data.count(b"\n") < fewest_lines(document):
            raise ValueError("its figures share a line, which no diff shows")
    except (ValueError, RecursionError) as error:  # by msgspec, and for text that is not UTF-8
        raise as_error(path, whole_file.damage(path, data, error)) from None
    return document


def as_error(path: Path, problem: FileProblem) -> BaselineError:
    """Return the problem of a file as the error of a run."""
    return BaselineError(f"{path}: {problem}")


def refuse_newer(path: Path, schema: int, known: int, error: type[GreenopsError]) -> None:
    """Raise an error for a file of a newer schema version than the known one."""
    if schema > known:
        raise error(
            f"{path}: written by a newer pytest-greenops (schema {schema}, this version reads up "
            f"to {known}): pip install -U pytest-greenops"
        )


def encode(baseline: Baseline) -> bytes:
    """Return the bytes of a baseline file: sorted keys, rounded floats, a line for each round."""
    return laid_out(baseline, _OPENED)


def laid_out(document: msgspec.Struct, opened: Set[str]) -> bytes:
    """Return a document as JSON, with a line for each entry of the parts that are `opened`.

    Keys are sorted and floats rounded. A part is named by its path, such as `measurements.*.facts`.
    """
    return f"{_laid_out(significant(msgspec.to_builtins(document)), opened)}\n".encode()


def _laid_out(value: Any, opened: Set[str], path: str = "", indent: str = "\n") -> str:
    deeper = indent + " "
    if path not in opened or not value:
        return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=0).decode()
    if isinstance(value, dict):
        inner = {key: "*" if path == "measurements" else key for key in sorted(value)}
        parts = [
            f"{_laid_out(key, opened, '-')}: "
            f"{_laid_out(value[key], opened, f'{path}.{name}'.lstrip('.'), deeper)}"
            for key, name in inner.items()
        ]
        return "{" + ",".join(deeper + part for part in parts) + indent + "}"
    parts = [_laid_out(item, opened, f"{path}.*", deeper) for item in value]
    return "[" + ",".join(deeper + part for part in parts) + indent + "]"


class _Version(msgspec.Struct):
    schema: int
