"""What is known of an operator of torch by its schema: what it reads, writes and computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from pytest_greenops.work.footprint import footprint
from pytest_greenops.work.formulas import formula_of

#: Operators that read only as much of their first tensor as they return.
GATHER = {"embedding", "index_select", "index", "_unsafe_index", "gather", "take"}
#: Operators that read a row of their first tensor for each element of the second.
GATHER_ROWS = {"_embedding_bag", "_embedding_bag_forward_only"}
#: Operators that write only as much of a tensor as they are given; these read that much before.
ACCUMULATE = {"index_add_", "index_reduce_", "scatter_add_", "scatter_reduce_"}
SCATTER = {
    *("index_put_", "_index_put_impl_", "_unsafe_index_put_", "index_copy_", "index_fill_"),
    *("scatter_", "masked_scatter_", "put_", *ACCUMULATE),
}
#: Operators that write a tensor without reading it.
OVERWRITE = {
    *("copy_", "fill_", "zero_", "normal_", "uniform_", "random_", "bernoulli_", "exponential_"),
    *("_foreach_copy_", "_foreach_zero_"),
}
#: Beginnings of the names of operators that only look at the same memory in another way, or make
#: a tensor of others without copying, though their schemas do not say so.
VIEWS = (
    *("_unsafe_view", "_reshape_alias", "_coalesced_", "_sparse_coo_tensor"),
    *("_sparse_compressed_tensor", "sparse_compressed_tensor"),
)
#: Beginnings of the names of operators that make a tensor and do not write it.
ALLOCATE = ("empty", "new_empty", "resize_", "_efficientzerotensor")
#: Questions about a tensor, which do no work.
QUESTIONS = {
    *("size", "sym_size", "stride", "sym_stride", "storage_offset", "sym_storage_offset"),
    *("numel", "sym_numel", "dim", "is_contiguous", "sym_is_contiguous", "is_strides_like_format"),
    *("is_non_overlapping_and_dense", "layout", "device", "is_pinned", "is_same_size"),
    *("_nnz", "_dimI", "_dimV", "sparse_dim", "dense_dim", "is_coalesced", "q_scale"),
    *("q_zero_point", "qscheme", "_fused_sdp_choice", "_has_compatible_shallow_copy_type"),
    *(
        "_is_zerotensor",
        "_has_same_storage_numel",
        "_debug_has_internal_overlap",
        "record_stream",
        "_version",
    ),
}
#: Beginnings of the names of operators whose work is the bytes that they move: no formula is
#: missed for them. Element-wise ones have torch's tag `pointwise` besides.
ONLY_BYTES = (
    *("sum", "mean", "var", "std", "prod", "amax", "amin", "argmax", "argmin", "max", "min"),
    *("any", "all", "cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "norm", "renorm"),
    *("linalg_vector_norm", "linalg_cross", "logsumexp", "aminmax", "median", "mode", "kthvalue"),
    *("softmax", "log_softmax", "safe_softmax", "masked_softmax", "native_layer_norm", "glu"),
    *("native_group_norm", "native_batch_norm", "batch_norm", "cudnn_batch_norm", "trace"),
    *("fused_rms_norm", "native_dropout", "fused_dropout", "embedding", "index", "gather"),
    *("scatter", "take", "put", "cat", "stack", "copy", "to_copy", "to_dense", "to_sparse"),
    *("to_padded", "to_mkldnn", "mkldnn_reorder", "mkldnn_max_pool", "mkldnn_reshape"),
    *("coalesce", "clone"),
    *("sparse_mask", "sparse_softmax", "empty", "new_", "full", "zeros", "ones", "arange", "fill"),
    *("rand", "normal", "uniform", "bernoulli", "multinomial", "exponential", "poisson", "sort"),
    *("topk", "where", "masked", "nonzero", "max_pool", "avg_pool", "adaptive_", "fractional_"),
    *("upsample", "nll_loss", "mse_loss", "binary_cross_entropy", "smooth_l1_loss", "huber_loss"),
    *("flip", "roll", "constant_pad", "reflection_pad", "replication_pad", "pixel_", "tril"),
    *("triu", "diag", "foreach", "fused_adam", "fused_sgd", "fused_adagrad", "local_scalar_dense"),
    *("equal", "zero", "repeat", "unfold", "im2col", "col2im", "grid_sampler", "thnn_fused"),
    *("weight_norm", "quantize", "dequantize", "choose_qparams", "fused_moving_avg", "bincount"),
    *("slice_", "select_", "as_strided", "lift_fresh", "amp_", "unique", "one_hot", "searchsorted"),
    *("bucketize", "hist", "unsafe_", "isin", "scalar_tensor", "linspace", "logspace", "eye"),
    *("item", "assert", "nested", "pack_padded", "pad_packed", "log_sigmoid", "l1_loss", "conj"),
    *("pin_memory", "complex", "prelu", "rrelu", "segment_reduce", "combinations", "cartesian"),
)
#: Namespaces of element-wise operators, and of those that move data between processes.
OF_BYTES = ("prims.", "c10d.", "_c10d_functional.")
#: Operators of higher order that call other operators besides their functions. Those that are not
#: listed may refuse to run in a mode.
SPLIT = {
    *("flex_attention", "flex_attention_backward", "while_loop", "while_loop_stack_output"),
    *("map_impl", "associative_scan", "out_dtype", "auto_functionalized", "auto_functionalized_v2"),
}
#: Dispatch keys of kernels for the tensors of a kind of device and layout.
_BACKENDS = (
    *("CPU", "CUDA", "MPS", "XPU", "HPU", "Meta", "PrivateUse1", "MkldnnCPU"),
    *("SparseCPU", "SparseCUDA", "SparseCsrCPU", "SparseCsrCUDA", "QuantizedCPU", "QuantizedCUDA"),
    *("NestedTensorCPU", "NestedTensorCUDA"),
)
_COMPOSITE = "CompositeImplicitAutograd"


class OperatorCall(NamedTuple):
    """A call of an operator.

    given, made  the tensors in its arguments and in its result
    """

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    given: Sequence[Any]
    made: Sequence[Any]
    out: Any


class Sides(NamedTuple):
    """What a call reads and what it writes.

    operands  tensors that it reads; those that it changes only if it reads them
    results   tensors that it writes
    changed   those of the results that were there before
    """

    operands: Sequence[Any]
    results: Sequence[Any]
    changed: Sequence[Any]


class OperatorKind:
    """What is known of an operator before it is called.

    name     with its namespace: `aten.mm`
    packed   the dtype of its weights, if they are packed and so no tensor
    nested   its work is that of functions in its arguments: `cond`
    is_view  it only looks at the same memory in another way
    asks     it only asks something, and does no work
    unknown  it may have FLOPs, and no formula is known
    run      calls it
    may_split  some of its calls are counted as those of the operators that it is made of
    """

    def __init__(self, torch: Any, func: Any) -> None:
        self._torch = torch
        self._func = func
        plain = type(func) is torch._ops.OpOverload  # which only calls its function in C
        self.run: Callable[..., Any] = func._op if plain else func
        self._formula = formula_of(func)
        self.packed = ""
        self.nested = self.is_view = self.asks = self._fills = self._only_out = False
        self._writes: list[tuple[int, str]] = []
        self._composite: Callable[..., Any] | None = None
        self._own_keys: list[Any] = []
        self._owns: dict[int, bool] = {}  # by the number of a tensor's set of keys
        self._keys_of = torch._C._dispatch_keys
        schema = getattr(func, "_schema", None)
        if schema is None:
            self._read_higher_order()
        else:
            self._read_schema(schema)
        self._allocates = self._short.startswith(ALLOCATE)
        self._part = self._short in SCATTER | GATHER | GATHER_ROWS or bool(self.packed)
        self._unread = self._only_out or self._short in SCATTER - ACCUMULATE
        self._in_place = [place for place, _ in self._writes] == [0]
        self.may_split = self._composite is not None

    def _read_higher_order(self) -> None:
        """Know an operator that calls functions: `cond`, `while_loop`, `flex_attention`."""
        name = self._func.name
        short = name() if callable(name) else str(name)
        self.name, self._short, self.unknown = f"higher_order.{short}", "", True
        self.nested = short not in SPLIT
        if not self.nested:
            key = self._torch._C.DispatchKey.CompositeExplicitAutograd
            self._composite = self._func.py_kernels.get(key)

    def _read_schema(self, schema: Any) -> None:
        self.name = str(schema.name).replace("::", ".")
        self._short = short = self.name.rpartition(".")[2]
        written = [
            (place, each)
            for place, each in enumerate(schema.arguments)
            if each.alias_info is not None and each.alias_info.is_write and each.name != "grads"
        ]  # fused optimizers write gradients only to scale them
        self._writes = [(place, each.name) for place, each in written]
        self._only_out = short in OVERWRITE or any(each.is_out for _, each in written)
        aliases = [each.alias_info for each in schema.returns if each.alias_info is not None]
        tags, allocates = self._func.tags, short.startswith(ALLOCATE)
        in_place = self._torch.Tag.inplace_view in tags and not allocates
        looks = any(not each.is_write for each in aliases) or in_place
        self.is_view = looks or short.startswith(VIEWS)
        self._fills = short.endswith("_like") or short.startswith("new_")
        self.asks = self.name.startswith(("prim.", "profiler.")) or short in QUESTIONS
        if self._formula is not None and self.name.startswith("quantized."):
            self.packed = "float16" if short.endswith("fp16") else "qint8"
        only_bytes = self.is_view or allocates or self._torch.Tag.pointwise in tags
        if self.name.startswith("aten."):
            only_bytes = only_bytes or short.lstrip("_").startswith(ONLY_BYTES)
        only_bytes = only_bytes or self.name.startswith(OF_BYTES)
        self.unknown = self._formula is None and not only_bytes
        if not self.asks:
            self._read_kernels()

    def _read_kernels(self) -> None:
        """Note what the operator is made of, and for which tensors it has a kernel of its own.

        Splitting one that has a kernel would change what it computes, in the last digits, and what
        it costs. Only torch's kernel is used: its decompositions in Python compute something else.
        """
        func, keys = self._func, self._torch._C.DispatchKey
        has = self._torch._C._dispatch_has_kernel_for_dispatch_key
        composite = getattr(keys, _COMPOSITE)
        if has(func.name(), _COMPOSITE):
            self._composite = partial(self._run_parts, composite)
        else:
            self._composite = func.py_kernels.get(composite)
        known = (getattr(keys, key, None) for key in _BACKENDS if has(func.name(), key))
        self._own_keys = [key for key in known if key is not None]

    def _run_parts(self, key: Any, *args: Any, **kwargs: Any) -> Any:
        """Run the operators that this one is made of, in the state that it was called in.

        In the state of a dispatch mode views would not know what they are views of, and so not
        that a parameter needs a gradient, by which `matmul` chooses its kernel.
        """
        with self._torch._C._RestorePythonTLSSnapshot():
            return self._func._op_dk(key, *args, **kwargs)

    def parts(self, given: Sequence[Any]) -> Callable[..., Any] | None:
        """Return what runs the operators that it is made of; None if it is counted as a whole.

        In inference mode composite operators reach the dispatcher.
        """
        if self._composite is None or not self._own_keys:
            return self._composite
        for each in given:
            keys = self._keys_of(each)
            number = keys.raw_repr()
            own = self._owns.get(number)
            if own is None:
                own = self._owns[number] = any(map(keys.has, self._own_keys))
            if own:
                return None
        return self._composite

    def sides(self, call: OperatorCall) -> Sides:
        """Return what a call reads and what it writes, each tensor once."""
        if self.is_view:
            return Sides(call.given, call.made, ())
        if not self._writes:
            read = call.given
            if len(read) > 2 or (len(read) == 2 and read[0] is read[1]):
                read = [*{id(tensor): tensor for tensor in read}.values()]
            return Sides(read, call.made, ())
        if self._in_place and len(call.made) == 1 and len(call.given) <= 2:
            first = call.made[0]
            others = call.given[1:]
            if call.args and call.args[0] is first and not (others and others[0] is first):
                read = others if self._unread else [*others, first]
                return Sides(read, call.made, call.made)
        changed = {id(tensor): tensor for tensor in self._changed(call)}
        given = {id(tensor): tensor for tensor in call.given if id(tensor) not in changed}
        results = changed | {id(tensor): tensor for tensor in call.made}
        if not self._unread:
            given.update(changed)
        return Sides([*given.values()], [*results.values()], [*changed.values()])

    def _changed(self, call: OperatorCall) -> Iterator[Any]:
        for place, name in self._writes:
            yield from _plain(call.args[place] if place < len(call.args) else call.kwargs.get(name))

    def counts(self, call: OperatorCall, sides: Sides) -> tuple[int, int, int, int, int, int]:
        """Return what one call did: the fields of an `Amount`."""
        if self.is_view:
            return 0, 1, 0, 0, 0, 0
        if self._allocates:
            return 1, 0, 0, 0, 0, 0
        written = elements = read = 0
        for tensor in sides.results:
            written += footprint(tensor)
            elements += int(tensor.numel())
        if not self._fills:
            for tensor in sides.operands:
                read += footprint(tensor)
        if not self._part:
            pass
        elif self._short in SCATTER:
            read, written = self._scattered(sides, read)
        elif self._short in GATHER:
            read -= max(0, footprint(call.given[0]) - written)
        elif self._short in GATHER_ROWS:
            rows = call.given[1].numel() * call.given[0].shape[-1] * call.given[0].element_size()
            read -= max(0, footprint(call.given[0]) - rows)
        elif self.packed:
            read += self._packed_weights(call)
        flop = self._formula(*call.args, out=call.out, **call.kwargs) if self._formula else 0
        return 1, 0, flop, read, written, elements

    def _scattered(self, sides: Sides, read: int) -> tuple[int, int]:
        """Return the bytes that a scatter reads and writes."""
        whole = sides.changed[0]
        given = [each for each in sides.operands if each is not whole]
        elements = max((int(each.numel()) for each in given), default=0)
        written = min(footprint(whole), elements * int(whole.element_size()))
        if self._short in ACCUMULATE:
            read -= footprint(whole) - written
        return read, written

    def _packed_weights(self, call: OperatorCall) -> int:
        """Return the bytes of the weights of a quantized layer."""
        data, packed = call.args[:2]
        if self._short.startswith("conv"):
            return footprint(packed.unpack()[0])
        return int(data.shape[-1] * call.out.shape[-1]) * (2 if self.packed == "float16" else 1)


def _plain(value: Any) -> Iterator[Any]:
    """Yield a tensor, or the tensors of a list; nothing of what is missing."""
    if isinstance(value, (list, tuple)):
        yield from (each for each in value if each is not None)
    elif value is not None:
        yield value
