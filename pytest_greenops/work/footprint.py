"""How many bytes the elements of tensors take, and how many of them calls hold at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from operator import mul
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
#: The name of each layout, and the layout that is strided: most tensors are handled by this.
_layouts: dict[Any, str] = {}
_dense: set[Any] = set()


def footprint(tensor: Any) -> int:
    """Return the bytes of a tensor's elements; elements that share memory count once."""
    if tensor.layout in _dense and not tensor.is_nested and tensor.is_contiguous():
        return int(tensor.nbytes)
    layout = layout_of(tensor)
    if layout in _PARTS:
        return sum(map(footprint, _parts(tensor, layout)))
    elements = int(tensor.numel())
    if layout == _STRIDED and not tensor.is_nested:
        elements = min(elements, _span(tensor))
    return elements * int(tensor.element_size())


def layout_of(tensor: Any) -> str:
    """Return the name of a tensor's layout: `torch.strided`."""
    name = _layouts.get(tensor.layout)
    if name is None:
        name = _layouts[tensor.layout] = str(tensor.layout)
        if name == _STRIDED:
            _dense.add(tensor.layout)
    return name


def _parts(tensor: Any, layout: str) -> Iterator[Any]:
    return (getattr(tensor, part)() for part in _PARTS[layout])


def _span(tensor: Any) -> int:
    """Return how many elements of memory a tensor reaches at most, by its strides."""
    sizes, strides = tensor.shape, tensor.stride()
    reach = 1 + int(sum(map(mul, sizes, strides)) - sum(strides))
    if 0 not in strides:
        return reach
    used = 1
    for size, stride in zip(sizes, strides, strict=True):
        if stride:
            used *= int(size)
    return min(used, reach)


@lru_cache(maxsize=1)
def _users_of_new(torch: Any) -> int:
    """Return how many references the storage of a new tensor has.

    It is asked once, before anything is counted: in an open window it would be counted too.
    """
    tensor = torch.empty(1, device="cpu")
    storage = tensor.untyped_storage()
    return int(torch._C._storage_Use_Count(storage._cdata))


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
        torch = SYSTEM.modules["torch"]
        self._users: Callable[[int], int] = torch._C._storage_Use_Count
        self._users_of_new = _users_of_new(torch)

    @property
    def concurrent(self) -> bool:
        """Whether several threads made tensors, whose order decides how much lives at once."""
        return len(self._threads) > 1

    def called(self, given: Iterable[Any], made: Iterable[Any]) -> None:
        """Count the storages that an operator returns, unless they were there before.

        The storage of a new tensor that no other tensor has is new; else those of the arguments
        were there before.
        """
        before = {*map(id, given)}
        for tensor in made:
            if tensor.layout not in _dense:
                break
            holder = tensor.untyped_storage()
            known = self._known.get(holder._cdata)
            if known is not None:
                self._compare(known, int(holder.nbytes()))
            elif id(tensor) not in before and self._users(holder._cdata) <= self._users_of_new:
                self._add(holder, int(holder.nbytes()))
            else:
                break
        else:
            return
        for holder, _ in _holders(given):
            if holder._cdata not in self._known:
                self._keep(holder, 0)
        for holder, tensor in _holders(made):
            known = self._known.get(holder._cdata)
            size = footprint(tensor) if holder is tensor else int(holder.nbytes())
            if known is None:
                self._add(holder, size)
            else:
                self._compare(known, size)

    def _add(self, holder: Any, size: int) -> None:
        self._threads.add(SYSTEM.get_ident())
        self._keep(holder, size)

    def _compare(self, known: _Watched, size: int) -> None:
        if size > known.size > 0:  # it grew
            self._grow(size - known.size)
            known.size = size

    def _keep(self, holder: Any, size: int) -> None:
        watched = _Watched(holder, self._drop)
        watched.key = key = holder._cdata
        watched.size = size
        self._known[key] = watched
        if size:
            self._grow(size)

    def _grow(self, size: int) -> None:
        with self._lock:
            live = self._live_bytes = self._live_bytes + size
            if live > self.peak_bytes:
                self.peak_bytes = live

    def _drop(self, watched: _Watched) -> None:
        self._known.pop(watched.key, None)
        if watched.size:
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
        if tensor.layout in _dense or layout_of(tensor) == _STRIDED:
            yield tensor.untyped_storage(), tensor
        elif (layout := layout_of(tensor)) in _PARTS:
            yield from _holders(_parts(tensor, layout))
        else:
            yield tensor, tensor
