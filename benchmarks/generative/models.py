"""The models of the generative tests, and their axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pytest
import torch

from benchmarks.axes import Axis
from benchmarks.causal_lm import FAMILIES, SIZES, CausalLM, Untrained

#: Sizes that would take minutes per test on a CPU.
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
    """Return the axis of models, with these ids in the slice."""
    return Axis("model", MODELS, slice_, loads=("ForCausalLM", "LMHeadModel"))


def lengths(*slice_: str) -> Axis:
    """Return the axis of prompt and answer lengths, with these ids in the slice."""
    return Axis("length", LENGTHS, slice_)


def built(model: Callable[..., CausalLM], device: torch.device) -> CausalLM:
    """Return a model on the device, in bf16 on a GPU; skip models that are too slow on a CPU."""
    if isinstance(model, Untrained) and model.size in FOR_A_GPU and device.type == "cpu":
        pytest.skip(f"{model.size} needs a GPU")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    return model(device, dtype=dtype).eval()
