"""A small causal language model, and the two phases in which it answers a prompt."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from transformers import AutoModelForCausalLM, Cache, LlamaConfig

#: Any, for the types of transformers refuse `model.to(device)` and `model.generate(prompts)`.
CausalLM: TypeAlias = Any

VOCABULARY = 1024
LONGEST_TEXT = 2048


def small_llama(device: torch.device, attention: str = "sdpa") -> CausalLM:
    """A Llama of 3.3 M parameters with random weights, which never ends an answer by itself."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=2,
        max_position_embeddings=LONGEST_TEXT,
        eos_token_id=None,
    )
    model = AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    return model.to(device).eval()


def random_prompts(requests: int, tokens: int, device: torch.device) -> torch.Tensor:
    """Prompts of one length, `(requests, tokens)`."""
    return torch.randint(VOCABULARY, (requests, tokens)).to(device)


@torch.inference_mode()
def prefill(model: CausalLM, prompts: torch.Tensor) -> tuple[torch.Tensor, Cache]:
    """Read the prompts: the first token of each answer, `(requests, 1)`, and the cache."""
    output = model(prompts, use_cache=True, logits_to_keep=1)
    return output.logits.argmax(dim=-1), output.past_key_values


@torch.inference_mode()
def decode(model: CausalLM, first: torch.Tensor, cache: Cache, tokens: int) -> torch.Tensor:
    """Go on greedily from the first token, until the answers are `(requests, tokens)`."""
    answer = [first]
    while len(answer) < tokens:
        output = model(answer[-1], past_key_values=cache, use_cache=True)
        answer.append(output.logits.argmax(dim=-1))
    return torch.cat(answer, dim=1)
