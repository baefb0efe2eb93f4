"""The workloads of the benchmarks of counted work, by name.

`make(name)` builds one with fixed seeds. Each is a function that takes no arguments, and a call
takes some milliseconds to 100 ms on one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from benchmarks.work.models import (
    Bag,
    Experts,
    Recurrent,
    UNet,
    Work,
    classes,
    generation,
    images,
    inference,
    labelled,
    model,
    perceptron,
    seeded,
    tokens,
    training,
)
from benchmarks.work.torch_features import FEATURES, OUTSIDE

ADAMW = torch.optim.AdamW
__all__ = ["OUTSIDE", "WORKLOADS", "make"]


def make(name: str) -> Work:
    """Return a workload, freshly built."""
    return seeded(WORKLOADS[name])


def _classified(kind: str, optimizer: Callable[..., torch.optim.Optimizer], side: int) -> Work:
    given = {"pixel_values": images(4, side), "labels": classes(4)}
    return labelled(model(kind), optimizer, **given)


def _decoded(kind: str, length: int, **changes: Any) -> Work:
    """Return calls that decode one token after a prompt, whose keys and values are kept."""
    decoder, prompt, following = model(kind, **changes), tokens(1, length), tokens(1, 1)
    with torch.inference_mode():
        cache = decoder(prompt, use_cache=True).past_key_values

    def call() -> torch.Tensor:
        with torch.inference_mode():
            logits = decoder(following, past_key_values=cache, use_cache=True).logits
            cache.crop(-1)
        return logits

    return Work(call, (decoder,))


def _translated(optimizer: Callable[..., torch.optim.Optimizer]) -> Work:
    return labelled(
        model("T5ForConditionalGeneration"),
        optimizer,
        input_ids=tokens(4, 48),
        labels=tokens(4, 24),
    )


def _denoised(optimizer: Callable[..., torch.optim.Optimizer]) -> Work:
    net, noisy, clean = UNet(), images(2, 48), images(2, 48)
    return training(net, lambda: functional.mse_loss(net(noisy), clean), optimizer)


def _recurrent(kind: str, trained: bool) -> Work:
    net, data, labels = Recurrent(kind), torch.randn(8, 40, 64), classes(8)
    if not trained:
        return inference(net.eval(), data)
    return training(net, lambda: functional.cross_entropy(net(data), labels), ADAMW)


def _bags(sparse: bool) -> Work:
    net, words, labels = Bag(sparse), tokens(64, 50, 50_000), classes(64)
    return training(net, lambda: functional.cross_entropy(net(words), labels))


def _experts(trained: bool) -> Work:
    net, rows = Experts(), torch.randn(128, 128)
    if not trained:
        return inference(net, rows)
    # Steps so small that the same rows go to the same experts.
    return training(net, lambda: net(rows).square().mean(), ADAMW, lr=1e-7)


def _autocast(trained: bool) -> Work:
    """Return a network whose products run in bfloat16."""
    net, data, labels = perceptron(), torch.randn(128, 512), classes(128, 512)

    def scores() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return net(data)

    if not trained:
        return inference(scores, mode=torch.no_grad)._replace(holds=(net,))
    return training(net, lambda: functional.cross_entropy(scores().float(), labels))


RESNET, MOBILENET = "ResNetForImageClassification", "MobileNetV2ForImageClassification"
VIT, LLAMA, QWEN = "ViTForImageClassification", "LlamaForCausalLM", "Qwen2ForCausalLM"
BERT, LABELLER = "BertModel", "BertForSequenceClassification"
T5, WHISPER = "T5ForConditionalGeneration", "WhisperForConditionalGeneration"
_FEW = {"max_new_tokens": 6}

WORKLOADS: dict[str, Callable[[], Work]] = {
    "ResNet: forward": lambda: inference(model(RESNET), images(4, 96)),
    "ResNet: SGD step": lambda: _classified(RESNET, torch.optim.SGD, 64),
    "ResNet: AdamW step": lambda: _classified(RESNET, ADAMW, 64),
    "MobileNetV2: forward": lambda: inference(model(MOBILENET), images(4, 96)),
    "MobileNetV2: SGD step": lambda: _classified(MOBILENET, torch.optim.SGD, 64),
    "ViT: forward": lambda: inference(model(VIT), images(4, 96)),
    "ViT: SGD step": lambda: _classified(VIT, torch.optim.SGD, 96),
    "ViT: AdamW step": lambda: _classified(VIT, ADAMW, 96),
    "U-Net: forward": lambda: inference(UNet().eval(), images(4, 64)),
    "U-Net: AdamW step": lambda: _denoised(ADAMW),
    "Llama: prefill": lambda: inference(model(LLAMA), tokens(2, 128), use_cache=True),
    "Llama: prefill in bfloat16": lambda: inference(model(LLAMA).bfloat16(), tokens(2, 64)),
    "Llama: decode with a cache": lambda: _decoded(LLAMA, 128),
    "Llama: generate": lambda: generation(model(LLAMA), tokens(1, 32), **_FEW),
    "Llama: generate, sampled": lambda: generation(model(LLAMA), tokens(1, 32), 0, **_FEW),
    "Qwen2: decode with a cache": lambda: _decoded(QWEN, 256),
    "Qwen2: AdamW step": lambda: labelled(
        model(QWEN), ADAMW, input_ids=(text := tokens(2, 64)), labels=text
    ),
    "GPT-2: generate": lambda: generation(model("GPT2LMHeadModel"), tokens(2, 16), **_FEW),
    "GPT-2: SGD step": lambda: labelled(
        model("GPT2LMHeadModel"), input_ids=(text := tokens(2, 64)), labels=text
    ),
    "Mixtral: prefill": lambda: inference(model("MixtralForCausalLM"), tokens(2, 48)),
    "BERT: forward": lambda: inference(model(BERT), tokens(4, 64)),
    "BERT: forward, eager attention": lambda: inference(model(BERT, "eager"), tokens(4, 64)),
    "BERT: SGD step with dropout": lambda: labelled(
        model(LABELLER), input_ids=tokens(4, 64), labels=classes(4)
    ),
    "T5: generate": lambda: generation(model(T5), tokens(2, 48), **_FEW),
    "T5: AdamW step": lambda: _translated(ADAMW),
    "Whisper: encode": lambda: inference(model(WHISPER).get_encoder(), torch.randn(2, 80, 200)),
    "Whisper: generate": lambda: generation(
        model(WHISPER), torch.randn(1, 80, 200), **_FEW, language=None
    ),
    "LSTM: forward": lambda: _recurrent("LSTM", False),
    "LSTM: AdamW step": lambda: _recurrent("LSTM", True),
    "GRU: forward": lambda: _recurrent("GRU", False),
    "GRU: AdamW step": lambda: _recurrent("GRU", True),
    "embedding bag: SGD step": lambda: _bags(False),
    "embedding bag: SGD step, sparse gradient": lambda: _bags(True),
    "experts: forward": lambda: _experts(False),
    "experts: AdamW step": lambda: _experts(True),
    "autocast: forward": lambda: _autocast(False),
    "autocast: SGD step": lambda: _autocast(True),
    **FEATURES,
}
