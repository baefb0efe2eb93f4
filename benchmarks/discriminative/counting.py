"""Parameters, multiply-accumulates (MACs) and weighted work of a network."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.image_classifiers import Classifier
from pytest_greenops.work.counting_trip import CountingTrip
from pytest_greenops.work.dispatch import Tally

#: Fewest samples for batch normalisation in training.
_SAMPLES = 2


def parameters(model: torch.nn.Module) -> int:
    """Return the number of parameters; a shared one counts once."""
    return sum(parameter.numel() for parameter in model.parameters())


def macs(model: Classifier, images: torch.Tensor) -> int:
    """Return the MACs of one image in a forward pass.

    Convolutions, matrix products and attention, as the plugin counts them: a MAC is two
    floating-point operations. Not counted: additions, normalisation, activations, pooling.
    """
    with torch.no_grad():
        return _macs(lambda: model(images[:_SAMPLES]))


def training_macs(model: Classifier, images: torch.Tensor, labels: torch.Tensor) -> int:
    """Return the MACs of one image, forward and backward; the model does not change."""
    double = copy.deepcopy(model)
    few_images, few_labels = images[:_SAMPLES], labels[:_SAMPLES]
    return _macs(lambda: double(few_images, labels=few_labels).loss.backward())


def weighted_work(work: Callable[[], Any], samples: int) -> float:
    """Return the weighted sum of the counted work of each sample in a call; it has no unit."""
    return sum(_counted(work).weighted.values()) / samples


def weighted_training(
    step: Callable[..., Any],
    model: Classifier,
    optimise: Callable[..., torch.optim.Optimizer],
    samples: int,
) -> float:
    """Return that of the second training step, after optimizers made their state.

    `step` is called with a model and an optimizer; the model itself does not change.
    """
    double = copy.deepcopy(model)
    optimiser = optimise(double.parameters())
    step(double, optimiser)
    return weighted_work(lambda: step(double, optimiser), samples)


def _macs(work: Callable[[], Any]) -> int:
    """Return the MACs of each sample in some work."""
    amounts = _counted(work).operators.values()
    return sum(amount.flop for amount in amounts) // 2 // _SAMPLES


def _counted(work: Callable[[], Any]) -> Tally:
    trip = CountingTrip(torch, lambda: None)
    with trip.window("call"):
        work()
    return trip.tallies["call"]
