"""Image classifiers at the size of CIFAR-10, built from a configuration with random weights."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from transformers import (
    AutoModelForImageClassification,
    MobileNetV2Config,
    PretrainedConfig,
    ResNetConfig,
)

#: Takes images, and labels in training; returns `logits` and `loss`; has a `config`. Any, since the
#: types of transformers reject `model.to(device)`.
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
#: Image size of ImageNet models without a size in their configuration.
IMAGENET_SIZE = 224
#: Amplitude of the pattern of each label, in standard deviations of the noise.
PATTERN = 0.2
_PATTERN_SEED = 10


def resnet18(device: torch.device) -> Classifier:
    """Return an ImageNet ResNet-18 (He et al., 2015): its last stage sees 1 of 32 x 32 pixels."""
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
    """Return an ImageNet MobileNetV2 (Sandler et al., 2018): many small convolutions."""
    return configured(MobileNetV2Config(id2label=dict(enumerate(LABELS))), device)


def configured(config: PretrainedConfig, device: torch.device) -> Classifier:
    """Return the classifier of a configuration, for images of CIFAR-10."""
    config.image_size = IMAGE_SIZE  # some have none of their own
    return AutoModelForImageClassification.from_config(config).to(device)


def image_shape(config: PretrainedConfig) -> tuple[int, int, int]:
    """Return channels, height and width of the images of a model."""
    size = getattr(config, "image_size", None) or IMAGENET_SIZE
    height, width = (size, size) if isinstance(size, int) else size
    return getattr(config, "num_channels", 3), height, width


def labelled_images(
    batch: int, device: torch.device, config: PretrainedConfig | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images, `(batch, channels, height, width)`, and their labels.

    Noise with a faint learnable pattern per label; the size and the number of labels are those of
    CIFAR-10, or of the configuration.
    """
    shape = image_shape(config) if config else (3, IMAGE_SIZE, IMAGE_SIZE)
    labels: int = config.num_labels if config else len(LABELS)
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
    """Run forward and backward, update the weights, and return the loss.

    dtype  of the forward computation, by autocast; weights and gradients keep theirs
    """
    optimizer.zero_grad()
    with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
        loss: torch.Tensor = model(images, labels=labels).loss
    loss.backward()
    optimizer.step()
    return loss.detach()
