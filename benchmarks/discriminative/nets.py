"""CIFAR-10 variants of networks that transformers does not have."""

from __future__ import annotations

import torch
from torch import nn
from transformers import PretrainedConfig
from transformers.modeling_outputs import ImageClassifierOutput


class Network(nn.Module):
    """Layers that end in logits, with the interface of a classifier of transformers."""

    def __init__(self, labels: int, size: int, *layers: nn.Module) -> None:
        super().__init__()
        self.config = PretrainedConfig.from_dict(
            {"image_size": size, "num_channels": 3, "num_labels": labels}
        )
        self.layers = nn.Sequential(*layers)

    def forward(
        self, images: torch.Tensor, labels: torch.Tensor | None = None
    ) -> ImageClassifierOutput:
        """Return logits, `(batch, labels)`, and with labels the mean cross-entropy."""
        logits = self.layers(images)
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return ImageClassifierOutput(loss=loss, logits=logits)


def convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    """Return a padded convolution without bias, batch normalisation, ReLU."""
    padding = kernel // 2
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
    return [layer, nn.BatchNorm2d(outputs), nn.ReLU()]


def pooled(channels: int, labels: int) -> list[nn.Module]:
    """Return mean pooling and the final linear layer."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, labels)]


def lenet(labels: int, size: int) -> Network:
    """Return LeNet-5 (LeCun et al., 1998) with colours, ReLU and max pooling."""
    left = ((size - 4) // 2 - 4) // 2
    return Network(
        labels,
        size,
        *(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(16 * left**2, 120), nn.ReLU()),
        *(nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, labels)),
    )


def vgg11(labels: int, size: int) -> Network:
    """Return VGG-11 (Simonyan and Zisserman, 2015) with batch norm and one linear layer."""
    layers: list[nn.Module] = []
    inputs = 3
    for stage in ((64,), (128,), (256, 256), (512, 512), (512, 512)):
        for outputs in stage:
            padded = nn.Conv2d(inputs, outputs, 3, padding=1)
            layers += [padded, nn.BatchNorm2d(outputs), nn.ReLU()]
            inputs = outputs
        layers.append(nn.MaxPool2d(2))
    return Network(labels, size, *layers, *pooled(inputs, labels))


class DenseLayer(nn.Module):
    """Appends `growth` channels, computed from all input channels."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, 4 * growth, 1, bias=False)),
            *(nn.BatchNorm2d(4 * growth), nn.ReLU()),
            nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return `(batch, inputs + growth, height, width)`."""
        return torch.cat([self.layers(images), images], dim=1)


def densenet121(labels: int, size: int, growth: int = 32) -> Network:
    """Return DenseNet-121 (Huang et al., 2017): its first layer keeps the size."""
    channels = 2 * growth
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1, bias=False)]
    for number, depth in enumerate((6, 12, 24, 16)):
        if number:
            halved = channels // 2
            layers += [nn.BatchNorm2d(channels), nn.ReLU()]
            layers += [nn.Conv2d(channels, halved, 1, bias=False), nn.AvgPool2d(2)]
            channels = halved
        for _ in range(depth):
            layers.append(DenseLayer(channels, growth))
            channels += growth
    layers += [nn.BatchNorm2d(channels), nn.ReLU()]
    return Network(labels, size, *layers, *pooled(channels, labels))


class Residual(nn.Module):
    """Two convolutions with a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        first = convolution(inputs, outputs, stride=stride)
        self.layers = nn.Sequential(*first, *convolution(outputs, outputs)[:-1])
        same = stride == 1 and inputs == outputs
        short = convolution(inputs, outputs, kernel=1, stride=stride)[:-1]
        self.shortcut = nn.Identity() if same else nn.Sequential(*short)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return `(batch, outputs, height / stride, width / stride)`."""
        return nn.functional.relu(self.layers(images) + self.shortcut(images))


class Tree(nn.Module):
    """A left and a right subtree in sequence, whose outputs a root combines."""

    def __init__(self, inputs: int, outputs: int, level: int, stride: int) -> None:
        super().__init__()
        self.left: nn.Module
        self.right: nn.Module
        if level == 1:
            self.left = Residual(inputs, outputs, stride)
            self.right = Residual(outputs, outputs)
        else:
            self.left = Tree(inputs, outputs, level - 1, stride)
            self.right = Tree(outputs, outputs, level - 1, 1)
        self.root = nn.Sequential(*convolution(2 * outputs, outputs, kernel=1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return `(batch, outputs, height / stride, width / stride)`."""
        left = self.left(images)
        combined: torch.Tensor = self.root(torch.cat([left, self.right(left)], dim=1))
        return combined


def simple_dla(labels: int, size: int) -> Network:
    """Return deep layer aggregation (Yu et al., 2018) of trees only, without long skips."""
    layers = [*convolution(3, 16), *convolution(16, 16), *convolution(16, 32)]
    inputs = 32
    for outputs, level, stride in ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 1, 2)):
        layers.append(Tree(inputs, outputs, level, stride))
        inputs = outputs
    return Network(labels, size, *layers, *pooled(inputs, labels))
