"""Floating-point operations of torch's operators, by their arguments.

torch's own registry (`torch.utils.flop_counter`) knows matrix products, convolutions and attention
on GPUs. What it lacks or counts differently is here: attention on a CPU, causal attention, sparse
and quantized products, recurrent layers, fused encoder layers, the backward pass of a grouped
convolution, matrix-vector products, Fourier transforms. A multiply-add counts as two operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: Returns the operations of one call, from its arguments and its result.
Formula = Callable[..., int]
#: Gradients of a matrix product: of either factor one product of the same size.
_BACKWARD_OF_PRODUCTS = 2
#: Products of attention's backward pass over those of its forward pass: five over two, since the
#: scores are computed again (Dao et al., FlashAttention, NeurIPS 2022, algorithm 4).
_BACKWARD_OF_ATTENTION = 2.5


def known(torch: Any) -> dict[Any, Formula]:
    """Return the formula of each operator (an `OpOverloadPacket`) that has one."""
    from torch.utils import flop_counter

    registry: dict[Any, Any] = dict(flop_counter.flop_registry)
    formulas: dict[Any, Formula] = {packet: _of_torch(each) for packet, each in registry.items()}
    for name, formula in OURS.items():
        packet = _packet(torch, name)
        if packet is not None:
            formulas[packet] = formula
    return formulas


def _of_torch(formula: Any) -> Formula:
    def count(*args: Any, out: Any, **kwargs: Any) -> int:
        return int(formula(*args, out_val=out, **kwargs))

    return count


def _packet(torch: Any, name: str) -> Any:
    """Return an operator of this torch by its name, or None if it has none."""
    namespace, _, operator = name.partition(".")
    try:
        return getattr(getattr(torch.ops, namespace), operator)
    except (AttributeError, RuntimeError):
        return None


def _products(rows: int, inner: int, columns: int) -> int:
    return 2 * rows * inner * columns


def _stored(matrix: Any) -> int | None:
    """Return how many values a sparse matrix stores; None if it is dense."""
    if str(matrix.layout) in ("torch.strided", "torch._mkldnn"):
        return None
    if str(matrix.layout) == "torch.sparse_coo":
        return int(matrix._values().numel())
    return int(matrix.values().numel())


def _matmul(a: Any, b: Any, **_: Any) -> int:
    """Products of two matrices, or of two batches of them; of a sparse one only what it stores."""
    for one, other in ((a, b.shape[-1]), (b, a.shape[-2])):
        if (stored := _stored(one)) is not None:
            return 2 * stored * other
    return 2 * math.prod(a.shape) * b.shape[-1]


def _added_matmul(added: Any, a: Any, b: Any, *_: Any, **__: Any) -> int:
    return _matmul(a, b)


def _sampled(added: Any, a: Any, b: Any, *_: Any, **__: Any) -> int:
    """Products of two dense matrices where a sparse one has a value."""
    return 2 * (_stored(added) or 0) * int(a.shape[-1])


def _vector(matrix: Any, vector: Any, **_: Any) -> int:
    stored = _stored(matrix)
    return 2 * (math.prod(matrix.shape) if stored is None else stored)


def _added_vector(added: Any, matrix: Any, vector: Any, *_: Any, **__: Any) -> int:
    return _vector(matrix, vector)


def _dot(a: Any, b: Any, **_: Any) -> int:
    return 2 * int(a.numel())


def _attention(query: Any, key: Any, value: Any, *_: Any, causal: bool = False, **__: Any) -> int:
    """Products of queries with keys, and of weights with values; causal: only up to the diagonal.

    Shapes: (batch, heads, positions, width).
    """
    batch, heads, queries, width = query.shape
    positions, out_width = key.shape[-2], value.shape[-1]
    pairs = queries * positions
    if causal:
        pairs = sum(min(row + 1, positions) for row in range(queries))
    return int(2 * batch * heads * pairs * (width + out_width))


def _causal(args: Sequence[Any], kwargs: Mapping[str, Any], place: int) -> bool:
    given = args[place] if len(args) > place else kwargs.get("is_causal", False)
    return bool(given)


def _sdpa(place: int) -> Formula:
    """Return the formula of a forward pass whose argument at a place is `is_causal`."""

    def count(query: Any, key: Any, value: Any, *rest: Any, out: Any, **kwargs: Any) -> int:
        args = (query, key, value, *rest)
        return _attention(query, key, value, causal=_causal(args, kwargs, place))

    return count


def _sdpa_backward(place: int) -> Formula:
    """Return the formula of a backward pass: gradient of the output, query, key, value, …"""

    def count(grad: Any, query: Any, key: Any, value: Any, *rest: Any, **kwargs: Any) -> int:
        args = (grad, query, key, value, *rest)
        forward = _attention(query, key, value, causal=_causal(args, kwargs, place))
        return int(_BACKWARD_OF_ATTENTION * forward)

    return count


def _convolution_backward(
    grad: Any, images: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
    transposed: bool, output_padding: Any, groups: int, wanted: Sequence[bool], **_: Any,
) -> int:  # fmt: skip
    """As much as forward for each gradient that is wanted, also with groups.

    torch's formula counts the gradient of the weight as if there were one group.
    """
    positions = math.prod((images if transposed else grad).shape[2:])
    forward = 2 * int(images.shape[0]) * positions * int(weight.numel())
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
    batch, positions, width = source.shape if source.dim() == 3 else (1, *source.shape)
    projections = 2 * batch * positions * sum(int(w.numel()) for w in weights)
    return int(projections + 4 * batch * positions**2 * width)


def _sums_of_rows(weight: Any, indices: Any, *_: Any, **__: Any) -> int:
    """Additions of an embedding bag: each index adds one row."""
    return int(indices.numel() * weight.shape[-1])


def _linear(data: Any, *_: Any, out: Any, **__: Any) -> int:
    """A linear layer whose weights are packed: (…, inner) to (…, outer)."""
    return 2 * int(out.numel()) * int(data.shape[-1])


def _packed_convolution(images: Any, packed: Any, *_: Any, out: Any, **__: Any) -> int:
    """A convolution whose quantized weights are packed."""
    weight = packed.unpack()[0]
    return 2 * int(out.numel()) * int(weight[0].numel())


def _int_matmul(a: Any, b: Any, *_: Any, out: Any, **__: Any) -> int:
    """A product whose second factor may be packed: (rows, inner) to (rows, columns)."""
    return 2 * int(out.numel()) * int(a.shape[-1])


def _fourier(data: Any, dims: Sequence[int], *_: Any, out: Any, **__: Any) -> int:
    """5 N log2 N of a complex transform of length N, half of it if one side is real.

    Source: Cooley and Tukey's radix-2 algorithm, as benchmarks of the field count (FFTW's "mflops").
    """
    longer = data if data.numel() >= out.numel() else out
    length = math.prod(longer.shape[dim] for dim in dims)
    if length <= 1:
        return 0
    factor = 5.0 if data.is_complex() and out.is_complex() else 2.5
    return int(factor * longer.numel() * math.log2(length))


#: Formulas that torch's registry lacks, or that count something else; by name of the operator.
OURS: dict[str, Formula] = {
    "aten.mm": _matmul,
    "aten._sparse_mm": _matmul,
    "aten._sparse_sparse_matmul": _matmul,
    "aten.bmm": _matmul,
    "aten.addmm": _added_matmul,
    "aten._addmm_activation": _added_matmul,
    "aten._sparse_addmm": _added_matmul,
    "aten.baddbmm": _added_matmul,
    "aten.addbmm": _added_matmul,
    "aten.sparse_sampled_addmm": _sampled,
    "aten.mv": _vector,
    "aten.addmv": _added_vector,
    "aten.dot": _dot,
    "aten.vdot": _dot,
    "aten.convolution_backward": _convolution_backward,
    "aten._scaled_dot_product_flash_attention_for_cpu": _sdpa(4),
    "aten._scaled_dot_product_flash_attention_for_cpu_backward": _sdpa_backward(7),
    "aten._scaled_dot_product_flash_attention": _sdpa(4),
    "aten._scaled_dot_product_flash_attention_backward": _sdpa_backward(11),
    "aten._scaled_dot_product_efficient_attention": _sdpa(6),
    "aten._scaled_dot_product_efficient_attention_backward": _sdpa_backward(11),
    "aten._scaled_dot_product_cudnn_attention": _sdpa(6),
    "aten._scaled_dot_product_cudnn_attention_backward": _sdpa_backward(14),
    "aten._scaled_dot_product_fused_attention_overrideable": _sdpa(5),
    "aten.mkldnn_rnn_layer": _mkldnn_rnn,
    "aten.mkldnn_rnn_layer_backward": _mkldnn_rnn_backward,
    "aten._cudnn_rnn": _cudnn_rnn,
    "aten._cudnn_rnn_backward": _cudnn_rnn_backward,
    "aten.miopen_rnn": _cudnn_rnn,
    "aten.miopen_rnn_backward": _cudnn_rnn_backward,
    "aten._transformer_encoder_layer_fwd": _encoder_layer,
    "aten._native_multi_head_attention": _multi_head,
    "aten._embedding_bag": _sums_of_rows,
    "aten._embedding_bag_forward_only": _sums_of_rows,
    "aten._int_mm": _int_matmul,
    "aten._weight_int8pack_mm": _int_matmul,
    "aten._weight_int4pack_mm": _int_matmul,
    "aten._weight_int4pack_mm_for_cpu": _int_matmul,
    "aten.mkldnn_linear": _linear,
    "mkldnn._linear_pointwise": _linear,
    "quantized.linear": _linear,
    "quantized.linear_relu": _linear,
    "quantized.linear_dynamic": _linear,
    "quantized.linear_relu_dynamic": _linear,
    "quantized.conv1d": _packed_convolution,
    "quantized.conv2d": _packed_convolution,
    "quantized.conv2d_relu": _packed_convolution,
    "quantized.conv3d": _packed_convolution,
    "onednn.qlinear_pointwise": _linear,
    "aten._fft_c2c": _fourier,
    "aten._fft_r2c": _fourier,
    "aten._fft_c2r": _fourier,
}
