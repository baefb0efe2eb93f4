"""Requests under load: their joules with and without those of idling, and their latencies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.generative.cells import NOTHING, duration, energy, note_of_estimates, share
from benchmarks.generative.points import Point
from benchmarks.tables import Table
from pytest_greenops.model.units import format_power

#: What has to be known of estimates where idling is told.
CPU_TIME = (
    " An estimate knows CPU time only, of which waiting takes hardly any: what idling costs is "
    "seen with RAPL or NVML."
)


def load_tables(points: Sequence[Point]) -> Iterator[Table]:
    """For each kind of request and number of slots: energy, without idling too, and time."""
    for load in dict.fromkeys(point.load for point in points):
        prompt_tokens, answer_tokens, slots = load
        of_load = [point for point in points if point.load == load]
        kind = f"{prompt_tokens} -> {answer_tokens} tokens in {slots} slot{'s' * (slots != 1)}"
        yield _energy(kind, of_load)
        if any(point.idle_w is not None for point in of_load):
            yield _net(kind, of_load)
        yield _time(kind, of_load)


def estimates(points: Sequence[Point]) -> str:
    """What a note about idling says of estimates."""
    note = note_of_estimates(point.figures for point in points)
    return note + CPU_TIME if note else ""


def _energy(kind: str, points: Sequence[Point]) -> Table:
    return Table(
        f"Requests that come at random, {kind}: energy",
        ("Model", "Rate/s", "Used", "Power", "J/request", "J/token"),
        [
            (
                *_where(point),
                "~" * point.estimated + format_power(point.figures["watts"]),
                energy(point.request_j, point.estimated),
                energy(point.token_j, point.estimated),
            )
            for point in points
        ],
        "Used: share of the time in which any request was being served. Power: over the whole "
        "time, from the begin to the last answer, waiting included; so are the joules."
        + note_of_estimates(point.figures for point in points),
    )


def _net(kind: str, points: Sequence[Point]) -> Table:
    cells = []
    for point in points:
        request, token = point.of_request, point.of_token
        cells.append(
            (
                *_where(point),
                NOTHING
                if point.idle_w is None
                else "~" * point.estimated + format_power(point.idle_w),
                share(request and request.idle_share),
                energy(request and request.net_j, point.estimated),
                energy(token and token.net_j, point.estimated),
            )
        )
    return Table(
        f"Requests that come at random, {kind}: net of idle",
        ("Model", "Rate/s", "Used", "Idle power", "Share", "Net/request", "Net/token"),
        cells,
        "Idle power: while the same server waits and nobody asks. Share: of the joules, what "
        "idling takes over the whole time; net: without it." + estimates(points),
    )


def _where(point: Point) -> tuple[str, str, str]:
    return point.model, f"{point.facts['rate_per_s']:g}", share(point.facts["utilisation"])


def _time(kind: str, points: Sequence[Point]) -> Table:
    return Table(
        f"Requests that come at random, {kind}: time",
        ("Model", "Rate/s", "Tokens/s", "Latency", "p95", "CPU", "GPU"),
        [
            (
                point.model,
                f"{point.facts['rate_per_s']:g}",
                f"{point.facts['tokens_per_s']:.3g}",
                duration(point.facts["latency_median_s"]),
                duration(point.facts["latency_p95_s"]),
                share(point.facts.get("cpu_utilisation")),
                share(point.facts.get("gpu_utilisation")),
            )
            for point in points
        ],
        "Latency: from a request's arrival to the end of its answer, median and 95th percentile, "
        "of the last run. CPU, GPU: how busy they were around the measurement, pauses included.",
    )
