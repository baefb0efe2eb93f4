"""A pass that counts leaves nothing behind, sees threads, and compiles nothing."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make test-studies")

from torch import _dynamo  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

from pytest_greenops.work.counting_trip import (  # noqa: E402
    COMPILED,
    OUTLIVED,
    CountingTrip,
    CpuTime,
    PlainTrip,
    why_not,
)
from tests.unit.work.one_pass import counted, flop, of, pass_through  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of what is deprecated, or in beta state
nn = torch.nn
F = nn.functional


# --- twins: one is called plainly, one is counted ------------------------------------------------


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


# --- nothing is left -----------------------------------------------------------------------------


def surroundings() -> list[Any]:
    """Return what a pass replaces while it counts."""
    return [
        nn.Module.__call__,
        threading.Thread._bootstrap_inner,
        _dynamo.eval_frame._callback_from_stance,
        _dynamo.eval_frame._stance,
        torch.utils._python_dispatch._get_current_dispatch_mode_stack(),
        torch._C._dispatch_tls_local_include_set(),
        torch._C._dispatch_tls_local_exclude_set(),
        gc.isenabled(),
        threading.active_count(),
    ]


@pytest.mark.parametrize("collects", [True, False])
def test_nothing_is_left_after_an_error(collects: bool) -> None:
    """Everything is as it was; an error ends the window only, and an interrupt passes through."""
    was = gc.isenabled()
    model = nn.Linear(4, 4)
    (gc.enable if collects else gc.disable)()
    try:
        before = surroundings()
        failed = pass_through(lambda: model(torch.ones(3)[None])).failed
        assert failed["call"].startswith("RuntimeError: mat1 and mat2")
        with pytest.raises(KeyboardInterrupt):
            pass_through(_interrupt)
        assert before == surroundings()
    finally:
        (gc.enable if was else gc.disable)()
    assert not model._forward_hooks
    assert not model._backward_hooks


def test_an_error_of_the_only_call_passes_through() -> None:
    """Where the counted call is the test's own, what it raises fails the test."""
    trip = CountingTrip(torch, lambda: None, extra=False)
    with pytest.raises(ZeroDivisionError), trip.window("call"):
        _ = 1 / 0


def test_a_whole_test_that_measures_by_itself() -> None:
    """What is counted before the test measures by itself is dropped, and nothing counts on."""
    trip = CountingTrip(torch, lambda: None, extra=False)
    with trip.window("call"):
        torch.ones(3) + 1
        trip.leave()
        torch.ones(3) + 1
    assert trip.tallies == {}


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_windows_inside_windows() -> None:
    """A window inside another one counts for both, and a window that opens twice for itself."""
    trip = CountingTrip(torch, lambda: None)
    with trip.window("outer"):
        for _ in range(2):
            with trip.window("inner"):
                torch.ones(2, 3) @ torch.ones(3, 2)
        torch.ones(3).exp()
    outer, inner = trip.tallies["outer"], trip.tallies["inner"]
    assert (2, 2) == (of(outer, "aten.mm").calls, of(inner, "aten.mm").calls)
    assert (1, 0) == (of(outer, "aten.exp").calls, of(inner, "aten.exp").calls)


def test_a_device_that_fails_does_not_stop_the_work() -> None:
    """A test may replace the framework; waiting for a device is not what it tests."""
    trip = CountingTrip(torch, lambda: 1 / 0)
    with trip.window("call"):
        torch.ones(3).exp()
    assert of(trip.tallies["call"], "aten.exp").calls == 1


# --- threads -------------------------------------------------------------------------------------


def product() -> Any:
    """Multiply two matrices: 36 operations."""
    return torch.ones(2, 3) @ torch.ones(3, 3)


class OwnThread(threading.Thread):
    """A thread that replaces `run`."""

    def run(self) -> None:
        """Work."""
        product()


def _threads() -> None:
    threads = [threading.Thread(target=product), OwnThread()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _pool() -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: product(), range(4)))


async def _tasks() -> None:
    async def one() -> None:
        product()

    await asyncio.gather(one(), one(), asyncio.to_thread(product))


@pytest.mark.parametrize(
    ("work", "expected"), [(_threads, 2), (_pool, 4), (lambda: asyncio.run(_tasks()), 3)]
)
def test_threads_that_the_call_starts_are_counted(work: Callable[[], Any], expected: int) -> None:
    """Threads, also of an own class, of a pool and of an event loop."""
    assert expected * 36 == flop(work)


def test_a_thread_that_goes_on_is_noted() -> None:
    """What it does later is not counted, and the notes say so."""
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait)
    trip = pass_through(thread.start)
    assert [OUTLIVED] == trip.notes
    go_on.set()
    thread.join()


def test_an_older_thread_is_not_counted() -> None:
    """A pool from before the call works unseen; its CPU time shows in the coverage."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(product).result()
        assert 0 == flop(lambda: pool.submit(product).result())


# --- compilation ---------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Forget what was compiled."""
    yield
    _dynamo.reset()


def compiling(compiled: list[Any], **options: Any) -> Any:
    """Return a compiled function that notes each compilation."""

    def backend(graph: Any, _: Any) -> Any:
        compiled.append(graph)
        return graph.forward

    return torch.compile(lambda x: (x @ x).exp(), backend=backend, **options)


@pytest.mark.parametrize("fullgraph", [False, True])
def test_compiled_code_is_counted_as_eager_and_still_compiled(fullgraph: bool) -> None:
    """A function first called while counting is compiled at its next call, once."""
    graphs: list[Any] = []
    function, data = compiling(graphs, fullgraph=fullgraph), torch.ones(3, 3)
    trip = pass_through(lambda: function(data))
    assert [COMPILED] == trip.notes
    assert 54 == of(trip.tallies["call"], "aten.mm").flop
    assert 0 == len(graphs)
    function(data)
    assert 1 == len(graphs)
    pass_through(lambda: function(data))
    function(data)
    assert 1 == len(graphs)


def test_a_compiled_model_is_not_compiled_again() -> None:
    """Neither does a count compile it, nor does the next call compile it anew."""
    graphs: list[Any] = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    model, data = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), torch.ones(3, 4)
    model = torch.compile(model, backend=backend)
    for counts, expected in ((True, 0), (False, 1), (True, 1), (False, 1)):
        work = lambda: model(data).sum().backward()  # noqa: E731
        pass_through(work) if counts else work()
        assert expected == len(graphs)


def test_an_optimizer_is_not_noted_as_compiled() -> None:
    """torch asks the compiler to leave its optimizers alone; nothing is compiled."""
    twin = language()
    twin.call()
    assert [] == pass_through(twin.call).notes


def test_operators_of_higher_order_are_counted_inside() -> None:
    """`cond`, `while_loop`, `map` and `flex_attention` count as the operators that they call."""
    from torch._higher_order_ops.map import map as torch_map
    from torch._higher_order_ops.while_loop import while_loop
    from torch.nn.attention.flex_attention import flex_attention

    data, heads = torch.ones(4, 4), torch.ones(1, 2, 8, 4)
    step = lambda i, x: (i + 1, x @ torch.eye(4))  # noqa: E731
    works: list[tuple[Callable[[], Any], int]] = [
        (lambda: torch.cond(data.sum() > 0, lambda x: (x @ x).sin(), torch.cos, (data,)), 1),
        (lambda: while_loop(lambda i, x: i < 3, step, (torch.tensor(0), data)), 3),
        (lambda: torch_map(lambda x, y: x[None] @ y, data, data.clone()), 1),
    ]
    for work, products in works:
        work()
        assert products * 2 * 4**3 == flop(work), products
    assert 2 * 2 * 2 * 8 * 8 * 4 == flop(lambda: flex_attention(heads, heads, heads))


def test_the_compiler_is_not_loaded() -> None:
    """Counting imports nothing: without the compiler in memory nothing is compiled."""
    import subprocess
    import sys

    program = (
        "import sys, torch\n"
        "from pytest_greenops.work.counting_trip import CountingTrip\n"
        "before = set(sys.modules)\n"
        "trip = CountingTrip(torch, lambda: None)\n"
        "x = torch.ones(3, 4, requires_grad=True)\n"
        "with trip.window('call'): torch.nn.Tanh()(x).sum().backward()\n"
        "assert trip.tallies['call'].operators\n"
        "print(sorted(set(sys.modules) - before))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "[]" == ran.stdout.strip(), ran.stdout + ran.stderr


def test_old_versions_of_torch() -> None:
    """A version that cannot be kept from compiling is not counted, and the reason says so."""
    old = SimpleNamespace(__version__="2.5.1", compiler=SimpleNamespace())
    expected = "torch 2.5.1 is too old to be counted: install torch 2.6 or newer"
    assert (expected, None) == (why_not(old), why_not(torch))


# --- a plain pass --------------------------------------------------------------------------------


def test_a_plain_pass_measures_cpu_time() -> None:
    """Of the process tree, the process and the thread; windows of a name are summed."""
    trip = PlainTrip(lambda: None)
    for _ in range(2):
        with trip.window("call"):
            sum(range(200_000))
    used = trip.used["call"]
    assert used.tree >= used.process * 0.5 > 0
    assert 0 < used.thread <= 1.1 * used.process
    assert CpuTime(1, 2, 3) == CpuTime(2, 4, 6) - CpuTime(1, 2, 3)


def test_time_inside_operators() -> None:
    """Large operators take the time; Python around them does not."""
    data = torch.ones(300, 300)
    trip = PlainTrip(lambda: None)

    def work() -> None:
        for _ in range(20):
            sum(range(30_000))
            data @ data

    work()
    with trip.window("call"):
        work()
    inside = counted(work).inside
    assert 0.3 * trip.used["call"].process < inside.process
    assert inside.thread <= inside.process * 1.2
