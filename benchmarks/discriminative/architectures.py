"""The axes of the study: architectures for images of 32 x 32 pixels, batches, optimisers.

Most architectures are made for larger images: they would halve these five times, down to a single
pixel, and compute little. Here they halve them less often, as their variants for CIFAR-10 do; each
docstring gives the final size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeAlias

import torch
from torch import nn
from transformers import (
    ConvNextConfig,
    EfficientNetConfig,
    MobileNetV2Config,
    RegNetConfig,
    ResNetConfig,
    SwinConfig,
    ViTConfig,
)

from benchmarks.axes import Axis
from benchmarks.discriminative import nets
from benchmarks.image_classifiers import IMAGE_SIZE, LABELS, Classifier, configured

Build: TypeAlias = Callable[[torch.device], Classifier]
Optimise: TypeAlias = Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer]

_LABELS = dict(enumerate(LABELS))


def resnet18(device: torch.device) -> Classifier:
    """Return ResNet-18 (He et al., 2015), down to 4 x 4."""
    config = ResNetConfig(
        depths=[2, 2, 2, 2],
        hidden_sizes=[64, 128, 256, 512],
        layer_type="basic",
        id2label=_LABELS,
    )
    return _with_small_stem(configured(config, device))


def resnet50(device: torch.device) -> Classifier:
    """Return ResNet-50 (He et al., 2015), down to 4 x 4."""
    return _with_small_stem(configured(ResNetConfig(id2label=_LABELS), device))


def mobilenet_v2(device: torch.device) -> Classifier:
    """Return MobileNetV2 (Sandler et al., 2018), down to 4 x 4."""
    model = configured(MobileNetV2Config(id2label=_LABELS), device)
    return _halving_later(model, 2)


def efficientnet_b0(device: torch.device) -> Classifier:
    """Return EfficientNet-B0 (Tan and Le, 2019), down to 4 x 4."""
    config = EfficientNetConfig(
        width_coefficient=1.0,
        depth_coefficient=1.0,
        hidden_dim=1280,
        dropout_rate=0.2,
        strides=[1, 1, 1, 2, 1, 2, 1],
        id2label=_LABELS,
    )
    return configured(config, device)


def regnet(device: torch.device) -> Classifier:
    """Return RegNetY-400MF (Radosavovic et al., 2020), down to 4 x 4."""
    config = RegNetConfig(
        depths=[1, 3, 6, 6],
        hidden_sizes=[48, 104, 208, 440],
        groups_width=8,
        downsample_in_first_stage=False,
        id2label=_LABELS,
    )
    return _halving_later(configured(config, device), 1)


def convnext(device: torch.device) -> Classifier:
    """Return ConvNeXt-T (Liu et al., 2022) on patches of 2 x 2, down to 2 x 2."""
    return configured(ConvNextConfig(patch_size=2, id2label=_LABELS), device)


def vit(device: torch.device) -> Classifier:
    """Return ViT-Ti (Touvron et al., 2021) on 64 patches of 4 x 4."""
    config = ViTConfig(
        image_size=IMAGE_SIZE,
        patch_size=4,
        hidden_size=192,
        num_attention_heads=3,
        intermediate_size=768,
        id2label=_LABELS,
    )
    return configured(config, device)


def swin(device: torch.device) -> Classifier:
    """Return Swin (Liu et al., 2021) on patches of 2 x 2, windows of 4 x 4, down to one window.

    It has three stages: a fourth would be smaller than a window.
    """
    config = SwinConfig(
        image_size=IMAGE_SIZE,
        patch_size=2,
        window_size=4,
        depths=[2, 6, 4],
        num_heads=[3, 6, 12],
        id2label=_LABELS,
    )
    return configured(config, device)


def _own(build: Callable[[int, int], nets.Network], device: torch.device) -> Classifier:
    return build(len(LABELS), IMAGE_SIZE).to(device)


#: By id, small ones first.
ARCHITECTURES: Mapping[str, Build] = {
    "lenet": partial(_own, nets.lenet),
    "mobilenet_v2": mobilenet_v2,
    "regnet": regnet,
    "efficientnet": efficientnet_b0,
    "vit": vit,
    "densenet121": partial(_own, nets.densenet121),
    "swin": swin,
    "vgg11": partial(_own, nets.vgg11),
    "resnet18": resnet18,
    "simple_dla": partial(_own, nets.simple_dla),
    "resnet50": resnet50,
    "convnext": convnext,
}
#: All fused, so that they differ in their rule only.
OPTIMISERS: Mapping[str, Optimise] = {
    "sgd": partial(torch.optim.SGD, lr=0.01, fused=True),
    "momentum": partial(torch.optim.SGD, lr=0.01, momentum=0.9, fused=True),
    "adam": partial(torch.optim.Adam, fused=True),
    "adamw": partial(torch.optim.AdamW, fused=True),
}

ARCHITECTURE = Axis(
    "architecture",
    ARCHITECTURES,
    slice=("mobilenet_v2", "vit", "resnet18"),
    loads="ForImageClassification",
)
BATCH = Axis("batch", {str(batch): batch for batch in (4, 16, 32, 64, 128, 256)}, slice=("4",))
PRECISION = Axis("precision", {"fp32": torch.float32, "bf16": torch.bfloat16}, slice=("fp32",))
OPTIMISER = Axis("optimiser", OPTIMISERS, slice=("adamw",))


def _with_small_stem(model: Classifier) -> Classifier:
    """Replace the first layer of a ResNet by a 3 x 3 convolution that keeps the size."""
    stem = model.resnet.embedder
    stem.pooler = nn.Identity()
    large = stem.embedder.convolution
    small = nn.Conv2d(large.in_channels, large.out_channels, 3, padding=1, bias=False)
    stem.embedder.convolution = small.to(large.weight.device)
    return model


def _halving_later(model: Classifier, layers: int) -> Classifier:
    """Make the first convolutions that halve the size keep it."""
    halving = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
    for convolution in halving[:layers]:
        convolution.stride = (1, 1)
    return model
