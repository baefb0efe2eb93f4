"""Small random networks: CNNs and perceptrons of varied width, depth and input."""

from __future__ import annotations

import random
from typing import NamedTuple

import torch
from torch import nn

CLASSES = 10
IMAGES, WIDTHS, BATCHES = (16, 24, 32, 48), (8, 16, 24, 32, 48, 64, 96), (2, 4, 8, 16)
PERCEPTRON_WIDTHS, PERCEPTRON_BATCHES = (64, 128, 256, 384, 512, 768, 1024), (8, 32, 64, 128)
ACTIVATIONS = (nn.ReLU, nn.GELU)
#: Every third network is a perceptron.
PERCEPTRON_EVERY = 3


class Network(NamedTuple):
    """A network with an input for it."""

    name: str
    model: nn.Module
    batch: torch.Tensor


class Residual(nn.Module):
    """`x + f(x)`: the sum is computed outside of any layer."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the output of the inner layers."""
        added: torch.Tensor = x + self.inner(x)
        return added


def random_networks(number: int, rng: random.Random) -> list[Network]:
    """Return networks with seeded weights, every third a perceptron."""
    torch.manual_seed(rng.randrange(2**31))
    last = PERCEPTRON_EVERY - 1
    makers = [_perceptron if n % PERCEPTRON_EVERY == last else _cnn for n in range(number)]
    return [make(rng, f"{make.__name__[1:]}-{n}") for n, make in enumerate(makers)]


def _cnn(rng: random.Random, name: str) -> Network:
    activation, image = rng.choice(ACTIVATIONS), rng.choice(IMAGES)
    channels, size, layers = 3, image, []
    for _ in range(rng.randint(3, 6)):
        width, kernel = rng.choice(WIDTHS), rng.choice((1, 3, 3, 5))
        layers += [
            nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(width),
            activation(),
        ]
        channels = width
        if rng.random() < 0.3:
            layers.append(
                Residual(nn.Sequential(nn.Conv2d(width, width, 3, padding=1), activation()))
            )
        if size >= 8 and rng.random() < 0.6:
            layers.append(nn.MaxPool2d(2))
            size //= 2
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)]
    return Network(name, nn.Sequential(*layers), torch.randn(rng.choice(BATCHES), 3, image, image))


def _perceptron(rng: random.Random, name: str) -> Network:
    activation, width = rng.choice(ACTIVATIONS), rng.choice(PERCEPTRON_WIDTHS)
    batch = torch.randn(rng.choice(PERCEPTRON_BATCHES), width)
    layers: list[nn.Module] = []
    for _ in range(rng.randint(3, 6)):
        wider = rng.choice(PERCEPTRON_WIDTHS)
        layers += [nn.Linear(width, wider), nn.LayerNorm(wider), activation()]
        width = wider
    layers.append(nn.Linear(width, CLASSES))
    return Network(name, nn.Sequential(*layers), batch)
