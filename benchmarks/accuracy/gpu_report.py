"""The figures of a card, and their Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.accuracy.gpu_figures import Agreement, Lag, ReadCost, TickFigures
from benchmarks.accuracy.gpu_repeat import Repeatability
from benchmarks.accuracy.gpu_trace import Spread
from benchmarks.accuracy.gpu_windows import Pulsed, Singles, Waits


class Figures(msgspec.Struct, frozen=True):
    """All figures of one run on one card.

    facts   the card, its driver and its settings
    doubts  the sensor's own doubts about the counter
    """

    facts: dict[str, str]
    doubts: tuple[str, ...]
    ticks: tuple[TickFigures, ...]
    costs: tuple[ReadCost, ...]
    agreements: tuple[Agreement, ...]
    pulsed: tuple[Pulsed, ...]
    singles: tuple[Singles, ...]
    lags: tuple[Lag, ...]
    waits: Waits
    repeatability: Repeatability


def write(figures: Figures, folder: Path) -> None:
    """Write `report.md` and `report.json` to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text("\n".join([*markdown(figures), ""]))
    (folder / "report.json").write_text(json.dumps(as_values(figures), indent=2) + "\n")


def as_values(figures: Figures) -> dict[str, object]:
    """Return the figures as plain values, with null for nan."""
    encoded = msgspec.json.encode(figures)  # msgspec writes nan as null
    values: dict[str, object] = msgspec.json.decode(encoded)
    ratios = [None if one.ratio != one.ratio else one.ratio for one in figures.agreements]
    return {**values, "agreement_ratios": ratios}


def markdown(figures: Figures) -> Iterator[str]:
    """Yield the lines of the report."""
    name = figures.facts.get("device", "a card")
    yield f"# Accuracy on {name}"
    yield ""
    yield from _table(("", ""), figures.facts.items())
    yield from (f"The sensor doubts: {doubt}.\n" for doubt in figures.doubts)
    yield from _section(
        "Tick of the counter, period of the power",
        (
            *("load", "tick, ms: median (p5 to p95)", "known to ±ms", "quantum, mJ", "step, mJ"),
            *("new power, ms: median (p5 to p95)", "polls/s"),
        ),
        map(_tick_row, figures.ticks),
    )
    yield from _section(
        "Cost of one read",
        ("read", "median, µs", "p95, µs", "reads"),
        ((c.read, _n(c.us.median), _n(c.us.p95), str(c.us.number)) for c in figures.costs),
    )
    yield from _section(
        "Counter against integrated power",
        ("load", "s", "counter, J", "integral, J", "ratio"),
        (
            (a.load, _n(a.seconds), _n(a.counter_j), _n(a.integrated_j), f"{a.ratio:.4f}")
            for a in figures.agreements
        ),
    )
    yield from _section(
        "Pulsed load",
        (
            *("period, ms", "duty", "counter / integral", "J/pulse, long run", "pulses/window"),
            *("windows", "windows / long run", "sd"),
        ),
        map(_pulsed_row, figures.pulsed),
    )
    yield from _section(
        "Single windows of the project",
        ("where", "s", "windows", "mean / truth", "sd", "stated error", "within it"),
        [*map(_singles_row, figures.singles), *map(_covered_row, *_by_place(figures.singles))],
    )
    yield from _section(
        "Lag after a step, ms: median (p5 to p95)",
        ("step", "counter, by area", "power, by area", "counter past half", "power past half"),
        map(_lag_row, figures.lags),
    )
    yield from _section(
        "Wait at the edges of a window, s",
        ("edge", "median", "p95", "windows"),
        (
            (name, f"{s.median:.4f}", f"{s.p95:.4f}", str(s.number))
            for name, s in (("begin", figures.waits.begin_s), ("end", figures.waits.end_s))
        ),
    )
    yield from _section(
        "A fixed loop in fresh processes",
        ("processes", "rounds each", "calls/round", "J/call", "sd between", "sd within"),
        [_repeat_row(figures.repeatability)],
    )


def facts_in_words(facts: Mapping[str, str]) -> str:
    """Return the card, its driver and its settings in one line."""
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def _tick_row(t: TickFigures) -> Sequence[str]:
    return (
        *(t.load, _s(t.interval_ms), _n(t.known_to_ms), str(t.quantum_mj), _n(t.step_mj)),
        *(_s(t.power_ms), _n(t.polls_per_s)),
    )


def _pulsed_row(p: Pulsed) -> Sequence[str]:
    return (
        *(f"{p.period_ms:.0f}", _p(p.duty), f"{p.ratio:.4f}", _n(p.pulse_j), str(p.window_pulses)),
        *(str(p.windows), f"{p.window_of_truth:.4f}", _p(p.window_sd_share)),
    )


def _singles_row(s: Singles) -> Sequence[str]:
    return (
        *(s.where, f"{s.seconds:g}", str(s.number), f"{s.of_truth:.4f}", _p(s.sd_share)),
        *(_p(s.error_share), f"{s.covered} of {s.number}"),
    )


def _by_place(singles: Sequence[Singles]) -> tuple[list[str], list[list[Singles]]]:
    places = list(dict.fromkeys(one.where for one in singles))
    return places, [[one for one in singles if one.where == place] for place in places]


def _covered_row(place: str, singles: Sequence[Singles]) -> Sequence[str]:
    number, covered = sum(s.number for s in singles), sum(s.covered for s in singles)
    return (
        place,
        "all",
        str(number),
        "",
        "",
        "",
        f"{covered} of {number} ({covered / number:.0%})",
    )


def _lag_row(lag: Lag) -> Sequence[str]:
    spreads = lag.counter_ms, lag.power_ms, lag.counter_half_ms, lag.power_half_ms
    return (lag.edge, *map(_s, spreads))


def _repeat_row(r: Repeatability) -> Sequence[str]:
    return (
        *(str(r.processes), str(r.rounds), str(r.calls), f"{r.call_j:.6g}"),
        *(_p(r.between_sd_share), _p(r.within_sd_share)),
    )


def _section(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield from _table(heads, rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (heads, ["---"] * len(heads), *rows):
        yield f"| {' | '.join(row)} |"
    yield ""


def _s(s: Spread) -> str:
    return f"{_n(s.median)} ({_n(s.p5)} to {_n(s.p95)}; n {s.number})"


def _n(value: float) -> str:
    return "not known" if value != value else f"{value:.4g}"


def _p(share: float) -> str:
    return "not known" if share != share else f"{share:.2%}"
