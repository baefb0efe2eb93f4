"""Energy of one inference of each of ten tasks, and of loading its model.

An inference takes one input. Loading, building and warm-up are outside of its windows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch

from benchmarks.axes import Axis
from benchmarks.checkpoints import Checkpoint
from benchmarks.tasks.catalogue import LOADS, TASKS, Task, name_of
from benchmarks.tasks.configurations import SIZES, Size
from benchmarks.tasks.inference import load, saved

if TYPE_CHECKING:
    from pytest_greenops import Energy

task_axis = partial(Axis, "task", TASKS, loads=LOADS)
#: Loading depends little on the task: the slice has a few.
LOADED = ("text_classification", "image_classification", "text_generation", "image_captioning")

pytestmark = [
    Axis("size", SIZES, slice=("small",)).mark,
    pytest.mark.energy_budget(max_increase="5%"),
]


@pytest.fixture(autouse=True)
def checkpoint_facts(
    task: Task | Checkpoint, size: Size, facts: Callable[..., None], axis_facts: None
) -> None:
    """Run a checkpoint once, with its own task and size."""
    if isinstance(task, Checkpoint):
        if size is not SIZES["small"]:
            pytest.skip("a checkpoint has its own size")
        facts(task=name_of(task), size=task.id)


@task_axis(slice=tuple(TASKS)).mark
def test_inference(
    energy: Energy,
    device: torch.device,
    facts: Callable[..., None],
    task: Task | Checkpoint,
    size: Size,
) -> None:
    """The model processes one input."""
    work = TASKS[name_of(task)]
    model = task(device).eval() if isinstance(task, Checkpoint) else task.build(size).to(device)
    inputs = work.inputs_of(model, size)
    facts(model=type(model).__name__, parameters=model.num_parameters())

    energy.units(inference=1)
    with torch.inference_mode():
        found = energy(work.infer, model, inputs, size)

    assert found.shape[0] == 1
    assert isinstance(task, Checkpoint) or found.shape == work.shape(size)
    assert torch.isfinite(found).all()


@task_axis(slice=LOADED).mark
def test_load(
    energy: Energy,
    device: torch.device,
    task: Task | Checkpoint,
    size: Size,
) -> None:
    """The model is loaded from files that are in the page cache."""
    if isinstance(task, Checkpoint):
        assert energy.named("load")(load, task, device).num_parameters() > 0
        return
    model = task.build(size)

    with saved(model) as checkpoint:
        loaded = energy.named("load")(load, checkpoint, device)

    assert loaded.num_parameters() == model.num_parameters()
