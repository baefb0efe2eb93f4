"""The axes of this room, and the models that its tests run over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pytest
import torch

from benchmarks.axes import Axis
from benchmarks.causal_lm import FAMILIES, SIZES, CausalLM, Untrained

#: Models of these sizes would take minutes for a test on a CPU.
FOR_A_GPU = ("125m", "1b")
MODELS: Mapping[str, Callable[..., CausalLM]] = {
    f"{family}_{size}": Untrained(family, size) for family in FAMILIES for size in SIZES
}


class Length(NamedTuple):
    """Tokens of a prompt, and of its answer."""

    prompt_tokens: int
    answer_tokens: int


LENGTHS = {
    "short_answer": Length(64, 8),
    "long_reasoning": Length(64, 64),
    "long_prompt": Length(1024, 8),
    "longest_reasoning": Length(64, 256),
}


def models(*slice_: str) -> Axis:
    """The axis of models, which a run without `--bench-full` takes these of."""
    return Axis("model", MODELS, slice_, loads=("ForCausalLM", "LMHeadModel"))


def lengths(*slice_: str) -> Axis:
    """The axis of what is asked and answered."""
    return Axis("length", LENGTHS, slice_)


def precision(device: torch.device) -> torch.dtype:
    """What models are run in: half of 32 bits where a device is made for that."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def built(model: Callable[..., CausalLM], device: torch.device) -> CausalLM:
    """A model on the device, ready to answer; skips the test where it would take too long."""
    if isinstance(model, Untrained) and model.size in FOR_A_GPU and device.type == "cpu":
        pytest.skip(f"{model.size} needs a GPU")
    return model(device, dtype=precision(device)).eval()
