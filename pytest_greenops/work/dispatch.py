"""Counts the operators that torch's dispatcher calls: their FLOPs, and the bytes that they move."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from weakref import ref

from pytest_greenops.model.counted import Amount, Operator
from pytest_greenops.system import SYSTEM
from pytest_greenops.work.formulas import Formula, known

#: Operators that read only as much of their first tensor as they return.
GATHER = {
    *("embedding", "index_select", "index", "gather", "take", "_embedding_bag"),
    *("_embedding_bag_forward_only", "_index", "index_put"),
}
#: Operators that write only as much of a tensor as they are given.
SCATTER = {
    *("index_put_", "_index_put_impl_", "index_copy_", "index_add_", "index_fill_", "scatter_"),
    *("scatter_add_", "scatter_reduce_", "masked_scatter_"),
}
#: Operators that write a tensor without reading it.
OVERWRITE = {
    *("copy_", "fill_", "zero_", "normal_", "uniform_", "random_", "bernoulli_", "exponential_"),
    *("_foreach_copy_", "_foreach_zero_"),
}
#: Kinds of operators whose work is the bytes that they move: no formula is missed for them.
#: Element-wise ones have torch's tag `pointwise` besides.
ONLY_BYTES = (
    *("sum", "mean", "var", "std", "prod", "amax", "amin", "argmax", "argmin", "max", "min"),
    *("any", "all", "cumsum", "cumprod", "norm", "linalg_vector_norm", "logsumexp", "aminmax"),
    *("_softmax", "_log_softmax", "_safe_softmax", "native_layer_norm", "native_group_norm", "native_batch_norm"),
    *("_native_batch_norm_legit", "cudnn_batch_norm", "batch_norm", "_fused_rms_norm"),
    *("native_dropout", "embedding", "index", "gather", "scatter", "take", "cat", "stack"),
    *("copy", "_to_copy", "clone", "empty", "new_", "full", "zeros", "ones", "arange", "fill"),
    *("rand", "normal", "uniform", "bernoulli", "multinomial", "sort", "topk", "where", "masked"),
    *("nonzero", "max_pool", "avg_pool", "adaptive_", "_adaptive_", "upsample", "_upsample"),
    *("nll_loss", "mse_loss", "binary_cross_entropy", "smooth_l1_loss", "huber_loss", "flip"),
    *("roll", "constant_pad", "reflection_pad", "replication_pad", "pixel_", "tril", "triu"),
    *("_foreach", "_fused_", "_local_scalar_dense", "equal", "zero", "repeat", "unfold", "im2col"),
    *("col2im", "grid_sampler", "_thnn_fused", "_weight_norm", "quantize", "dequantize", "bincount"),
    *("slice_", "select_", "as_strided", "lift_fresh", "resize_", "set_", "_amp_", "unique"),
    *("one_hot", "searchsorted", "bucketize", "histc", "_unsafe_", "isin", "scalar_tensor"),
    *("linspace", "eye", "randperm", "_reshape_", "item", "_cslt", "_assert", "_nested"),
)


#: Operators that only look at the same memory in another way, though their schemas do not say so.
VIEWS = {"_unsafe_view", "_reshape_alias"}
#: Beginnings of the names of operators that make a tensor and do not write it.
ALLOCATE = ("empty", "new_empty")
#: Questions about a tensor's shape, which only some subclasses pass to the dispatcher.
QUESTIONS = {
    *("size", "sym_size", "stride", "sym_stride", "storage_offset", "sym_storage_offset"),
    *("numel", "sym_numel", "dim", "is_contiguous", "sym_is_contiguous", "is_strides_like_format"),
    *("is_non_overlapping_and_dense", "layout", "device"),
}
#: Names of dispatch keys of kinds of device; those of others are in capitals.
_BACKENDS = {"cpu": "CPU", "cuda": "CUDA", "mps": "MPS", "xpu": "XPU", "meta": "Meta"}


class Tally:
    """What operators did while it was open.

    operators  the amount of each operator
    modules    the amount of each module by itself, by its path
    blind_ns   time inside each operator that may have FLOPs, which are not known
    ops_ns     CPU time of this process while an operator ran
    memory     the memory of tensors that the operators made
    """

    def __init__(self) -> None:
        self.operators: dict[Operator, Amount] = {}
        self.modules: dict[str, Amount] = {}
        self.blind_ns: dict[str, int] = {}
        self.ops_ns = 0
        self.memory = Memory()

    def add(self, operator: Operator, path: str, amount: Amount) -> None:
        """Count one call."""
        self.operators[operator] = self.operators.get(operator, Amount()) + amount
        self.modules[path] = self.modules.get(path, Amount()) + amount


class Dispatch:
    """Counts the operators of each thread that enters one of its modes, for the open tallies."""

    def __init__(self, torch: Any, path: Callable[[], str]) -> None:
        """Prepare; `path` returns the path of the module that runs now."""
        self.open: list[Tally] = []
        self._torch = torch
        self._path = path
        self._lock = SYSTEM.allocate_lock()
        self._formulas = known(torch)
        self._kinds: dict[Any, _Kind] = {}
        self._dtypes: dict[Any, tuple[str, bool]] = {}
        self._mode_class = _mode_class(torch)
        self._inside = self._began_ns = 0

    def mode(self) -> Any:
        """Return a context manager that counts in the thread that enters it."""
        return self._mode_class(self)

    def run(self, mode: Any, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call an operator and count it; one that is made of others is counted by them."""
        kind = self._kinds.get(func) or self._kind(func)
        if kind.inner is not None:
            with mode:
                return kind.inner(*args, **kwargs)
        given = list(_tensors(self._torch, (args, kwargs)))
        if kind.is_composite(given):
            with mode:
                made = func.decompose(*args, **kwargs)
            if made is not NotImplemented:
                return made
        began_ns = self._enter()
        try:
            out = func(*args, **kwargs)
        finally:
            taken_ns = self._leave(began_ns)
        if self.open and not kind.asks:
            self._add(kind, args, kwargs, given, out, taken_ns)
        return out

    def _kind(self, func: Any) -> _Kind:
        kind = self._kinds[func] = _Kind(self._torch, func, self._formulas)
        return kind

    def _enter(self) -> int:
        """Begin an operator; the time of several threads' operators at once counts once."""
        now_ns = SYSTEM.process_time_ns()
        with self._lock:
            if self._inside == 0:
                self._began_ns = now_ns
            self._inside += 1
        return now_ns

    def _leave(self, began_ns: int) -> int:
        now_ns = SYSTEM.process_time_ns()
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                for tally in self.open:
                    tally.ops_ns += now_ns - self._began_ns
        return now_ns - began_ns

    def _add(
        self,
        kind: _Kind,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        given: Sequence[Any],
        out: Any,
        taken_ns: int,
    ) -> None:
        made = list(_tensors(self._torch, out))
        operator = Operator(
            kind.name,
            _joined(self._names(given), self._names(made)),
            _joined(_kinds_of_device(given), _kinds_of_device(made)),
        )
        amount = kind.amount(args, kwargs, given, made, out)
        path = self._path()
        with self._lock:
            for tally in self.open:
                tally.add(operator, path, amount)
                if kind.unknown:
                    tally.blind_ns[kind.name] = tally.blind_ns.get(kind.name, 0) + taken_ns
        if not kind.is_view:
            for tally in self.open:
                tally.memory.note(given, new=False)
                tally.memory.note(made, new=True)

    def _names(self, tensors: Sequence[Any]) -> list[str]:
        """Return the dtypes of tensors: of the floating-point ones if there are any."""
        found = {self._dtypes.get(each.dtype) or self._name(each.dtype) for each in tensors}
        floats = [name for name, is_float in found if is_float]
        return sorted(floats or (name for name, _ in found))

    def _name(self, dtype: Any) -> tuple[str, bool]:
        name = str(dtype).removeprefix("torch.")
        known = self._dtypes[dtype] = name, dtype.is_floating_point or dtype.is_complex
        return known


class _Kind:
    """What is known of an operator before it is called.

    inner    for an operator of higher order, such as `cond`: what runs the functions in it
    asks     it only asks something, and does no work
    unknown  it may have FLOPs, and no formula is known
    """

    def __init__(self, torch: Any, func: Any, formulas: Mapping[Any, Formula]) -> None:
        self.inner: Callable[..., Any] | None = None
        self._func = func
        self._formula = formulas.get(getattr(func, "overloadpacket", func))
        self._composite: dict[str, bool] = {}
        self._writes: list[tuple[int, str, bool]] = []
        self._dispatch = torch._C
        self.is_view = self.asks = False
        schema = getattr(func, "_schema", None)
        if schema is None:
            self.name = self._short = func.name() if callable(func.name) else str(func)
            self.inner = func.py_kernels.get(torch._C.DispatchKey.CompositeExplicitAutograd)
            self.unknown = self._formula is None
            return
        self.name = str(schema.name).replace("::", ".")
        self._short = self.name.rpartition(".")[2]
        self._writes = [
            (place, argument.name, argument.is_out)
            for place, argument in enumerate(schema.arguments)
            if argument.alias_info is not None and argument.alias_info.is_write
        ]
        returned = [result.alias_info for result in schema.returns]
        aliases = any(each is not None and not each.is_write for each in returned)
        self.is_view = aliases or self._short in VIEWS
        self._fills = self._short.endswith("_like") or self._short.startswith("new_")
        self.asks = self.name.startswith("prim.") or self._short in QUESTIONS
        kinds = tuple(each.lstrip("_") for each in ONLY_BYTES)
        only_bytes = self._short.lstrip("_").startswith(kinds) and self.name.startswith("aten.")
        only_bytes = only_bytes or torch.Tag.pointwise in func.tags or self.is_view
        self.unknown = self._formula is None and not only_bytes

    def is_composite(self, given: Sequence[Any]) -> bool:
        """Return whether it is made of other operators, and has no kernel of its own here.

        In inference mode such an operator reaches the dispatcher whole. Splitting one that has a
        kernel would change what it computes, in the last digits, and what it costs.
        """
        device = given[0].device.type if given else "cpu"
        if device not in self._composite:
            self._composite[device] = self._is_composite_on(device)
        return self._composite[device]

    def _is_composite_on(self, device: str) -> bool:
        if self._formula is not None or self.inner is not None or self.asks:
            return False
        has, name = self._dispatch._dispatch_has_kernel_for_dispatch_key, self._func.name()
        key = "CompositeImplicitAutograd"
        composite = getattr(self._dispatch.DispatchKey, key) in self._func.py_kernels
        own = has(name, _BACKENDS.get(device, device.upper()))
        return (composite or has(name, key)) and not own

    def amount(
        self,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        given: Sequence[Any],
        made: Sequence[Any],
        out: Any,
    ) -> Amount:
        """Return what one call did."""
        if self.is_view:
            return Amount(views=1)
        if self._short.startswith(ALLOCATE):
            return Amount(calls=1)
        changed = [
            tensor
            for place, name, _ in self._writes
            for tensor in _plain(args[place] if place < len(args) else kwargs.get(name))
        ]
        same = {id(each) for each in changed}
        read = [each for each in given if id(each) not in same]
        results = changed or made
        written = sum(map(footprint, results))
        of_read = 0 if self._fills else sum(map(footprint, read))
        if self._short in GATHER and read:
            of_read += min(footprint(read[0]), written) - footprint(read[0])
        elif self._short in SCATTER:
            written = min(written, of_read)
            of_read += written
        elif self._short not in OVERWRITE and not any(is_out for *_, is_out in self._writes):
            of_read += sum(map(footprint, changed))
        flop = self._formula(*args, out=out, **kwargs) if self._formula else 0
        return Amount(1, 0, flop, of_read, written, sum(int(each.numel()) for each in results))


def _plain(value: Any) -> Iterator[Any]:
    """Yield a tensor, or the tensors of a list; nothing of what is missing."""
    if isinstance(value, (list, tuple)):
        yield from (each for each in value if each is not None)
    elif value is not None:
        yield value


def _tensors(torch: Any, value: Any) -> Iterator[Any]:
    """Yield the tensors in nested arguments."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors(torch, each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _tensors(torch, each)


def _kinds_of_device(tensors: Sequence[Any]) -> list[str]:
    return sorted({each.device.type for each in tensors})


def _joined(before: Sequence[str], after: Sequence[str]) -> str:
    """Return what operands have, and what results have if that is something else."""
    if not before or set(after) <= set(before):
        return ", ".join(before or after)
    return f"{', '.join(before)} -> {', '.join(after)}"


def footprint(tensor: Any) -> int:
    """Return the bytes of a tensor's elements; those of an expanded dimension count once."""
    parts = _PARTS.get(str(tensor.layout))
    if parts is not None:
        return sum(footprint(getattr(tensor, part)()) for part in parts)
    if not tensor.numel():
        return 0
    size = int(tensor.element_size())
    if tensor.layout is not None and tensor.is_mkldnn:
        return int(tensor.numel()) * size
    sizes = (n for n, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride)
    return math.prod(sizes) * size


#: Methods that return the tensors of which a sparse one consists, by its layout.
_PARTS = {
    "torch.sparse_coo": ("_indices", "_values"),
    "torch.sparse_csr": ("crow_indices", "col_indices", "values"),
    "torch.sparse_bsr": ("crow_indices", "col_indices", "values"),
    "torch.sparse_csc": ("ccol_indices", "row_indices", "values"),
    "torch.sparse_bsc": ("ccol_indices", "row_indices", "values"),
}


class Memory:
    """The memory of tensors that a call makes, and the most that they take at once.

    A tensor counts from when an operator returns it until its storage is dropped; nothing else
    than references decides when that is, as long as no garbage is collected.
    """

    def __init__(self) -> None:
        self.peak_bytes = self._live_bytes = 0
        self._known: dict[int, Any] = {}
        self._lock = SYSTEM.allocate_lock()

    def note(self, tensors: Sequence[Any], new: bool) -> None:
        """Count the storages that are new, unless they are known."""
        for tensor in tensors:
            try:
                storage = tensor.untyped_storage()
            except (NotImplementedError, RuntimeError):  # a sparse tensor has none
                continue
            key = storage._cdata
            if key in self._known:
                continue
            size = int(storage.nbytes()) if new else 0
            self._known[key] = ref(storage, self._dropped(key, size))
            with self._lock:
                self._live_bytes += size
                self.peak_bytes = max(self.peak_bytes, self._live_bytes)

    def _dropped(self, key: int, size: int) -> Callable[[object], None]:
        def drop(_: object) -> None:
            self._known.pop(key, None)
            with self._lock:
                self._live_bytes -= size

        return drop


def _mode_class(torch: Any) -> Any:
    """Return the class of a mode in which a `Dispatch` runs each operator."""
    from torch._subclasses.fake_tensor import FakeTensor
    from torch.utils._python_dispatch import TorchDispatchMode

    plain = {torch.Tensor, torch.nn.Parameter, FakeTensor}

    class Counting(TorchDispatchMode):  # type: ignore[misc]
        """Counts each operator that reaches the dispatcher."""

        supports_higher_order_operators = True

        def __init__(self, dispatch: Dispatch) -> None:
            super().__init__()
            self._dispatch = dispatch

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            """Count an operator; of one of a subclass, count those that the subclass calls."""
            if not plain.issuperset(types):
                return NotImplemented
            return self._dispatch.run(self, func, args, kwargs or {})

    return Counting
