"""Parameters and multiply-accumulates (MACs) of a network."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from benchmarks.image_classifiers import Classifier

#: Fewest samples for batch normalisation in training.
_SAMPLES = 2


def parameters(model: torch.nn.Module) -> int:
    """Return the number of parameters; a shared one counts once."""
    return sum(parameter.numel() for parameter in model.parameters())


def macs(model: Classifier, images: torch.Tensor) -> int:
    """Return the MACs of one image in a forward pass.

    Convolutions and matrix products, as PyTorch counts them: a MAC is two floating-point
    operations. Not counted: additions, normalisation, activations, pooling.
    """
    with torch.no_grad(), _counting() as counter:
        model(images[:_SAMPLES])
    return _each(counter)


def training_macs(model: Classifier, images: torch.Tensor, labels: torch.Tensor) -> int:
    """Return the MACs of one image, forward and backward; the model does not change."""
    double = copy.deepcopy(model)
    with _counting() as counter:
        double(images[:_SAMPLES], labels=labels[:_SAMPLES]).loss.backward()
    return _each(counter)


@contextmanager
def _counting() -> Iterator[FlopCounterMode]:
    ours = {torch.ops.aten.convolution_backward: _convolution_backward}
    counter = FlopCounterMode(display=False, custom_mapping=ours)
    # Attention as separate products: its fused form is not counted on a CPU.
    with sdpa_kernel(SDPBackend.MATH), counter:
        yield counter


def _convolution_backward(
    output: list[int], images: list[int], weight: list[int], *further: Any, **kwargs: Any
) -> int:
    """Count as much as forward per requested gradient; PyTorch ignores groups here."""
    *_, transposed, _output_padding, _groups, gradients = further
    return int(sum(gradients[:2]) * conv_flop_count(images, weight, output, transposed))


def _each(counter: FlopCounterMode) -> int:
    return counter.get_total_flops() // 2 // _SAMPLES
