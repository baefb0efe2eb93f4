"""The model of every test in this folder, on the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import torch

    from benchmarks.causal_lm import CausalLM


@pytest.fixture
def causal_lm(
    model: Callable[..., CausalLM], device: torch.device, facts: Callable[..., None]
) -> CausalLM:
    """Load the model of the axis `model`, outside of any window."""
    from benchmarks.generative.models import built

    loaded = built(model, device)
    facts(
        parameters=sum(weights.numel() for weights in loaded.parameters()),
        family=loaded.config.model_type,
        precision=str(loaded.dtype).removeprefix("torch."),
    )
    return loaded
