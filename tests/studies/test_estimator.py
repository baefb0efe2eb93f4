"""Networks that never ran, estimated: against joules that are known."""

from __future__ import annotations

import random
import statistics
import sys

import pytest

from benchmarks.estimator.estimate import Estimate, LayerProfile, LayerShape, NetworkProfile
from benchmarks.estimator.estimator import Estimator
from pytest_greenops.model.errors import GreenopsError
from tests.studies.layer_truth import (
    conv,
    elementwise,
    network,
    profiled,
    true_j,
    whole_true_j,
)

pytest.importorskip("sklearn")
LAYERS, WHOLES = profiled(8, seed=1)


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    """Fitted to eight networks, whole and in layers."""
    return Estimator.fit(LAYERS, WHOLES)


@pytest.fixture(scope="module")
def unseen(estimator: Estimator) -> list[tuple[float, Estimate]]:
    """Twenty networks that it never saw: their true joules, and its estimates."""
    rng = random.Random(99)
    shapes = [network(rng) for _ in range(20)]
    return [(whole_true_j(each), estimator.estimate(each)) for each in shapes]


def test_held_out_error_is_that_of_networks_never_seen(
    estimator: Estimator, unseen: list[tuple[float, Estimate]]
) -> None:
    """Noise of 5 % is told as an error of that size, and networks never seen have it."""
    found = statistics.fmean(abs(estimate.joules / true - 1) for true, estimate in unseen)
    assert (estimator.held_out.of, estimator.held_out.number) == ("networks", 8)
    assert 0.01 < estimator.held_out.mape < 0.08
    assert found < 0.06
    assert estimator.held_out.mape <= estimator.held_out.worst


def test_intervals_hold(unseen: list[tuple[float, Estimate]]) -> None:
    """They hold nearly all of twenty networks, and say more than nothing."""
    held = sum(estimate.low <= true <= estimate.high for true, estimate in unseen)
    assert held >= 18
    assert all(estimate.high / estimate.low < 2 for _, estimate in unseen)


def test_what_the_sum_of_layers_leaves_out_is_learnt(estimator: Estimator) -> None:
    """A whole that costs a fifth more than its layers, and some more for each, is found out."""
    rng = random.Random(5)
    shapes = network(rng)
    parts = Estimator.fit(LAYERS)
    assert parts.held_out.of == "sums of layers"
    assert parts.estimate(shapes).joules == pytest.approx(sum(map(true_j, shapes)), rel=0.1)
    assert estimator.estimate(shapes).joules == pytest.approx(whole_true_j(shapes), rel=0.1)


def test_what_is_held_out_is_not_learnt_from() -> None:
    """A network of layers that only it has, and that cost unlike any other, is told as a miss."""
    shapes = [elementwise("Lookup", 1000 * 2**n) for n in range(8)]
    layers = [LayerProfile(shape, 100 * true_j(shapes_like(shape)), "odd") for shape in shapes]
    odd = NetworkProfile("odd", sum(layer.joules for layer in layers), tuple(shapes))
    found = Estimator.fit([*LAYERS, *layers], [*WHOLES, odd])
    assert found.held_out.worst > 0.8
    assert found.estimate(shapes).joules == pytest.approx(odd.joules, rel=0.3)


def shapes_like(shape: LayerShape) -> LayerShape:
    """The same as an activation."""
    return LayerShape("Activation", *shape.sizes)


def test_layers_are_held_out_where_networks_are_not_named() -> None:
    """Of single layers the error is told as theirs."""
    found = Estimator.fit([LayerProfile(p.shape, p.joules) for p in LAYERS]).held_out
    assert (found.of, found.number) == ("layers", len(LAYERS))
    assert 0.02 < found.mape < 0.1


def test_layer_called_twice_counts_twice(estimator: Estimator) -> None:
    """The same layers once more are the same joules once more."""
    shapes = network(random.Random(3))
    once, twice = estimator.estimate(shapes), estimator.estimate(shapes * 2)
    assert (twice.layers, twice.joules) == (2 * once.layers, pytest.approx(2 * once.joules))


def test_unknown_kind_is_told_and_never_nothing(estimator: Estimator) -> None:
    """A kind that was never profiled is estimated from all others, which is said, and doubted."""
    shapes = network(random.Random(3))
    strange = [elementwise("Softmax", 20_000)] * 2
    with_it, without = estimator.estimate([*shapes, *strange]), estimator.estimate(shapes)
    assert with_it.unknown == tuple(strange)
    assert without.unknown == ()
    assert with_it.joules > without.joules
    assert with_it.guessed == pytest.approx(1 - without.joules / with_it.joules, abs=0.05)
    assert with_it.high / with_it.low > without.high / without.low
    assert "2 layers of kinds hardly profiled: Softmax x 2" in str(with_it)


def test_kind_with_few_profiles_is_unknown() -> None:
    """Four sizes of a kind make no process of their own."""
    few = [elementwise("Softmax", 1000 * 2**n) for n in range(5)]
    profiles = [LayerProfile(shape, true_j(shape)) for shape in few]
    assert Estimator.fit([*LAYERS, *profiles[:4]]).estimate(few[:1]).unknown == (few[0],)
    assert Estimator.fit([*LAYERS, *profiles]).estimate(few[:1]).unknown == ()


def test_extrapolation_is_told(estimator: Estimator) -> None:
    """A layer far larger than any that was profiled is marked, and doubted the more."""
    usual, huge = conv(32, 32, 1024), conv(1024, 1024, 1024)
    known, beyond = estimator.estimate([usual]), estimator.estimate([usual, huge])
    assert (known.extrapolated, known.guessed) == ((), 0)
    assert beyond.extrapolated == (huge,)
    assert beyond.guessed > 0.9
    assert beyond.low < whole_true_j([usual, huge]) < beyond.high
    assert beyond.high / beyond.low > 4 * known.high / known.low
    assert "1 layer unlike any that was profiled: Conv2d x 1" in str(beyond)


def test_no_estimate_without_its_error(estimator: Estimator) -> None:
    """Where an estimate goes its held-out error goes too: as a field, and in words."""
    estimate = estimator.estimate(network(random.Random(3)))
    assert estimate.held_out == estimator.held_out
    assert estimate.held_out_mape == estimator.held_out.mape
    assert str(estimator.held_out) in str(estimate)
    assert "held-out MAPE" in str(estimate)
    with pytest.raises(TypeError, match="held_out"):
        Estimate(joules=1.0, low=0.5, high=2.0)


def test_estimated_profiles_are_told() -> None:
    """Joules that no sensor measured are said to be such, in what is made of them too."""
    profiles = [LayerProfile(p.shape, p.joules, estimated=True) for p in LAYERS]
    assert "the profiles' joules are estimated, not sensed" in str(
        Estimator.fit(profiles).estimate(network(random.Random(3)))
    )


def test_same_seed_same_figures() -> None:
    """Nothing of it is left to chance."""
    one, other = (Estimator.fit(LAYERS[:40], seed=2) for _ in range(2))
    shapes = network(random.Random(3))
    assert one.estimate(shapes) == other.estimate(shapes)


@pytest.mark.parametrize(
    ("layers", "wholes", "message"),
    [
        (LAYERS[:9], [], "profiled; profile at least 10, of several sizes of each kind"),
        (LAYERS, WHOLES[:3], "3 whole networks; measure at least 4, or leave them out"),
        (
            [*LAYERS, LayerProfile(conv(3, 8, 256), 0.0)],
            [],
            "0 J are none of a call; measure it in a longer window, or leave it out",
        ),
        (
            LAYERS,
            [*WHOLES, NetworkProfile("new", 1.0, (conv(3, 8, 256),))],
            "no layer of the network 'new' was profiled; give its profiles network='new'",
        ),
    ],
    ids=["layers", "networks", "joules", "other names"],
)
def test_too_little_is_refused(
    layers: list[LayerProfile], wholes: list[NetworkProfile], message: str
) -> None:
    """What is missing is named, with the mend."""
    with pytest.raises(GreenopsError, match=message):
        Estimator.fit(layers, wholes)


def test_network_without_layers_is_refused(estimator: Estimator) -> None:
    """Nothing at all is no estimate of nothing."""
    with pytest.raises(GreenopsError, match=r"no layers; give those of a network: .*shapes_of"):
        estimator.estimate([])


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without scikit-learn the error says what to install."""
    monkeypatch.setitem(sys.modules, "sklearn.gaussian_process", None)
    with pytest.raises(GreenopsError, match=r"pip install 'pytest-greenops\[bench\]'"):
        Estimator.fit(LAYERS)


def test_layers_of_one_size_can_be_fitted() -> None:
    """A kind of which every profile says the same still has its joules."""
    same = LayerShape("Linear", 1000, 100, 10, 10)
    others = [LayerProfile(conv(n, n, 64), 1e-4) for n in range(1, 12)]
    profiles = [*(LayerProfile(same, 2e-4) for _ in range(6)), *others]
    found = Estimator.fit(profiles).estimate([same])
    assert found.low < 2e-4 < found.high
