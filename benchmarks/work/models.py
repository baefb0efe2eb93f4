"""Models and inputs of the benchmarks of counted work, and the calls that are counted.

The architectures are published ones, built from a configuration; their sizes are such that a call
takes some milliseconds on one thread. Nothing is downloaded: weights and inputs are random numbers
of a fixed seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
import transformers
from torch import nn
from torch.nn import functional

transformers.logging.set_verbosity_error()

WORDS = 1_024
Made = TypeVar("Made")


class Work(NamedTuple):
    """What a benchmark calls, and the models and optimizers whose state its calls may change."""

    call: Callable[[], Any]
    holds: tuple[Any, ...] = ()


def seeded(build: Callable[[], Made]) -> Made:
    """Return what a function builds, with the same random numbers each time."""
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    return build()


def inference(
    model: Callable[..., Any], *args: Any, mode: Any = torch.inference_mode, **given: Any
) -> Work:
    """Return calls of a model without gradients, or in another mode."""

    def call() -> Any:
        with mode():
            return model(*args, **given)

    return Work(call, (model,))


def training(
    model: nn.Module,
    loss: Callable[[], torch.Tensor],
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.SGD,
    **options: Any,
) -> Work:
    """Return steps of a training: forward, backward, and the step of an optimizer."""
    model.train()
    steps = optimizer(model.parameters(), **{"lr": 1e-3, **options})

    def call() -> torch.Tensor:
        steps.zero_grad()
        value = loss()
        value.backward()
        steps.step()
        return value.detach()

    return Work(call, (model, steps))


def labelled(
    model: nn.Module,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.SGD,
    options: dict[str, Any] | None = None,
    **given: Any,
) -> Work:
    """Return steps of a training of a model of transformers, which computes its loss itself."""
    return training(model, lambda: model(**given).loss, optimizer, **(options or {}))


def generation(model: nn.Module, inputs: torch.Tensor, seed: int | None = None, **how: Any) -> Work:
    """Return calls that generate tokens: greedily, or sampled with a seed."""

    def call() -> Any:
        if seed is not None:
            torch.manual_seed(seed)
        return model.generate(inputs, do_sample=seed is not None, **how)

    return Work(call, (model,))


def images(number: int, side: int, channels: int = 3) -> torch.Tensor:
    """Return images: (number, channels, side, side)."""
    return torch.randn(number, channels, side, side)


def tokens(number: int, length: int, words: int = WORDS) -> torch.Tensor:
    """Return texts: (number, length); 0 and 1 are kept for padding and the start."""
    return torch.randint(2, words, (number, length))


def classes(number: int, of: int = 10) -> torch.Tensor:
    """Return a label for each of some samples."""
    return torch.randint(0, of, (number,))


_DECODER = {
    **{"vocab_size": WORDS, "hidden_size": 128, "intermediate_size": 384},
    **{"num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2},
    **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": None},
}
_ENCODER = {
    **{"vocab_size": WORDS, "hidden_size": 128, "intermediate_size": 512},
    **{"num_hidden_layers": 4, "num_attention_heads": 4},
}
_SPEECH = {
    **{"d_model": 128, "encoder_layers": 2, "decoder_layers": 2, "vocab_size": WORDS},
    **{"encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 512},
    **{"decoder_ffn_dim": 512, "max_source_positions": 100, "decoder_start_token_id": 1},
    **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "begin_suppress_tokens": None},
    "suppress_tokens": None,
}
#: The class of a model of transformers, and its configuration.
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "ResNetForImageClassification": (
        "ResNetConfig",
        {
            **{"embedding_size": 32, "hidden_sizes": [32, 64, 128, 256], "depths": [2, 2, 2, 2]},
            **{"layer_type": "basic", "num_labels": 10},
        },
    ),
    "MobileNetV2ForImageClassification": (
        "MobileNetV2Config",
        {"depth_multiplier": 0.5, "num_labels": 10},
    ),
    "ViTForImageClassification": (
        "ViTConfig",
        {
            **{k: v for k, v in _ENCODER.items() if k != "vocab_size"},
            **{"image_size": 96, "patch_size": 8, "num_labels": 10},
        },
    ),
    "LlamaForCausalLM": ("LlamaConfig", _DECODER),
    "Qwen2ForCausalLM": ("Qwen2Config", _DECODER),
    "MixtralForCausalLM": (
        "MixtralConfig",
        {**_DECODER, "num_local_experts": 4, "num_hidden_layers": 2},
    ),
    "GPT2LMHeadModel": (
        "GPT2Config",
        {
            **{"vocab_size": WORDS, "n_embd": 128, "n_layer": 3, "n_head": 4},
            **{"bos_token_id": 1, "eos_token_id": None, "pad_token_id": 0},
        },
    ),
    "BertModel": ("BertConfig", _ENCODER),
    "BertForSequenceClassification": ("BertConfig", {**_ENCODER, "num_labels": 10}),
    "T5ForConditionalGeneration": (
        "T5Config",
        {
            **{"vocab_size": WORDS, "d_model": 128, "d_kv": 32, "d_ff": 512, "num_layers": 2},
            **{"num_decoder_layers": 2, "num_heads": 4, "decoder_start_token_id": 0},
            "eos_token_id": None,
        },
    ),
    "WhisperForConditionalGeneration": ("WhisperConfig", _SPEECH),
    "DistilBertForSequenceClassification": (
        "DistilBertConfig",
        {
            "vocab_size": WORDS,
            "dim": 192,
            "hidden_dim": 768,
            "n_layers": 3,
            "n_heads": 6,
            "num_labels": 10,
        },
    ),
    "ConvNextForImageClassification": (
        "ConvNextConfig",
        {"hidden_sizes": [32, 64, 128, 192], "depths": [1, 1, 3, 1], "num_labels": 10},
    ),
    "RegNetForImageClassification": (
        "RegNetConfig",
        {
            **{"embedding_size": 32, "hidden_sizes": [48, 96, 192], "depths": [1, 2, 3]},
            **{"groups_width": 24, "num_labels": 10},
        },
    ),
    "BartForConditionalGeneration": (
        "BartConfig",
        {
            **{key: value for key, value in _SPEECH.items() if "source" not in key},
            "forced_eos_token_id": None,
        },
    ),
    "SwinForImageClassification": (
        "SwinConfig",
        {
            **{"image_size": 112, "embed_dim": 48, "depths": [1, 1, 2], "num_heads": [2, 4, 8]},
            "num_labels": 10,
        },
    ),
    "Wav2Vec2Model": (
        "Wav2Vec2Config",
        {
            **{k: v for k, v in _ENCODER.items() if k != "vocab_size"},
            **{"conv_dim": [96] * 7, "num_conv_pos_embeddings": 32, "vocab_size": 32},
        },
    ),
    "GPTNeoXForCausalLM": (
        "GPTNeoXConfig",
        {
            **{k: v for k, v in _DECODER.items() if k != "num_key_value_heads"},
            **{"hidden_size": 192, "intermediate_size": 768, "num_attention_heads": 6},
        },
    ),
}


def model(name: str, attention: str | None = None, **changes: Any) -> Any:
    """Return a model of transformers in its evaluation mode, with changes of its configuration."""
    config_name, options = ARCHITECTURES[name]
    config = getattr(transformers, config_name)(**{**options, **changes})
    made = getattr(transformers, name)._from_config(config, attn_implementation=attention)
    return made.eval()


def perceptron(width: int = 512, layers: int = 4) -> nn.Sequential:
    """Return linear layers of one width, with ReLU between them."""
    made = [each for _ in range(layers) for each in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(*made)


def encoder(width: int = 128, layers: int = 3, dropout: float = 0.0) -> nn.TransformerEncoder:
    """Return an encoder of torch, which fuses its layers for inference."""
    layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout, batch_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


class UNet(nn.Module):
    """A U-Net (Ronneberger et al., 2015) of two levels, with SiLU and group normalisation."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.down = nn.ModuleList([_block(3, width), _block(width, 2 * width)])
        self.middle = _block(2 * width, 4 * width)
        self.enlarge = nn.ModuleList(
            [nn.ConvTranspose2d(n * width, n // 2 * width, 2, 2) for n in (4, 2)]
        )
        self.up = nn.ModuleList([_block(4 * width, 2 * width), _block(2 * width, width)])
        self.out = nn.Conv2d(width, 3, 1)

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        """Return images of the same size: (number, 3, side, side)."""
        kept = []
        for block in self.down:
            data = block(data)
            kept.append(data)
            data = functional.max_pool2d(data, 2)
        data = self.middle(data)
        for enlarge, block in zip(self.enlarge, self.up, strict=True):
            data = block(torch.cat([enlarge(data), kept.pop()], 1))
        return self.out(data)


def _block(inner: int, outer: int) -> nn.Sequential:
    convolution = nn.Conv2d(inner, outer, 3, padding=1)
    return nn.Sequential(convolution, nn.GroupNorm(4, outer), nn.SiLU())


class Recurrent(nn.Module):
    """A recurrent classifier of sequences: `kind` is `LSTM`, `GRU` or `RNN`."""

    def __init__(self, kind: str, width: int = 128, both: bool = False, layers: int = 2) -> None:
        super().__init__()
        made = getattr(nn, kind)
        self.layers = made(64, width, layers, batch_first=True, bidirectional=both)
        self.head = nn.Linear(width * (2 if both else 1), 10)

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        """Return the scores of (number, steps, 64)."""
        return self.head(self.layers(data)[0][:, -1])


class Experts(nn.Module):
    """A mixture of experts that calls each expert with the rows that are routed to it."""

    def __init__(self, width: int = 128, number: int = 8, chosen: int = 2) -> None:
        super().__init__()
        self.route = nn.Linear(width, number)
        self.experts = nn.ModuleList([perceptron(width, 2) for _ in range(number)])
        self.chosen = chosen

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return (rows, width)."""
        weights, places = self.route(rows).softmax(-1).topk(self.chosen)
        out = torch.zeros_like(rows)
        for number, expert in enumerate(self.experts):
            at, which = (places == number).nonzero(as_tuple=True)
            out = out.index_add(0, at, expert(rows[at]) * weights[at, which, None])
        return out


class Bag(nn.Module):
    """A linear model of bags of words."""

    def __init__(self, sparse: bool) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(50_000, 64, sparse=sparse)
        self.head = nn.Linear(64, 10)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Return the scores of (number, words)."""
        return self.head(self.bag(words))
