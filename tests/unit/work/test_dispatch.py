"""Which operators are counted, and what they read and write."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make test-studies")

from pytest_greenops.model.counted import Amount  # noqa: E402
from tests.unit.work.one_pass import counted, flop, names, of, operators  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of what is deprecated, or in beta state
nn = torch.nn
F = nn.functional
DATA = torch.ones(10, 4)
FLOAT = 4
INDEX = torch.tensor([1, 2, 5])


# --- bytes ---------------------------------------------------------------------------------------


def moved(work: Callable[[], Any], name: str) -> tuple[int, int]:
    """Return the elements of 4 bytes that an operator reads and writes."""
    amount = of(counted(work), f"aten.{name}")
    assert amount.calls == 1, amount
    return amount.read // FLOAT, amount.written // FLOAT


@pytest.mark.parametrize(
    ("work", "name", "expected"),
    [
        (lambda: DATA + DATA.clone(), "add", (80, 40)),
        (lambda: DATA + DATA, "add", (40, 40)),  # the same tensor is read once
        (lambda: DATA + torch.ones(4).expand(10, 4), "add", (44, 40)),
        (lambda: torch.ones(40).as_strided((10, 31), (1, 1)).clone(), "clone", (40, 310)),
        (lambda: DATA.t().contiguous(), "clone", (40, 40)),
        (lambda: DATA[:, :1].clone(), "clone", (10, 10)),
        (lambda: DATA.double(), "_to_copy", (40, 80)),
        (lambda: DATA.clone().add_(DATA), "add_", (80, 40)),
        (lambda: torch.empty(10, 4).copy_(DATA), "copy_", (40, 40)),
        (lambda: torch.empty(10, 4).copy_(torch.ones(4)), "copy_", (4, 40)),
        (lambda: torch.empty(10, 4).normal_(), "normal_", (0, 40)),
        (lambda: torch.add(DATA, 1, out=torch.empty(10, 4)), "add", (40, 40)),
        (lambda: torch.zeros(10, 4), "zeros", (0, 40)),
        (lambda: torch.zeros_like(DATA), "zeros_like", (0, 40)),
        (lambda: torch.rand_like(DATA), "rand_like", (0, 40)),
        (lambda: DATA.new_full((2, 2), 1.0), "new_full", (0, 4)),
        (lambda: torch.empty(10, 4), "empty", (0, 0)),
        (lambda: torch.empty_like(DATA), "empty_like", (0, 0)),
        (lambda: DATA.sum(), "sum", (40, 1)),
        (lambda: DATA[0, 0].item(), "_local_scalar_dense", (1, 0)),
    ],
)
def test_elements_read_and_written(
    work: Callable[[], Any], name: str, expected: tuple[int, int]
) -> None:
    """Results are written; operands are read, but for those that are only overwritten."""
    assert expected == moved(work, name)


ROWS = 3 * 2  # the indices, in elements of 4 bytes


@pytest.mark.parametrize(
    ("work", "name", "expected"),
    [
        (lambda: F.embedding(INDEX, DATA), "embedding", (12 + ROWS, 12)),
        (lambda: DATA[INDEX], "index", (12 + ROWS, 12)),
        (lambda: DATA.index_select(0, INDEX), "index_select", (12 + ROWS, 12)),
        (lambda: DATA.gather(0, INDEX[None]), "gather", (3 + ROWS, 3)),
        (
            lambda: F.embedding_bag(INDEX[None], DATA, mode="sum").detach(),
            "_embedding_bag_forward_only",
            (12 + ROWS + 2, None),
        ),
        (lambda: DATA.index_copy_(0, INDEX, torch.ones(3, 4)), "index_copy_", (12 + ROWS, 12)),
        (lambda: DATA.index_add_(0, INDEX, torch.zeros(3, 4)), "index_add_", (24 + ROWS, 12)),
        (lambda: DATA.scatter_(0, INDEX[None], 1.0), "scatter_", (ROWS, 3)),
        (lambda: DATA.index_put_((INDEX,), torch.ones(3, 4)), "index_put_", (12 + ROWS, 12)),
    ],
)
def test_gathers_and_scatters(
    work: Callable[[], Any], name: str, expected: tuple[int, int | None]
) -> None:
    """They read and write the rows that they are asked for, not the whole tensor."""
    read, written = moved(work, name)
    assert expected == (read, None if expected[1] is None else written)


def test_a_cache_is_written_where_it_grows() -> None:
    """A slice of a cache that is assigned to counts as the slice."""
    cache = torch.zeros(2, 100, 8)

    def work() -> None:
        cache[:, 5:6] = torch.ones(2, 1, 8)

    assert (16, 16) == moved(work, "copy_")


def test_results_beside_what_is_changed() -> None:
    """Batch normalisation in training writes its result and the running figures."""
    norm, images = nn.BatchNorm2d(3), torch.ones(2, 3, 4, 4)
    amount = of(counted(lambda: norm(images)), "aten.native_batch_norm")
    assert amount.written >= 2 * 3 * 16 * FLOAT


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch._mkldnn])
def test_other_layouts(layout: Any) -> None:
    """Sparse tensors take what they store, and blocked ones what their elements take."""
    eye = torch.eye(8)
    blocked = layout is torch._mkldnn
    tensor = eye.to_mkldnn() if blocked else eye.to_sparse(layout=layout)
    stored = {torch.sparse_coo: 8 * 4 + 2 * 8 * 8, torch.sparse_csr: 8 * 4 + 8 * 8 + 9 * 8}
    tally = counted(tensor.to_dense)
    assert stored.get(layout, 64 * 4) == max(amount.read for amount in tally.operators.values())


def test_lists_of_tensors() -> None:
    """An operator on a list counts all its tensors, once as a call."""
    weights, gradients = [torch.ones(5), torch.ones(7)], [torch.ones(5), torch.ones(7)]
    amount = of(counted(lambda: torch._foreach_add_(weights, gradients)), "aten._foreach_add_")
    assert Amount(1, 0, 0, 2 * 12 * FLOAT, 12 * FLOAT, 12) == amount


def test_calls_of_an_operator_add_up() -> None:
    """In each number, whatever the shapes; so do views."""
    few, many, weights = torch.ones(2, 4), torch.ones(5, 4), torch.ones(4, 3)

    def work() -> None:
        for rows in (few, many, few):
            rows.mm(weights).t()

    tally = counted(work)
    read, written = 2 * (8 + 12) + (20 + 12), 2 * 6 + 15
    flops = 2 * (8 + 20 + 8) * 3
    assert of(tally, "aten.mm") == Amount(3, 0, flops, read * FLOAT, written * FLOAT, written)
    assert of(tally, "aten.t") == Amount(views=3)


@pytest.mark.parametrize(
    "look",
    [
        lambda x: x.view(4, 10),
        lambda x: x.reshape(4, 10),
        lambda x: x[2:5],
        lambda x: x.detach().t(),
        lambda x: x.unsqueeze(0).expand(3, 10, 4),
        lambda x: x.split(2),
        lambda x: x.detach().unsqueeze_(0),
        lambda x: torch.ops.aten._unsafe_view(x, (4, 10)),
    ],
)
@pytest.mark.parametrize("inference", [True, False])
def test_views_do_nothing(look: Callable[[Any], Any], inference: bool) -> None:
    """A view is counted apart and moves nothing, in inference mode too."""
    with torch.inference_mode(inference):
        data = torch.ones(10, 4)
        tally = counted(lambda: look(data))
    total = sum(tally.operators.values(), Amount())
    assert total.views
    assert Amount(views=total.views) == total


# --- which operators -----------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [F.silu, F.mish])
def test_an_operator_with_a_kernel_is_not_split(activation: Callable[[Any], Any]) -> None:
    """Splitting the gradient of silu would change its last digits, in inference mode too."""
    data = torch.randn(100, requires_grad=True)
    name = f"aten.{activation.__name__}_backward"
    plain = torch.autograd.grad(activation(data).sum(), data)[0]
    found: list[Any] = []

    def work() -> None:
        found.extend(torch.autograd.grad(activation(data).sum(), data))

    assert name in names(counted(work))
    assert torch.equal(plain, found[0])
    with torch.inference_mode():
        backward = getattr(torch.ops.aten, f"{activation.__name__}_backward")
        assert {name} == names(counted(lambda: backward(data, data)))


def test_inference_mode_counts_what_grad_mode_does() -> None:
    """There composite operators reach the dispatcher; they are split as torch itself would."""
    lstm, linear, data = nn.LSTM(4, 4), nn.Linear(4, 4), torch.randn(3, 2, 4)
    norm, conv = nn.LayerNorm(4), nn.Conv1d(3, 3, 1)

    def work() -> Any:
        return conv(norm(linear(lstm(data)[0])).transpose(0, 1).transpose(0, 1)[:, 0][None, :, :])

    with torch.no_grad():
        usual = counted(work)
    with torch.inference_mode():
        inferred = counted(work)
    assert flop(work) == sum(amount.flop for amount in inferred.operators.values()) > 0
    work_of = {name: of(usual, name) for name in names(usual) if of(usual, name).calls}
    assert work_of == {name: of(inferred, name) for name in work_of}


def test_parameters_in_inference_mode() -> None:
    """A parameter still needs a gradient there, by which `matmul` chooses its kernel."""
    layer, data = nn.Linear(16, 48), torch.randn(3, 7, 16).transpose(0, 1)
    found: list[Any] = []
    with torch.inference_mode():
        plain = layer(data)
        tally = counted(lambda: found.append((layer(data), layer.weight.reshape(16, 48))))
        assert layer.weight.reshape(16, 48).requires_grad == found[0][1].requires_grad
    assert torch.equal(plain, found[0][0])
    assert "aten.mm" in names(tally)
    assert "aten.bmm" not in names(tally)


def test_random_numbers_in_inference_mode() -> None:
    """Dropout draws what it draws without counting: torch's kernel runs, not its description."""
    drawn = []
    with torch.inference_mode():
        for count in (False, True):
            torch.manual_seed(3)
            work = lambda: drawn.append(F.dropout(torch.ones(50), 0.5, training=True))  # noqa: E731
            counted(work) if count else work()
    assert torch.equal(*drawn)


def test_dtypes_and_copies() -> None:
    """An operator is named with its dtypes, and with those of its results if they differ."""
    tally = counted(lambda: torch.ones(3).double() @ torch.ones(3, dtype=torch.float64))
    assert {"aten._to_copy float32 -> float64"} == set(map(str, operators(tally, "aten._to_copy")))
    assert {"float64"} == {operator.dtypes for operator in operators(tally, "aten.dot")}
    copied = counted(lambda: torch.empty(3, dtype=torch.float64).copy_(torch.ones(3)))
    assert {"aten.copy_ float32 -> float64"} == set(map(str, operators(copied, "aten.copy_")))
    assert {"int64"} == {op.dtypes for op in operators(counted(lambda: INDEX + 1), "aten.add")}
    mixed = counted(lambda: torch.where(DATA > 1, DATA, DATA.double()))
    assert {"float32, float64"} == {op.dtypes for op in operators(mixed, "aten.where")}


def test_functions_of_torch_func_and_scripts() -> None:
    """`vmap(grad)`, scripted and traced functions reach the dispatcher like others."""
    data = torch.randn(3, 4)

    def product(x: torch.Tensor) -> torch.Tensor:
        return x @ x.t()

    expected = flop(lambda: product(data))
    for made in (torch.jit.script(product), torch.jit.trace(product, (data,))):
        made(data), made(data)
        assert expected == flop(lambda made=made: made(data))
    each = torch.func.vmap(torch.func.grad(lambda x: (x[None] @ x[:, None]).sum()))
    assert flop(lambda: each(data)) > 0


def test_tensor_subclasses_are_counted_inside() -> None:
    """A subclass with a dispatch of its own counts as what it calls."""
    from torch.testing._internal.two_tensor import TwoTensor

    pair = TwoTensor(torch.ones(3, 4), torch.ones(3, 4))
    assert 2 * 2 * 3 * 4 * 5 == flop(lambda: pair @ torch.ones(4, 5))


def test_fake_tensors_are_counted() -> None:
    """So that a model too large for this machine can be counted."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        a = torch.ones(1000, 10_000_000)
        tally = counted(lambda: a @ a.t())
    assert 2 * 1000**2 * 10**7 == of(tally, "aten.mm").flop
    assert 1000**2 * FLOAT == tally.memory.peak_bytes


def test_custom_operators_are_blind() -> None:
    """An operator of another library is counted with its bytes, and its time is noted."""
    with torch.library._scoped_library("greenops_blind", "FRAGMENT") as library:
        library.define("mix(Tensor x) -> Tensor")
        library.impl("mix", lambda x: x * 2, "CPU")
        tally = counted(lambda: torch.ops.greenops_blind.mix(DATA))
    assert Amount(1, 0, 0, 160, 160, 40) == of(tally, "greenops_blind.mix")
    assert {"greenops_blind.mix"} == set(tally.blind_ns)
    assert {"aten._linalg_svd"} == set(counted(lambda: torch.linalg.svd(DATA)).blind_ns)


def test_an_operator_that_cannot_be_read_is_counted_as_a_call() -> None:
    """What the schema does not foresee never stops the work; it is noted as blind."""
    from pytest_greenops.work.operator_kind import OperatorKind

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OperatorKind, "counts", lambda *_: 1 / 0)
        patch.setattr("pytest_greenops.work.dispatch._kinds", {})
        tally = counted(lambda: DATA.exp())
    assert Amount(calls=1) == of(tally, "aten.exp")
    assert {"aten.exp"} == set(tally.blind_ns)


# --- memory --------------------------------------------------------------------------------------


def peak(work: Callable[[], Any]) -> int:
    """Return the peak of some work in elements of 4 bytes, which is the same in two passes."""
    gc.collect()
    found = {counted(work).memory.peak_bytes for _ in range(2)}
    assert len(found) == 1
    return found.pop() // FLOAT


def test_peak_of_what_lives_at_once() -> None:
    """Tensors count while they are referred to; what was there before does not."""
    before = torch.ones(1000)

    def chain() -> Any:
        result = before
        for _ in range(5):
            result = result + 1
        return result

    assert 2 * 1000 == peak(chain)
    assert 5 * 1000 == peak(lambda: [before + 1 for _ in range(5)])
    assert 0 == peak(lambda: [before.add_(1), before.view(10, 100)])
    assert 1000 == peak(lambda: (before + 1).view(10, 100).t()[1])


def test_peak_with_gradients_keeps_activations() -> None:
    """Activations live until the backward pass; without gradients they do not."""
    layers = nn.Sequential(*[nn.Tanh() for _ in range(6)])
    data = torch.ones(1000, requires_grad=True)
    assert 6 * 1000 == peak(lambda: layers(data))
    with torch.no_grad():
        assert 2 * 1000 == peak(lambda: layers(data))


def test_peak_of_other_tensors() -> None:
    """Sparse and blocked tensors count, and one that grows with its new size."""
    eye = torch.eye(100)
    sparse = eye.to_sparse()  # 100 values, and two indices of 8 bytes for each
    assert 100 + 4 * 100 == peak(lambda: eye.to_sparse())
    assert 2 * 500 == peak(lambda: [sparse * 2, sparse * 3])
    assert 0 == peak(lambda: sparse.coalesce())
    assert 10_000 <= peak(lambda: eye.to_mkldnn()) <= 20_000
    assert 1000 + 1 + 1000 == peak(lambda: torch.empty(10).resize_(1000) + torch.ones(1))
