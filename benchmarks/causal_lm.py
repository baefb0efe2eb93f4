"""Causal language models built from a configuration, and the two phases of an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from transformers import (
    AutoModelForCausalLM,
    Cache,
    LlamaConfig,
    PretrainedConfig,
    Qwen3Config,
)

#: Any, since the types of transformers reject `model.to(device)` and `model.generate(prompts)`.
CausalLM: TypeAlias = Any

VOCABULARY = 1024
LONGEST_TEXT = 2048


@dataclass(frozen=True)
class Size:
    """Shape of a model: queries have `heads` heads, keys and values have `kv_heads`."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int = VOCABULARY


#: By number of parameters; the two largest have a vocabulary of realistic size.
SIZES: Mapping[str, Size] = {
    "3m": Size(256, 704, 4, 8, 2),
    "10m": Size(384, 1024, 6, 6, 2),
    "30m": Size(512, 1408, 10, 8, 2),
    "125m": Size(768, 2048, 12, 12, 4, vocabulary=32_000),
    "1b": Size(2048, 5632, 22, 32, 4, vocabulary=32_000),
}
FAMILIES: Mapping[str, Callable[..., PretrainedConfig]] = {
    "llama": LlamaConfig,
    "qwen3": Qwen3Config,
}


@dataclass(frozen=True)
class Untrained:
    """Builds a model of a family and a size, without an end-of-sequence token."""

    family: str
    size: str

    def __call__(
        self, device: torch.device, attention: str = "sdpa", dtype: torch.dtype = torch.float32
    ) -> CausalLM:
        """Return the model with random weights in evaluation mode."""
        size = SIZES[self.size]
        config = FAMILIES[self.family](
            vocab_size=size.vocabulary,
            hidden_size=size.hidden,
            intermediate_size=size.intermediate,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            num_key_value_heads=size.kv_heads,
            head_dim=size.hidden // size.heads,
            max_position_embeddings=LONGEST_TEXT,
            eos_token_id=None,
        )
        model = AutoModelForCausalLM.from_config(config, attn_implementation=attention, dtype=dtype)
        return model.to(device).eval()


def small_llama(device: torch.device, attention: str = "sdpa") -> CausalLM:
    """Return a Llama of 3.3 M parameters with random weights, without an end-of-sequence token."""
    return Untrained("llama", "3m")(device, attention)


def random_prompts(
    requests: int, tokens: int, device: torch.device, vocabulary: int = VOCABULARY
) -> torch.Tensor:
    """Return random prompts of one length, `(requests, tokens)`."""
    return torch.randint(vocabulary, (requests, tokens)).to(device)


@torch.inference_mode()
def prefill(model: CausalLM, prompts: torch.Tensor) -> tuple[torch.Tensor, Cache]:
    """Read the prompts; return the first token of each answer, `(requests, 1)`, and the cache."""
    output = model(prompts, use_cache=True, logits_to_keep=1)
    return output.logits.argmax(dim=-1), output.past_key_values


@torch.inference_mode()
def decode(model: CausalLM, first: torch.Tensor, cache: Cache, tokens: int) -> torch.Tensor:
    """Continue greedily from the first token; return the answers, `(requests, tokens)`."""
    answer = [first]
    while len(answer) < tokens:
        output = model(answer[-1], past_key_values=cache, use_cache=True)
        answer.append(output.logits.argmax(dim=-1))
    return torch.cat(answer, dim=1)
