"""The tables of the study: joules, what they follow, and how busy the machine was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from benchmarks.discriminative.correlations import correlation
from benchmarks.discriminative.points import Point, by_setting
from benchmarks.tables import Row, Table
from pytest_greenops.model.units import format_duration, format_percent

NOTHING = "-"
GIGA = 1e9
#: What the joules of an image are held against.
AGAINST: dict[str, Callable[[Point], float | None]] = {
    "parameters": lambda point: point.facts["parameters"],
    "MACs": lambda point: point.facts["phase_macs"],
    "time": lambda point: point.sample_s,
    "utilisation": lambda point: point.utilisation,
}
BUSY = "CPU, GPU: how busy they were around the measurement, warm-up and pauses included."
ACCURACY = (
    " Accuracy: of 64 images that were not learnt from, after the steps that were measured, all of "
    "one batch of noise with a faint pattern; no figure of the architecture."
)
ESTIMATED = " `~`: estimated, no counter was read."
CPU_TIME = (
    " Estimated joules are CPU time by construction: that they follow the time, or how busy the "
    "CPUs are, tells nothing."
)


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """How large the architectures are; then of each setting its joules and all about them."""
    settings = by_setting(rows)
    if settings:
        yield _sizes([point for points in settings.values() for point in points])
    for setting, points in settings.items():
        yield _joules(setting, points)
        yield _circumstances(setting, points)
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
        "GMAC/J: those of the backward pass too, where there is one." + _estimated(points),
    )


def _circumstances(setting: str, points: Sequence[Point]) -> Table:
    learnt = any("accuracy" in point.facts for point in points)
    return Table(
        f"{setting}: time, power, utilisation",
        ("architecture", "batch", "time/step", "power", "CPU", "GPU", *["accuracy"] * learnt),
        [
            (
                *point.name,
                format_duration(point.figures["seconds"]),
                point.power,
                _share(point.facts.get("cpu_utilisation")),
                _share(point.facts.get("gpu_utilisation")),
                *[_share(point.facts.get("accuracy"))] * learnt,
            )
            for point in points
        ],
        BUSY + ACCURACY * learnt,
    )


def _devices(setting: str, points: Sequence[Point]) -> Table:
    kinds = list(dict.fromkeys(kind for point in points for kind in point.kinds_j))
    return Table(
        f"{setting}: J/step by device",
        ("architecture", "batch", *(kind.upper() for kind in kinds)),
        [
            (
                *point.name,
                *(
                    point.energy(point.kinds_j[kind]) if kind in point.kinds_j else NOTHING
                    for kind in kinds
                ),
            )
            for point in points
        ],
        _estimated(points).strip(),
    )


def _correlations(setting: str, points: Sequence[Point]) -> Table:
    batches = dict.fromkeys(point.facts["batch"] for point in points)
    return Table(
        f"{setting}: what J/sample follows, over the architectures",
        ("batch", "with", "n", "Pearson", "p", "Spearman", "p"),
        [
            (batch, name, *_follows([p for p in points if p.facts["batch"] == batch], figure))
            for batch in batches
            for name, figure in AGAINST.items()
        ],
        f"`{NOTHING}`: fewer than three architectures, or no differences among them."
        + (CPU_TIME if any(point.estimated for point in points) else ""),
    )


def _follows(
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
        _chance(found.pearson_p),
        f"{found.spearman:+.2f}",
        _chance(found.spearman_p),
    )


def _estimated(points: Sequence[Point]) -> str:
    return ESTIMATED if any(point.estimated for point in points) else ""


def _share(share: float | None) -> str:
    return NOTHING if share is None else format_percent(share, signed=False)


def _chance(p: float) -> str:
    return f"{p:.2g}" if p >= 0.001 else "<0.001"


def _digits(number: float) -> str:
    """Three significant digits, never with an exponent."""
    return f"{number:.3g}" if number < 1000 else f"{number:.0f}"


def _count(number: int) -> str:
    """`11_173_962` -> `'11.17 M'`."""
    for size, prefix in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.2f} {prefix}"
    return str(number)
