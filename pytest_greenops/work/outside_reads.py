"""What a call must read in any case: its parameters, inputs and caches, each of them once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from pytest_greenops.system import SYSTEM
from pytest_greenops.work.footprint import footprint
from pytest_greenops.work.operator_kind import OperatorCall, OperatorKind


class OutsideReads:
    """Follows what operators read that no operator of the call has made.

    Of each such tensor the largest part that one operator reads counts, once; of a table in which
    rows are looked up, such as an embedding, as much as is found. So an implementation that fuses
    all operators reads at least as much.
    """

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self._kinds: dict[Any, OperatorKind] = {}
        self._made: set[int] = set()
        self._read: dict[int, int] = {}
        self._parameters: dict[int, int] = {}
        self._kept: list[Any] = []  # a storage that is dropped may leave its number to another one

    @property
    def parameter_bytes(self) -> int:
        """Size of all parameters that an operator used."""
        return sum(self._parameters.values())

    @property
    def read_bytes(self) -> int:
        """Bytes that operators read, of each tensor once."""
        return sum(self._read.values())

    def mode(self) -> Any:
        """Return a context manager in which all operators are followed."""
        base = SYSTEM.modules["torch.utils._python_dispatch"].TorchDispatchMode

        def follow(mode: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            """Call an operator, and note what it reads."""
            kwargs = kwargs or {}
            out = func(*args, **kwargs)
            given, made = list(self._tensors((args, kwargs))), list(self._tensors(out))
            with suppress(Exception):  # of tensors or arguments of a kind that nobody has foreseen
                self._note(func, OperatorCall(args, kwargs, given, made, out))
            return out

        methods = {
            "__torch_dispatch__": follow,
            "supports_higher_order_operators": True,
            "_should_skip_dynamo": classmethod(lambda _: False),  # see `Dispatch`
        }
        return type("Following", (base,), methods)()

    def _note(self, func: Any, call: OperatorCall) -> None:
        kind = self._kinds.get(func) or OperatorKind(self._torch, func)
        self._kinds[func] = kind
        for tensor in call.given:
            if isinstance(tensor, self._torch.nn.Parameter) and _key(tensor) not in self._made:
                self._parameters[_key(tensor)] = int(tensor.untyped_storage().nbytes())
        if kind.is_view or kind.asks or kind.nested:
            return
        sides = kind.sides(call)
        _, _, _, read, _, _ = kind.counts(call, sides)
        self._note_reads(sides.operands, read)
        known = {_key(tensor) for tensor in call.given}
        fresh = {_key(tensor) for tensor in call.made} - known
        self._made.update(fresh.difference(self._read))

    def _note_reads(self, operands: Sequence[Any], read: int) -> None:
        """Note bytes that an operator reads of each operand, of the first only a part."""
        unread = max(0, sum(map(footprint, operands)) - read)
        for tensor in operands:
            size, key = footprint(tensor), _key(tensor)
            size, unread = max(0, size - unread), max(0, unread - size)
            if key in self._made or not size:
                continue
            if key not in self._read:
                self._kept.append(tensor.untyped_storage())
            self._read[key] = max(size, self._read.get(key, 0))

    def _tensors(self, value: Any) -> Iterator[Any]:
        """Yield the dense tensors in nested arguments."""
        if isinstance(value, self._torch.Tensor):
            if value.layout is self._torch.strided:
                yield value
        elif isinstance(value, (list, tuple, dict)):
            for each in value.values() if isinstance(value, dict) else value:
                yield from self._tensors(each)


def _key(tensor: Any) -> int:
    """Return the number of what holds the memory of a tensor."""
    return int(tensor.untyped_storage()._cdata)
