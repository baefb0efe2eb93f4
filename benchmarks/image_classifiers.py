"""Image classifiers at the size of CIFAR-10: from their configuration, with random weights."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from transformers import (
    AutoModelForImageClassification,
    MobileNetV2Config,
    PretrainedConfig,
    ResNetConfig,
)

#: Called with images, and labels where it learns; answers with `logits` and `loss`; knows its
#: `config`. Any, for the types of transformers refuse `model.to(device)`.
Classifier: TypeAlias = Any

LABELS = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
IMAGE_SIZE = 32
#: What models of ImageNet take, whose configuration does not say.
USUAL_SIZE = 224
#: How far the pattern of its label stands out of an image's noise, in standard deviations.
PATTERN = 0.2
_PATTERN_SEED = 10


def resnet18(device: torch.device) -> Classifier:
    """ResNet-18 (He et al., 2015) as for ImageNet: of 32 x 32 pixels the last stage sees one."""
    return configured(
        ResNetConfig(
            depths=[2, 2, 2, 2],
            embedding_size=64,
            hidden_sizes=[64, 128, 256, 512],
            layer_type="basic",
            id2label=dict(enumerate(LABELS)),
        ),
        device,
    )


def mobilenet_v2(device: torch.device) -> Classifier:
    """MobileNetV2 (Sandler et al., 2018) as for ImageNet: many and small convolutions."""
    return configured(MobileNetV2Config(id2label=dict(enumerate(LABELS))), device)


def configured(config: PretrainedConfig, device: torch.device) -> Classifier:
    """The classifier of a configuration of transformers, for CIFAR-10's images."""
    config.image_size = IMAGE_SIZE  # some have none of their own
    return AutoModelForImageClassification.from_config(config).to(device)


def image_shape(config: PretrainedConfig) -> tuple[int, int, int]:
    """Channels, height and width of the images that a model is for."""
    size = getattr(config, "image_size", None) or USUAL_SIZE
    height, width = (size, size) if isinstance(size, int) else size
    return getattr(config, "num_channels", 3), height, width


def labelled_images(
    batch: int, device: torch.device, config: PretrainedConfig | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images, `(batch, channels, height, width)`, and a label for each.

    Noise with a faint pattern for each label, so that there is something to learn; of the size and
    the labels of CIFAR-10, or of what the configuration is for.
    """
    shape = image_shape(config) if config else (3, IMAGE_SIZE, IMAGE_SIZE)
    labels: int = config.num_labels if config else len(LABELS)  # type: ignore[assignment]
    patterns = torch.randn(labels, *shape, generator=torch.Generator().manual_seed(_PATTERN_SEED))
    chosen = torch.randint(labels, (batch,))
    images = torch.randn(batch, *shape) + PATTERN * patterns[chosen]
    return images.to(device), chosen.to(device)


def training_step(
    model: Classifier,
    optimizer: torch.optim.Optimizer,
    images: torch.Tensor,
    labels: torch.Tensor,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """One forward pass, backward pass and update of the weights; returns the loss.

    dtype  that of the forward pass, by autocast; weights, gradients and updates are as they are
    """
    optimizer.zero_grad()
    with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
        loss: torch.Tensor = model(images, labels=labels).loss
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach()
