"""Image classifiers at the size of CIFAR-10: from their configuration, with random weights."""

from __future__ import annotations

import torch
from transformers import (
    AutoModelForImageClassification,
    MobileNetV2Config,
    PretrainedConfig,
    ResNetConfig,
)

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


def resnet18(device: torch.device) -> torch.nn.Module:
    """ResNet-18 (He et al., 2015): 11.2 M parameters, in few and large convolutions."""
    return _classifier(
        ResNetConfig(
            depths=[2, 2, 2, 2],
            embedding_size=64,
            hidden_sizes=[64, 128, 256, 512],
            layer_type="basic",
            id2label=dict(enumerate(LABELS)),
        ),
        device,
    )


def mobilenet_v2(device: torch.device) -> torch.nn.Module:
    """MobileNetV2 (Sandler et al., 2018): 2.2 M parameters, in many and small convolutions."""
    return _classifier(
        MobileNetV2Config(image_size=IMAGE_SIZE, id2label=dict(enumerate(LABELS))), device
    )


def labelled_images(batch: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise in the shape of a batch of CIFAR-10, `(batch, 3, 32, 32)`, and a label for each."""
    images = torch.randn(batch, 3, IMAGE_SIZE, IMAGE_SIZE)
    labels = torch.randint(len(LABELS), (batch,))
    return images.to(device), labels.to(device)


def training_step(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    images: torch.Tensor,
    labels: torch.Tensor,
) -> torch.Tensor:
    """One forward pass, backward pass and update of the weights; returns the loss."""
    optimizer.zero_grad()
    loss: torch.Tensor = model(images, labels=labels).loss
    loss.backward()
    optimizer.step()
    return loss.detach()


def _classifier(config: PretrainedConfig, device: torch.device) -> torch.nn.Module:
    model: torch.nn.Module = AutoModelForImageClassification.from_config(config)
    return model.to(device)
