"""The Pareto front of quality and joules."""

from __future__ import annotations

import math

import pytest

from pytest_greenops.model import pareto
from pytest_greenops.model.pareto import Point, front


def names(*points: Point | tuple[str, float, float]) -> tuple[list[str], dict[str, list[str]]]:
    """Which points are on the front, and by whom the others are dominated."""
    found = front(points)
    beaten = {each.point.name: [by.name for by in each.by] for each in found.dominated}
    return [point.name for point in found.best], beaten


def test_worse_and_dearer_is_dominated() -> None:
    """Of (0.95, 10 J), (0.94, 5 J) and (0.93, 8 J) the third is, by the second alone."""
    assert names(("a", 0.95, 10.0), ("b", 0.94, 5.0), ("c", 0.93, 8.0)) == (
        ["b", "a"],
        {"c": ["b"]},
    )


def between(name: str, quality: float, low_j: float, high_j: float) -> Point:
    """A point whose joules are known to lie between two figures."""
    return Point(name, quality, (low_j + high_j) / 2, low_j, high_j)


def test_joules_that_overlap_dominate_nothing() -> None:
    """Neither as good for fewer joules, nor better for as many: noise is no domination."""
    assert names(between("a", 0.9, 1.9, 2.1), between("b", 0.9, 1.901, 2.101))[1] == {}
    assert names(between("a", 0.9, 1.9, 2.1), between("b", 0.8, 1.9, 2.1))[1] == {}


def test_joules_that_lie_apart_dominate() -> None:
    """Where the dearer one is no better."""
    low, high = between("a", 0.9, 1.9, 2.1), between("b", 0.9, 2.2, 2.4)
    assert names(low, high) == (["a"], {"b": ["a"]})
    assert names(low, between("b", 0.91, 2.2, 2.4)) == (["a", "b"], {})


def test_joules_that_may_be_anything_dominate_nothing() -> None:
    """And nothing dominates them."""
    loose = between("a", 0.9, 1.0, 1.0)._replace(low_j=-math.inf, high_j=math.inf)
    assert names(loose, between("b", 0.8, 8.0, 9.0), between("c", 0.95, 0.1, 0.2))[1] == {
        "b": ["c"]
    }


def test_equals_stand_beside_each_other() -> None:
    """Neither of two that are equal in both dominates the other; both dominate a third."""
    assert names(("a", 0.9, 5.0), ("b", 0.9, 5.0), ("c", 0.8, 6.0)) == (
        ["a", "b"],
        {"c": ["a", "b"]},
    )


def test_a_tie_in_one_is_decided_by_the_other() -> None:
    """As good for fewer joules dominates, and so does better for as many."""
    assert names(("cheap", 0.9, 5.0), ("dear", 0.9, 6.0)) == (["cheap"], {"dear": ["cheap"]})
    assert names(("good", 0.9, 5.0), ("bad", 0.8, 5.0)) == (["good"], {"bad": ["good"]})


def test_only_points_of_the_front_are_told_as_dominating() -> None:
    """Of a chain the middle one beats the last, but is beaten itself."""
    assert names(("a", 0.9, 1.0), ("b", 0.8, 2.0), ("c", 0.7, 3.0)) == (
        ["a"],
        {"b": ["a"], "c": ["a"]},
    )


def test_one_and_none_are_fronts() -> None:
    """A single point is on its own front."""
    assert names(("a", 0.9, 1.0)) == (["a"], {})
    assert names() == ([], {})


def test_losses_are_told_as_negatives() -> None:
    """Higher is better below zero too."""
    assert names(("a", -0.3, 5.0), ("b", -0.4, 6.0)) == (["a"], {"b": ["a"]})


@pytest.mark.parametrize("point", [("a", math.nan, 1.0), ("a", 0.9, math.inf)])
def test_figures_that_are_not_finite_are_refused(point: tuple[str, float, float]) -> None:
    """They can be neither better nor worse."""
    with pytest.raises(ValueError, match="a: expected finite quality and joules"):
        front([point])


def test_it_is_among_the_insights() -> None:
    """The same function stands where other insights do."""
    assert pareto.front([Point("a", 0.9, 1.0)]) == front([Point("a", 0.9, 1.0)])
