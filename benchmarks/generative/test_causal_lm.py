"""Answers of a causal language model, with prefill and decode measured separately.

In both phases a token is one of the answer, so that their J/token add up to that of the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch

from benchmarks.axes import Axis
from benchmarks.causal_lm import CausalLM, decode, prefill, random_prompts
from benchmarks.generative.models import Length, lengths, models

if TYPE_CHECKING:
    from pytest_greenops import Energy

pytestmark = [
    pytest.mark.energy_budget(max_increase="5%", max_time="15 s"),
    models("llama_10m", "qwen3_10m").mark,
    Axis("batch", {f"batch{n}": n for n in (1, 8, 32)}, ("batch8",)).mark,
    lengths("short_answer", "long_reasoning").mark,
]


def test_answers(
    energy: Energy,
    causal_lm: CausalLM,
    device: torch.device,
    facts: Callable[..., None],
    batch: int,
    length: Length,
) -> None:
    """A batch of requests is answered with a cache."""
    prompts = random_prompts(batch, length.prompt_tokens, device, causal_lm.config.vocab_size)
    facts(requests=batch, **length._asdict())

    energy.units(request=batch, token=batch * length.answer_tokens)
    for _ in energy.rounds():
        with energy.measure("prefill"):
            first, cache = prefill(causal_lm, prompts)
        with energy.measure("decode"):
            answers = decode(causal_lm, first, cache, length.answer_tokens)

    assert answers.shape == (batch, length.answer_tokens)
    assert cache.get_seq_length() == length.prompt_tokens + length.answer_tokens - 1
