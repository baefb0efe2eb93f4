"""Loading a model from its files, which no figure of an inference may hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import torch

from benchmarks.checkpoints import Checkpoint
from benchmarks.tasks.inference import Model

#: One number of so many is read of each tensor: at least one of every page of 4 KiB.
STRIDE = 512


@contextmanager
def saved(model: Model) -> Iterator[Checkpoint]:
    """The model as a checkpoint, in a folder that is gone afterwards: those of pytest are kept."""
    with TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        yield Checkpoint(folder)


def load(checkpoint: Checkpoint, device: torch.device) -> Model:
    """The model, on the device, with all of its weights in memory.

    On a CPU `from_pretrained` only maps the file, and the first inference would read the weights:
    so some of every page is read here.
    """
    model = checkpoint(device).eval()
    for weights in model.state_dict().values():
        weights.flatten()[::STRIDE].sum()
    return model
