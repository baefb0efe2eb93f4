"""Counts the operators that torch's dispatcher calls: their FLOPs, and the bytes that they move."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import add, attrgetter
from typing import Any

from pytest_greenops.judge.weights import weight
from pytest_greenops.model.counted import Amount, Operator
from pytest_greenops.system import SYSTEM
from pytest_greenops.work.footprint import LiveMemory
from pytest_greenops.work.operator_kind import OperatorCall, OperatorKind, Sides
from pytest_greenops.work.time_inside import OperatorTimer, TimeInside

#: What is known of each operator that was called, by its number; it keeps the operator.
_kinds: dict[int, OperatorKind] = {}


_INSIDE = attrgetter("inside")
#: Types of most arguments, which hold no tensors.
_SCALARS = {int, float, bool, str, type(None)}


class Tally:
    """What operators did while it was open.

    amounts      the fields of the amount that each operator did in each module, by operator and
                 path of the module
    blind_ns     time inside each operator that may have FLOPs, which are not known
    blind_bytes  bytes that it moved
    devices      kinds of device of the tensors
    memory       the memory of tensors that the operators made
    inside       CPU time inside the operators
    """

    def __init__(self) -> None:
        self.amounts: dict[tuple[Operator, str], list[int]] = {}
        self.blind_ns: dict[str, int] = {}
        self.blind_bytes: dict[str, int] = {}
        self.devices: set[str] = set()
        self.memory = LiveMemory()
        self.inside = TimeInside()

    @property
    def operators(self) -> dict[Operator, Amount]:
        """What each operator did."""
        return self._summed(0)

    @property
    def modules(self) -> dict[str, Amount]:
        """What each module did by itself, without the modules inside it, by its path."""
        return self._summed(1)

    @property
    def weighted(self) -> dict[str, int]:
        """The weighted sum of each module by itself, by its path."""
        found: dict[str, float] = {}
        for (operator, path), counts in self.amounts.items():
            found[path] = found.get(path, 0.0) + weight(operator, Amount(*counts))
        return {path: round(value) for path, value in found.items()}

    def _summed(self, part: int) -> dict[Any, Amount]:
        found: dict[Any, list[int]] = {}
        for key, counts in self.amounts.items():
            known = found.get(key[part])
            found[key[part]] = [*map(add, known, counts)] if known else counts
        return {name: Amount(*counts) for name, counts in found.items()}

    def add(self, operator: Operator, path: str, counts: Sequence[int]) -> None:
        """Add the fields of an amount."""
        known = self.amounts.get((operator, path))
        if known is None:
            self.amounts[operator, path] = [*counts]
            self.devices.add(operator.device)
            return
        calls, views, flop, read, written, elements = counts
        known[0] += calls
        known[1] += views
        if calls:
            known[2] += flop
            known[3] += read
            known[4] += written
            known[5] += elements

    def add_blind(self, name: str, taken_ns: int, moved_bytes: int) -> None:
        """Note an operator whose FLOPs are not known."""
        self.blind_ns[name] = self.blind_ns.get(name, 0) + taken_ns
        self.blind_bytes[name] = self.blind_bytes.get(name, 0) + moved_bytes


class Dispatch:
    """Counts the operators of each thread that enters one of its modes, for the open tallies."""

    def __init__(self, torch: Any, path: Callable[[], str]) -> None:
        """Prepare; `path` returns the path of the module that runs now."""
        self.open: list[Tally] = []
        self._torch = torch
        self._tensor_class = torch.Tensor
        self._push = torch._C._push_on_torch_dispatch_stack
        self._pop = torch._C._pop_torch_dispatch_stack
        self._path = path
        self._lock = SYSTEM.allocate_lock()
        self._operators: dict[tuple[Any, ...], Operator] = {}
        self._alike: dict[tuple[OperatorKind, Any], Operator] = {}
        self._fake_class = _fake_class()
        self._mode_class = _mode_class(self._fake_class)
        self._timer = OperatorTimer(torch)

    def close(self, tally: Tally) -> None:
        """Count no more for a tally, until it is opened again."""
        self.open.remove(tally)
        tally.inside.added = self._timer.added

    def mode(self) -> Any:
        """Return a context manager that counts in the thread that enters it."""
        return self._mode_class(self)

    def run(self, mode: Any, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call an operator and count it; one that is made of others is counted by them."""
        kind = _kinds.get(id(func)) or self._kind(func)
        given: list[Any] = []
        _find(self._tensor_class, args, given)
        if kwargs:
            _find(self._tensor_class, kwargs.values(), given)
        if kind.may_split and (parts := kind.parts(given)) is not None:
            self._push(mode)  # entering the mode does no more here, but takes microseconds
            try:
                return parts(*args, **kwargs)
            finally:
                self._pop(None)
        functions = kind.nested and any(map(_is_function, args))
        if functions:
            args = [_counted(mode, each) if _is_function(each) else each for each in args]
        if functions or kind.asks or not self.open:
            return func(*args, **kwargs)
        began = self._timer.begin(kind)
        try:
            out = kind.run(*args, **kwargs)
        finally:
            taken_ns = self._timer.end(began, map(_INSIDE, self.open), kind)
        made: list[Any] = []
        _find(self._tensor_class, (out,), made)
        self._add(kind, OperatorCall(args, kwargs, given, made, out), taken_ns)
        self._timer.probe()
        return out

    def _kind(self, func: Any) -> OperatorKind:
        kind = _kinds[id(func)] = OperatorKind(self._torch, func)
        return kind

    def _add(self, kind: OperatorKind, call: OperatorCall, taken_ns: int) -> None:
        """Add one call to the open tallies; nothing in it may change how the work goes on."""
        try:
            sides = kind.sides(call)
            operator = self._operator(kind, sides)
            counts = kind.counts(call, sides)
        except Exception:  # of tensors or arguments of a kind that nobody has foreseen
            operator, counts, kind.unknown = Operator(kind.name, "", ""), (1, 0, 0, 0, 0, 0), True
        path = self._path()
        with self._lock:
            for tally in self.open:
                tally.add(operator, path, counts)
                if kind.unknown:
                    tally.add_blind(kind.name, taken_ns, counts[3] + counts[4])
        if not kind.is_view:
            for tally in self.open:
                try:
                    tally.memory.called(call.given, call.made)
                except Exception:  # of tensors without memory  # nosec B112
                    continue

    def _operator(self, kind: OperatorKind, sides: Sides) -> Operator:
        """Return the operator with the dtypes and devices of what it reads and writes."""
        tensors = [*sides.operands, *sides.results]
        if tensors:
            dtype = tensors[0].dtype
            fake = self._fake_class
            for each in tensors:
                # A fake tensor finds its device by an operator, which every mode would see.
                on_cpu = each.fake_device.type == "cpu" if type(each) is fake else each.is_cpu
                if each.dtype is not dtype or not on_cpu:
                    break
            else:
                return self._alike.get((kind, dtype)) or self._of_alike(kind, dtype)
        key = (
            kind,
            *[(each.dtype, each.device) for each in sides.operands],
            None,
            *[(each.dtype, each.device) for each in sides.results],
        )
        found = self._operators.get(key)
        if found is None:
            found = self._operators[key] = Operator(
                kind.name,
                kind.packed or _joined(_dtypes(sides.operands), _dtypes(sides.results)),
                _joined(_devices(sides.operands), _devices(sides.results)),
            )
        return found

    def _of_alike(self, kind: OperatorKind, dtype: Any) -> Operator:
        """Return the operator of tensors of one dtype on a CPU, as nearly all are."""
        name = kind.packed or str(dtype).removeprefix("torch.")
        found = self._alike[kind, dtype] = Operator(kind.name, name, "cpu")
        return found


def _find(tensor_class: Any, values: Any, found: list[Any]) -> None:
    """Collect the tensors in nested arguments."""
    for each in values:
        if isinstance(each, tensor_class):
            found.append(each)
        elif type(each) in _SCALARS:
            pass
        elif isinstance(each, (list, tuple)):
            _find(tensor_class, each, found)
        elif isinstance(each, dict):
            _find(tensor_class, each.values(), found)


def _is_function(value: Any) -> bool:
    return callable(value) and not hasattr(value, "dtype")


def _counted(mode: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function inside of which operators are counted."""

    def counted(*args: Any, **kwargs: Any) -> Any:
        with mode:
            return function(*args, **kwargs)

    return counted


def _dtypes(tensors: Sequence[Any]) -> list[str]:
    """Return the dtypes of tensors: of the floating-point ones if there are any."""
    found = {each.dtype for each in tensors}
    floats = {each for each in found if each.is_floating_point or each.is_complex}
    return sorted(str(each).removeprefix("torch.") for each in floats or found)


def _devices(tensors: Sequence[Any]) -> list[str]:
    return sorted({each.device.type for each in tensors})


def _joined(before: Sequence[str], after: Sequence[str]) -> str:
    """Return what operands have, and what results have if that is something else."""
    if not before or set(after) <= set(before):
        return ", ".join(before or after)
    return f"{', '.join(before)} -> {', '.join(after)}"


def _fake_class() -> Any:
    """Return the class of torch's fake tensors if it is loaded."""
    return getattr(SYSTEM.modules.get("torch._subclasses.fake_tensor"), "FakeTensor", None)


def _mode_class(fake_class: Any) -> Any:
    """Return the class of a mode in which a `Dispatch` runs each operator."""
    ours = SYSTEM.modules["torch"].Tensor.__torch_dispatch__
    base = SYSTEM.modules["torch.utils._python_dispatch"].TorchDispatchMode

    def prepare(mode: Any, dispatch: Dispatch) -> None:
        base.__init__(mode)
        mode._dispatch = dispatch

    def run(mode: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count an operator; of one of a subclass, count those that the subclass calls."""
        for each in types:
            if each.__torch_dispatch__ is not ours and each is not fake_class:
                return NotImplemented
        return mode._dispatch.run(mode, func, args, kwargs or {})

    namespace = {
        "__init__": prepare,
        "__torch_dispatch__": run,
        "supports_higher_order_operators": True,
        # Else torch would load its compiler, 70 MB, to tell it to ignore this method.
        "_should_skip_dynamo": classmethod(lambda _: False),
    }
    return type("Counting", (base,), namespace)
