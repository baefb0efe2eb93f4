"""The tables of the discriminative study, made of rows that are made up."""

from __future__ import annotations

import pytest

from benchmarks.discriminative.correlations import correlation
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
    """What a training step of an architecture measured, on one CPU and its memory."""
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
        "accuracy": 0.125,
    }
    if busy is not None:
        facts["cpu_utilisation"] = busy
    return Row("test_training_step", facts, {"call": figures})


def made(*rows: Row) -> dict[str, Table]:
    """The tables of these rows by their title."""
    return {table.title: table for table in tables(rows)}


def test_sizes() -> None:
    """Each architecture's parameters, MACs and their ratio stand in one table, once."""
    rows = [row("a", 2.0, parameters=11_173_962, macs=555_422_720), row("a", 3.0, batch=20)]
    table = made(*rows)["Image classifiers"]
    assert [("a", "3x32x32", "10.00 M", "1.00 G", "100.0")] == table.rows
    assert [("a", "3x32x32", "11.17 M", "555.42 M", "49.7")] == made(rows[0])[table.title].rows


def test_joules() -> None:
    """Joules are told of an image and of a step, with images and MACs of the phase for a joule."""
    [cells] = made(row("a", 2.0))["Training step, fp32, adamw: joules"].rows
    assert ("a", "10", "~200 mJ", "~2.00 J", "5", "15") == cells


def test_sensed() -> None:
    """Joules that were sensed are not marked, and no note says that they were estimated."""
    found = made(row("a", 2.0, estimated=False))
    assert not any("~" in str(table.rows) + table.note for table in found.values())
    assert not any("stimated" in table.note for table in found.values())


def test_circumstances() -> None:
    """Time, power, utilisation and accuracy stand beside; what is unknown is a dash."""
    found = made(row("a", 2.0), row("b", 2.0, busy=None))
    table = found["Training step, fp32, adamw: time, power, utilisation"]
    assert [
        ("a", "10", "500 ms", "~4.00 W", "25 %", "-", "12 %"),
        ("b", "10", "500 ms", "~4.00 W", "-", "-", "12 %"),
    ] == table.rows


def test_no_accuracy() -> None:
    """Inference, which learns nothing, has no column of accuracy."""
    learnt = row("a", 2.0)
    facts = {name: fact for name, fact in learnt.facts.items() if name != "accuracy"}
    table = made(learnt._replace(facts=facts))[
        "Training step, fp32, adamw: time, power, utilisation"
    ]
    assert [("a", "10", "500 ms", "~4.00 W", "25 %", "-")] == table.rows
    assert "ccuracy" not in str(table)


def test_devices() -> None:
    """The joules of a step stand apart by kind of device, where there is more than one kind."""
    both = row("a", 2.0)
    table = made(both)["Training step, fp32, adamw: J/step by device"]
    assert ("architecture", "batch", "CPU", "DRAM") == table.heading
    assert [("a", "10", "~1.80 J", "~200 mJ")] == table.rows
    figures = {k: v for k, v in both.measurements["call"].items() if k != "by_domain.dram:0"}
    assert not [
        title for title in made(both._replace(measurements={"call": figures})) if "by" in title
    ]


def test_settings_apart() -> None:
    """Inference and training, and each precision, have tables of their own."""
    training = row("a", 2.0)
    facts = {**training.facts, "precision": "bf16"}
    del facts["optimiser"]
    inference = Row("test_inference", facts, training.measurements)
    titles = [title.partition(":")[0] for title in made(training, inference)]
    assert ["Image classifiers", "Training step, fp32, adamw", "Inference, bf16"] == list(
        dict.fromkeys(titles)
    )


def test_nothing_measured() -> None:
    """Rows of other tests, and of measurements without images, make no table."""
    assert {} == made(row("a", 2.0)._replace(test="test_other"))
    assert {} == made(Row("test_inference", {}, {"prefill": {"joules": 1.0}}))


def test_macs_mislead() -> None:
    """Of two networks of 0.91 GMACs, one takes 2.2 times the joules: its MACs a joule tell it."""
    found = made(row("a", 2.2, macs=910 * M), row("b", 1.0, macs=910 * M))
    table = found["Training step, fp32, adamw: joules"]
    work = [float(cells[-1]) for cells in table.rows]
    assert pytest.approx(2.2, rel=0.005) == work[1] / work[0]


def test_correlations() -> None:
    """Joules are held against parameters, MACs, time and utilisation, of each batch size apart."""
    found = made(
        row("a", 1.0, parameters=3 * M, macs=1 * G, seconds=1.0, busy=0.1),
        row("b", 2.0, parameters=2 * M, macs=2 * G, seconds=4.0, busy=0.1),
        row("c", 3.0, parameters=1 * M, macs=3 * G, seconds=9.0, busy=0.1),
        row("a", 1.0, batch=20),
        row("b", 2.0, batch=20),
    )
    table = found["Training step, fp32, adamw: what J/sample follows, over the architectures"]
    assert [
        ("10", "parameters", "3", "-1.00", "<0.001", "-1.00", "0.33"),
        ("10", "MACs", "3", "+1.00", "<0.001", "+1.00", "0.33"),
        ("10", "time", "3", "+0.99", "0.091", "+1.00", "0.33"),
        ("10", "utilisation", "3", "-", "-", "-", "-"),
        *(
            ("20", name, "2", "-", "-", "-", "-")
            for name in ("parameters", "MACs", "time", "utilisation")
        ),
    ] == table.rows
    assert "by construction" in table.note


def test_known_correlation() -> None:
    """Of x against its square, and of ranks of which two are swapped, the coefficients are known.

    Spearman's p of five points is exact: 2 of 120 orders follow as closely as the same one, 10 as
    closely as one with neighbours swapped.
    """
    squares = correlation([1, 2, 3, 4, 5], [1, 4, 9, 16, 25])
    assert squares == pytest.approx((5, 0.98110, 0.00311, 1.0, 2 / 120), rel=1e-3)
    swapped = correlation([1, 2, 3, 4, 5], [2, 1, 3, 4, 5])
    assert swapped == pytest.approx((5, 0.9, 0.03739, 0.9, 10 / 120), rel=1e-3)


def test_known_correlation_of_many() -> None:
    """Of nine points Spearman's p is that of Student's t: 5.46 with seven degrees of freedom."""
    found = correlation(range(9), [1, 0, 3, 2, 5, 4, 8, 6, 7])
    assert found is not None
    assert (0.9, 0.0009) == (round(found.spearman, 4), round(found.spearman_p, 4))


@pytest.mark.parametrize(("xs", "ys"), [([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([], [])])
def test_no_correlation(xs: list[float], ys: list[float]) -> None:
    """Fewer than three points, or points that do not differ, have no coefficient."""
    assert correlation(xs, ys) is None


def test_columns() -> None:
    """No line of a table is wider than a terminal of 80 columns."""
    rows = [row(name, 123.4) for name in ("mobilenet_v2", "efficientnet", "densenet121")]
    lines = [line for table in tables(rows) for line in table.markdown() if line.startswith("|")]
    assert max(map(len, lines)) <= 79
