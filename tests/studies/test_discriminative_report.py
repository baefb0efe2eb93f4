"""Tables of image classifiers, from invented rows."""

from __future__ import annotations

import pytest

from benchmarks.discriminative.points import correlation
from benchmarks.discriminative.report import tables
from benchmarks.tables import Row, Table

M, G = 10**6, 10**9


def row(
    name: str,
    joules: float,
    *,
    parameters: int = 10 * M,
    macs: int = G,
    seconds: float = 0.5,
    busy: float | None = 0.25,
    batch: int = 10,
    estimated: bool = True,
) -> Row:
    """Return the row of a training step, on two CPUs and memory."""
    figures = {
        "joules": joules,
        "seconds": seconds,
        "watts": joules / seconds,
        "estimated": estimated,
        "per_unit.sample": joules / batch,
        "by_domain.cpu:0": 0.7 * joules,
        "by_domain.cpu:1": 0.2 * joules,
        "by_domain.dram:0": 0.1 * joules,
    }
    facts = {
        "architecture": name,
        "batch": str(batch),
        "precision": "fp32",
        "optimiser": "adamw",
        "image": "3x32x32",
        "parameters": parameters,
        "macs": macs,
        "phase_macs": 3 * macs,
        "phase_work": 6.5 * macs,
        "accuracy": 0.125,
    }
    if busy is not None:
        facts["cpu_utilisation"] = busy
    return Row("test_training_step", facts, {"call": figures})


def made(*rows: Row) -> dict[str, Table]:
    """Return the tables of these rows, by title."""
    return {table.title: table for table in tables(rows)}


def test_sizes() -> None:
    """Parameters, MACs and their ratio are listed once per architecture."""
    rows = [row("a", 2.0, parameters=11_173_962, macs=555_422_720), row("a", 3.0, batch=20)]
    table = made(*rows)["Image classifiers"]
    assert [("a", "3x32x32", "10.00 M", "1.00 G", "100.0")] == table.rows
    assert [("a", "3x32x32", "11.17 M", "555.42 M", "49.7")] == made(rows[0])[table.title].rows


def test_joules() -> None:
    """Joules are listed per image and per step, with images and MACs per joule."""
    [cells] = made(row("a", 2.0))["Training step, fp32, adamw: joules"].rows
    assert ("a", "10", "~200 mJ", "~2.00 J", "5", "15") == cells


def test_sensed() -> None:
    """Sensed joules are not marked, and no note mentions estimates."""
    found = made(row("a", 2.0, estimated=False))
    assert not any("~" in str(table.rows) + table.note for table in found.values())
    assert not any("stimated" in table.note for table in found.values())


def test_time() -> None:
    """Time, power, utilisation and accuracy are listed, with dashes for unknown figures."""
    found = made(row("a", 2.0), row("b", 2.0, busy=None))
    table = found["Training step, fp32, adamw: time, power, utilisation"]
    assert [
        ("a", "10", "500 ms", "~4.00 W", "25 %", "–", "12 %"),
        ("b", "10", "500 ms", "~4.00 W", "–", "–", "12 %"),
    ] == table.rows


def test_no_accuracy() -> None:
    """Without training there is no column of accuracy."""
    trained = row("a", 2.0)
    facts = {name: fact for name, fact in trained.facts.items() if name != "accuracy"}
    table = made(trained._replace(facts=facts))[
        "Training step, fp32, adamw: time, power, utilisation"
    ]
    assert [("a", "10", "500 ms", "~4.00 W", "25 %", "–")] == table.rows
    assert "ccuracy" not in str(table)


def test_devices() -> None:
    """Joules per step are listed by kind of device, if there is more than one kind."""
    both = row("a", 2.0)
    table = made(both)["Training step, fp32, adamw: J/step by device"]
    assert ("architecture", "batch", "CPU", "DRAM") == table.heading
    assert [("a", "10", "~1.80 J", "~200 mJ")] == table.rows
    figures = {k: v for k, v in both.measurements["call"].items() if k != "by_domain.dram:0"}
    assert not [
        title for title in made(both._replace(measurements={"call": figures})) if "by" in title
    ]


def test_settings_apart() -> None:
    """Inference and training, and each precision, have their own tables."""
    training = row("a", 2.0)
    facts = {**training.facts, "precision": "bf16"}
    del facts["optimiser"]
    inference = Row("test_inference", facts, training.measurements)
    titles = [title.partition(":")[0] for title in made(training, inference)]
    assert ["Image classifiers", "Training step, fp32, adamw", "Inference, bf16"] == list(
        dict.fromkeys(titles)
    )


def test_nothing_measured() -> None:
    """Rows of other tests, and measurements without images, make no table."""
    assert {} == made(row("a", 2.0)._replace(test="test_other"))
    assert {} == made(Row("test_inference", {}, {"prefill": {"joules": 1.0}}))


def test_macs_mislead() -> None:
    """Two networks of 0.91 GMACs differ by a factor of 2.2 in MACs per joule."""
    found = made(row("a", 2.2, macs=910 * M), row("b", 1.0, macs=910 * M))
    table = found["Training step, fp32, adamw: joules"]
    work = [float(cells[-1]) for cells in table.rows]
    assert pytest.approx(2.2, rel=0.005) == work[1] / work[0]


def test_correlations() -> None:
    """Joules are correlated with sizes, counted work, time and utilisation, per batch size."""
    found = made(
        row("a", 1.0, parameters=3 * M, macs=1 * G, seconds=1.0, busy=0.1),
        row("b", 2.0, parameters=2 * M, macs=2 * G, seconds=4.0, busy=0.1),
        row("c", 3.0, parameters=1 * M, macs=3 * G, seconds=9.0, busy=0.1),
        row("a", 1.0, batch=20),
        row("b", 2.0, batch=20),
    )
    table = found["Training step, fp32, adamw: correlation of J/sample over the architectures"]
    assert [
        ("10", "parameters", "3", "-1.00", "<0.001", "-1.00", "0.33"),
        ("10", "MACs", "3", "+1.00", "<0.001", "+1.00", "0.33"),
        ("10", "weighted work", "3", "+1.00", "<0.001", "+1.00", "0.33"),
        ("10", "time", "3", "+0.99", "0.091", "+1.00", "0.33"),
        ("10", "utilisation", "3", "–", "–", "–", "–"),
        *(
            ("20", name, "2", "–", "–", "–", "–")
            for name in ("parameters", "MACs", "weighted work", "time", "utilisation")
        ),
    ] == table.rows
    assert "computed from CPU time" in table.note


def test_known_correlation() -> None:
    """The coefficients of squares, and of two swapped ranks, are known.

    Spearman's p of five points is exact: 2 of 120 orders correlate at least as much as the identity
    does, and 10 at least as much as one swap of neighbours.
    """
    squares = correlation([1, 2, 3, 4, 5], [1, 4, 9, 16, 25])
    assert squares == pytest.approx((5, 0.98110, 0.00311, 1.0, 2 / 120), rel=1e-3)
    swapped = correlation([1, 2, 3, 4, 5], [2, 1, 3, 4, 5])
    assert swapped == pytest.approx((5, 0.9, 0.03739, 0.9, 10 / 120), rel=1e-3)


def test_known_correlation_of_many() -> None:
    """Spearman's p of nine points is that of Student's t: 5.46 with 7 degrees of freedom."""
    found = correlation(range(9), [1, 0, 3, 2, 5, 4, 8, 6, 7])
    assert found is not None
    assert (0.9, 0.0009) == (round(found.spearman, 4), round(found.spearman_p, 4))


@pytest.mark.parametrize(("xs", "ys"), [([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([], [])])
def test_no_correlation(xs: list[float], ys: list[float]) -> None:
    """Fewer than three points, or constant values, have no coefficient."""
    assert correlation(xs, ys) is None


def test_columns() -> None:
    """Tables are at most 79 columns wide."""
    rows = [row(name, 123.4) for name in ("mobilenet_v2", "efficientnet", "densenet121")]
    lines = [line for table in tables(rows) for line in table.markdown() if line.startswith("|")]
    assert max(map(len, lines)) <= 79
