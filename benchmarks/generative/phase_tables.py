"""Prefill and decode: energy of a request and of a token in each, and of a long answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.generative.cells import energy, is_estimated, note_of_estimates, share, times
from benchmarks.tables import Row, Table

PHASES = ("prefill", "decode")


def phase_tables(rows: Sequence[Row]) -> Iterator[Table]:
    """Of rows that measured both phases; none of others."""
    rows = [row for row in rows if all(phase in row.measurements for phase in PHASES)]
    if rows:
        yield _requests(rows)
        yield _tokens(rows)
    long = list(_long_against_short(rows))
    if long:
        yield Table(
            "Long reasoning against a short answer, to prompts of one length",
            ("Model", "Batch", "Answer tokens", "Short/request", "Long/request", "Ratio"),
            long,
            "If prefill cost nothing, and a token the same however long the text before it, then "
            "energy would grow as the tokens of the answer do." + _estimates(rows),
        )


def _requests(rows: Sequence[Row]) -> Table:
    return Table(
        "Prefill and decode: J/request",
        ("Model", "Request", "Batch", "Prefill", "Decode", "Both", "Decode share"),
        [
            (
                *_where(row),
                *(energy(_of(row, phase, "request"), _estimated(row)) for phase in PHASES),
                energy(_both(row), _estimated(row)),
                share(_of(row, "decode", "request") / _both(row)),
            )
            for row in rows
        ],
        "Prefill reads the prompt and writes the first token of the answer, decode the others. "
        "The model is loaded before." + _estimates(rows),
    )


def _tokens(rows: Sequence[Row]) -> Table:
    cells = []
    for row in rows:
        read_j = _of(row, "prefill", "request") / row.facts["prompt_tokens"]
        written_j = _of(row, "decode", "request") / (row.facts["answer_tokens"] - 1)
        cells.append(
            (
                *_where(row),
                energy(read_j, _estimated(row)),
                energy(written_j, _estimated(row)),
                times(written_j / read_j),
                energy(_both(row) / row.facts["answer_tokens"], _estimated(row)),
            )
        )
    return Table(
        "Prefill and decode: J/token",
        ("Model", "Request", "Batch", "Read", "Written", "Ratio", "Whole/token"),
        cells,
        "Read: prefill over the tokens of the prompt. Written: decode over those of the answer "
        "that it wrote, all but the first. Whole: both phases over the tokens of the answer."
        + _estimates(rows),
    )


def _long_against_short(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    alike: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        key = row.facts["model"], row.facts["requests"], row.facts["prompt_tokens"]
        alike[key].append(row)
    for (model, batch, _), same in alike.items():
        same.sort(key=lambda row: row.facts["answer_tokens"])
        for long in same[1:]:
            short = same[0]
            yield (
                str(model),
                str(batch),
                _growth(short.facts["answer_tokens"], long.facts["answer_tokens"]),
                energy(_both(short), _estimated(short)),
                energy(_both(long), _estimated(long)),
                times(_both(long) / _both(short)),
            )


def _growth(short: int, long: int) -> str:
    return f"{short}, {long}: {times(long / short)}"


def _where(row: Row) -> tuple[str, str, str]:
    tokens = f"{row.facts['prompt_tokens']} -> {row.facts['answer_tokens']}"
    return str(row.facts["model"]), tokens, str(row.facts["requests"])


def _of(row: Row, phase: str, unit: str) -> float:
    return float(row.measurements[phase][f"per_unit.{unit}"])


def _both(row: Row) -> float:
    return sum(_of(row, phase, "request") for phase in PHASES)


def _estimated(row: Row) -> bool:
    return any(is_estimated(row.measurements[phase]) for phase in PHASES)


def _estimates(rows: Sequence[Row]) -> str:
    return note_of_estimates(row.measurements[phase] for row in rows for phase in PHASES)
