"""Estimates of networks that never ran, compared with known joules."""

from __future__ import annotations

import random
import statistics
import sys

import pytest

from benchmarks.estimator.estimate import Estimate, LayerProfile, LayerShape, NetworkProfile
from benchmarks.estimator.estimator import Estimator
from pytest_greenops.model.errors import GreenopsError
from tests.studies.layer_truth import conv, elementwise, network, profiled, true_j, whole_true_j

pytest.importorskip("sklearn")
LAYERS, WHOLES = profiled(8, seed=1)


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    """Fitted to eight networks, whole and in layers."""
    return Estimator.fit(LAYERS, WHOLES)


@pytest.fixture(scope="module")
def unseen(estimator: Estimator) -> list[tuple[float, Estimate]]:
    """True joules and estimates of twenty unseen networks."""
    rng = random.Random(99)
    shapes = [network(rng) for _ in range(20)]
    return [(whole_true_j(each), estimator.estimate(each)) for each in shapes]


def test_held_out_error_is_that_of_unseen_networks(
    estimator: Estimator, unseen: list[tuple[float, Estimate]]
) -> None:
    """Noise of 5 % gives a held-out error of that size, and unseen networks have it too."""
    found = statistics.fmean(abs(estimate.joules / true - 1) for true, estimate in unseen)
    assert (estimator.held_out.of, estimator.held_out.number) == ("networks", 8)
    assert 0.01 < estimator.held_out.mape < 0.08
    assert found < 0.06
    assert estimator.held_out.mape <= estimator.held_out.worst


def test_intervals_contain_the_truth(unseen: list[tuple[float, Estimate]]) -> None:
    """They contain nearly all of twenty networks, and are not wide."""
    inside = sum(estimate.low <= true <= estimate.high for true, estimate in unseen)
    assert inside >= 18
    assert all(estimate.high / estimate.low < 2 for _, estimate in unseen)


def test_joules_outside_of_layers_are_learnt(estimator: Estimator) -> None:
    """A whole that uses a multiple of its layers, plus joules per layer, is fitted."""
    shapes = network(random.Random(5))
    parts = Estimator.fit(LAYERS)
    assert parts.held_out.of == "sums of layers"
    assert parts.estimate(shapes).joules == pytest.approx(sum(map(true_j, shapes)), rel=0.1)
    assert estimator.estimate(shapes).joules == pytest.approx(whole_true_j(shapes), rel=0.1)


def test_the_fit_excludes_what_is_held_out() -> None:
    """A network of layers unlike all others has a large held-out error."""
    shapes = [elementwise("Lookup", 1000 * 2**n) for n in range(8)]
    activations = [LayerShape("Activation", *shape.sizes) for shape in shapes]
    layers = [
        LayerProfile(shape, 100 * true_j(activation), "odd")
        for shape, activation in zip(shapes, activations, strict=True)
    ]
    odd = NetworkProfile("odd", sum(layer.joules for layer in layers), tuple(shapes))
    found = Estimator.fit([*LAYERS, *layers], [*WHOLES, odd])
    assert found.held_out.worst > 0.8
    assert found.estimate(shapes).joules == pytest.approx(odd.joules, rel=0.3)


def test_layers_are_held_out_where_networks_have_no_names() -> None:
    """The error is then that of single layers."""
    found = Estimator.fit([LayerProfile(p.shape, p.joules) for p in LAYERS]).held_out
    assert (found.of, found.number) == ("layers", len(LAYERS))
    assert 0.02 < found.mape < 0.1


def test_a_layer_that_is_called_twice_counts_twice(estimator: Estimator) -> None:
    """Doubled layers double the joules."""
    shapes = network(random.Random(3))
    once, twice = estimator.estimate(shapes), estimator.estimate(shapes * 2)
    assert (twice.layers, twice.joules) == (2 * once.layers, pytest.approx(2 * once.joules))


def test_an_unknown_kind_is_reported(estimator: Estimator) -> None:
    """A kind without profiles is estimated from all others, with a wider interval."""
    shapes = network(random.Random(3))
    strange = [elementwise("Softmax", 20_000)] * 2
    with_it, without = estimator.estimate([*shapes, *strange]), estimator.estimate(shapes)
    assert with_it.unknown == tuple(strange)
    assert without.unknown == ()
    assert with_it.joules > without.joules
    assert with_it.guessed == pytest.approx(1 - without.joules / with_it.joules, abs=0.05)
    assert with_it.high / with_it.low > without.high / without.low
    assert "2 layers of kinds with too few profiles: Softmax x 2" in str(with_it)


def test_a_kind_with_few_profiles_is_unknown() -> None:
    """Four sizes of a kind make no process of their own."""
    few = [elementwise("Softmax", 1000 * 2**n) for n in range(5)]
    profiles = [LayerProfile(shape, true_j(shape)) for shape in few]
    assert Estimator.fit([*LAYERS, *profiles[:4]]).estimate(few[:1]).unknown == (few[0],)
    assert Estimator.fit([*LAYERS, *profiles]).estimate(few[:1]).unknown == ()


def test_extrapolation_is_reported(estimator: Estimator) -> None:
    """A layer far larger than the profiled ones is listed, with a wider interval."""
    usual, huge = conv(32, 32, 1024), conv(1024, 1024, 1024)
    known, beyond = estimator.estimate([usual]), estimator.estimate([usual, huge])
    assert (known.extrapolated, known.guessed) == ((), 0)
    assert beyond.extrapolated == (huge,)
    assert beyond.guessed > 0.9
    assert beyond.low < whole_true_j([usual, huge]) < beyond.high
    assert beyond.high / beyond.low > 4 * known.high / known.low
    assert "1 layer without a profile of similar size: Conv2d x 1" in str(beyond)


def test_every_estimate_has_the_held_out_error(estimator: Estimator) -> None:
    """The error is a field of each estimate, and part of its text."""
    estimate = estimator.estimate(network(random.Random(3)))
    assert estimate.held_out == estimator.held_out
    assert estimate.held_out_mape == estimator.held_out.mape
    assert str(estimator.held_out) in str(estimate)
    assert "held-out MAPE" in str(estimate)
    with pytest.raises(TypeError, match="held_out"):
        Estimate(joules=1.0, low=0.5, high=2.0)  # type: ignore[call-arg]


def test_estimated_profiles_are_reported() -> None:
    """Estimates from profiles that no sensor measured say so."""
    profiles = [LayerProfile(p.shape, p.joules, estimated=True) for p in LAYERS]
    assert "the profiles' joules are estimated, not sensed" in str(
        Estimator.fit(profiles).estimate(network(random.Random(3)))
    )


def test_a_seed_gives_the_same_estimate() -> None:
    """The fit is deterministic for a seed."""
    one, other = (Estimator.fit(LAYERS[:40], seed=2) for _ in range(2))
    shapes = network(random.Random(3))
    assert one.estimate(shapes) == other.estimate(shapes)


@pytest.mark.parametrize(
    ("layers", "wholes", "message"),
    [
        (LAYERS[:9], [], "profiled: profile at least 10, of several sizes of each kind"),
        (LAYERS, WHOLES[:3], "3 whole networks: measure at least 4, or omit them"),
        (
            [*LAYERS, LayerProfile(conv(3, 8, 256), 0.0)],
            [],
            "0 J per call, expected a finite number > 0: measure it in a longer window, or omit it",
        ),
        (
            LAYERS,
            [*WHOLES, NetworkProfile("new", 1.0, (conv(3, 8, 256),))],
            "no layer of the network 'new' was profiled: give its profiles network='new'",
        ),
    ],
    ids=["layers", "networks", "joules", "other names"],
)
def test_too_little_data_is_an_error(
    layers: list[LayerProfile], wholes: list[NetworkProfile], message: str
) -> None:
    """The error names what is missing, and the fix."""
    with pytest.raises(GreenopsError, match=message):
        Estimator.fit(layers, wholes)


def test_a_network_without_layers_is_an_error(estimator: Estimator) -> None:
    """No layers have no estimate."""
    with pytest.raises(GreenopsError, match=r"no layers; expected those of a network: .*shapes_of"):
        estimator.estimate([])


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without scikit-learn the error says what to install."""
    monkeypatch.setitem(sys.modules, "sklearn.gaussian_process", None)
    with pytest.raises(GreenopsError, match=r"pip install 'pytest-greenops\[bench\]'"):
        Estimator.fit(LAYERS)


def test_layers_of_one_size_can_be_fitted() -> None:
    """A kind with one profiled size still has an estimate."""
    same = LayerShape("Linear", 1000, 100, 10, 10)
    others = [LayerProfile(conv(n, n, 64), 1e-4) for n in range(1, 12)]
    profiles = [*(LayerProfile(same, 2e-4) for _ in range(6)), *others]
    found = Estimator.fit(profiles).estimate([same])
    assert found.low < 2e-4 < found.high
