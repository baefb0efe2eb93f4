"""Operations of torch's operators, by hand."""

from __future__ import annotations

from collections.abc import Callable
from math import log2
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make test-studies")

from torch.nn import functional as F  # noqa: E402, N812
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

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
