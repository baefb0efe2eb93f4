"""The axes of the study, as the options choose them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeAlias

import torch

from benchmarks.axes import Axis
from benchmarks.discriminative.architectures import ARCHITECTURES

Optimise: TypeAlias = Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer]

#: Each as one fused operation, so that what differs is the rule and not how it is written.
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
