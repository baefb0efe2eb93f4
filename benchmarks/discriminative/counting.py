"""How large a network is, and what it computes: parameters, and multiply-accumulates."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from benchmarks.image_classifiers import Classifier

#: Batch normalisation learns from no fewer.
_SAMPLES = 2


def parameters(model: torch.nn.Module) -> int:
    """How many numbers a network has learnt; one that two layers share counts once."""
    return sum(parameter.numel() for parameter in model.parameters())


def macs(model: Classifier, images: torch.Tensor) -> int:
    """Multiply-accumulates of the forward pass, of one image.

    Those of convolutions and of products of matrices, as PyTorch counts them: two floating-point
    operations are one of them. Not counted: additions, normalisation, activations, pooling.
    """
    with torch.no_grad(), _counting() as counter:
        model(images[:_SAMPLES])
    return _each(counter)


def training_macs(model: Classifier, images: torch.Tensor, labels: torch.Tensor) -> int:
    """The same of forward and backward pass, of one image; the model is left as it was."""
    double = copy.deepcopy(model)
    with _counting() as counter:
        double(images[:_SAMPLES], labels=labels[:_SAMPLES]).loss.backward()
    return _each(counter)


@contextmanager
def _counting() -> Iterator[FlopCounterMode]:
    ours = {torch.ops.aten.convolution_backward: _convolution_backward}
    counter = FlopCounterMode(display=False, custom_mapping=ours)
    # Attention in steps: on a CPU its fused form is not counted.
    with sdpa_kernel(SDPBackend.MATH), counter:
        yield counter


def _convolution_backward(
    output: list[int], images: list[int], weight: list[int], *further: Any, **kwargs: Any
) -> int:
    """As much as forward for each gradient that is asked for; PyTorch counts groups as if none."""
    *_, transposed, _output_padding, _groups, wanted = further
    return int(sum(wanted[:2]) * conv_flop_count(images, weight, output, transposed))


def _each(counter: FlopCounterMode) -> int:
    return counter.get_total_flops() // 2 // _SAMPLES
