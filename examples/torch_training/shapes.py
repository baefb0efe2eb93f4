"""Train a small network on images of shapes."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Batch(NamedTuple):
    """Images of 28 by 28 pixels, and the number of the shape in each."""

    images: Tensor
    labels: Tensor


class Trainer:
    """A network, and the state of its training."""

    def __init__(self, hidden: int = 512) -> None:
        self.model = nn.Sequential(
            nn.Flatten(), nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 10)
        )
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3)
        self.loss = nn.CrossEntropyLoss()

    def step(self, batch: Batch) -> float:
        """Train on one batch; return the share of it that was right before."""
        self.optimizer.zero_grad()
        logits = self.model(batch.images)
        self.loss(logits, batch.labels).backward()
        self.optimizer.step()
        guesses = logits.argmax(dim=1)
        return (guesses == batch.labels).float().mean().item()
