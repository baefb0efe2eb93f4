"""The architectures of the study, for images of 32 x 32 pixels.

Made for larger ones, most would halve these five times, down to a single pixel, and compute little.
Here they halve them less often, as their variants for CIFAR-10 do: each docstring says how far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

from benchmarks.discriminative import nets
from benchmarks.image_classifiers import IMAGE_SIZE, LABELS, Classifier, configured

Build: TypeAlias = Callable[[torch.device], Classifier]

_LABELS = dict(enumerate(LABELS))


def resnet18(device: torch.device) -> Classifier:
    """ResNet-18 (He et al., 2015), down to 4 x 4."""
    config = ResNetConfig(
        depths=[2, 2, 2, 2],
        hidden_sizes=[64, 128, 256, 512],
        layer_type="basic",
        id2label=_LABELS,
    )
    return _with_small_stem(configured(config, device))


def resnet50(device: torch.device) -> Classifier:
    """ResNet-50 (He et al., 2015), down to 4 x 4."""
    return _with_small_stem(configured(ResNetConfig(id2label=_LABELS), device))


def mobilenet_v2(device: torch.device) -> Classifier:
    """MobileNetV2 (Sandler et al., 2018), down to 4 x 4."""
    model = configured(MobileNetV2Config(id2label=_LABELS), device)
    return _halving_later(model, 2)


def efficientnet_b0(device: torch.device) -> Classifier:
    """EfficientNet-B0 (Tan and Le, 2019), down to 4 x 4."""
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
    """RegNetY-400MF (Radosavovic et al., 2020), down to 4 x 4."""
    config = RegNetConfig(
        depths=[1, 3, 6, 6],
        hidden_sizes=[48, 104, 208, 440],
        groups_width=8,
        downsample_in_first_stage=False,
        id2label=_LABELS,
    )
    return _halving_later(configured(config, device), 1)


def convnext(device: torch.device) -> Classifier:
    """ConvNeXt-T (Liu et al., 2022) on patches of 2 x 2, down to 2 x 2."""
    return configured(ConvNextConfig(patch_size=2, id2label=_LABELS), device)


def vit(device: torch.device) -> Classifier:
    """ViT-Ti (Touvron et al., 2021) on 64 patches of 4 x 4."""
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
    """Swin (Liu et al., 2021) on patches of 2 x 2, windows of 4 x 4, down to one window.

    Three stages: a fourth would have less than a window left.
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


#: By id, the small ones first.
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


def _with_small_stem(model: Classifier) -> Classifier:
    """A ResNet whose first layer is a convolution of 3 x 3 that keeps the size."""
    stem = model.resnet.embedder
    stem.pooler = nn.Identity()
    large = stem.embedder.convolution
    small = nn.Conv2d(large.in_channels, large.out_channels, 3, padding=1, bias=False)
    stem.embedder.convolution = small.to(large.weight.device)
    return model


def _halving_later(model: Classifier, layers: int) -> Classifier:
    """A network of which the first convolutions that would halve the size keep it."""
    halving = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
    for convolution in halving[:layers]:
        convolution.stride = (1, 1)
    return model
