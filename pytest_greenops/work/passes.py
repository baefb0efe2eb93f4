"""The work of each window that passes counted, as values, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_greenops.judge.weights import weight
from pytest_greenops.judge.work_changes import counts_text
from pytest_greenops.model.counted import Amount, Counted, Coverage, Operator, accelerators
from pytest_greenops.work.counting_trip import COMPILED, CountingTrip, CpuTime
from pytest_greenops.work.dispatch import Tally
from pytest_greenops.work.footprint import LiveMemory
from pytest_greenops.work.time_inside import TimeInside

#: A call that takes longer is counted once.
ONCE_ABOVE_S = 10.0
#: Calls with less CPU time, in nanoseconds, have no coverage: counting costs as much.
LEAST_NS = 1_000_000
#: Nor have those to whose operators counting adds more than this share of their CPU time.
MOST_OVERHEAD = 0.5
#: An operator whose FLOPs are unknown is named if it takes this share of the operators' time.
BLIND_ABOVE = 0.05

#: What may run on a device besides the operators that torch calls.
UNSEEN = "kernels of Triton, of graphs and of other libraries on the device are not counted"
COUNTED_ONCE = f"counted once: a call takes over {ONCE_ABOVE_S:.0f} s"


def counted_windows(
    passes: Sequence[CountingTrip],
    used: Mapping[str, CpuTime] | None = None,
    once: str = COUNTED_ONCE,
) -> dict[str, Counted | str]:
    """Return the work of each window by its name, or why it is not counted.

    passes  two passes, whose counts must be equal; one of a call that is counted once
    used    CPU time of each window in a call that was not counted; None if there was none
    once    the note on a single pass
    """
    names = dict.fromkeys(name for each in passes for name in each.tallies)
    return {name: _counted(name, passes, used, once) for name in names}


def _counted(
    name: str, passes: Sequence[CountingTrip], used: Mapping[str, CpuTime] | None, once: str
) -> Counted | str:
    for each in passes:
        if name in each.failed:
            return f"a call failed while it was counted ({each.failed[name]})"
    tallies = [each.tallies[name] for each in passes if name in each.tallies]
    if len(tallies) < len(passes):
        return f"calls differ: only one of {len(passes)} opens the window {name!r}"
    tables = [tally.operators for tally in tallies]
    for table in tables[1:]:
        if table != tables[0]:
            return f"calls differ: {difference(tables[0], table)}"
    return Counted(
        operators=tables[-1],
        modules=tallies[-1].modules,
        peak_bytes=max(tally.memory.peak_bytes for tally in tallies),
        coverage=_coverage(tallies, used.get(name) if used else None, _notes(passes, once)),
        weighted=tallies[-1].weighted,
    )


def difference(before: Mapping[Operator, Amount], after: Mapping[Operator, Amount]) -> str:
    """Return what differs most between two tables: `aten.mm float32 28 -> 29 calls`."""
    nothing = Amount()
    differing = {
        operator: (before.get(operator, nothing), after.get(operator, nothing))
        for operator in {*before, *after}
        if before.get(operator) != after.get(operator)
    }

    def weigh(operator: Operator) -> tuple[float, Operator]:
        one, other = differing[operator]
        return abs(weight(operator, other) - weight(operator, one)), operator

    largest = max(differing, key=weigh)
    more = len(differing) - 1
    further = f" and {more} other operator{'s' if more > 1 else ''}" if more else ""
    return f"{largest} {counts_text(*differing[largest])}{further}"


def _notes(passes: Sequence[CountingTrip], once: str) -> tuple[str, ...]:
    single = [once] if len(passes) == 1 else []
    return tuple(dict.fromkeys([*single, *(note for each in passes for note in each.notes)]))


def _coverage(tallies: Sequence[Tally], used: CpuTime | None, notes: tuple[str, ...]) -> Coverage:
    inside = min((tally.inside for tally in tallies), key=lambda each: each.process)
    devices = sorted(accelerators(device for tally in tallies for device in tally.devices))
    unknown = _unknown(inside, used, devices)
    share, threads, children = None, 0.0, 0.0
    if devices:
        notes = (*notes, UNSEEN)
    if used is not None and used.tree >= LEAST_NS:
        share = None if unknown else min(1.0, inside.process / used.tree)
        elsewhere = (used.process - used.thread) - (inside.process - inside.thread)
        threads = max(0, min(elsewhere, used.process - inside.process)) / used.tree
        children = max(0, used.tree - used.process) / used.tree
    return Coverage(
        share=share,
        unknown=unknown,
        threads=threads,
        children=children,
        compiled=COMPILED in notes,
        peak_varies=_peak_varies([tally.memory for tally in tallies]),
        blind=tuple(sorted(_blind(tallies, bool(devices)))),
        notes=tuple(note for note in notes if note != COMPILED),
    )


def _peak_varies(memories: Sequence[LiveMemory]) -> bool:
    """Return whether calls of the same work differ in peak memory, or may differ."""
    different = len({each.peak_bytes for each in memories}) > 1
    return different or any(each.concurrent for each in memories)


def _unknown(inside: TimeInside, used: CpuTime | None, devices: Sequence[str]) -> str | None:
    """Return why the share of the CPU time inside operators says nothing, or None."""
    if devices:
        return f"{', '.join(devices).upper()} computes later than the CPU calls it"
    if used is None:
        return "no call was measured without counting"
    if used.tree < LEAST_NS:
        return f"the call takes less than {LEAST_NS / 1e6:.0f} ms of CPU time"
    if inside.overhead > MOST_OVERHEAD * used.tree:
        return "its operators are too short to be timed"
    return None


def _blind(tallies: Sequence[Tally], by_bytes: bool) -> Iterator[str]:
    """Yield the operators whose FLOPs are unknown and that took much of the time in each pass.

    Where operators only start work of a device, the bytes that they move stand for their time.
    """
    for name in tallies[0].blind_ns:
        shares = []
        for tally in tallies:
            if by_bytes:
                moved = sum(counts[3] + counts[4] for counts in tally.amounts.values())
                shares.append(tally.blind_bytes.get(name, 0) / max(1, moved))
            else:
                shares.append(tally.blind_ns.get(name, 0) / max(1, tally.inside.process))
        if min(shares) > BLIND_ABOVE:
            yield name
