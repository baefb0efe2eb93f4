"""Training and inference of image classifiers, over architecture and batch size."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import pytest
import torch

from benchmarks.image_classifiers import (
    LABELS,
    labelled_images,
    mobilenet_v2,
    resnet18,
    training_step,
)

if TYPE_CHECKING:
    from pytest_greenops.fixture import Energy

Build: TypeAlias = Callable[[torch.device], torch.nn.Module]

pytestmark = [
    pytest.mark.energy_budget(max_increase="5%"),
    pytest.mark.parametrize("build", [resnet18, mobilenet_v2]),
    pytest.mark.parametrize("batch", [4, 32], ids="batch{}".format),
]


def test_inference(energy: Energy, device: torch.device, build: Build, batch: int) -> None:
    """A batch of images is classified."""
    model = build(device).eval()
    images, _ = labelled_images(batch, device)

    energy.units(sample=batch)
    with torch.inference_mode():
        output = energy(model, images)

    assert output.logits.shape == (batch, len(LABELS))


def test_training_step(energy: Energy, device: torch.device, build: Build, batch: int) -> None:
    """A batch of images is learnt from, once a call."""
    model = build(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    images, labels = labelled_images(batch, device)

    energy.units(sample=batch)
    loss = energy(training_step, model, optimizer, images, labels)

    assert torch.isfinite(loss)
