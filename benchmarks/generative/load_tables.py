"""Tables of requests under load, and of the claim that larger models need not use more energy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.generative.points import Point
from benchmarks.tables import Table, energy_cell, estimated_note, power_cell, share_cell
from pytest_greenops.model.units import format_duration

CPU_TIME = (
    " Estimates are based on CPU time, and waiting uses hardly any: only RAPL and NVML show the "
    "energy of idling."
)
#: Two models use the same if their ratio differs from 1 by at most this.
SAME = 0.05
#: Utilisation is low if at most this share of the time is spent serving.
LOW = 0.5


def load_tables(points: Sequence[Point]) -> Iterator[Table]:
    """Yield energy, energy net of idling, and times, for each kind of request and slots."""
    for load in dict.fromkeys(point.load for point in points):
        prompt_tokens, answer_tokens, slots = load
        of_load = [point for point in points if point.load == load]
        kind = f"{prompt_tokens} -> {answer_tokens} tokens in {slots} slot{'s' * (slots != 1)}"
        yield _energy(kind, of_load)
        if any(point.idle_w is not None for point in of_load):
            yield _net(kind, of_load)
        yield _time(kind, of_load)


def claim_tables(points: Sequence[Point]) -> Iterator[Table]:
    """Yield a comparison of model sizes for each family."""
    for family in dict.fromkeys(str(point.facts["family"]) for point in points):
        yield _claim(family, [point for point in points if point.facts["family"] == family])


def _energy(kind: str, points: Sequence[Point]) -> Table:
    return Table(
        f"Requests at random times, {kind}: energy",
        ("Model", "Rate/s", "Used", "Power", "J/request", "J/token"),
        [
            (
                *_load_cells(point),
                power_cell(point.figures["watts"], point.estimated),
                energy_cell(point.request_j, point.estimated),
                energy_cell(point.token_j, point.estimated),
            )
            for point in points
        ],
        "Used: share of the time in which any request was served. Power and joules: from the "
        "start to the last answer, waiting included." + _estimated(points),
    )


def _net(kind: str, points: Sequence[Point]) -> Table:
    cells = []
    for point in points:
        request, token = point.request_split, point.token_split
        cells.append(
            (
                *_load_cells(point),
                power_cell(point.idle_w, point.estimated),
                share_cell(request and request.idle_share),
                energy_cell(request and request.net_j, point.estimated),
                energy_cell(token and token.net_j, point.estimated),
            )
        )
    return Table(
        f"Requests at random times, {kind}: net of idle",
        ("Model", "Rate/s", "Used", "Idle power", "Share", "Net/request", "Net/token"),
        cells,
        "Idle power: while the same server waits without requests. Share: of the joules, those of "
        "idling for the whole time. Net: without them." + _idle_estimated(points),
    )


def _time(kind: str, points: Sequence[Point]) -> Table:
    return Table(
        f"Requests at random times, {kind}: time",
        ("Model", "Rate/s", "Tokens/s", "Latency", "p95", "CPU", "GPU"),
        [
            (
                point.model,
                point.rate,
                f"{point.facts['tokens_per_s']:.3g}",
                format_duration(point.facts["latency_median_s"]),
                format_duration(point.facts["latency_p95_s"]),
                share_cell(point.facts.get("cpu_utilisation")),
                share_cell(point.facts.get("gpu_utilisation")),
            )
            for point in points
        ],
        "Latency: from a request's arrival to the end of its answer, median and 95th percentile, "
        "of the last run. CPU, GPU: utilisation during the measurement, pauses included.",
    )


def _claim(family: str, points: Sequence[Point]) -> Table:
    ordered = sorted(points, key=lambda p: (p.facts["rate_per_s"], p.facts["parameters"]))
    cells = []
    for point in ordered:
        split = point.request_split
        cells.append(
            (
                point.rate,
                point.model,
                f"{point.facts['parameters'] / 1e6:.1f} M",
                share_cell(point.facts["utilisation"]),
                energy_cell(point.request_j, point.estimated),
                energy_cell(split and split.idle_j, point.estimated),
                energy_cell(split and split.net_j, point.estimated),
            )
        )
    return Table(
        f"Do larger models use more energy? ({family})",
        ("Rate/s", "Model", "Parameters", "Used", "J/request", "Idle", "Net"),
        cells,
        _conclusion(points) + _idle_estimated(points),
    )


def _conclusion(points: Sequence[Point]) -> str:
    """Compare the smallest and the largest model at the lowest and the highest rate."""
    if len({point.facts["parameters"] for point in points}) < 2:
        return "One size only: nothing to compare."
    rates = {point.facts["rate_per_s"] for point in points}
    low, *_ = pairs = [
        _smallest_and_largest([point for point in points if point.facts["rate_per_s"] == rate])
        for rate in sorted({min(rates), max(rates)})
    ]
    sentences = [_comparison(small, large) for small, large in pairs]
    if max(point.facts["utilisation"] for point in low) > LOW:
        sentences.append("No rate had a low utilisation, so this does not test the claim.")
    return " ".join(sentences)


def _smallest_and_largest(points: Sequence[Point]) -> tuple[Point, Point]:
    ordered = sorted(points, key=lambda point: int(point.facts["parameters"]))
    return ordered[0], ordered[-1]


def _comparison(small: Point, large: Point) -> str:
    ratio = large.request_j / small.request_j
    net_small, net_large = small.request_split, large.request_split
    net = ""
    if net_small and net_large and net_small.net_j > 0:
        net = f", {ratio_cell(net_large.net_j / net_small.net_j)} net of idle"
    return (
        f"At {large.rate}/s (utilisation {share_cell(small.facts['utilisation'])} and "
        f"{share_cell(large.facts['utilisation'])}) the larger model, {large.model}, used "
        f"{_relation(ratio)} {small.model}: {ratio_cell(ratio)} J/request gross{net}."
    )


def _relation(ratio: float) -> str:
    if abs(ratio - 1) <= SAME:
        return "as much as"
    return "more than" if ratio > 1 else "less than"


def ratio_cell(ratio: float) -> str:
    """`2.345` -> `'2.35 x'`."""
    return f"{ratio:.3g} x"


def _load_cells(point: Point) -> tuple[str, str, str]:
    return point.model, point.rate, share_cell(point.facts["utilisation"])


def _estimated(points: Sequence[Point]) -> str:
    return estimated_note(point.figures for point in points)


def _idle_estimated(points: Sequence[Point]) -> str:
    note = _estimated(points)
    return note + CPU_TIME if note else ""
