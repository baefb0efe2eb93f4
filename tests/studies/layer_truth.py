"""Layers with known joules, and random networks of them, with noise or without."""

from __future__ import annotations

import math
import random

from benchmarks.estimator.estimate import LayerProfile, LayerShape, NetworkProfile

#: Joules per call, per MAC and per element moved, by kind of layer.
COSTS = {
    "Conv2d": (5e-5, 3e-10, 2e-9),
    "Norm": (3e-5, 0.0, 3e-9),
    "Activation": (1e-5, 0.0, 1.5e-9),
    "Softmax": (2e-5, 0.0, 8e-9),
}


def true_j(shape: LayerShape) -> float:
    """Return the joules of one call."""
    call_j, mac_j, element_j = COSTS[shape.kind]
    return call_j + mac_j * shape.macs + element_j * (shape.inputs + shape.outputs)


def conv(channels: int, width: int, pixels: int) -> LayerShape:
    """Return a 3 x 3 convolution."""
    weights = 9 * channels * width
    return LayerShape("Conv2d", weights * pixels, weights, channels * pixels, width * pixels)


def elementwise(kind: str, elements: int) -> LayerShape:
    """Return a layer with as many output elements as input elements."""
    return LayerShape(kind, 0, 0, elements, elements)


def network(rng: random.Random) -> list[LayerShape]:
    """Return the layers of a random CNN."""
    channels, pixels, shapes = 3, rng.choice([256, 512, 1024, 4096]), []
    for _ in range(rng.randint(2, 5)):
        width = rng.choice([8, 16, 24, 32, 48, 64])
        shapes.append(conv(channels, width, pixels))
        shapes += [elementwise(kind, width * pixels) for kind in ("Norm", "Activation")]
        channels = width
    return shapes


def profiled(
    networks: int, seed: int, noise: float = 0.05
) -> tuple[list[LayerProfile], list[NetworkProfile]]:
    """Return layers, and networks as a whole, measured with log-normal noise."""
    rng = random.Random(seed)
    layers, wholes = [], []
    for number in range(networks):
        name, shapes = f"net-{number}", network(rng)
        for shape in shapes:
            measured_j = true_j(shape) * math.exp(rng.gauss(0, noise))
            layers.append(LayerProfile(shape, measured_j, name))
        whole_j = whole_true_j(shapes) * math.exp(rng.gauss(0, noise))
        wholes.append(NetworkProfile(name, whole_j, tuple(shapes)))
    return layers, wholes


def whole_true_j(shapes: list[LayerShape]) -> float:
    """Return the joules of a whole network: 1.2 times its layers, and 20 µJ per layer."""
    return 1.2 * sum(map(true_j, shapes)) + 2e-5 * len(shapes)
