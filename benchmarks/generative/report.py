"""Tables of causal language models: prefill and decode, loads, and the claim of the study."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.generative.load_tables import claim_tables, load_tables, ratio_cell
from benchmarks.generative.points import points_of
from benchmarks.tables import Row, Table, energy_cell, estimated_note, share_cell

CLAIM = "test_larger_model"
PHASES = ("prefill", "decode")


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """Yield the tables of everything that was measured."""
    yield from _phase_tables([row for row in rows if all(p in row.measurements for p in PHASES)])
    points = points_of(rows)
    yield from load_tables([point for point in points if point.test != CLAIM])
    yield from claim_tables([point for point in points if point.test == CLAIM])


def _phase_tables(rows: Sequence[Row]) -> Iterator[Table]:
    if rows:
        yield _requests(rows)
        yield _tokens(rows)
    long = list(_long_and_short(rows))
    if long:
        yield Table(
            "Long reasoning and short answers, to prompts of one length",
            ("Model", "Batch", "Answer tokens", "Short/request", "Long/request", "Ratio"),
            long,
            "If prefill were free, and a token used the same after any text, energy would be "
            "proportional to the tokens of the answer." + _estimated_note(rows),
        )


def _requests(rows: Sequence[Row]) -> Table:
    return Table(
        "Prefill and decode: J/request",
        ("Model", "Request", "Batch", "Prefill", "Decode", "Both", "Decode share"),
        [
            (
                *_request_cells(row),
                *(energy_cell(_request_j(row, phase), _estimated(row)) for phase in PHASES),
                energy_cell(_both_j(row), _estimated(row)),
                share_cell(_request_j(row, "decode") / _both_j(row)),
            )
            for row in rows
        ],
        "Prefill reads the prompt and writes the first token of the answer, decode writes the "
        "others. The model is loaded before." + _estimated_note(rows),
    )


def _tokens(rows: Sequence[Row]) -> Table:
    cells = []
    for row in rows:
        read_j = _request_j(row, "prefill") / row.facts["prompt_tokens"]
        written_j = _request_j(row, "decode") / (row.facts["answer_tokens"] - 1)
        cells.append(
            (
                *_request_cells(row),
                energy_cell(read_j, _estimated(row)),
                energy_cell(written_j, _estimated(row)),
                ratio_cell(written_j / read_j),
                energy_cell(_both_j(row) / row.facts["answer_tokens"], _estimated(row)),
            )
        )
    return Table(
        "Prefill and decode: J/token",
        ("Model", "Request", "Batch", "Read", "Written", "Ratio", "Whole/token"),
        cells,
        "Read: prefill per token of the prompt. Written: decode per token that it writes, all but "
        "the first of the answer. Whole: both phases per token of the answer."
        + _estimated_note(rows),
    )


def _long_and_short(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        key = row.facts["model"], row.facts["requests"], row.facts["prompt_tokens"]
        groups[key].append(row)
    for (model, batch, _), group in groups.items():
        short, *longer = sorted(group, key=lambda row: row.facts["answer_tokens"])
        for long in longer:
            tokens = short.facts["answer_tokens"], long.facts["answer_tokens"]
            yield (
                str(model),
                str(batch),
                f"{tokens[0]}, {tokens[1]}: {ratio_cell(tokens[1] / tokens[0])}",
                energy_cell(_both_j(short), _estimated(short)),
                energy_cell(_both_j(long), _estimated(long)),
                ratio_cell(_both_j(long) / _both_j(short)),
            )


def _request_cells(row: Row) -> tuple[str, str, str]:
    tokens = f"{row.facts['prompt_tokens']} -> {row.facts['answer_tokens']}"
    return str(row.facts["model"]), tokens, str(row.facts["requests"])


def _request_j(row: Row, phase: str) -> float:
    return float(row.measurements[phase]["per_unit.request"])


def _both_j(row: Row) -> float:
    return sum(_request_j(row, phase) for phase in PHASES)


def _estimated(row: Row) -> bool:
    return any(row.measurements[phase].get("estimated") for phase in PHASES)


def _estimated_note(rows: Sequence[Row]) -> str:
    return estimated_note(row.measurements[phase] for row in rows for phase in PHASES)
