"""Training and inference of image classifiers: architecture, batch size, precision, optimiser.

In bf16, inference casts the weights, as serving does; training keeps them in fp32 and computes with
autocast.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch

from benchmarks.discriminative.architectures import (
    ARCHITECTURE,
    BATCH,
    OPTIMISER,
    PRECISION,
    Build,
    Optimise,
)
from benchmarks.discriminative.counting import (
    macs,
    parameters,
    training_macs,
    weighted_training,
    weighted_work,
)
from benchmarks.image_classifiers import Classifier, image_shape, labelled_images, training_step
from benchmarks.utilisation import Utilisation

if TYPE_CHECKING:
    from pytest_greenops import Energy

pytestmark = [
    pytest.mark.energy_budget(max_increase="5%"),
    ARCHITECTURE.mark,
    BATCH.mark,
    PRECISION.mark,
]

#: Images for the accuracy.
HELD_OUT = 64


def test_inference(
    energy: Energy,
    device: torch.device,
    facts: Callable[..., None],
    architecture: Build,
    batch: int,
    precision: torch.dtype,
) -> None:
    """A batch of images is classified."""
    model = architecture(device).float().eval()
    images, _ = labelled_images(batch, device, model.config)
    facts(**_size(model, images), phase_macs=macs(model, images))
    model.to(precision)
    images = images.to(precision)

    energy.units(sample=batch)
    with torch.inference_mode():
        facts(phase_work=weighted_work(lambda: model(images), batch))
    with torch.inference_mode(), Utilisation(device) as used:
        output = energy(model, images)
    facts(**used.shares)

    assert output.logits.shape == (batch, model.config.num_labels)
    assert output.logits.isfinite().all()


@OPTIMISER.mark
def test_training_step(
    energy: Energy,
    device: torch.device,
    facts: Callable[..., None],
    architecture: Build,
    batch: int,
    precision: torch.dtype,
    optimiser: Optimise,
) -> None:
    """A call runs one training step on a batch of images."""
    model = architecture(device).float().train()
    images, labels = labelled_images(batch, device, model.config)
    unseen, unseen_labels = labelled_images(HELD_OUT, device, model.config)
    facts(**_size(model, images), phase_macs=training_macs(model, images, labels))
    weights = optimiser(model.parameters())
    step = partial(training_step, images=images, labels=labels, dtype=precision)
    facts(phase_work=weighted_training(step, model, optimiser, batch))

    energy.units(sample=batch)
    with Utilisation(device) as used:
        loss = energy(training_step, model, weights, images, labels, precision)
    facts(**used.shares)

    with torch.inference_mode():
        answers = model.eval()(unseen).logits.argmax(dim=-1)
    # Not `energy.quality`: after so few steps the accuracy is a matter of chance.
    facts(accuracy=(answers == unseen_labels).float().mean().item())
    assert loss.isfinite()


def _size(model: Classifier, images: torch.Tensor) -> dict[str, object]:
    training = model.training
    size = {
        "parameters": parameters(model),
        "macs": macs(model.eval(), images),
        "image": "x".join(map(str, image_shape(model.config))),
    }
    model.train(training)
    return size
