"""Whether a larger model used more than a small one, at low and at high utilisation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.generative.cells import energy, share, times
from benchmarks.generative.load_tables import estimates
from benchmarks.generative.points import Point
from benchmarks.tables import Table

#: Within so much, two models use the same.
ALIKE = 0.05
#: Utilisation is low where no more than so much of the time is spent serving.
LOW = 0.5


def claim_tables(points: Sequence[Point]) -> Iterator[Table]:
    """One for each family of models."""
    for family in dict.fromkeys(str(point.facts["family"]) for point in points):
        yield _claim(family, [point for point in points if point.facts["family"] == family])


def outcome(points: Sequence[Point]) -> str:
    """What the smallest and the largest model used at the lowest and the highest rate, in words."""
    if len({point.facts["parameters"] for point in points}) < 2:
        return "One size only: nothing to compare."
    rates = {point.facts["rate_per_s"] for point in points}
    low, *_ = pairs = [
        _ends([point for point in points if point.facts["rate_per_s"] == rate])
        for rate in sorted({min(rates), max(rates)})
    ]
    told = [_compared(small, large) for small, large in pairs]
    if max(point.facts["utilisation"] for point in low) > LOW:
        told.append("No utilisation was low here, so that this says little of the claim.")
    return " ".join(told)


def _ends(points: Sequence[Point]) -> tuple[Point, Point]:
    """The smallest model, and the largest."""
    ordered = sorted(points, key=lambda point: int(point.facts["parameters"]))
    return ordered[0], ordered[-1]


def _compared(small: Point, large: Point) -> str:
    ratio = large.request_j / small.request_j
    net_small, net_large = small.of_request, large.of_request
    net = ""
    if net_small and net_large and net_small.net_j > 0:
        net = f", {times(net_large.net_j / net_small.net_j)} net of idle"
    return (
        f"At {large.facts['rate_per_s']:g}/s, in service {share(small.facts['utilisation'])} and "
        f"{share(large.facts['utilisation'])} of the time, the larger model, {large.model}, used "
        f"{_word(ratio)} {small.model}: {times(ratio)} J/request gross{net}."
    )


def _word(ratio: float) -> str:
    if abs(ratio - 1) <= ALIKE:
        return "as much as"
    return "more than" if ratio > 1 else "less than"


def _claim(family: str, points: Sequence[Point]) -> Table:
    ordered = sorted(points, key=lambda p: (p.facts["rate_per_s"], p.facts["parameters"]))
    cells = []
    for point in ordered:
        idle = point.of_request
        cells.append(
            (
                f"{point.facts['rate_per_s']:g}",
                point.model,
                f"{point.facts['parameters'] / 1e6:.1f} M",
                share(point.facts["utilisation"]),
                energy(point.request_j, point.estimated),
                energy(idle and idle.idle_j, point.estimated),
                energy(idle and idle.net_j, point.estimated),
            )
        )
    return Table(
        f"Need a larger model use more? ({family})",
        ("Rate/s", "Model", "Parameters", "Used", "J/request", "Idle", "Net"),
        cells,
        f"{outcome(points)}{estimates(points)}",
    )
