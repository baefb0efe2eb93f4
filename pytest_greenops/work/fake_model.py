"""Counts models on torch's fake tensors: they have shapes and dtypes, but no memory and no values.

So a model of any size is counted on any machine. Its tensors lie on the CPU, where PyTorch selects
fused attention.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from pytest_greenops.model.counted import Counted, Coverage
from pytest_greenops.model.device_bound import Phase
from pytest_greenops.model.errors import InsightError, shown
from pytest_greenops.system import before_tests
from pytest_greenops.work.counting_trip import CountingTrip
from pytest_greenops.work.outside_reads import OutsideReads

#: A note names at most this many operators.
_NAMED = 3
#: The name of a phase that has none.
CALL = "call"
_EXPECTED = (
    "expected a function without arguments that does one call, or a dict of such functions, e.g. "
    '{"prefill": f, "decode": g}'
)


@before_tests
def count_phases(
    torch: Any, factory: Callable[[], Any], dtype: str | None, place: Callable[[Exception], str]
) -> list[Phase]:
    """Return the work of each function that a factory makes; each is called once.

    dtype  of the tensors that the factory makes if nothing else is stated: `bfloat16`
    place  returns where in the user's code an exception was raised

    Raises `InsightError` for a factory or a call that fails, e.g. since it needs a tensor's values.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    with ExitStack() as stack:
        stack.enter_context(_default_dtype(torch, dtype))
        stack.enter_context(_quiet())
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        stack.enter_context(_explained(place))
        calls = _calls(torch, factory())
        return [_count(torch, name, call) for name, call in calls.items()]


def _calls(torch: Any, made: Any) -> dict[str, Callable[[], Any]]:
    """Return the functions of each phase, from what a factory returned."""
    if isinstance(made, torch.nn.Module):
        raise InsightError(
            "the factory returns a model: return a function that calls it, e.g. "
            "lambda: model(inputs)"
        )
    calls = dict(made) if isinstance(made, Mapping) else {CALL: made}
    if not calls or not all(isinstance(n, str) and callable(call) for n, call in calls.items()):
        raise InsightError(f"the factory returns {shown(made)}: {_EXPECTED}")
    return calls


def _count(torch: Any, name: str, call: Callable[[], Any]) -> Phase:
    trip, outside = CountingTrip(torch, _nothing), OutsideReads(torch)
    with outside.mode(), trip.window(name):
        call()
    tally = trip.tallies[name]
    counted = Counted(tally.operators, tally.modules, tally.memory.peak_bytes, Coverage())
    sizes = outside.parameter_bytes, outside.read_bytes
    return Phase(name, counted.totals, *sizes, (*trip.notes, *_unknown(tally.blind_ns)))


def _unknown(operators: Iterable[str]) -> Iterator[str]:
    """Yield a note if operators may have FLOPs that are not known."""
    if names := sorted(operators):
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield f"the FLOP of {', '.join(names[:_NAMED])}{more} are not known and not counted"


def _nothing() -> None:
    """Stand for the synchronization with a device: fake tensors have none."""


@contextmanager
def _default_dtype(torch: Any, dtype: str | None) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype) if dtype else before)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@before_tests
@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch from logging what this module explains, and from warning of copies of layers."""
    import logging
    import warnings

    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Accessing the data pointer of FakeTensor")
            yield
    finally:
        logger.setLevel(before)


@contextmanager
def _explained(place: Callable[[Exception], str]) -> Iterator[None]:
    """Turn an exception of the user's code into one line."""
    try:
        yield
    except InsightError:
        raise
    except Exception as error:
        raise InsightError(f"{_explanation(error)}{place(error)}") from error


def _explanation(error: Exception) -> str:
    kind, lines = type(error).__name__, str(error).split("\n")
    first = next((line.strip() for line in lines if line.strip()), "no message")
    operator = str(getattr(error, "func", "")).rpartition(".")[0]
    if operator and kind in _NEED_VALUES:
        return (
            f"{operator} {_NEED_VALUES[kind]}, but a fake tensor has no values: count a function "
            "that does not call it, or give it a number or a shape that is known beforehand"
        )
    if operator and kind == "UnsupportedOperatorException":
        return f"{operator} cannot run on fake tensors: count a function that does not call it"
    if "_apply(): Couldn't swap" in first:
        return (
            "a model of fake tensors cannot be converted (.to(), .half(), .cuda()): make it on the "
            "CPU, and in its dtype with --dtype"
        )
    if "not linked with support for" in first:
        return f"{kind}: {first}: make the model and its inputs on the CPU"
    return f"{kind}: {first}"


#: What operators need that fake tensors lack, by torch's exception.
_NEED_VALUES = {
    "DataDependentOutputException": (
        "reads a value of a tensor (.item(), .tolist(), int(x), `if x:`)"
    ),
    "DynamicOutputShapeException": "returns a tensor whose shape depends on values",
}
