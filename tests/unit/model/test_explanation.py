"""Joules by layer: what adds up, what stands out, what grew."""

from __future__ import annotations

import pytest

from pytest_greenops.model.explanation import Explanation, Layer, among_its_kind


def layers(*joules: float, shapes: str = "8x16", **known: float) -> list[Layer]:
    """Return layers of one kind and shape."""
    return [Layer(f"layers.{i}", "MLP", 1, j, shapes, **known) for i, j in enumerate(joules)]


@pytest.mark.parametrize(
    ("whole_j", "adds_up"), [(6.0, True), (6.6, True), (5.5, True), (7.0, False), (5.0, False)]
)
def test_parts_add_up_within_ten_percent(whole_j: float, adds_up: bool) -> None:
    """Parts of 6 J add up to a whole of 5.5 to 6.6 J."""
    explained = Explanation(among_its_kind(layers(1.0, 2.0, 3.0)), whole_j)
    assert explained.additivity == pytest.approx(6.0 / whole_j)
    assert explained.adds_up is adds_up


def test_layers_are_sorted_by_joules() -> None:
    """Each is compared with the median of the similar ones."""
    compared = among_its_kind(layers(1.0, 1.0, 3.0))
    assert [(each.name, each.of_kind) for each in compared] == [
        ("layers.2", 3.0),
        ("layers.0", 0.5),
        ("layers.1", 0.5),
    ]


def test_one_layer_stands_out() -> None:
    """It is the one with the highest factor of at least 1.5 over similar layers."""
    explained = Explanation(among_its_kind(layers(1.0, 1.6, 1.0, 2.0)), 5.6)
    assert explained.suspect is not None
    assert explained.suspect.name == "layers.3"


def test_layers_of_other_shapes_are_not_compared() -> None:
    """Neither are layers with a single similar one."""
    compared = among_its_kind([*layers(1.0, 1.0), *layers(9.0, shapes="8x99")])
    assert Explanation(compared, 11.0).suspect is None
    assert {each.of_kind for each in compared} == {None}


def test_with_a_baseline_only_growth_counts() -> None:
    """The layer that grew most is named, large or small."""
    large = Layer("large", "MLP", 1, 12.0, baseline_j=10.0)
    small = Layer("small", "MLP", 1, 1.0, baseline_j=0.4)
    assert Explanation((large, small), 13.0).suspect == small
    assert Explanation((large,), 12.0).suspect == large
    assert large.change == pytest.approx(0.2)


def test_noise_is_no_growth() -> None:
    """A layer within 10 % of its baseline is not named, even if it stands out."""
    compared = among_its_kind(layers(1.0, 1.0, 3.05, baseline_j=3.0))
    assert Explanation(compared, 5.05).suspect is None


def test_a_negligible_layer_is_not_named() -> None:
    """A layer that uses next to nothing is not named, even if it doubled."""
    large = Layer("large", "MLP", 1, 10.0, baseline_j=10.0)
    small = Layer("small", "Dropout", 1, 0.02, baseline_j=0.01)
    assert Explanation((large, small), 10.0).suspect is None
    compared = among_its_kind([*layers(10.0), *layers(0.01, 0.01, 0.05, shapes="8")])
    assert Explanation(compared, 10.0).suspect is None
