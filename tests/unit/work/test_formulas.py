"""Operations of torch's operators, by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import log2
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make test-studies")

from torch.nn import functional as F  # noqa: E402, N812
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from pytest_greenops.system import SYSTEM  # noqa: E402
from pytest_greenops.work.formulas import formula_of  # noqa: E402
from tests.unit.work.one_pass import counted, flop  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of what is deprecated, or in beta state
nn = torch.nn
ones = torch.ones


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(
    "work",
    [
        lambda: ones(3, 4) @ ones(4, 5),
        lambda: ones(2, 3, 4) @ ones(2, 4, 5),
        lambda: torch.addmm(ones(5), ones(3, 4), ones(4, 5)),
        lambda: torch.baddbmm(ones(5), ones(2, 3, 4), ones(2, 4, 5)),
        lambda: F.linear(ones(2, 3, 4), ones(5, 4), ones(5)),
        lambda: F.conv2d(ones(2, 4, 9, 9), ones(6, 4, 3, 3), stride=2),
        lambda: F.conv2d(ones(2, 4, 9, 9), ones(6, 2, 3, 3), groups=2),
        lambda: F.conv1d(ones(2, 4, 9), ones(6, 4, 3), padding=1),
        lambda: F.conv_transpose2d(ones(2, 4, 5, 5), ones(4, 6, 3, 3), stride=2),
        lambda: nn.Linear(4, 5)(ones(3, 4)).sum().backward(),
        lambda: nn.Conv2d(4, 6, 3)(ones(2, 4, 9, 9, requires_grad=True)).sum().backward(),
    ],
)
def test_products_and_convolutions_are_counted_as_torch_counts_them(
    work: Callable[[], Any],
) -> None:
    """Where torch's own counter is right, the figures are the same."""
    with FlopCounterMode(display=False) as counter:
        work()
    assert counter.get_total_flops() == flop(work) > 0


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (lambda: ones(3, 4) @ ones(4), 2 * 12),
        (lambda: torch.addmv(ones(3), ones(3, 4), ones(4)), 2 * 12),
        (lambda: ones(7) @ ones(7), 2 * 7),
        (lambda: torch.addr(ones(3, 4), ones(3), ones(4)), 2 * 12),
        (lambda: torch.einsum("bij,bjk->bik", ones(2, 3, 4), ones(2, 4, 5)), 2 * 2 * 3 * 4 * 5),
        (lambda: torch.fft.fft(ones(3, 16, dtype=torch.cfloat)), 3 * 5 * 16 * log2(16)),
        (lambda: torch.fft.rfft(ones(3, 16)), 3 * 2.5 * 16 * log2(16)),
        (lambda: torch.fft.irfft(ones(3, 9, dtype=torch.cfloat)), 3 * 2.5 * 16 * log2(16)),
    ],
)
def test_vectors_and_transforms(work: Callable[[], Any], expected: int) -> None:
    """Products with vectors, sums of products, and Fourier transforms have formulas."""
    assert expected == flop(work)


def attention(causal: bool, kv_heads: int = 4, gradients: bool = False) -> Callable[[], Any]:
    """Return attention of 2 sequences, 4 heads, 5 queries, 7 positions (5 if causal), width 8."""
    positions = 5 if causal else 7
    query = torch.randn(2, 4, 5, 8, requires_grad=gradients)
    key, value = (torch.randn(2, kv_heads, positions, 8, requires_grad=gradients) for _ in "kv")

    def work() -> Any:
        out = F.scaled_dot_product_attention(
            query, key, value, is_causal=causal, enable_gqa=kv_heads != 4
        )
        return out.sum().backward() if gradients else out

    return work


#: Operations for each pair of a query and a position: two products of width 8, in 2 x 4 heads.
PAIR = 2 * 4 * 2 * (8 + 8)


@pytest.mark.parametrize("kv_heads", [4, 2])
def test_attention_on_a_cpu(kv_heads: int) -> None:
    """Attention has two products; fewer heads of keys and values change nothing."""
    assert 5 * 7 * PAIR == flop(attention(False, kv_heads))


def test_causal_attention_counts_what_queries_see() -> None:
    """The first query sees one position, the fifth sees five."""
    assert (1 + 2 + 3 + 4 + 5) * PAIR == flop(attention(True))


@pytest.mark.parametrize("causal", [False, True])
def test_the_backward_pass_of_attention_has_five_products(causal: bool) -> None:
    """They are 2.5 times the two of the forward pass."""
    pairs = 15 if causal else 35
    assert 3.5 * pairs * PAIR == flop(attention(causal, gradients=True))


def test_attention_as_separate_products_computes_all_pairs() -> None:
    """A mask does not save anything there."""
    with sdpa_kernel(SDPBackend.MATH):
        assert 25 * PAIR == flop(attention(True))


@pytest.mark.parametrize("transposed", [False, True])
def test_gradients_of_a_grouped_convolution(transposed: bool) -> None:
    """Each wanted gradient takes as much as the forward pass, which torch's counter gets wrong."""
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    layer, images = kind(8, 8, 3, groups=8, bias=False), ones(2, 8, 9, 9)
    forward = 2 * 2 * (81 if transposed else 49) * 8 * 9
    assert forward == flop(lambda: layer(images))
    assert 2 * forward == flop(lambda: layer(images).sum().backward())
    images.requires_grad_()
    assert 3 * forward == flop(lambda: layer(images).sum().backward())


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_recurrent_layers(kind: str, gates: int, fused: bool) -> None:
    """Each step of each sequence meets every weight, in whichever operators."""
    layer, data = getattr(nn, kind)(6, 8, num_layers=2), torch.randn(5, 3, 6)
    step = 2 * 3 * gates * 8 * (6 + 8 + 8 + 8)
    with torch.backends.mkldnn.flags(enabled=fused):
        assert 5 * step == flop(lambda: layer(data))
        backward = flop(lambda: layer(data)[0].sum().backward())
    data_gradients = 5 * 2 * 3 * gates * 8 * 6  # those of the data are not wanted
    first_states = 2 * 2 * 3 * gates * 8 * 8
    assert 3 * 5 * step - data_gradients - first_states <= backward <= 3 * 5 * step


def test_a_recurrent_layer_in_two_directions() -> None:
    """Both directions count."""
    layer = nn.LSTM(6, 8, bidirectional=True, batch_first=True)
    assert 2 * 5 * 2 * 3 * 4 * 8 * (6 + 8) == flop(lambda: layer(torch.randn(3, 5, 6)))


def test_a_fused_encoder_layer() -> None:
    """Its projections and attention are counted, and only tokens that are not padding."""
    layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True, dropout=0)
    encoder = nn.TransformerEncoder(layer.eval(), 1).eval()
    weights, padding = 4 * 8 * 8 + 2 * 8 * 16, torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    data = torch.randn(2, 5, 8)
    with torch.inference_mode():
        assert 2 * 10 * weights + 2 * 4 * 5**2 * 8 == flop(lambda: layer(data))
        nested = flop(lambda: encoder(data, src_key_padding_mask=padding))
    assert 2 * 8 * weights + 4 * (5**2 + 3**2) * 8 == nested


def test_an_embedding_bag_adds_rows() -> None:
    """Each index adds one row."""
    bag = nn.EmbeddingBag(10, 4, mode="sum")
    assert 6 * 4 == flop(lambda: bag(torch.tensor([[1, 2, 3], [4, 5, 6]])))


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_sparse_products_count_what_is_stored(layout: Any) -> None:
    """Zeros that are not stored cost nothing."""
    stored = 3
    sparse = torch.eye(8)[:, :stored].contiguous().to_sparse(layout=layout)
    assert 2 * stored * 5 == flop(lambda: sparse @ ones(stored, 5))
    assert 2 * stored == flop(lambda: sparse @ ones(stored))


def test_a_product_of_two_sparse_matrices() -> None:
    """Each stored value meets the average row of the other matrix."""
    one = torch.eye(8).to_sparse()
    assert 2 * 8 * 1 == flop(lambda: one @ one)


def test_dynamic_int8() -> None:
    """A quantized linear layer counts like another one, and reads a byte for each weight."""
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(16, 8)))
    data = torch.randn(3, 16)
    tally = counted(lambda: model(data), warm=True)
    [(operator, amount)] = tally.operators.items()
    assert "quantized.linear_dynamic qint8" == str(operator)
    assert (2 * 3 * 16 * 8, 3 * 16 * 4 + 16 * 8) == (amount.flop, amount.read)


@pytest.mark.parametrize(("dtype", "bytes_"), [(torch.float16, 2), (torch.qint8, 1)])
def test_quantized_weights(dtype: Any, bytes_: int) -> None:
    """A linear layer with weights of half precision reads two bytes for each."""
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(16, 8)), dtype=dtype)
    tally = counted(lambda: model(torch.randn(3, 16)), warm=True)
    [amount] = (a for o, a in tally.operators.items() if o.name.startswith("quantized."))
    assert (2 * 3 * 16 * 8, 3 * 16 * 4 + 16 * 8 * bytes_) == (amount.flop, amount.read)


def test_a_quantized_convolution() -> None:
    """It reads its images and its packed weights, a byte for each value."""
    weight = torch.quantize_per_tensor(ones(6, 4, 3, 3), 0.1, 0, torch.qint8)
    packed = torch.ops.quantized.conv2d_prepack(weight, None, [1, 1], [0, 0], [1, 1], 1)
    images = torch.quantize_per_tensor(ones(2, 4, 9, 9), 0.1, 0, torch.quint8)
    tally = counted(lambda: torch.ops.quantized.conv2d(images, packed, 0.1, 0))
    [amount] = (a for o, a in tally.operators.items() if o.name == "quantized.conv2d")
    assert (2 * 2 * 6 * 49 * 36, 2 * 4 * 81 + 6 * 36) == (amount.flop, amount.read)


def test_grouped_products() -> None:
    """Each row meets the matrix of its group: 16 rows, four experts."""
    rows, experts = ones(16, 8, dtype=torch.bfloat16), ones(4, 8, 16, dtype=torch.bfloat16)
    ends = torch.tensor([2, 8, 9, 16], dtype=torch.int32)
    assert 2 * 16 * 8 * 16 == flop(lambda: torch._grouped_mm(rows, experts, offs=ends))


def test_int8_products() -> None:
    """`_int_mm` has a formula."""
    a, b = ones(32, 16, dtype=torch.int8), ones(16, 8, dtype=torch.int8)
    assert 2 * 32 * 16 * 8 == flop(lambda: torch._int_mm(a, b))


def test_batched_gradients_of_functions() -> None:
    """`vmap(grad)` counts what it computes for each sample."""
    weight, data = torch.randn(4), torch.randn(3, 4)
    each = torch.func.vmap(torch.func.grad(lambda w, x: (w @ x) ** 2), in_dims=(None, 0))
    assert flop(lambda: each(weight, data)) >= 2 * 3 * 4


def test_optimizers_have_bytes_only() -> None:
    """A step reads and writes parameters, and is not named as an operator without a formula."""
    for options in ({"foreach": True}, {"foreach": False}, {"fused": True}):
        weight = nn.Parameter(ones(1000))
        weight.grad = ones(1000)
        optimizer = torch.optim.AdamW([weight], lr=0.1, **options)
        tally = counted(optimizer.step, warm=True)
        assert {} == tally.blind_ns, options
        assert 0 == sum(amount.flop for amount in tally.operators.values())
        moved = sum(amount.moved for amount in tally.operators.values())
        assert moved >= 7 * 4000  # reads weight, gradient and two states, writes all but one


# --- operators of other devices, by the shapes of their arguments ------------------------------


def shaped(*shape: int, dtype: Any = torch.float16) -> Any:
    """Return a tensor without memory."""
    return torch.empty(*shape, dtype=dtype, device="meta")


def by_shapes(operator: Any, *args: Any, out: Any = None, **kwargs: Any) -> int:
    """Return the operations of a call that only another device can make."""
    formula = formula_of(operator)
    assert formula is not None
    return formula(*args, out=out, **kwargs)


aten = torch.ops.aten


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "name", ["_scaled_dot_product_flash_attention", "_scaled_dot_product_cudnn_attention"]
)
def test_attention_of_a_card(name: str, causal: bool) -> None:
    """Heads come before positions; whether it is causal may be given by place or by name."""
    query, others = shaped(2, 4, 5, 8), [shaped(2, 2, 7, 8), shaped(2, 2, 7, 16)]
    before = (0.0,) if "flash" in name else (None, False, 0.0)
    pairs = 15 if causal else 35
    expected = 2 * 2 * 4 * pairs * (8 + 16)
    operator = getattr(aten, name).default
    assert expected == by_shapes(operator, query, *others, *before, causal)
    assert expected == by_shapes(operator, query, *others, is_causal=causal)


def test_more_queries_than_positions() -> None:
    """Causal queries beyond the last position see all positions."""
    query, other = shaped(1, 1, 6, 8), shaped(1, 1, 2, 8)
    operator = aten._scaled_dot_product_flash_attention.default
    assert 2 * (1 + 2 + 4 * 2) * 16 == by_shapes(operator, query, other, other, is_causal=True)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_with_heads_behind_positions(causal: bool) -> None:
    """Kernels of cards have that order; causal masks of one are numbered."""
    query, other = shaped(3, 5, 4, 8), shaped(3, 5, 4, 8)
    pairs = 15 if causal else 25
    expected = 2 * 3 * 4 * pairs * 16
    flash, efficient = aten._flash_attention_forward.default, aten._efficient_attention_forward
    none = (None, None, 5, 5, 0.0)
    assert expected == by_shapes(flash, query, other, other, *none, causal, False)
    none = (None, None, None, 5, 5, 0.0)
    assert expected == by_shapes(efficient.default, query, other, other, *none, int(causal))


STARTS = ([0, 3, 7], [0, 2, 7])


def test_attention_of_sequences_in_one_row() -> None:
    """Each sequence sees itself alone: three queries see two positions, four see five."""
    query, starts = shaped(7, 4, 8), [torch.tensor(each) for each in STARTS]
    expected = 2 * 4 * (3 * 2 + 4 * 5) * 16
    flash = aten._flash_attention_forward.default
    assert expected == by_shapes(flash, *[query] * 3, *starts, 4, 5, 0.0, False, False)
    efficient = aten._efficient_attention_forward.default
    assert expected == by_shapes(efficient, *[query] * 3, None, *starts, 4, 5, 0.0, 0)


def test_the_backward_pass_of_sequences_in_one_row() -> None:
    """It has five products instead of two."""
    query, starts = shaped(7, 4, 8), [torch.tensor(each) for each in STARTS]
    given = ([query] * 6, starts, (4, 5, 0.0, False, query, query))
    operator = aten._flash_attention_backward.default
    expected = 5 * 4 * (3 * 2 + 4 * 5) * 16
    assert expected == by_shapes(operator, *(each for part in given for each in part))


def test_sequences_of_different_lengths_that_are_causal() -> None:
    """Each has its own diagonal."""
    query, starts = shaped(5, 4, 8), torch.tensor([0, 2, 5])
    given = (query, query, query, starts, starts, 3, 3, 0.0, True, False)
    operator = aten._flash_attention_forward.default
    assert 2 * 4 * (3 + 6) * 16 == by_shapes(operator, *given)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((16, 8), (4, 8, 6), 2 * 16 * 8 * 6),  # rows in groups, a matrix for each
        ((4, 16, 8), (4, 8, 6), 2 * 4 * 16 * 8 * 6),  # a batch
        ((4, 16, 8), (8, 24), 2 * 16 * 8 * 24),  # columns in groups
        ((16, 8), (8, 6), 2 * 16 * 8 * 6),  # inner dimension in groups
    ],
)
def test_grouped_products_of_all_kinds(
    a: tuple[int, ...], b: tuple[int, ...], expected: int
) -> None:
    """Either factor may be one long matrix."""
    assert expected == by_shapes(aten._grouped_mm.default, shaped(*a), shaped(*b))


def test_products_of_nested_tensors() -> None:
    """Each matrix has its own size, and its own or the same other one."""
    one = torch.nested.nested_tensor([ones(2, 3), ones(5, 3)])
    other = torch.nested.nested_tensor([ones(3, 4), ones(3, 7)])
    assert 2 * (2 * 3 * 4 + 5 * 3 * 7) == by_shapes(aten.matmul.default, one, other)
    assert 2 * (2 + 5) * 3 * 6 == by_shapes(aten.matmul.default, one, ones(3, 6))


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_a_dense_matrix_meets_what_a_sparse_one_stores(layout: Any) -> None:
    """Each row meets every stored value once."""
    sparse = torch.eye(8)[:, :3].contiguous().to_sparse(layout=layout)
    assert 2 * 5 * 3 == by_shapes(aten.mm.default, shaped(5, 8), sparse)


def test_sampled_products() -> None:
    """Only where the sparse matrix has a value."""
    mask = torch.eye(4).to_sparse_csr()
    given = (mask, shaped(4, 6), shaped(6, 4))
    assert 2 * 4 * 6 == by_shapes(aten.sparse_sampled_addmm.default, *given)


def test_convolutions_of_single_kernels() -> None:
    """Each weight meets each position of the result."""
    out = shaped(2, 6, 7, 7)
    given = (shaped(2, 4, 9, 9), shaped(6, 4, 3, 3), [3, 3])
    expected = 2 * 2 * 49 * 6 * 4 * 9
    assert expected == by_shapes(aten._slow_conv2d_forward.default, *given, None, 1, 0, out=out)


@pytest.mark.parametrize(("backward", "factor"), [(False, 1), (True, 2)])
@pytest.mark.parametrize("data", [(5, 3, 6), (15, 6)])
def test_recurrent_layers_of_a_card(data: tuple[int, ...], backward: bool, factor: int) -> None:
    """Packed sequences have one dimension less; biases and missing weights take no products."""
    weights = [shaped(32, 6), shaped(32, 8), shaped(32), None]
    operator = aten._cudnn_rnn_backward if backward else aten._cudnn_rnn
    expected = factor * 2 * 15 * (32 * 6 + 32 * 8)
    assert expected == by_shapes(operator.default, shaped(*data), weights, 4)


def test_multi_head_attention() -> None:
    """Two projections, and the two products of attention."""
    query = shaped(2, 5, 8)
    weights = (shaped(24, 8), shaped(24), shaped(8, 8), shaped(8))
    expected = 2 * 10 * (24 * 8 + 8 * 8) + 2 * 4 * 25 * 8
    operator = aten._native_multi_head_attention.default
    assert expected == by_shapes(operator, query, query, query, 8, 2, *weights)


def test_packed_convolutions() -> None:
    """Their weights are in an object of torch, which unpacks them."""
    weight = torch.quantize_per_tensor(ones(6, 4, 3, 3), 0.1, 0, torch.qint8)
    ends = ([1, 1], [0, 0], [1, 1], 1)
    packed = torch.ops.quantized.conv2d_prepack(weight, None, *ends)
    given = (shaped(2, 4, 9, 9), packed, 0.1, 0)
    out = shaped(2, 6, 7, 7)
    expected = 2 * 2 * 6 * 49 * 4 * 9
    assert expected == by_shapes(torch.ops.quantized.conv2d.new, *given, out=out)


@pytest.mark.parametrize(
    ("shape", "dims", "expected"),
    [
        ((3, 16), [1], 3 * 5 * 16 * 4),
        ((3, 16), [0, 1], 5 * 48 * log2(48)),
        ((3, 2), [1], 3 * 5 * 2),
        ((3, 1), [1], 0),
    ],
)
def test_transforms_over_dimensions(
    shape: tuple[int, ...], dims: list[int], expected: float
) -> None:
    """The length is that of all dimensions; of one value there is nothing to compute."""
    data = shaped(*shape, dtype=torch.cfloat)
    assert int(expected) == by_shapes(aten._fft_c2c.default, data, dims, 0, True, out=data)


def test_half_of_a_transform_is_real() -> None:
    """It counts by its longer side."""
    real, half = shaped(3, 16, dtype=torch.float32), shaped(3, 9, dtype=torch.cfloat)
    expected = int(3 * 2.5 * 16 * 4)
    assert expected == by_shapes(aten._fft_r2c.default, real, [1], 0, True, out=half)
    assert expected == by_shapes(aten._fft_c2r.default, half, [1], 0, 16, out=real)


def test_operators_without_a_formula() -> None:
    """They are named as such; an operator may have no schema."""
    assert formula_of(aten.add.Tensor) is None
    assert formula_of(lambda: None) is None


def test_torch_may_not_have_loaded_its_own_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not loaded for this; our own formulas need none."""
    system = replace(SYSTEM, modules={})
    monkeypatch.setattr("pytest_greenops.work.formulas.SYSTEM", system)
    assert formula_of(aten.add.Tensor) is None
    assert 2 * 3 * 4 * 5 == by_shapes(aten.mm.default, shaped(3, 4), shaped(4, 5))


def test_a_formula_of_another_library_is_used() -> None:
    """A library that registers a formula for its operator with torch need not do so again."""
    with torch.library._scoped_library("greenops_formula", "FRAGMENT") as library:
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: x * 2, "CPU")
        operator = torch.ops.greenops_formula.twice

        @torch.utils.flop_counter.register_flop_formula(operator)
        def _(shape: Any, out_shape: Any = None, **_: Any) -> int:
            return 7

        assert 7 == flop(lambda: operator(ones(3)))
        del torch.utils.flop_counter.flop_registry[operator]
