"""Which measurements a first run names, and when."""

from __future__ import annotations

import math

from msgspec.structs import replace

from pytest_greenops.judge.work_and_joules import record
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Outcome, QualityChange
from pytest_greenops.report.costliest import costliest, is_first
from tests.unit.builders import key
from tests.unit.report.samples import inconclusive, limit, result, unmeasured
from tests.unit.works import FACTS, table


def first(name: str, joules: float, **more: object) -> Result:
    """Return a result without a baseline."""
    return result(Outcome.NO_BASELINE, test=key(name), joules=joules, **more)


FOUR = [
    first("test_a", 0.5),
    first("test_b", 2.0, units={"token": 4}, unit="token"),
    first("test_c", 1.0, estimated=True, units={"sample": 10}),
    first("test_d", 0.1),
]


def test_the_three_with_the_most_joules() -> None:
    """They come with their watts and joules per unit; what is estimated is marked."""
    assert list(map(str, costliest(FOUR))) == [
        "Most energy per call: test_b 2.00 J, 40.0 W, 500 mJ/token; "
        "test_c ~1.00 J, 20.0 W, ~100 mJ/sample; test_a 500 mJ, 10.0 W."
    ]


def test_the_three_with_the_most_work() -> None:
    """Without joules the weighted sum decides; what is shown has units."""
    cause = "only work was counted"
    counted = [
        replace(unmeasured(cause, key(name)), work=replace(record(table(), FACTS), weighted=weight))
        for name, weight in (("test_a", 1.0), ("test_b", 3.0), ("test_c", 2.0), ("test_d", 0.0))
    ]
    did = "15 GFLOP, 25.2 MB moved"
    assert list(map(str, costliest(counted))) == [
        f"Most work per call: test_b {did}; test_c {did}; test_a {did}."
    ]


def test_a_few_are_in_sight() -> None:
    """Of three measurements the table says it all."""
    assert list(costliest(FOUR[:3])) == []


def test_what_has_no_joules_is_not_ranked() -> None:
    """A measurement without joules is not named, whatever number stands in for them."""
    nothing = unmeasured("the test never called energy", key("test_z"))
    assert math.isnan(nothing.joules)
    [advice] = costliest([nothing, *FOUR[:3]])
    assert "test_z" not in str(advice)


def test_only_of_a_first_run() -> None:
    """Once a verdict has a change, or nothing is measured, nothing is named."""
    grown = inconclusive()
    assert not is_first([grown, *FOUR[1:]])
    assert list(costliest([grown, *FOUR])) == []
    within = replace(FOUR[0].verdict, outcome=Outcome.PASSED, limits=(limit("energy", 2.0, 3.0),))
    assert is_first([replace(FOUR[0], verdict=within), *FOUR[1:]])  # an absolute budget
    kept = replace(within, qualities=(QualityChange("f1", 0.01, 0.9, 0.9, 0.0),))
    assert not is_first([replace(FOUR[0], verdict=kept), *FOUR[1:]])
    assert not is_first([unmeasured("why")])
    assert is_first(FOUR)
