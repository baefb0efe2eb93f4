"""Tables of image classifiers: sizes, joules, time, utilisation, correlations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from benchmarks.discriminative.points import Point, by_setting, correlation
from benchmarks.tables import NOTHING, Row, Table, estimated_note, power_cell, share_cell
from pytest_greenops.model.units import format_duration

GIGA = 1e9
#: Figures with which the joules of an image are correlated.
AGAINST: dict[str, Callable[[Point], float | None]] = {
    "parameters": lambda point: point.facts["parameters"],
    "MACs": lambda point: point.facts["phase_macs"],
    "weighted work": lambda point: point.facts["phase_work"],
    "time": lambda point: point.sample_s,
    "utilisation": lambda point: point.utilisation,
}
UTILISATION = "CPU, GPU: utilisation during the measurement, warm-up and pauses included."
ACCURACY = (
    " Accuracy: on 64 unseen images after the measured steps, which train on one batch of noise "
    "with a faint pattern; it says nothing about the architecture."
)
CPU_TIME = (
    " Estimated joules are computed from CPU time: their correlation with time or CPU utilisation "
    "is meaningless."
)


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """Yield the sizes of the architectures, then the tables of each setting."""
    settings = by_setting(rows)
    if settings:
        yield _sizes([point for points in settings.values() for point in points])
    for setting, points in settings.items():
        yield _joules(setting, points)
        yield _time(setting, points)
        if len({kind for point in points for kind in point.kinds_j}) > 1:
            yield _devices(setting, points)
        yield _correlations(setting, points)


def _sizes(points: Sequence[Point]) -> Table:
    seen = {point.facts["architecture"]: point.facts for point in points}
    return Table(
        "Image classifiers",
        ("architecture", "image", "parameters", "MACs", "MACs/parameter"),
        [
            (
                name,
                facts["image"],
                _count(facts["parameters"]),
                _count(facts["macs"]),
                f"{facts['macs'] / facts['parameters']:.1f}",
            )
            for name, facts in seen.items()
        ],
        "MACs: multiply-accumulates of the forward pass of one image, in convolutions and "
        "products of matrices.",
    )


def _joules(setting: str, points: Sequence[Point]) -> Table:
    return Table(
        f"{setting}: joules",
        ("architecture", "batch", "J/sample", "J/step", "samples/J", "GMAC/J"),
        [
            (
                *point.name,
                point.energy(point.sample_j),
                point.energy(point.figures["joules"]),
                _digits(1 / point.sample_j),
                _digits(point.facts["phase_macs"] / point.sample_j / GIGA),
            )
            for point in points
        ],
        "GMAC/J: MACs of the forward pass, in training of the backward pass too."
        + _estimated(points),
    )


def _time(setting: str, points: Sequence[Point]) -> Table:
    trained = any("accuracy" in point.facts for point in points)
    return Table(
        f"{setting}: time, power, utilisation",
        ("architecture", "batch", "time/step", "power", "CPU", "GPU", *["accuracy"] * trained),
        [
            (
                *point.name,
                format_duration(point.figures["seconds"]),
                power_cell(point.figures["watts"], point.estimated),
                share_cell(point.facts.get("cpu_utilisation")),
                share_cell(point.facts.get("gpu_utilisation")),
                *[share_cell(point.facts.get("accuracy"))] * trained,
            )
            for point in points
        ],
        UTILISATION + ACCURACY * trained,
    )


def _devices(setting: str, points: Sequence[Point]) -> Table:
    kinds = list(dict.fromkeys(kind for point in points for kind in point.kinds_j))
    return Table(
        f"{setting}: J/step by device",
        ("architecture", "batch", *(kind.upper() for kind in kinds)),
        [
            (
                *point.name,
                *(point.energy(point.kinds_j.get(kind)) for kind in kinds),
            )
            for point in points
        ],
        _estimated(points).strip(),
    )


def _correlations(setting: str, points: Sequence[Point]) -> Table:
    batches = dict.fromkeys(point.facts["batch"] for point in points)
    return Table(
        f"{setting}: correlation of J/sample over the architectures",
        ("batch", "with", "n", "Pearson", "p", "Spearman", "p"),
        [
            (
                batch,
                name,
                *_correlation_cells([p for p in points if p.facts["batch"] == batch], figure),
            )
            for batch in batches
            for name, figure in AGAINST.items()
        ],
        f"{NOTHING}: fewer than three architectures, or no differences between them."
        + (CPU_TIME if any(point.estimated for point in points) else ""),
    )


def _correlation_cells(
    points: Sequence[Point], figure: Callable[[Point], float | None]
) -> tuple[str, str, str, str, str]:
    known = [(value, p.sample_j) for p in points if (value := figure(p)) is not None]
    found = correlation([value for value, _ in known], [joules for _, joules in known])
    n = str(len(known))
    if found is None:
        return n, NOTHING, NOTHING, NOTHING, NOTHING
    return (
        n,
        f"{found.pearson:+.2f}",
        _p_value(found.pearson_p),
        f"{found.spearman:+.2f}",
        _p_value(found.spearman_p),
    )


def _estimated(points: Sequence[Point]) -> str:
    return estimated_note(point.figures for point in points)


def _p_value(p: float) -> str:
    return f"{p:.2g}" if p >= 0.001 else "<0.001"


def _digits(number: float) -> str:
    """Format with three significant digits, without an exponent."""
    return f"{number:.3g}" if number < 1000 else f"{number:.0f}"


def _count(number: int) -> str:
    """`11_173_962` -> `'11.17 M'`."""
    for size, prefix in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.2f} {prefix}"
    return str(number)
