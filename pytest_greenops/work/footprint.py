"""How many bytes the elements of tensors take, and how many of them calls hold at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from weakref import ref

from pytest_greenops.system import SYSTEM

#: Methods that return the tensors of which a sparse one consists, by its layout.
_PARTS = {
    "torch.sparse_coo": ("_indices", "_values"),
    "torch.sparse_csr": ("crow_indices", "col_indices", "values"),
    "torch.sparse_bsr": ("crow_indices", "col_indices", "values"),
    "torch.sparse_csc": ("ccol_indices", "row_indices", "values"),
    "torch.sparse_bsc": ("ccol_indices", "row_indices", "values"),
}
_STRIDED = "torch.strided"
#: The name of each layout.
_layouts: dict[Any, str] = {}


def footprint(tensor: Any) -> int:
    """Return the bytes of a tensor's elements; elements that share memory count once."""
    layout = _layouts.get(tensor.layout) or _layout(tensor.layout)
    if layout in _PARTS:
        return sum(map(footprint, _parts(tensor, layout)))
    elements = int(tensor.numel())
    if layout == _STRIDED and not tensor.is_nested and not tensor.is_contiguous():
        elements = min(elements, _span(tensor))
    return elements * int(tensor.element_size())


def _layout(layout: Any) -> str:
    name = _layouts[layout] = str(layout)
    return name


def _parts(tensor: Any, layout: str) -> Iterator[Any]:
    return (getattr(tensor, part)() for part in _PARTS[layout])


def _span(tensor: Any) -> int:
    """Return how many elements of memory a tensor reaches at most, by its strides."""
    strided = zip(tensor.shape, tensor.stride(), strict=True)
    expanded = [(int(size), int(stride)) for size, stride in strided]
    used = 1
    for size, stride in expanded:
        if stride:
            used *= size
    return min(used, 1 + sum((size - 1) * stride for size, stride in expanded))


class LiveMemory:
    """The memory of tensors that a call makes, and the most that they take at once.

    A tensor counts from when an operator returns it until its storage is dropped; nothing else
    than references decides when that is, as long as no garbage is collected. While operators are
    counted, a backward pass adds up gradients out of place, so that one more of them may live.
    """

    def __init__(self) -> None:
        self.peak_bytes = self._live_bytes = 0
        self._threads: set[int] = set()
        self._known: dict[int, _Watched] = {}
        self._lock = SYSTEM.allocate_lock()

    @property
    def concurrent(self) -> bool:
        """Whether several threads made tensors, whose order decides how much lives at once."""
        return len(self._threads) > 1

    def given(self, tensors: Iterable[Any]) -> None:
        """Ignore the storages of tensors that were there before."""
        for holder, _ in _holders(tensors):
            if holder._cdata not in self._known:
                self._keep(holder, 0)

    def made(self, tensors: Iterable[Any]) -> None:
        """Count the storages of tensors that an operator returns, unless they are known."""
        for holder, tensor in _holders(tensors):
            known = self._known.get(holder._cdata)
            size = footprint(tensor) if holder is tensor else int(holder.nbytes())
            if known is None:
                self._threads.add(SYSTEM.get_ident())
                self._keep(holder, size)
            elif size > known.size > 0:  # it grew
                self._grow(size - known.size)
                known.size = size

    def _keep(self, holder: Any, size: int) -> None:
        watched = self._known[holder._cdata] = _Watched(holder, self._drop)
        watched.key, watched.size = holder._cdata, size
        if size:
            self._grow(size)

    def _grow(self, size: int) -> None:
        with self._lock:
            self._live_bytes += size
            if self._live_bytes > self.peak_bytes:
                self.peak_bytes = self._live_bytes

    def _drop(self, watched: _Watched) -> None:
        self._known.pop(watched.key, None)
        with self._lock:
            self._live_bytes -= watched.size


class _Watched(ref[Any]):
    """A weak reference to what holds the memory of a tensor, with its size."""

    __slots__ = ("key", "size")
    key: int
    size: int


def _holders(tensors: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield what holds the memory of each tensor: its storage, or itself if it has none."""
    for tensor in tensors:
        layout = _layouts.get(tensor.layout) or _layout(tensor.layout)
        if layout == _STRIDED:
            yield tensor.untyped_storage(), tensor
        elif layout in _PARTS:
            yield from _holders(_parts(tensor, layout))
        else:
            yield tensor, tensor
