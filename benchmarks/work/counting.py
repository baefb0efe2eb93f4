"""How the benchmarks of counted work count a call, as the plugin does."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from benchmarks.work.models import Work
from benchmarks.work.workloads import WORKLOADS
from pytest_greenops.model.counted import Amount, Counted, Coverage, Operator
from pytest_greenops.work.counting_trip import CountingTrip, CpuTime, PlainTrip
from pytest_greenops.work.passes import counted_windows

#: Plain calls, of which the shortest stands for what a call takes.
PLAIN_CALLS = 3


def nothing() -> None:
    """Wait for no device."""


def counted(call: Callable[[], Any]) -> Counted:
    """Return the work of one call; its coverage is unknown."""
    return counted_with_value(call)[0]


def counted_with_value(call: Callable[[], Any]) -> tuple[Counted, Any]:
    """Return the work of one call, and what the call returned."""
    trip, value = _pass(call)
    found = counted_windows([trip])["call"]
    assert isinstance(found, Counted), found
    return found, value


def covered(work: Work) -> Counted | str:
    """Return the work of the second and third call, with its coverage, or why it has no count."""
    work.call()
    passes = [_pass(work.call)[0] for _ in range(2)]
    return counted_windows(passes, {"call": min(_used(work.call) for _ in range(PLAIN_CALLS))})[
        "call"
    ]


def _pass(call: Callable[[], Any]) -> tuple[CountingTrip, Any]:
    trip = CountingTrip(torch, nothing)
    with trip.window("call"):
        value = call()
    return trip, value


def _used(call: Callable[[], Any]) -> CpuTime:
    trip = PlainTrip(nothing)
    with trip.window("call"):
        call()
    return trip.used["call"]


def setting(*, threads: bool = True) -> str:
    """Return where and when something was counted, for the line above a table."""
    python, day = platform.python_version(), time.strftime("%Y-%m-%d")
    number = torch.get_num_threads()
    on = f" {number} thread{'' if number == 1 else 's'}," if threads else ""
    return f"torch {torch.__version__}, Python {python}, {platform.machine()},{on} {day}"


def differences(one: Counted, other: Counted) -> list[str]:
    """Return in what two counts differ: operators, modules, the peak."""
    nothing = Amount()
    found = []
    for operator in sorted({*one.operators, *other.operators}):
        pair = one.operators.get(operator, nothing), other.operators.get(operator, nothing)
        if pair[0] != pair[1]:
            found.append(f"{operator}: {' -> '.join(map(_shown, pair))}")
    if one.modules != other.modules and not found:
        found.append("amounts by module")
    if one.peak_bytes != other.peak_bytes and not _peak_varies(one, other):
        found.append(f"peak: {one.peak_bytes} -> {other.peak_bytes} bytes")
    return found


def _peak_varies(*counts: Counted) -> bool:
    return any(each.coverage.peak_varies for each in counts)


def _shown(amount: Amount) -> str:
    return f"{amount.calls + amount.views} calls, {amount.flop} FLOP, {amount.moved} bytes"


def to_json(count: Counted) -> dict[str, Any]:
    """Return a count without its coverage, which is measured, for another process."""
    return {
        "operators": [[*name, *amount.counts] for name, amount in count.operators.items()],
        "modules": {path: amount.counts for path, amount in count.modules.items()},
        "peak": count.peak_bytes,
        "peak_varies": count.coverage.peak_varies,
    }


def from_json(found: Mapping[str, Any]) -> Counted:
    """Return a count that another process has made."""
    return Counted(
        {Operator(*row[:3]): Amount(*row[3:]) for row in found["operators"]},
        {path: Amount(*fields) for path, fields in found["modules"].items()},
        found["peak"],
        Coverage(peak_varies=found["peak_varies"]),
    )


def chosen(only: Sequence[str], names: Mapping[str, object] = WORKLOADS) -> Iterator[str]:
    """Yield the names that contain one of these texts; all names without any."""
    for name in names:
        if not only or any(each.lower() in name.lower() for each in only):
            yield name
