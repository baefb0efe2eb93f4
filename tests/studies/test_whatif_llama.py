"""The work of Llama models that no machine here can hold, against figures computed by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from pytest_greenops.work.fake_model import count_phases

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
VOCABULARY, POSITIONS, BFLOAT16 = 32_000, 2048, 2


class Size(NamedTuple):
    """A Llama of the second generation."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    inner: int

    @property
    def kv_width(self) -> int:
        """Width of the keys, and of the values."""
        return self.kv_heads * self.width // self.heads

    @property
    def weights(self) -> int:
        """Weights in matrix products: of query, output, key, value; of the MLP; of the head."""
        layer = 2 * self.width**2 + 2 * self.width * self.kv_width + 3 * self.width * self.inner
        return self.layers * layer + VOCABULARY * self.width

    @property
    def norms(self) -> int:
        """Weights of the normalizations: two in each layer, and one at the end."""
        return (2 * self.layers + 1) * self.width

    def attention(self, pairs: int) -> int:
        """Operations for pairs of a query and a key: two products of the width in each layer."""
        return self.layers * 2 * 2 * pairs * self.width


SIZES = {"7B": Size(32, 4096, 32, 32, 11008), "70B": Size(80, 8192, 64, 8, 28672)}


def llama(size: Size) -> Callable[[], dict[str, Callable[[], Any]]]:
    """Return a factory of a prefill, and of a decoding step at the last position."""

    def make() -> dict[str, Callable[[], Any]]:
        config = transformers.LlamaConfig(
            num_hidden_layers=size.layers,
            hidden_size=size.width,
            num_attention_heads=size.heads,
            num_key_value_heads=size.kv_heads,
            intermediate_size=size.inner,
        )
        model = transformers.LlamaForCausalLM(config)
        tokens = torch.ones(1, POSITIONS, dtype=torch.long)
        cache = transformers.DynamicCache(config=config)
        shape = (1, size.kv_heads, POSITIONS - 1, size.width // size.heads)
        for layer in range(size.layers):
            cache.update(torch.empty(shape), torch.empty(shape), layer)
        inference = torch.inference_mode()
        return {
            "prefill": inference(lambda: model(tokens)),
            "decode": inference(lambda: model(tokens[:, :1], past_key_values=cache)),
        }

    return make


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_llama(size: Size) -> None:
    """FLOP of prefill and decode are exact; a decoding step reads the weights and its cache."""
    prefill, decode = count_phases(torch, llama(size), "bfloat16", lambda error: "")
    causal = POSITIONS * (POSITIONS + 1) // 2
    assert prefill.totals.flop["bfloat16"] == 2 * POSITIONS * size.weights + size.attention(causal)
    assert decode.totals.flop["bfloat16"] == 2 * size.weights + size.attention(POSITIONS)

    table = VOCABULARY * size.width
    assert prefill.parameter_bytes == BFLOAT16 * (size.weights + size.norms + table)
    cache = 2 * size.layers * (POSITIONS - 1) * size.kv_width
    read = BFLOAT16 * (size.weights + size.norms + size.width + cache)
    assert read <= decode.read_bytes < read + 10_000  # and frequencies of the rotations, positions
