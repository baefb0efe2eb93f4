"""Floating-point operations of torch's operators, by their arguments.

Counted are matrix products, convolutions, attention, recurrent and fused encoder layers, sums of
embedding bags, and Fourier transforms. A multiply-add is two operations. The figures are those of
`torch.utils.flop_counter` where that is right; it has none for attention on a CPU, counts causal
attention in full, and ignores groups in the backward pass of a convolution.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from pytest_greenops.system import SYSTEM
from pytest_greenops.work.footprint import layout_of

#: Returns the operations of one call, from its arguments and its result.
Formula = Callable[..., int]
#: Gradients of a matrix product: of either factor one product of the same size.
_BACKWARD_OF_PRODUCTS = 2
#: Products of attention's backward pass over those of its forward pass: five over two, since the
#: scores are computed again (Dao et al., FlashAttention, NeurIPS 2022, algorithm 4).
_BACKWARD_OF_ATTENTION = 2.5


def formula_of(func: Any) -> Formula | None:
    """Return the formula of an operator, or None.

    For other operators than torch's, that which their library registered with torch.
    """
    packet = getattr(func, "overloadpacket", func)
    schema = getattr(func, "_schema", None)
    name = str(getattr(schema, "name", "")).replace("::", ".")
    if name in _FORMULAS:
        return _FORMULAS[name]
    if name in _ATTENTION:
        names = [argument.name for argument in func._schema.arguments]
        return _attention_formula(names, *_ATTENTION[name])
    counter = SYSTEM.modules.get("torch.utils.flop_counter")
    registered = None if counter is None else counter.flop_registry.get(packet)
    return None if registered is None else _registered(registered)


def _registered(formula: Any) -> Formula:
    def count(*args: Any, out: Any, **kwargs: Any) -> int:
        return int(formula(*args, out_val=out, **kwargs))

    return count


def _stored(matrix: Any) -> int | None:
    """Return how many values a sparse matrix stores; None if it is dense."""
    layout = layout_of(matrix)
    if layout in ("torch.strided", "torch._mkldnn"):
        return None
    return int((matrix._values() if layout == "torch.sparse_coo" else matrix.values()).numel())


def _matmul(a: Any, b: Any, *_: Any, **__: Any) -> int:
    """Products of two matrices, or of two batches of them; of a sparse one only what it stores.

    Of two sparse ones: as if the values of the second were spread evenly over its rows.
    """
    if a.is_nested:
        return _nested_matmul(a, b)
    stored_a, stored_b = _stored(a), _stored(b)
    if stored_a is None and stored_b is None:
        return 2 * int(a.numel()) * int(b.shape[-1])
    if stored_a is None:
        rows: int = math.prod(a.shape[:-1])
        return 2 * rows * int(stored_b or 0)
    if stored_b is None:
        return 2 * stored_a * int(b.shape[-1])
    return 2 * stored_a * stored_b // max(1, int(b.shape[-2]))


def _nested_matmul(a: Any, b: Any) -> int:
    """Products of matrices of different sizes, each with its own or all with the same one."""
    sizes = a._nested_tensor_size().tolist()
    others = b._nested_tensor_size().tolist() if b.is_nested else [[*b.shape]] * len(sizes)
    pairs = zip(sizes, others, strict=True)
    return sum(2 * math.prod(one) * int(other[-1]) for one, other in pairs)


def _added_matmul(added: Any, a: Any, b: Any, *_: Any, **__: Any) -> int:
    return _matmul(a, b)


def _grouped_matmul(a: Any, b: Any, *_: Any, **__: Any) -> int:
    """Products of groups of rows with a matrix for each group; either may be one long matrix."""
    columns = int(b.shape[-1]) if a.dim() == 2 or b.dim() == 3 else b.shape[-1] / a.shape[0]
    return int(2 * math.prod(a.shape) * columns)


def _sampled(added: Any, a: Any, b: Any, *_: Any, **__: Any) -> int:
    """Products of two dense matrices where a sparse one has a value."""
    return 2 * (_stored(added) or 0) * int(a.shape[-1])


def _vector(matrix: Any, vector: Any, **_: Any) -> int:
    stored = _stored(matrix)
    return 2 * (math.prod(matrix.shape) if stored is None else stored)


def _added_vector(added: Any, matrix: Any, vector: Any, *_: Any, **__: Any) -> int:
    return _vector(matrix, vector)


def _outer(added: Any, a: Any, b: Any, *_: Any, **__: Any) -> int:
    return 2 * int(a.numel()) * int(b.numel())


def _dot(a: Any, b: Any, **_: Any) -> int:
    return 2 * int(a.numel())


def _attention_formula(names: Sequence[str], factor: float, heads_first: bool) -> Formula:
    """Return the formula of attention whose arguments have these names."""

    def count(*args: Any, out: Any, **kwargs: Any) -> int:
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        causal = bool(given.get("is_causal") or given.get("custom_mask_type"))
        products = _attention(given, causal, heads_first)
        return int(factor * products)

    return count


def _attention(given: Mapping[str, Any], causal: bool, heads_first: bool) -> int:
    """Products of queries with keys, and of weights with values; causal: only up to the diagonal.

    Shapes: (batch, heads, positions, width), or with the heads behind the positions; of sequences
    of different lengths in one row: (positions, heads, width).
    """
    query, key, value = given["query"], given["key"], given["value"]
    heads_at, at = (-3, -2) if heads_first else (-2, -3)
    width = int(query.shape[-1] + value.shape[-1])
    starts = [given.get("cum_seq_q", given.get("cu_seqlens_q"))]
    starts.append(given.get("cum_seq_k", given.get("cu_seqlens_k")))
    if heads_first or starts[0] is None or starts[1] is None:
        batch: int = math.prod(query.shape[:-3])
        pairs = batch * _pairs(int(query.shape[at]), int(key.shape[at]), causal)
    else:
        queries, keys = (each.tolist() for each in starts)
        lengths = ([b - a for a, b in pairwise(s)] for s in (queries, keys))
        pairs = sum(_pairs(q, k, causal) for q, k in zip(*lengths, strict=True))
    return 2 * int(query.shape[heads_at]) * pairs * width


def _pairs(queries: int, positions: int, causal: bool) -> int:
    """Pairs of a query and a position that it sees."""
    if not causal:
        return queries * positions
    square = min(queries, positions)
    return square * (square + 1) // 2 + (queries - square) * positions


def _convolution(
    images: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
    transposed: bool = False, *_: Any, out: Any, **__: Any,
) -> int:  # fmt: skip
    """Each weight once for each position: of the result, or of the images if transposed."""
    positions: int = math.prod((images if transposed else out).shape[2:])
    return 2 * int(images.shape[0]) * positions * int(weight.numel())


def _plain_convolution(images: Any, weight: Any, *_: Any, out: Any, **__: Any) -> int:
    return _convolution(images, weight, None, None, None, None, out=out)


def _convolution_backward(
    grad: Any, images: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
    transposed: bool, output_padding: Any, groups: int, wanted: Sequence[bool], **_: Any,
) -> int:  # fmt: skip
    """As much as forward for the gradient of the images, and for that of the weights."""
    forward = _convolution(images, weight, bias, stride, padding, dilation, transposed, out=grad)
    return forward * sum(map(bool, wanted[:2]))


def _recurrent(steps: int, weights: Sequence[Any]) -> int:
    """Products of a recurrent layer: each step of each sequence with every weight matrix."""
    return 2 * steps * sum(int(w.numel()) for w in weights if w is not None and w.dim() == 2)


def _mkldnn_rnn(
    data: Any, w_input: Any, w_hidden: Any, b_input: Any, b_hidden: Any, *_: Any, **__: Any
) -> int:
    return _recurrent(int(data.shape[0] * data.shape[1]), [w_input, w_hidden])


def _mkldnn_rnn_backward(data: Any, w1: Any, w2: Any, *_: Any, **__: Any) -> int:
    forward = _recurrent(int(data.shape[0] * data.shape[1]), [w1, w2])
    return _BACKWARD_OF_PRODUCTS * forward


def _cudnn_rnn(data: Any, weights: Sequence[Any], *_: Any, **__: Any) -> int:
    steps = math.prod(data.shape[:2]) if data.dim() == 3 else data.shape[0]  # packed: 2-D
    return _recurrent(int(steps), weights)


def _cudnn_rnn_backward(data: Any, weights: Sequence[Any], *_: Any, **__: Any) -> int:
    return _BACKWARD_OF_PRODUCTS * _cudnn_rnn(data, weights)


def _encoder_layer(
    source: Any, width: int, heads: int, w_qkv: Any, b_qkv: Any, w_out: Any, b_out: Any,
    gelu: bool, norm_first: bool, eps: float, w1: Any, b1: Any, w2: Any, b2: Any,
    w_ffn1: Any, b_ffn1: Any, w_ffn2: Any, *_: Any, **__: Any,
) -> int:  # fmt: skip
    """A fused layer of an encoder: its four projections, the attention, and the feed-forward."""
    return _projected(source, [w_qkv, w_out, w_ffn1, w_ffn2])


def _multi_head(
    query: Any, key: Any, value: Any, width: int, heads: int, w_qkv: Any, b_qkv: Any, w_out: Any,
    *_: Any, **__: Any,
) -> int:  # fmt: skip
    return _projected(query, [w_qkv, w_out])


def _projected(source: Any, weights: Sequence[Any]) -> int:
    """Projections of (batch, positions, width), and the attention of its positions."""
    width = int(source.size(-1))
    if source.is_nested:
        lengths = [int(length) for length, _ in source._nested_tensor_size().tolist()]
    else:
        lengths = [int(source.shape[-2])] * math.prod(source.shape[:-2])
    projections = 2 * sum(lengths) * sum(int(w.numel()) for w in weights)
    return projections + 4 * sum(length**2 for length in lengths) * width


def _sums_of_rows(weight: Any, indices: Any, *_: Any, **__: Any) -> int:
    """Additions of an embedding bag: each index adds one row."""
    return int(indices.numel() * weight.shape[-1])


def _linear(data: Any, *_: Any, out: Any, **__: Any) -> int:
    """A linear layer, or a product with packed weights: (…, inner) to (…, outer)."""
    return 2 * int(out.numel()) * int(data.size(-1))  # a nested tensor has no shape


def _packed_convolution(images: Any, packed: Any, *_: Any, out: Any, **__: Any) -> int:
    """A convolution whose quantized weights are packed."""
    weight = packed.unpack()[0]
    return 2 * int(out.numel()) * int(weight[0].numel())


def _fourier(data: Any, dims: Sequence[int], *_: Any, out: Any, **__: Any) -> int:
    """5 N log2 N of a complex transform of length N, half of it if one side is real.

    Source: Cooley and Tukey's radix-2 algorithm, by which FFTW's benchmarks count.
    """
    longer = data if data.numel() >= out.numel() else out
    length = math.prod(longer.shape[dim] for dim in dims)
    if length <= 1:
        return 0
    factor = 5.0 if data.is_complex() and out.is_complex() else 2.5
    return int(factor * longer.numel() * math.log2(length))


#: By name of the operator.
_FORMULAS: dict[str, Formula] = {
    **dict.fromkeys(
        (
            *("aten.mm", "aten.bmm", "aten.matmul", "aten._scaled_mm", "aten._scaled_mm_v2"),
            *("aten._int_mm",),
            *("aten._sparse_mm", "aten._sparse_sparse_matmul", "aten._sparse_mm_reduce_impl"),
        ),
        _matmul,
    ),
    **dict.fromkeys(
        (
            *("aten.addmm", "aten.addmm_", "aten._addmm_activation", "aten._sparse_addmm"),
            *("aten.baddbmm", "aten.baddbmm_", "aten.addbmm", "aten.addbmm_"),
        ),
        _added_matmul,
    ),
    **dict.fromkeys(
        (
            *("aten._weight_int8pack_mm", "aten._weight_int4pack_mm"),
            *("aten._weight_int4pack_mm_for_cpu", "aten._dyn_quant_matmul_4bit"),
            *(
                "aten.linear",
                "aten.mkldnn_linear",
                "mkldnn._linear_pointwise",
                "onednn.qlinear_pointwise",
            ),
            *("quantized.linear", "quantized.linear_relu", "quantized.linear_dynamic"),
            *("quantized.linear_relu_dynamic", "quantized.linear_dynamic_fp16"),
            *("quantized.linear_relu_dynamic_fp16",),
        ),
        _linear,
    ),
    **dict.fromkeys(("aten._grouped_mm", "aten._scaled_grouped_mm"), _grouped_matmul),
    "aten.sparse_sampled_addmm": _sampled,
    "aten.mv": _vector,
    **dict.fromkeys(("aten.addmv", "aten.addmv_"), _added_vector),
    **dict.fromkeys(("aten.addr", "aten.addr_"), _outer),
    **dict.fromkeys(("aten.dot", "aten.vdot"), _dot),
    **dict.fromkeys(
        ("aten.convolution", "aten._convolution", "aten.convolution_overrideable"), _convolution
    ),
    **dict.fromkeys(
        (
            *("aten._slow_conv2d_forward", "aten.mkldnn_convolution", "aten.cudnn_convolution"),
            *("mkldnn._convolution_pointwise", "aten._conv_depthwise2d"),
            *("aten.slow_conv3d_forward", "aten.conv_depthwise3d"),
        ),
        _plain_convolution,
    ),
    "aten.convolution_backward": _convolution_backward,
    **dict.fromkeys(
        (
            *("quantized.conv1d", "quantized.conv1d_relu", "quantized.conv2d"),
            *("quantized.conv2d_relu", "quantized.conv3d", "quantized.conv3d_relu"),
        ),
        _packed_convolution,
    ),
    "aten.mkldnn_rnn_layer": _mkldnn_rnn,
    "aten.mkldnn_rnn_layer_backward": _mkldnn_rnn_backward,
    **dict.fromkeys(("aten._cudnn_rnn", "aten.miopen_rnn"), _cudnn_rnn),
    **dict.fromkeys(("aten._cudnn_rnn_backward", "aten.miopen_rnn_backward"), _cudnn_rnn_backward),
    "aten._transformer_encoder_layer_fwd": _encoder_layer,
    "aten._native_multi_head_attention": _multi_head,
    **dict.fromkeys(("aten._embedding_bag", "aten._embedding_bag_forward_only"), _sums_of_rows),
    **dict.fromkeys(("aten._fft_c2c", "aten._fft_r2c", "aten._fft_c2r"), _fourier),
}
#: Attention by name of the operator: its operations over those of the forward pass, and whether
#: the heads come before the positions.
_ATTENTION: dict[str, tuple[float, bool]] = {
    **{
        f"aten._scaled_dot_product_{kind}{backward}": (factor, True)
        for kind in (
            *("flash_attention", "flash_attention_for_cpu", "efficient_attention"),
            *("cudnn_attention", "fused_attention_overrideable"),
        )
        for backward, factor in (("", 1.0), ("_backward", _BACKWARD_OF_ATTENTION))
    },
    **{
        f"aten._{kind}_attention_{direction}": (factor, False)
        for kind in ("flash", "efficient")
        for direction, factor in (("forward", 1.0), ("backward", _BACKWARD_OF_ATTENTION))
    },
    "aten._scaled_dot_product_attention_math_for_mps": (1.0, True),
}
