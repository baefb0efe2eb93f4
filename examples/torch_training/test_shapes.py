"""One step of a training: its joules, and the work that it does in torch."""

import pytest
import torch

from shapes import Batch, Trainer


@pytest.fixture
def batch():
    """Return the same 256 images in each run."""
    numbers = torch.Generator().manual_seed(1)
    images = torch.rand(256, 28, 28, generator=numbers)
    return Batch(images, torch.randint(10, (256,), generator=numbers))


@pytest.fixture
def trainer(batch):
    """Return a trainer after its first step, in which AdamW allocates its state."""
    torch.manual_seed(1)
    trainer = Trainer()
    trainer.step(batch)
    return trainer


@pytest.mark.energy_budget(max_increase="5%", max_work="0.5%", max_memory="20 MB")
def test_step(energy, trainer, batch):
    """The result is per sample, so that the size of the batch may change."""
    energy.units(sample=len(batch.images))
    assert 0 <= energy(trainer.step, batch) <= 1
