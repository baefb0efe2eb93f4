"""Answers of a causal language model: reading the prompts and writing the answers, apart.

A token is one of an answer, in both phases: so J/token of the phases add up to that of the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from benchmarks.causal_lm import decode, prefill, random_prompts, small_llama

if TYPE_CHECKING:
    from pytest_greenops.fixture import Energy

pytestmark = pytest.mark.energy_budget(max_increase="5%")

REQUESTS = 8


@pytest.mark.parametrize(
    ("prompt_tokens", "answer_tokens"),
    [pytest.param(256, 16, id="short_answer"), pytest.param(128, 48, id="long_reasoning")],
)
def test_answers(
    energy: Energy, device: torch.device, prompt_tokens: int, answer_tokens: int
) -> None:
    """A batch of requests is answered, each token being read from the cache ever after."""
    model = small_llama(device)
    prompts = random_prompts(REQUESTS, prompt_tokens, device)

    energy.units(request=REQUESTS, token=REQUESTS * answer_tokens)
    for _ in energy.rounds():
        with energy.measure("prefill"):
            first, cache = prefill(model, prompts)
        with energy.measure("decode"):
            answers = decode(model, first, cache, answer_tokens)

    assert answers.shape == (REQUESTS, answer_tokens)
    assert cache.get_seq_length() == prompt_tokens + answer_tokens - 1
