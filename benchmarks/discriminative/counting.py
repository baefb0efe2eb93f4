"""Parameters and multiply-accumulates (MACs) of a network."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.image_classifiers import Classifier
from pytest_greenops.work.counting_trip import CountingTrip

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


def _macs(work: Callable[[], Any]) -> int:
    """Return the MACs of each sample in some work."""
    trip = CountingTrip(torch, lambda: None)
    with trip.window("call"):
        work()
    amounts = trip.tallies["call"].operators.values()
    return sum(amount.flop for amount in amounts) // 2 // _SAMPLES
