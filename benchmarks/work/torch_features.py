"""Workloads that use one feature of torch each, and some whose work is outside of torch."""

from __future__ import annotations

import shutil
import threading
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.work.models import (
    Work,
    classes,
    encoder,
    images,
    inference,
    model,
    perceptron,
    tokens,
    training,
)


def per_sample_gradients(each: Callable[..., Any] | None = None) -> Work:
    """Return the gradients of each sample, by `vmap` unless a function maps them otherwise."""
    net, data, labels = perceptron(128), torch.randn(32, 128), classes(32, 128)
    weights = {name: each.detach() for name, each in net.named_parameters()}

    def loss(weights: dict[str, torch.Tensor], one: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(functional_call(net, weights, (one[None],)), of[None])

    mapped = (each or _vectorized)(grad(loss))
    return Work(lambda: mapped(weights, data, labels), (net,))


def _vectorized(gradient: Any) -> Any:
    return vmap(gradient, in_dims=(None, 0, 0))


def checkpointed(again: bool = True) -> Work:
    """Return a training step that computes activations again in its backward pass."""
    net, data = nn.ModuleList([perceptron(256, 2) for _ in range(4)]), torch.randn(64, 256)

    def loss() -> torch.Tensor:
        made = data
        for block in net:
            made = checkpoint(block, made, use_reentrant=False) if again else block(made)
        return made.square().mean()

    return training(net, loss)


class _Loop(nn.Module):
    """Repeats a layer; `torch.jit.script` compiles the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(256, 256)

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        for _ in range(4):
            data = torch.relu(self.layer(data)) + data
        return data


def convolutions() -> nn.Sequential:
    """Return two convolutions, with batch normalisation."""
    layers = [nn.Conv2d(3, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 32, 3)]
    return nn.Sequential(*layers).eval()


def _quietly(make: Callable[[], Any]) -> Any:
    """Return what a function makes that torch calls deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


def jit(how: str) -> Work:
    """Return a network that TorchScript runs: `script`, `trace` or `freeze`.

    It has been called twice, in which TorchScript looks for what it can do better.
    """
    net, data = convolutions(), images(4, 48)
    if how == "script":
        net, data = _quietly(lambda: torch.jit.script(_Loop())), torch.randn(64, 256)
    else:
        net = _quietly(lambda: torch.jit.trace(net, data).eval())
    if how == "freeze":
        net = _quietly(lambda: torch.jit.freeze(net))
    work = inference(net, data)
    for _ in range(2):
        work.call()
    return work


def quantized(packed: bool = True) -> Work:
    """Return linear layers whose weights are 8-bit integers, quantized while they run."""
    net = perceptron(512)
    if packed:
        net = _quietly(lambda: torch.ao.quantization.quantize_dynamic(net, {nn.Linear}))
    return inference(net.eval(), torch.randn(32, 512))


def sparse_product(layout: str) -> Work:
    """Return products of a matrix of which 2 % are not zero: `csr`, `coo` or `dense`."""
    kept, vectors = torch.rand(1_500, 1_500) < 0.02, torch.randn(1_500, 64)
    matrix = torch.randn(1_500, 1_500) * kept
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # support of CSR is in a beta state
        stored = {
            "csr": matrix.to_sparse_csr,
            "coo": matrix.to_sparse_coo,
            "dense": lambda: matrix,
        }[layout]()
    return Work(lambda: stored @ vectors)


def in_threads(number: int = 2) -> Work:
    """Return a call that starts threads, each of which runs a network."""
    net, data = perceptron(), torch.randn(64, 512)

    def run() -> None:
        with torch.inference_mode():
            net(data)

    def call() -> None:
        threads = [threading.Thread(target=run) for _ in range(number)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    return Work(call, (net,))


def _normalised(samples: list[tuple[torch.Tensor, ...]]) -> torch.Tensor:
    batch = torch.stack([sample for (sample,) in samples])
    return (batch - batch.mean()) / batch.std()


def from_loader(workers: int) -> Work:
    """Return a network that reads its batches from a `DataLoader`."""
    net, data = perceptron(256), TensorDataset(torch.randn(128, 256))

    def call() -> list[torch.Tensor]:
        loader = DataLoader(data, 32, num_workers=workers, collate_fn=_normalised)
        with torch.inference_mode():
            return [net(batch) for batch in loader]

    return Work(call, (net,))


def forest(trees: int = 10) -> Work:
    """Return a random forest of scikit-learn that reads what a network makes."""
    from sklearn.ensemble import RandomForestClassifier

    net, data, labels = perceptron(64, 2), torch.randn(400, 64), classes(400).numpy()

    def call() -> Any:
        with torch.inference_mode():
            features = net(data).numpy()
        return RandomForestClassifier(trees, random_state=0).fit(features, labels).predict(features)

    return Work(call, (net,))


def compiled(backend: str = "aot_eager") -> Work:
    """Return a network that `torch.compile` compiles."""
    torch.compiler.reset()
    net, data = perceptron(256), torch.randn(160, 256)
    return inference(torch.compile(net, backend=backend), data, mode=torch.no_grad)


def accumulated(steps: int = 2) -> Work:
    """Return calls of which only every few ones take a step: they differ."""
    net, data, done = perceptron(), torch.randn(32, 512), [0]
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)

    def call() -> None:
        net(data).square().mean().backward()
        done[0] += 1
        if done[0] % steps == 0:
            optimizer.step()
            optimizer.zero_grad()

    return Work(call, (net, optimizer))


def spectrum() -> Work:
    """Return a spectrogram and its inverse."""
    sound, window = torch.randn(4, 32_000), torch.hann_window(512)

    def call() -> torch.Tensor:
        bins = torch.stft(sound, 512, 128, window=window, return_complex=True)
        return torch.istft(bins * bins.abs().sqrt(), 512, 128, window=window)

    return Work(call)


def messages() -> Work:
    """Return two rounds of messages along the edges of a graph, with gradients."""
    edges, net = torch.randint(0, 2_000, (2, 10_000)), perceptron(32, 2)
    nodes = torch.randn(2_000, 32)

    def loss() -> torch.Tensor:
        made = nodes
        for _ in range(2):
            made = torch.zeros_like(nodes).index_add(0, edges[1], net(made)[edges[0]])
        return made.square().mean()

    return training(net, loss)


def conditional() -> Work:
    """Return a network in a branch of `torch.cond`, which a compiler would see whole."""
    net, data = perceptron(256), torch.randn(32, 256)

    def call() -> Any:
        with torch.no_grad():
            return torch.cond(data.square().sum() > 0, net, torch.relu, (data,))

    return Work(call, (net,))


@torch.library.custom_op("greenops_benchmarks::gram", mutates_args=())
def _gram(data: torch.Tensor) -> torch.Tensor:
    """Return a product that the dispatcher sees as one operator of unknown FLOPs."""
    return data @ data.mT


def custom_operator() -> Work:
    """Return a network, and an operator of its own that does most of the work."""
    net, data = perceptron(256), torch.randn(512, 256)
    return inference(lambda: _gram(net(data)))._replace(holds=(net,))


def exported() -> Work:
    """Return a network that `torch.export` has recorded."""
    net, data = perceptron(256), torch.randn(32, 256)
    return inference(torch.export.export(net, (data,)).module(), data, mode=torch.no_grad)


def variational() -> Work:
    """Return steps of a variational autoencoder, which draws random numbers, with Adam."""
    inner, outer = nn.Linear(784, 128), nn.Linear(64, 784)
    data = torch.rand(64, 784)

    def loss() -> torch.Tensor:
        mean, scale = inner(data).chunk(2, -1)
        drawn = mean + torch.randn_like(mean) * (scale / 2).exp()
        divergence = (mean.square() + scale.exp() - scale - 1).mean()
        return functional.binary_cross_entropy_with_logits(outer(drawn), data) + divergence

    return training(nn.ModuleList([inner, outer]), loss, torch.optim.Adam)


def ranked() -> Work:
    """Return a search of nearest neighbours: distances, then the best of them."""
    known, asked = torch.randn(4_000, 64), torch.randn(64, 64)
    return Work(lambda: torch.cdist(asked, known).topk(10, largest=False).indices.sort().values)


def _fused() -> Work:
    return inference(encoder().eval(), torch.randn(4, 64, 128))


def _unfused() -> Work:
    net, data = encoder(), torch.randn(4, 64, 128)
    return training(net, lambda: net(data).square().mean(), torch.optim.AdamW)


def _doubles() -> Work:
    return inference(perceptron().double(), torch.randn(64, 512, dtype=torch.float64))


def _embedded() -> Work:
    """Return texts as one vector each, of unit length."""
    reader, texts = model("BertModel"), tokens(8, 32)

    def call() -> torch.Tensor:
        with torch.inference_mode():
            return functional.normalize(reader(texts).last_hidden_state.mean(1), dim=-1)

    return Work(call, (reader,))


FEATURES: dict[str, Callable[[], Work]] = {
    "vmap of gradients": per_sample_gradients,
    "checkpoints: SGD step": checkpointed,
    "jit.script": lambda: jit("script"),
    "jit.trace": lambda: jit("trace"),
    "jit.freeze": lambda: jit("freeze"),
    "dynamic int8": quantized,
    "sparse product, CSR": lambda: sparse_product("csr"),
    "sparse product, COO": lambda: sparse_product("coo"),
    "fused encoder": _fused,
    "encoder: AdamW step": _unfused,
    "float64": _doubles,
    "sentence vectors": _embedded,
    "spectrogram": spectrum,
    "graph messages: SGD step": messages,
    "variational autoencoder: Adam step": variational,
    "nearest neighbours": ranked,
    "torch.cond": conditional,
    "custom operator": custom_operator,
    "torch.export": exported,
    "threads": in_threads,
    "gradient accumulation": accumulated,
    "DataLoader, no workers": lambda: from_loader(0),
    "DataLoader, 1 worker": lambda: from_loader(1),
    "scikit-learn beside torch": forest,
    "torch.compile, aot_eager": compiled,
}
if shutil.which("c++"):  # Inductor compiles C++
    FEATURES["torch.compile, inductor"] = lambda: compiled("inductor")
#: Those of which torch's dispatcher in this process sees a part, or which it sees otherwise.
OUTSIDE = {
    *("DataLoader, 1 worker", "scikit-learn beside torch", "torch.compile, inductor"),
    *("torch.compile, aot_eager", "gradient accumulation", "custom operator"),
}
