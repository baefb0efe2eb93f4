"""Loads of random requests, their statistics and their tables, without a model."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest

from benchmarks.generative.load import (
    Load,
    Served,
    busy_s,
    facts_of,
    most_at_once,
    poisson_arrivals,
    requests_of,
)
from benchmarks.generative.report import tables
from benchmarks.tables import Row, Table

WIDEST = 79
LOADS = "Requests at random times, 64 -> 40 tokens in 4 slots"


def served(*times_s: tuple[float, float, float]) -> list[Served]:
    """Return requests with these times of arrival, begin and end, and answers of three tokens."""
    return [Served(*each, answer=[1, 2, 3]) for each in times_s]


def test_poisson_rate() -> None:
    """The mean gap, and the share of long gaps, match the rate over many requests."""
    requests, rate = 10_000, 8.0
    arrivals = [0.0, *poisson_arrivals(rate, requests, seed=7)]
    gaps = [later - earlier for earlier, later in pairwise(arrivals)]
    long = sum(gap > 1 / rate for gap in gaps) / requests
    assert abs(sum(gaps) / requests - 1 / rate) < 4 / (rate * math.sqrt(requests))
    assert abs(long - math.exp(-1)) < 4 * math.sqrt(math.exp(-1) * (1 - math.exp(-1)) / requests)


def test_poisson_seed() -> None:
    """A seed gives the same arrivals, scaled by the rate; another seed gives others."""
    slow, fast = poisson_arrivals(2.0, 20, seed=3), poisson_arrivals(8.0, 20, seed=3)
    assert slow == poisson_arrivals(2.0, 20, seed=3)
    assert slow == pytest.approx([4 * arrival_s for arrival_s in fast])
    assert slow != poisson_arrivals(2.0, 20, seed=4)


def test_requests() -> None:
    """Requests arrive in order, with prompts of the right length and vocabulary."""
    load = Load(4.0, requests=6, prompt_tokens=5, answer_tokens=2, slots=3)
    made = requests_of(load, vocabulary=10, seed=1)
    assert made == requests_of(load, vocabulary=10, seed=1)
    assert poisson_arrivals(4.0, 6, seed=1) == [request.arrival_s for request in made]
    assert [(5, 2)] * 6 == [(len(request.prompt), request.answer_tokens) for request in made]
    assert all(0 <= token < 10 for request in made for token in request.prompt)
    assert len({tuple(request.prompt) for request in made}) == 6


def test_busy_time() -> None:
    """Time with several served requests counts once, and idle time does not count."""
    requests = served((0, 1, 3), (0, 2, 4), (0, 2.5, 3.5), (5, 6, 7))
    assert 4.0 == busy_s(requests)
    assert 3 == most_at_once(requests)


def test_consecutive_requests_do_not_overlap() -> None:
    """A request that begins when another ends is not served at the same time."""
    assert 1 == most_at_once(served((0, 0, 1), (0, 1, 2)))


def test_facts_of_a_run() -> None:
    """Utilisation, tokens per second and latencies cover the time up to the last answer."""
    facts = facts_of(served(*((i, i, i + 0.5) for i in range(10))))
    assert 9.5 == facts["duration_s"]
    assert 5.0 / 9.5 == pytest.approx(facts["utilisation"])
    assert 30 / 9.5 == pytest.approx(facts["tokens_per_s"])
    assert 0.5 == pytest.approx(facts["latency_median_s"])
    waited = facts_of(served((0, 0, 1), (0, 1, 2), (0, 2, 3)))
    assert (2.0, 2.9) == pytest.approx((waited["latency_median_s"], waited["latency_p95_s"]))


def load_row(
    test: str = "test_load",
    model: str = "llama_3m",
    rate: float = 5.0,
    power_w: float = 300.0,
    **facts: Any,
) -> Row:
    """Return a row of 100 requests and 4,000 tokens in 20 s."""
    figures = {
        "joules": power_w * 20.0,
        "seconds": 20.0,
        "watts": power_w,
        "per_unit.request": power_w * 20.0 / 100,
        "per_unit.token": power_w * 20.0 / 4000,
        "estimated": False,
    }
    known = {
        "model": model,
        "family": "llama",
        "parameters": 3_000_000,
        "rate_per_s": rate,
        "requests": 100,
        "prompt_tokens": 64,
        "answer_tokens": 40,
        "slots": 4,
        "utilisation": 0.25,
        "tokens_per_s": 200.0,
        "latency_median_s": 0.2,
        "latency_p95_s": 0.4,
        "cpu_utilisation": 0.1,
    }
    return Row(test, {**known, **facts}, {"call": figures})


def idle_row(power_w: float, model: str = "llama_3m") -> Row:
    """Return a row of a server that waited for half a second."""
    figures = {"joules": power_w / 2, "seconds": 0.5, "watts": power_w, "estimated": False}
    return Row("test_idle", {"model": model, "waited_s": 0.5}, {"call": figures})


def phase_row(length: str, answer_tokens: int, prefill_j: float, decode_j: float) -> Row:
    """Return a row with both phases of eight requests, in joules per request."""
    phases = {"prefill": prefill_j, "decode": decode_j}
    return Row(
        "test_answers",
        {
            "model": "qwen3_10m",
            "length": length,
            "requests": 8,
            "prompt_tokens": 64,
            "answer_tokens": answer_tokens,
        },
        {
            phase: {
                "joules": 8 * joules,
                "per_unit.request": joules,
                "per_unit.token": joules / answer_tokens,
                "estimated": True,
            }
            for phase, joules in phases.items()
        },
    )


def made(*rows: Row) -> dict[str, Table]:
    """Return the tables of some rows, by title."""
    return {table.title: table for table in tables(rows)}


@pytest.mark.parametrize(
    ("idle", "title", "cells"),
    [
        ([], "energy", "llama_3m, 5, 25 %, 300 W, 60.0 J, 1.50 J"),
        ([50.0], "net of idle", "llama_3m, 5, 25 %, 50.0 W, 17 %, 50.0 J, 1.25 J"),
        ([400.0], "net of idle", "llama_3m, 5, 25 %, 400 W, –, –, –"),
        ([], "time", "llama_3m, 5, 200, 200 ms, 400 ms, 10 %, –"),
    ],
    ids=["gross", "net", "impossible idle", "time"],
)
def test_tables_of_a_load(idle: list[float], title: str, cells: str) -> None:
    """300 W for 20 s, 100 requests and 4,000 tokens are 60 J/request and 1.5 J/token.

    What is unknown is a dash: the net energy if idling used more than the load, and a missing GPU.
    """
    table = made(load_row(), *map(idle_row, idle))[f"{LOADS}: {title}"]
    assert [tuple(cells.split(", "))] == table.rows
    assert "~" not in table.note


def test_unknown_idle_power() -> None:
    """Without the idle power of any model there is no table net of idling."""
    assert f"{LOADS}: net of idle" not in made(load_row(), idle_row(50.0, "llama_30m"))


def test_claim_holds() -> None:
    """The note compares the models at the lowest and at the highest rate."""
    large = {"model": "llama_30m", "parameters": 30_000_000}
    claim = made(
        idle_row(50.0),
        idle_row(50.0, "llama_30m"),
        load_row("test_larger_model", rate=1.0, power_w=100.0),
        load_row("test_larger_model", rate=1.0, power_w=102.0, utilisation=0.5, **large),
        load_row("test_larger_model", rate=64.0, power_w=200.0, utilisation=0.9),
        load_row("test_larger_model", rate=64.0, power_w=350.0, utilisation=1.0, **large),
    )["Do larger models use more energy? (llama)"]
    assert ("1", "llama_30m", "30.0 M", "50 %", "20.4 J", "10.0 J", "10.4 J") == claim.rows[1]
    assert claim.note == (
        "At 1/s (utilisation 25 % and 50 %) the larger model, llama_30m, used as much as llama_3m: "
        "1.02 x J/request gross, 1.04 x net of idle. "
        "At 64/s (utilisation 90 % and 100 %) the larger model, llama_30m, used more than "
        "llama_3m: 1.75 x J/request gross, 2 x net of idle."
    )


def test_claim_without_low_utilisation() -> None:
    """Without a rate of low utilisation, the note says that the claim is not tested."""
    large = {"model": "llama_30m", "parameters": 30_000_000}
    [claim] = made(
        load_row("test_larger_model", power_w=100.0, utilisation=0.6),
        load_row("test_larger_model", power_w=50.0, utilisation=0.9, **large),
    ).values()
    assert claim.note == (
        "At 5/s (utilisation 60 % and 90 %) the larger model, llama_30m, used less than llama_3m: "
        "0.5 x J/request gross. No rate had a low utilisation, so this does not test the claim."
    )


def test_claim_of_one_size() -> None:
    """A single size, for example a checkpoint, is not compared."""
    [claim] = made(load_row("test_larger_model")).values()
    assert claim.note == "One size only: nothing to compare."


def test_phases() -> None:
    """Each phase has J/request and J/token, marked as estimated."""
    found = made(phase_row("short_answer", 9, prefill_j=0.64, decode_j=0.16))
    requests = found["Prefill and decode: J/request"]
    tokens = found["Prefill and decode: J/token"]
    assert [("qwen3_10m", "64 -> 9", "8", "~640 mJ", "~160 mJ", "~800 mJ", "20 %")] == requests.rows
    assert [("qwen3_10m", "64 -> 9", "8", "~10.0 mJ", "~20.0 mJ", "2 x", "~88.9 mJ")] == tokens.rows
    assert "~: estimated" in requests.note


def test_long_reasoning() -> None:
    """A long answer is compared with a short one to a prompt of the same length."""
    found = made(
        phase_row("long_reasoning", 64, prefill_j=0.5, decode_j=4.5),
        phase_row("short_answer", 8, prefill_j=0.5, decode_j=0.5),
    )["Long reasoning and short answers, to prompts of one length"]
    assert [("qwen3_10m", "8", "8, 64: 8 x", "~1.00 J", "~5.00 J", "5 x")] == found.rows


def test_tables_fit() -> None:
    """Tables are at most 79 columns wide."""
    found = made(
        phase_row("long_reasoning", 64, prefill_j=0.5, decode_j=4.5),
        phase_row("short_answer", 8, prefill_j=0.5, decode_j=0.5),
        idle_row(50.0),
        load_row(),
        load_row("test_larger_model"),
    )
    assert 7 == len(found)
    lines = [line for table in found.values() for line in table.markdown() if line.startswith("|")]
    assert max(map(len, lines)) <= WIDEST


def test_nothing_measured() -> None:
    """Without rows there are no tables."""
    assert {} == made()
