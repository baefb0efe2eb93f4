"""Regressions of code: loops, copies, conversions and data that somebody added or lost."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from benchmarks.work import torch_features as features
from benchmarks.work.catalogue_models import ATTENTION, PRODUCTS, Regression
from benchmarks.work.models import Work, encoder, images, inference, model, perceptron, tokens

ROWS = 160
Change = Callable[[torch.Tensor], torch.Tensor]


def _between(change: Change | None, layers: int = 8) -> Work:
    """Return layers between which somebody does something to the activations."""
    net, data = perceptron(256, layers), torch.randn(ROWS, 256)

    def run() -> torch.Tensor:
        made = data
        for layer in net:
            made = layer(made)
            if change is not None and isinstance(layer, nn.Linear):
                made = change(made)
        return made

    return inference(run, mode=torch.no_grad)._replace(holds=(net,))


def _numpy(data: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(data.numpy())


def _lists(data: torch.Tensor) -> torch.Tensor:
    return torch.tensor(data.tolist())


def _masked(anew: bool) -> Work:
    """Return layers with a triangular mask of their rows, made once or in each layer."""

    def made() -> torch.Tensor:
        return torch.full((ROWS, ROWS), 1.0).tril()

    once = made()
    return _between(lambda data: data * (made() if anew else once)[:, :1])


def _asked(data: torch.Tensor) -> torch.Tensor:
    return data if data.sum().item() else data.sign()


def _on_cpu(work: Callable[[], Any]) -> Work:
    """Return calls without gradients of a function."""
    return inference(work, mode=torch.no_grad)


def _heads(together: bool) -> Work:
    """Return attention of all heads at once, or of one after the other."""
    query, key, value = torch.randn(3, 4, 8, 64, 32)

    def one(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return (q @ k.mT / math.sqrt(32)).softmax(-1) @ v

    def each() -> torch.Tensor:
        parts = [one(query[:, n], key[:, n], value[:, n]) for n in range(query.shape[1])]
        return torch.stack(parts, 1)

    return _on_cpu((lambda: one(query, key, value)) if together else each)


def _attention(causal: bool) -> Work:
    query = torch.randn(2, 4, 256, 32)
    return _on_cpu(
        lambda: functional.scaled_dot_product_attention(query, query, query, is_causal=causal)
    )


def _keys(repeated: bool) -> Work:
    """Return products of 8 heads of queries with 2 heads of keys: repeated in memory, or not."""
    query, key = torch.randn(8, 2, 4, 512, 32), torch.randn(8, 2, 1, 512, 32)
    return _on_cpu(lambda: (query * (key.repeat(1, 1, 4, 1, 1) if repeated else key)).sum(-1))


def _lookup(one_hot: bool) -> Work:
    words, table = tokens(8, 64), torch.randn(1_024, 64)
    if one_hot:
        return _on_cpu(lambda: functional.one_hot(words, 1_024).float() @ table)
    return _on_cpu(lambda: functional.embedding(words, table))


def _best(sort: bool) -> Work:
    scores = torch.randn(64, 20_000)
    if sort:
        return _on_cpu(lambda: scores.sort(descending=True).values[:, :10])
    return _on_cpu(lambda: scores.topk(10).values)


def _collected(growing: bool) -> Work:
    rows = list(torch.randn(64, 1, 8_192))

    def grow() -> torch.Tensor:
        made = rows[0]
        for row in rows[1:]:
            made = torch.cat([made, row])
        return made

    return _on_cpu(grow if growing else lambda: torch.cat(rows))


def _activation(by_hand: bool) -> Work:
    data = torch.randn(1_024, 1_024)
    if by_hand:
        return _on_cpu(lambda: data * 0.5 * (1 + torch.erf(data / math.sqrt(2))))
    return _on_cpu(lambda: functional.gelu(data))


def _norm(by_hand: bool) -> Work:
    data = torch.randn(256, 1_024)

    def normalise() -> torch.Tensor:
        scale = data.var(-1, keepdim=True, unbiased=False)
        return (data - data.mean(-1, keepdim=True)) / (scale + 1e-5).sqrt()

    return _on_cpu(normalise if by_hand else lambda: functional.layer_norm(data, (1_024,)))


def _cast(each_call: bool) -> Work:
    """Return products in bfloat16 of weights that are converted once, or in each call."""
    weights, data = torch.randn(1_024, 1_024), torch.randn(8, 1_024, dtype=torch.bfloat16)
    once = weights.bfloat16()
    return _on_cpu(lambda: data @ (weights.bfloat16() if each_call else once))


def _softmax(double: bool) -> Work:
    scores = torch.randn(128, 8_192)
    return _on_cpu(lambda: (scores.double() if double else scores).softmax(-1).float())


def _mapped(gradient: Any) -> Any:
    return lambda weights, data, labels: [
        gradient(weights, one, of) for one, of in zip(data, labels, strict=True)
    ]


def _spectra(one_by_one: bool) -> Work:
    sound = torch.randn(64, 4_096)
    if one_by_one:
        return _on_cpu(lambda: torch.stack([torch.fft.rfft(each) for each in sound]))
    return _on_cpu(lambda: torch.fft.rfft(sound))


def _recorded(on: bool) -> Work:
    """Return a fused encoder, which gradients would take apart."""
    mode = torch.enable_grad if on else torch.inference_mode
    return inference(encoder(128, 2).eval(), torch.randn(4, 64, 128), mode=mode)


def _augmented(times: int) -> Work:
    pictures = images(8, 96)

    def call() -> torch.Tensor:
        made = pictures
        for _ in range(times):
            made = (made - 0.45) / 0.225
        return made

    return _on_cpu(call)


def _tokenized(each_call: bool) -> Work:
    """Return a model that reads a text whose words somebody looks up once, or in each call."""
    net, text = model("BertModel"), " ".join(f"word{n % 900}" for n in range(64))
    known = {f"word{n}": n for n in range(900)}

    def numbers() -> list[int]:
        found = [known[word] for _ in range(200) for word in text.lower().split()]
        return found[:64]

    read = numbers()
    once = torch.tensor([read])

    def call() -> Any:
        if each_call:
            numbers()
        return net(once)

    return _on_cpu(call)


def _summed(loop: bool) -> Work:
    """Return the sum of squares of samples, by NumPy or by a loop of Python, beside a network."""
    net, data = perceptron(512, 2), torch.randn(128, 512)
    samples = data.numpy()

    def call() -> Any:
        squares = sum(float(x) ** 2 for x in samples.flat) if loop else (samples**2).sum()
        return net(data), squares

    return _on_cpu(call)


def _compiled(on: bool) -> Work:
    return features.compiled("aot_eager") if on else _between(None, 4)


def _values(tiny: bool) -> Work:
    data = torch.randn(2_048, 1_024) * (1e-39 if tiny else 1.0)
    return _on_cpu(lambda: data * 0.5 + data)


def _layout(last: bool) -> Work:
    net, data = features.convolutions(), images(4, 48)
    if last:
        net, data = (each.to(memory_format=torch.channels_last) for each in (net, data))
    return inference(net, data)


def _case(work: Callable[[bool], Work], *expected: str, good: bool = False) -> Regression:
    """Return a regression of a function of one switch, whose better side is `good`."""
    return Regression(lambda: work(good), lambda: work(not good), expected)


def _changed(change: Change, *expected: str) -> Regression:
    return Regression(lambda: _between(None), lambda: _between(change), expected)


CODE: dict[str, Regression] = {
    "NumPy and back after each layer": _changed(_numpy, "detach"),
    "tolist() and back after each layer": _changed(_lists, "lift_fresh"),
    "clone() after each layer": _changed(lambda data: data.clone(), "clone"),
    "transposed and copied after each layer": _changed(
        lambda data: data.T.contiguous().T, "clone", "contiguous", "copy"
    ),
    "mask made anew in each layer": _case(_masked, "tril", "full"),
    "item() after each layer": _changed(_asked, "_local_scalar_dense", "sum"),
    "loop over heads": _case(_heads, "bmm", "select", "stack", "softmax", good=True),
    "attention not causal": _case(_attention, "scaled_dot_product", good=True),
    "keys repeated in memory": _case(_keys, "repeat"),
    "one-hot product, not an embedding": _case(_lookup, "mm", "one_hot"),
    "sort, not topk": _case(_best, "sort"),
    "list grown by cat": _case(_collected, "cat"),
    "GELU by hand": _case(_activation, "erf", "gelu"),
    "layer norm by hand": _case(_norm, "var", "layer_norm"),
    "weights converted in each call": _case(_cast, "_to_copy", "copy"),
    "softmax in float64": _case(_softmax, "float64"),
    "loop over samples, not vmap": Regression(
        features.per_sample_gradients,
        lambda: features.per_sample_gradients(_mapped),
        (*PRODUCTS, "backward"),
    ),
    "transforms one by one": _case(_spectra, "fft"),
    "fused encoder lost": _case(_recorded, "_transformer_encoder_layer", *PRODUCTS, *ATTENTION),
    "int8 lost": _case(features.quantized, "linear", "addmm", "mm", good=True),
    "dense, not sparse": Regression(
        lambda: features.sparse_product("csr"),
        lambda: features.sparse_product("dense"),
        ("mm",),
    ),
    "normalised twice": Regression(lambda: _augmented(1), lambda: _augmented(2), ("sub", "div")),
    "words looked up in each call": _case(_tokenized),
    "loop of Python over values": _case(_summed),
    "20 trees of scikit-learn, not 10": Regression(
        features.forest, lambda: features.forest(20), ()
    ),
    "torch.compile lost": _case(_compiled, good=True),
    "denormal values": _case(_values),
    "channels_last lost": _case(_layout, good=True),
}
