"""Workloads from which weights are chosen: other models and other sizes than in `workloads.py`."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from benchmarks.work.models import (
    Recurrent,
    Work,
    classes,
    encoder,
    generation,
    images,
    inference,
    labelled,
    model,
    perceptron,
    tokens,
    training,
)

Unary = Callable[[torch.Tensor], torch.Tensor]


def _layers(width: int, rows: int, dtype: torch.dtype = torch.float32, layers: int = 4) -> Work:
    return inference(perceptron(width, layers).to(dtype), torch.randn(rows, width, dtype=dtype))


def _int8(width: int, rows: int) -> Work:
    net = torch.ao.quantization.quantize_dynamic(perceptron(width, 3), {nn.Linear})
    return inference(net.eval(), torch.randn(rows, width))


def _steps(width: int, rows: int, kind: Callable[..., torch.optim.Optimizer]) -> Work:
    net, data = perceptron(width, 3), torch.randn(rows, width)
    return training(net, lambda: net(data).square().mean(), kind)


def _encoder(width: int, length: int, trained: bool) -> Work:
    net, data = encoder(width, 2), torch.randn(2, length, width)
    if trained:
        return training(net, lambda: net(data).square().mean())
    return inference(net.eval(), data, mode=torch.enable_grad)


def _convolutions(channels: int, side: int, groups: int = 1, trained: bool = False) -> Work:
    layers = [nn.Conv2d(channels, channels, 3, padding=1, groups=groups) for _ in range(3)]
    net, data = nn.Sequential(*layers), images(2, side, channels)
    if trained:
        return training(net, lambda: net(data).square().mean())
    return inference(net, data)


def _repeated(change: Unary, size: int, times: int) -> Work:
    """Return element-wise work on `size` numbers, again and again."""
    data = (
        torch.randn(size, max(1, 4_096 // size)) if size < 4_096 else torch.randn(size // 512, 512)
    )

    def call() -> torch.Tensor:
        made = data
        for _ in range(times):
            made = change(made)
        return made

    return inference(call, mode=torch.no_grad)


def _on(change: Unary, *shape: int) -> Work:
    """Return a function of one tensor."""
    return inference(change, torch.randn(*shape), mode=torch.no_grad)


def _gathered(words: int, width: int, number: int) -> Work:
    table, at = torch.randn(words, width), torch.randint(0, words, (number,))
    return inference(lambda: table[at] + table.index_select(0, at), mode=torch.no_grad)


def _labelled(kind: str, **given: torch.Tensor) -> Work:
    return labelled(model(kind), **given)


def _plain_recurrent(trained: bool) -> Work:
    net, data, labels = Recurrent("RNN", 192, layers=1), torch.randn(16, 24, 64), classes(16)
    if not trained:
        return inference(net.eval(), data)
    return training(net, lambda: functional.cross_entropy(net(data), labels))


_HALF, _DOUBLE = torch.bfloat16, torch.float64
_NEOX, _NEXT = "GPTNeoXForCausalLM", "ConvNextForImageClassification"
_REGNET, _DISTIL = "RegNetForImageClassification", "DistilBertForSequenceClassification"

FITTED: dict[str, Callable[[], Work]] = {
    **{
        f"{n} linear layers of {width}, {rows} rows, {str(dtype).removeprefix('torch.')}": (
            functools.partial(_layers, width, rows, dtype, n)
        )
        for n, width, rows, dtype in [
            *((16, 64, 256, torch.float32), (8, 256, 1, torch.float32)),
            *((4, 384, 192, torch.float32), (4, 1_024, 8, torch.float32)),
            *((4, 1_024, 96, torch.float32), (2, 2_048, 1, torch.float32)),
            *((4, 384, 192, _HALF), (4, 1_024, 96, _HALF), (2, 2_048, 1, _HALF)),
            *((4, 384, 192, _DOUBLE), (4, 1_024, 48, _DOUBLE), (2, 2_048, 1, _DOUBLE)),
        ]
    },
    "int8, 3 layers of 384": lambda: _int8(384, 96),
    "int8, 3 layers of 1,024": lambda: _int8(1_024, 48),
    "RMSprop": lambda: _steps(384, 48, torch.optim.RMSprop),
    "Adagrad": lambda: _steps(768, 16, torch.optim.Adagrad),
    "SGD, wide": lambda: _steps(1_024, 96, torch.optim.SGD),
    "encoder of 64, 32 tokens": lambda: _encoder(64, 32, False),
    "encoder of 256, 96 tokens": lambda: _encoder(256, 96, False),
    "encoder of 256, 48 tokens, training": lambda: _encoder(256, 48, True),
    "convolutions of 16 x 112": lambda: _convolutions(16, 112),
    "convolutions of 64 x 40": lambda: _convolutions(64, 40),
    "convolutions of 128 x 20, training": lambda: _convolutions(128, 20, trained=True),
    "depthwise convolutions of 96 x 40": lambda: _convolutions(96, 40, 96),
    "small additions": lambda: _repeated(lambda x: x + 1.0, 8, 500),
    "small views": lambda: _repeated(lambda x: x.view(-1).view(8, -1), 8, 300),
    "additions of 4 MB": lambda: _repeated(lambda x: x + 1.0, 1_000_000, 8),
    "additions of 200 kB": lambda: _repeated(lambda x: x + 1.0, 50_000, 60),
    "exp of 2 MB": lambda: _repeated(lambda x: torch.exp(-x.abs()), 500_000, 5),
    "tanh of 200 kB": lambda: _repeated(torch.tanh, 50_000, 30),
    "transposed copies": lambda: _repeated(lambda x: x.mT.contiguous(), 400_000, 8),
    "softmax of rows": lambda: _on(lambda x: x.softmax(-1), 400, 3_000),
    "norm of layers": lambda: _on(lambda x: functional.layer_norm(x, (768,)), 1_200, 768),
    "sums of columns": lambda: _on(lambda x: x.sum(0) + x.amax(0), 1_500, 1_500),
    "cumulative sums": lambda: _on(lambda x: x.cumsum(-1), 600, 2_000),
    "pooled images": lambda: _on(lambda x: functional.avg_pool2d(x, 3), 8, 32, 80, 80),
    "sorted rows": lambda: _on(lambda x: x.sort(-1).values, 100, 2_000),
    "transforms of images": lambda: _on(lambda x: torch.fft.rfft2(x).abs(), 16, 128, 128),
    "gathered rows": lambda: _gathered(30_000, 128, 6_000),
    "batches of small products": lambda: _on(lambda x: x @ x.mT, 200, 48, 48),
    "DistilBERT: forward": lambda: inference(model(_DISTIL), tokens(2, 80)),
    "DistilBERT: step": lambda: _labelled(_DISTIL, input_ids=tokens(2, 48), labels=classes(2)),
    "ConvNeXt: forward": lambda: inference(model(_NEXT), images(2, 128)),
    "ConvNeXt: step": lambda: _labelled(_NEXT, pixel_values=images(2, 96), labels=classes(2)),
    "RegNet: forward": lambda: inference(model(_REGNET), images(2, 128)),
    "RegNet: step": lambda: _labelled(_REGNET, pixel_values=images(2, 96), labels=classes(2)),
    "GPT-NeoX: prefill": lambda: inference(model(_NEOX), tokens(1, 160)),
    "GPT-NeoX: generate": lambda: generation(model(_NEOX), tokens(1, 24), max_new_tokens=8),
    "GPT-NeoX: step": lambda: _labelled(_NEOX, input_ids=(text := tokens(2, 40)), labels=text),
    "BART: generate": lambda: generation(
        model("BartForConditionalGeneration"), tokens(1, 40), max_new_tokens=8
    ),
    "Swin: forward": lambda: inference(model("SwinForImageClassification"), images(2, 112)),
    "wav2vec 2.0: forward": lambda: inference(model("Wav2Vec2Model"), torch.randn(1, 16_000)),
    "RNN: forward": lambda: _plain_recurrent(False),
    "RNN: step": lambda: _plain_recurrent(True),
}
