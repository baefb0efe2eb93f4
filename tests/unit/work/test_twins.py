"""A counted call leaves what a plain call does, to the last bit."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make test-studies")

from torch.utils.checkpoint import checkpoint  # noqa: E402

from tests.unit.work.one_pass import counted, pass_through  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of what is deprecated, or in beta state
nn = torch.nn
F = nn.functional


class Twin:
    """Some work with everything that it may change."""

    def __init__(self, model: Any, step: Callable[[Any, Any], Any], optimizer: Any = None) -> None:
        self.model = model
        self.step = step
        self.optimizer = optimizer and optimizer(model.parameters())

    def call(self) -> Any:
        """Do the work."""
        return self.step(self.model, self.optimizer)

    def state(self) -> Iterator[Any]:
        """Yield all tensors, and the state of the random numbers."""
        yield torch.get_rng_state()
        for value in (*self.model.parameters(), *self.model.buffers()):
            yield value
            yield value.grad
            yield torch.tensor([value.requires_grad, value.is_inference()])
        if self.optimizer:
            for state in self.optimizer.state.values():
                yield from (torch.as_tensor(state[name]) for name in sorted(state))


def training(data: Any, loss: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """Return a step of training."""

    def step(model: Any, optimizer: Any) -> Any:
        optimizer.zero_grad()
        value = loss(model(data))
        value.backward()
        optimizer.step()
        return value.detach()

    return step


def vision() -> Twin:
    """Convolutions with batch normalisation."""
    model = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.SiLU(), nn.Conv2d(8, 8, 3, groups=4)),
        *(nn.BatchNorm2d(8), nn.Mish(), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(4)),
    )
    images = torch.randn(4, 3, 12, 12)
    model(images)
    step = training(images, lambda out: out.square().mean())
    return Twin(model, step, lambda p: torch.optim.SGD(p, 0.1, momentum=0.9))


class Language(nn.Module):
    """An embedding, an encoder with dropout, and a head."""

    def __init__(self, sparse: bool = False) -> None:
        super().__init__()
        self.table = nn.Embedding(30, 16, sparse=sparse)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu")
        self.head = nn.Linear(16, 30)

    def forward(self, tokens: Any) -> Any:
        """Return logits."""
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        return self.head(self.layer(self.table(tokens), src_mask=mask, is_causal=True))


def language() -> Twin:
    """A language model trained with AdamW and dropout."""
    tokens = torch.randint(0, 30, (3, 7))
    loss = lambda out: F.cross_entropy(out.flatten(0, 1), tokens.flatten())  # noqa: E731
    return Twin(Language(), training(tokens, loss), lambda p: torch.optim.AdamW(p, 0.01))


def sparse() -> Twin:
    """An embedding with a sparse gradient."""
    bag = nn.EmbeddingBag(30, 8, sparse=True, mode="sum")
    step = training(torch.randint(0, 30, (4, 5)), lambda out: out.square().sum())
    return Twin(bag, step, lambda p: torch.optim.SparseAdam(list(p), 0.1))


def autocast() -> Twin:
    """Training in bfloat16."""
    data = torch.randn(4, 16)

    def step(model: Any, optimizer: Any) -> Any:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            value = model(data).square().mean()
        value.backward()
        optimizer.step()
        return value.detach()

    model = nn.Sequential(nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 4))
    return Twin(model, step, lambda p: torch.optim.AdamW(p, 0.1, foreach=True))


def per_sample() -> Twin:
    """Gradients of each sample by vmap."""
    data = torch.randn(5, 6)

    def step(model: Any, _: Any) -> Any:
        weights = dict(model.named_parameters())

        def loss(weights: Any, sample: Any) -> Any:
            return torch.func.functional_call(model, weights, (sample,)).square().sum()

        return torch.func.vmap(torch.func.grad(loss), (None, 0))(weights, data)["weight"]

    return Twin(nn.Linear(6, 3), step)


def checkpointed() -> Twin:
    """Checkpointing, with dropout that is drawn again."""
    data = torch.randn(4, 8, requires_grad=True)

    def step(model: Any, _: Any) -> Any:
        checkpoint(model, data, use_reentrant=False).square().sum().backward()
        return data.grad.clone()

    return Twin(nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.SiLU()), step)


def recurrent() -> Twin:
    """An LSTM with dropout between its layers."""
    step = training(torch.randn(5, 3, 6), lambda out: out[0].square().mean())
    return Twin(nn.LSTM(6, 8, 2, dropout=0.5), step, lambda p: torch.optim.Adam(p, 0.1))


def scripted() -> Twin:
    """A scripted model."""
    data = torch.randn(4, 6)
    model = torch.jit.script(nn.Sequential(nn.Linear(6, 6), nn.SiLU(), nn.Linear(6, 2)))
    for _ in range(3):  # its first calls are profiled
        model(data).sum().backward()
    return Twin(model, training(data, lambda out: out.sum()), lambda p: torch.optim.SGD(p, 0.1))


def quantized() -> Twin:
    """Dynamic int8."""
    data = torch.randn(4, 16)
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(16, 8), nn.ReLU()))
    return Twin(model, lambda model, _: model(data))


def inferred() -> Twin:
    """Dropout, recurrence and attention in inference mode."""
    data = torch.randint(0, 30, (3, 7))

    def step(model: Any, _: Any) -> Any:
        with torch.inference_mode():
            return model(data).clone()

    return Twin(Language().train(), step)


@pytest.mark.parametrize(
    "made",
    [
        *(vision, language, sparse, autocast, per_sample, checkpointed),
        *(recurrent, scripted, quantized, inferred),
    ],
)
def test_a_counted_call_leaves_what_a_plain_call_does(made: Callable[[], Twin]) -> None:
    """Results, random numbers, parameters, gradients, states, buffers: equal in every bit."""
    states = []
    for count in (False, True):
        torch.manual_seed(1)
        twin, results = made(), []
        twin.call()
        work = lambda twin=twin, results=results: results.append(twin.call())  # noqa: E731
        pass_through(work) if count else work()
        work()  # the call after it, too
        states.append([*results, *twin.state()])
    assert len(states[0]) == len(states[1])
    for plain, other in zip(*states, strict=True):
        same = plain is other is None or torch.equal(plain.to_dense(), other.to_dense())
        assert same, (plain, other)


def test_counts_are_the_same_in_each_pass() -> None:
    """Operators, modules and peak are those of any other call."""
    twin = language()
    twin.call()
    one, other = (counted(twin.call) for _ in range(2))
    assert (one.operators, one.modules) == (other.operators, other.modules)
    assert one.memory.peak_bytes == other.memory.peak_bytes


# --- whatever works plainly works while it is counted --------------------------------------------


LAYERS = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
DATA = torch.arange(12.0).reshape(3, 4) / 12


class Subclass(torch.Tensor):
    """A tensor that adds nothing."""


class Double(torch.autograd.Function):
    """A function with a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, data: Any) -> Any:
        """Return twice the data."""
        return data * 2

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        """Return twice the gradient."""
        return gradient * 2


def leaf() -> Any:
    """Return data that need a gradient."""
    return DATA.clone().requires_grad_()


def own_function() -> Any:
    """Call a function with a gradient of its own."""
    data = leaf()
    Double.apply(data).sum().backward()
    return data.grad


def twice_differentiated() -> Any:
    """Return a gradient of a gradient."""
    data = leaf()
    (first,) = torch.autograd.grad(LAYERS(data).square().sum(), data, create_graph=True)
    return torch.autograd.grad(first.sum(), data)[0]


def saved_on_cpu() -> Any:
    """Keep activations elsewhere."""
    data = leaf()
    with torch.autograd.graph.save_on_cpu():
        loss = LAYERS(data).sum()
    loss.backward()
    return data.grad


def jagged() -> Any:
    """Use nested tensors of the newer kind."""
    parts = [torch.ones(2, 4), torch.ones(3, 4)]
    nested = torch.nested.nested_tensor(parts, layout=torch.jagged)
    heads = F.linear(nested, LAYERS[0].weight).unflatten(-1, (2, 2)).transpose(1, 2)
    return F.scaled_dot_product_attention(heads, heads, heads).transpose(1, 2).values()


def saved_and_loaded() -> Any:
    """Write a model and read it."""
    file = io.BytesIO()
    torch.save(LAYERS.state_dict(), file)
    file.seek(0)
    return torch.load(file)["0.weight"]


def assigned() -> Any:
    """Assign to parts of a tensor."""
    data = DATA.clone()
    data[data > 0.5] = 0
    data[0], data[[0, 1], [1, 2]] = 1, 5
    data[:, 1] += 2
    return data


def optimized() -> Any:
    """Step with optimizers that are rarely used."""
    weights = [nn.Parameter(torch.ones(3)) for _ in range(2)]

    def closure() -> Any:
        loss = sum((weight**2).sum() for weight in weights)
        loss.backward()
        return loss

    closure()
    for kind in ("Adagrad", "RAdam", "ASGD", "Rprop"):
        getattr(torch.optim, kind)(weights).step()
    torch.optim.LBFGS(weights).step(closure)
    return weights[0].detach()


def packed() -> Any:
    """Run a recurrent layer on sequences of different lengths."""
    sequences = nn.utils.rnn.pack_padded_sequence(torch.ones(5, 2, 4), torch.tensor([5, 3]))
    torch.manual_seed(0)
    return nn.LSTM(4, 4)(sequences)[0].data


def drawn() -> Any:
    """Draw random numbers in several ways."""
    drawn = [torch.randperm(5), torch.multinomial(torch.ones(4), 2), F.gumbel_softmax(DATA)]
    return torch.cat([each.flatten().double() for each in drawn])


@pytest.mark.parametrize(
    "work",
    [
        *(own_function, twice_differentiated, saved_on_cpu, jagged, saved_and_loaded, assigned),
        *(optimized, packed, drawn),
        lambda: (DATA.as_subclass(Subclass) @ DATA.t()).as_subclass(torch.Tensor),
        lambda: torch.export.export(LAYERS, (DATA,), strict=True).module()(DATA),
        lambda: torch.fx.experimental.proxy_tensor.make_fx(LAYERS)(DATA)(DATA),
        lambda: torch.jit.trace(LAYERS, (DATA,))(DATA),
        lambda: torch.func.hessian(lambda data: LAYERS(data).square().sum())(DATA),
        lambda: torch.func.jvp(LAYERS, (DATA,), (DATA,))[1],
        lambda: torch.func.functionalize(lambda data: data.clone().add_(1))(DATA),
        lambda: nn.LazyLinear(3)(DATA) * 0,
        lambda: copy.deepcopy(LAYERS).to(torch.bfloat16)(DATA.bfloat16()),
        lambda: torch.from_numpy(DATA.numpy() * 2) + torch.from_dlpack(DATA),
        lambda: torch.nested.to_padded_tensor(
            F.linear(torch.nested.as_nested_tensor([DATA]), DATA), 0
        ),
        lambda: torch.linalg.solve(DATA @ DATA.t() + torch.eye(3), DATA),
    ],
)
def test_whatever_works_plainly_works_while_it_is_counted(work: Callable[[], Any]) -> None:
    """Rare features of torch run, and return what they return without counting."""
    import torch.fx.experimental.proxy_tensor

    found = []
    for count in (False, True):
        torch.manual_seed(2)
        pass_through(lambda: found.append(work())) if count else found.append(work())
        found.append(torch.get_rng_state())
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[1], found[3])
