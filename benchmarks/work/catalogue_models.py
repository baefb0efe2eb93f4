"""Regressions of models and trainings: settings, sizes, dtypes and caches that somebody changed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn
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
    tokens,
    training,
)
from benchmarks.work.workloads import ADAMW, BERT, LABELLER, LLAMA, QWEN, RESNET, T5, VIT


class Regression(NamedTuple):
    """The work before a change and after it.

    expected  words of which a reviewer expects one in the first line of the cause; none if the
              change is not in what torch computes, moves and keeps
    """

    before: Callable[[], Work]
    after: Callable[[], Work]
    expected: tuple[str, ...]


#: Operators of linear layers.
PRODUCTS = ("aten.mm", "aten.addmm", "aten.linear", "aten.bmm")
ATTENTION = ("bmm", "_softmax", "scaled_dot_product")


def _read(kind: str = BERT, attention: str | None = None, mode: Any = None, **changes: Any) -> Work:
    """Return a language model that reads four texts."""
    mode = mode or torch.inference_mode
    return inference(model(kind, attention, **changes), tokens(4, 64), mode=mode)


def _generated(kind: str = LLAMA, new: int = 6, **how: Any) -> Work:
    """Return a model that generates tokens; an encoder-decoder reads as many."""
    return generation(model(kind), tokens(2, 48), max_new_tokens=new, **how)


def _trained(
    optimizer: Callable[..., torch.optim.Optimizer] = ADAMW, frozen: bool = False, **options: Any
) -> Work:
    """Return steps of a training of a classifier of texts; frozen: of its last layer only."""
    net = model(LABELLER, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    if frozen:
        net.bert.requires_grad_(False)
    return labelled(net, optimizer, options, input_ids=tokens(4, 64), labels=classes(4))


def _in_double() -> Work:
    """Return a perceptron whose weights somebody loads from NumPy, which prefers float64."""
    net = perceptron().double()
    return inference(net, torch.randn(64, 512).double())


def _batches(size: int) -> Work:
    net, data = model(VIT, image_size=48), images(16, 48)
    return Work(lambda: [inference(net, each).call() for each in data.split(size)], (net,))


def _autocast(on: bool) -> Work:
    net, data = perceptron(), torch.randn(128, 512)

    def run() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=on):
            return net(data)

    return inference(run, mode=torch.no_grad)


def _checkpoints(on: bool) -> Work:
    net = model(LLAMA)
    if on:
        net.gradient_checkpointing_enable()
    return labelled(net, input_ids=(text := tokens(2, 64)), labels=text, use_cache=False)


def _resnet(train: bool = False, side: int = 64) -> Work:
    net, data = model(RESNET), images(4, side)
    return inference(net.train(train), data)


def _kept(on: bool) -> Work:
    net, texts = model(BERT, "eager"), tokens(4, 64)
    return inference(net, texts, output_hidden_states=on, output_attentions=on)


def _last_logits(keep: int) -> Work:
    return inference(model(LLAMA), tokens(2, 96), logits_to_keep=keep)


def _bags(sparse: bool) -> Work:
    net, words, labels = Bag(sparse), tokens(64, 50, 50_000), classes(64)
    return training(net, lambda: functional.cross_entropy(net(words), labels))


def _recurrent(both: bool) -> Work:
    return inference(Recurrent("LSTM", both=both).eval(), torch.randn(8, 40, 64))


def _averaged(on: bool) -> Work:
    """Return a training step, with a moving average of the weights if it is on."""
    net, data = perceptron(), torch.randn(32, 512)
    average = copy.deepcopy(net)
    step = training(net, lambda: net(data).square().mean())

    def call() -> None:
        step.call()
        if on:
            with torch.no_grad():
                for kept, new in zip(average.parameters(), net.parameters(), strict=True):
                    kept.lerp_(new, 0.01)

    return Work(call, (net, average))


def _clipped(on: bool) -> Work:
    net, data = perceptron(), torch.randn(32, 512)
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)

    def call() -> None:
        optimizer.zero_grad()
        net(data).square().mean().backward()
        if on:
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()

    return Work(call, (net, optimizer))


def _validated(on: bool) -> Work:
    net, data = model(VIT, image_size=48), {"pixel_values": images(4, 48), "labels": classes(4)}
    step, check = labelled(net, **data), images(2, 48)

    def call() -> None:
        step.call()
        if on:
            inference(net, check).call()

    return Work(call, step.holds)


def _separable(groups: int) -> Work:
    net = nn.Sequential(nn.Conv2d(64, 64, 3, groups=groups), nn.Conv2d(64, 64, 1))
    return inference(net, images(4, 32, 64))


def _folded(on: bool) -> Work:
    """Return convolutions with the batch normalisation in their weights, or after them."""
    pairs = [(nn.Conv2d(32, 32, 3), nn.BatchNorm2d(32)) for _ in range(3)]
    for pair in pairs:
        nn.Sequential(*pair).eval()
    fused = torch.nn.utils.fusion.fuse_conv_bn_eval
    layers = [fused(*pair) if on else nn.Sequential(*pair) for pair in pairs]
    return inference(nn.Sequential(*layers).eval(), images(4, 32, 32))


MODELS: dict[str, Regression] = {
    "weights in float64": Regression(
        lambda: inference(perceptron(), torch.randn(64, 512)), _in_double, ("float64",)
    ),
    "no cache of keys and values": Regression(
        _generated, lambda: _generated(use_cache=False), (*PRODUCTS, *ATTENTION)
    ),
    "no cache, encoder-decoder": Regression(
        lambda: _generated(T5), lambda: _generated(T5, use_cache=False), (*PRODUCTS, *ATTENTION)
    ),
    "eager attention": Regression(_read, lambda: _read(attention="eager"), ATTENTION),
    "one layer more": Regression(_read, lambda: _read(num_hidden_layers=5), PRODUCTS),
    "no_grad forgotten": Regression(
        lambda: _read(mode=torch.no_grad), lambda: _read(mode=torch.enable_grad), ("peak",)
    ),
    "train mode left on": Regression(
        lambda: inference(model(LABELLER), tokens(4, 64)),
        lambda: inference(model(LABELLER).train(), tokens(4, 64)),
        ("dropout", "bernoulli", "bmm", "_softmax"),
    ),
    "batches of 1, not 16": Regression(
        lambda: _batches(16), lambda: _batches(1), (*PRODUCTS, "convolution")
    ),
    "float32, not bfloat16": Regression(
        lambda: inference(model(LLAMA).bfloat16(), tokens(2, 64)),
        lambda: inference(model(LLAMA), tokens(2, 64)),
        ("float32",),
    ),
    "autocast lost": Regression(lambda: _autocast(True), lambda: _autocast(False), ("float32",)),
    "checkpoints on": Regression(lambda: _checkpoints(False), lambda: _checkpoints(True), PRODUCTS),
    "hidden states and attentions kept": Regression(
        lambda: _kept(False), lambda: _kept(True), ("peak",)
    ),
    "batch normalisation in train mode": Regression(
        _resnet, lambda: _resnet(train=True), ("batch_norm",)
    ),
    "optimizer without foreach": Regression(
        lambda: _trained(foreach=True),
        lambda: _trained(foreach=False),
        ("addc", "_foreach", "lerp", "sqrt"),
    ),
    "AdamW, not SGD": Regression(
        lambda: _trained(torch.optim.SGD), _trained, ("addc", "lerp", "sqrt", "mul_")
    ),
    "backbone not frozen": Regression(
        lambda: _trained(frozen=True), _trained, (*PRODUCTS, "backward")
    ),
    "padding to the maximum": Regression(
        lambda: inference(model(BERT), tokens(4, 40)),
        lambda: inference(model(BERT), tokens(4, 128)),
        (*PRODUCTS, *ATTENTION),
    ),
    "prompt 2 % longer": Regression(
        lambda: inference(model(QWEN), tokens(1, 128)),
        lambda: inference(model(QWEN), tokens(1, 131)),
        (*PRODUCTS, *ATTENTION),
    ),
    "images twice as large": Regression(
        lambda: _resnet(side=48), lambda: _resnet(side=96), ("convolution",)
    ),
    "vocabulary 8 times as large": Regression(
        lambda: _read(LLAMA), lambda: _read(LLAMA, vocab_size=8_192), PRODUCTS
    ),
    "logits of all positions": Regression(
        lambda: _last_logits(1), lambda: _last_logits(0), PRODUCTS
    ),
    "four beams": Regression(_generated, lambda: _generated(num_beams=4), (*PRODUCTS, *ATTENTION)),
    "twice as many tokens": Regression(
        _generated, lambda: _generated(new=12), (*PRODUCTS, *ATTENTION)
    ),
    "four experts, not two": Regression(
        lambda: inference(Experts(), torch.randn(128, 128)),
        lambda: inference(Experts(chosen=4), torch.randn(128, 128)),
        PRODUCTS,
    ),
    "dense gradient of an embedding": Regression(
        lambda: _bags(True), lambda: _bags(False), ("embedding",)
    ),
    "recurrent in both directions": Regression(
        lambda: _recurrent(False), lambda: _recurrent(True), ("rnn", "lstm")
    ),
    "moving average of weights in each step": Regression(
        lambda: _averaged(False), lambda: _averaged(True), ("lerp",)
    ),
    "gradients clipped": Regression(
        lambda: _clipped(False), lambda: _clipped(True), ("norm", "_foreach_mul")
    ),
    "validation in each step": Regression(
        lambda: _validated(False), lambda: _validated(True), (*PRODUCTS, "convolution")
    ),
    "convolution without groups": Regression(
        lambda: _separable(64), lambda: _separable(1), ("convolution",)
    ),
    "normalisation not folded": Regression(
        lambda: _folded(True), lambda: _folded(False), ("batch_norm",)
    ),
    "U-Net of twice the width": Regression(
        lambda: inference(UNet(8).eval(), images(2, 48)),
        lambda: inference(UNet(16).eval(), images(2, 48)),
        ("convolution",),
    ),
}
