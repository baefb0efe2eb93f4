"""The Pareto front of quality and joules."""

from __future__ import annotations

import math

import pytest

from pytest_greenops.model.pareto import Point, front


def names(*points: Point | tuple[str, float, float]) -> tuple[list[str], dict[str, list[str]]]:
    """Return the points on the front, and which of them dominate the others."""
    found = front(points)
    beaten = {each.point.name: [by.name for by in each.by] for each in found.dominated}
    return [point.name for point in found.best], beaten


@pytest.mark.parametrize(
    ("points", "best", "beaten"),
    [
        ([("a", 0.95, 10.0), ("b", 0.94, 5.0), ("c", 0.93, 8.0)], ["b", "a"], {"c": ["b"]}),
        ([("a", 0.9, 5.0), ("b", 0.9, 5.0), ("c", 0.8, 6.0)], ["a", "b"], {"c": ["a", "b"]}),
        ([("cheap", 0.9, 5.0), ("dear", 0.9, 6.0)], ["cheap"], {"dear": ["cheap"]}),
        ([("good", 0.9, 5.0), ("bad", 0.8, 5.0)], ["good"], {"bad": ["good"]}),
        ([("a", 0.9, 1.0), ("b", 0.8, 2.0), ("c", 0.7, 3.0)], ["a"], {"b": ["a"], "c": ["a"]}),
        ([("a", -0.3, 5.0), ("b", -0.4, 6.0)], ["a"], {"b": ["a"]}),
        ([("a", 0.9, 1.0)], ["a"], {}),
        ([], [], {}),
    ],
    ids=["lower", "equal", "same quality", "same joules", "chain", "negative", "one", "none"],
)
def test_lower_quality_for_no_fewer_joules_is_dominated(
    points: list[tuple[str, float, float]], best: list[str], beaten: dict[str, list[str]]
) -> None:
    """The front comes first by its joules; each other point has those of the front that beat it."""
    assert names(*points) == (best, beaten)


def between(name: str, quality: float, low_j: float, high_j: float) -> Point:
    """Return a point whose joules have an interval."""
    return Point(name, quality, (low_j + high_j) / 2, low_j, high_j)


def test_overlapping_joules_dominate_nothing() -> None:
    """A difference within the noise is no domination."""
    assert names(between("a", 0.9, 1.9, 2.1), between("b", 0.9, 1.901, 2.101))[1] == {}
    assert names(between("a", 0.9, 1.9, 2.1), between("b", 0.8, 1.9, 2.1))[1] == {}


def test_separate_joules_dominate() -> None:
    """The point with fewer joules dominates unless the other is better."""
    low, high = between("a", 0.9, 1.9, 2.1), between("b", 0.9, 2.2, 2.4)
    assert names(low, high) == (["a"], {"b": ["a"]})
    assert names(low, between("b", 0.91, 2.2, 2.4)) == (["a", "b"], {})


def test_unknown_joules_dominate_nothing() -> None:
    """Nothing dominates them either."""
    loose = between("a", 0.9, 1.0, 1.0)._replace(low_j=-math.inf, high_j=math.inf)
    assert names(loose, between("b", 0.8, 8.0, 9.0), between("c", 0.95, 0.1, 0.2))[1] == {
        "b": ["c"]
    }


@pytest.mark.parametrize("point", [("a", math.nan, 1.0), ("a", 0.9, math.inf)])
def test_figures_that_are_not_finite_are_refused(point: tuple[str, float, float]) -> None:
    """They cannot be compared."""
    with pytest.raises(ValueError, match="a: expected finite quality and joules"):
        front([point])
