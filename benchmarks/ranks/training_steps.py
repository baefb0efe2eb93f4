"""A training step with DDP and with FSDP, as energy tests for every rank of a job.

Each rank trains on a batch of its own, so that a job of more ranks does more samples in a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from pytest_greenops import Energy

WIDTH, LAYERS, SAMPLES = 256, 4, 256


@pytest.fixture(scope="module")
def group() -> Iterator[None]:
    """Join the job's process group."""
    dist.init_process_group("gloo")
    yield
    dist.destroy_process_group()


def network() -> nn.Sequential:
    """Return a multi-layer perceptron of 0.26 million weights, the same in each rank."""
    torch.manual_seed(0)
    layers = [each for _ in range(LAYERS) for each in (nn.Linear(WIDTH, WIDTH), nn.ReLU())]
    return nn.Sequential(*layers)


def sharded() -> nn.Module:
    """Return the network with its weights divided among the ranks, layer by layer."""
    model = network()
    mesh = dist.init_device_mesh("cpu", (dist.get_world_size(),))
    for layer in model:
        if isinstance(layer, nn.Linear):
            fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


@pytest.mark.parametrize(
    "model",
    [lambda: DistributedDataParallel(network()), sharded],
    ids=["ddp", "fsdp"],
)
def test_train_step(energy: Energy, group: None, model: Callable[[], nn.Module]) -> None:
    """Forward, backward and update on this rank's batch."""
    trained = model()
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.01)
    batch = torch.randn(SAMPLES, WIDTH)

    def step() -> float:
        optimizer.zero_grad()
        loss = (trained(batch) - batch).square().mean()
        loss.backward()
        optimizer.step()
        return float(loss)

    energy.units(sample=SAMPLES)
    assert energy(step) > 0
