"""What two passes counted, as a value, or why there is none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make test-studies")

from pytest_greenops.model.counted import Amount, Counted, Coverage, Operator  # noqa: E402
from pytest_greenops.work.counting_trip import (  # noqa: E402
    COMPILED,
    OUTLIVED,
    CountingTrip,
    CpuTime,
    PlainTrip,
)
from pytest_greenops.work.dispatch import Tally  # noqa: E402
from pytest_greenops.work.passes import (  # noqa: E402
    COUNTED_ONCE,
    UNSEEN,
    counted_windows,
    difference,
)
from pytest_greenops.work.time_inside import Instant, TimeInside  # noqa: E402
from tests.unit.work.one_pass import pass_through  # noqa: E402

MS = 1_000_000
MM, EXP = Operator("aten.mm", "float32", "cpu"), Operator("aten.exp", "float32", "cpu")


def trip(
    process_ms: int = 90,
    thread_ms: int = 90,
    operator: Operator = MM,
    calls: int = 1,
    notes: tuple[str, ...] = (),
    blind: dict[str, int] | None = None,
) -> CountingTrip:
    """Return a pass whose operators took some CPU time, of the process and of the thread."""
    made = CountingTrip(torch, lambda: None)
    tally = made.tallies["call"] = Tally()
    tally.add(operator, "model", (calls, 0, 6 * calls, 100, 100, 25))
    tally.inside.add(process_ms * MS, thread_ms * MS)
    for name, milliseconds in (blind or {}).items():
        tally.add_blind(name, milliseconds * MS, milliseconds)
    made.notes.extend(notes)
    return made


def coverage(used: CpuTime | None, *trips: CountingTrip) -> Coverage:
    """Return the coverage of two passes."""
    found = counted_windows(trips or [trip(), trip()], {"call": used} if used else None)["call"]
    assert isinstance(found, Counted), found
    return found.coverage


def test_equal_passes_are_counted() -> None:
    """The value holds operators, modules, peak and coverage."""
    found = counted_windows([trip(), trip()], {"call": CpuTime(100 * MS, 100 * MS, 100 * MS)})
    counted = found["call"]
    assert isinstance(counted, Counted)
    assert {MM: Amount(1, 0, 6, 100, 100, 25)} == counted.operators
    assert {"model": Amount(1, 0, 6, 100, 100, 25)} == counted.modules
    assert 0 == counted.peak_bytes
    assert Coverage(share=0.9) == counted.coverage


def test_peak_memory_that_differs_varies() -> None:
    """The counts of the operators are equal, so they have a value all the same."""
    one, other = trip(), trip()
    other.tallies["call"].memory.peak_bytes = 8
    counted = counted_windows([one, other])["call"]
    assert isinstance(counted, Counted)
    assert (8, True) == (counted.peak_bytes, counted.coverage.peak_varies)
    assert not coverage(None, trip(), trip()).peak_varies


def test_passes_that_differ_have_no_value() -> None:
    """The reason names what differs most, and how."""
    found = counted_windows([trip(calls=28), trip(calls=29)])
    assert {"call": "calls differ: aten.mm float32 28 -> 29 calls, +6 FLOP"} == found
    [text] = counted_windows([trip(operator=EXP), trip(calls=2)]).values()
    assert "calls differ: aten.mm float32 0 -> 2 calls, +12 FLOP and 1 other operator" == text


def test_a_window_that_only_one_pass_opens() -> None:
    """Its work depends on the call."""
    second = trip()
    second.tallies["more"] = Tally()
    found = counted_windows([trip(), second])
    assert "calls differ: only one of 2 opens the window 'more'" == found["more"]
    assert isinstance(found["call"], Counted)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (Amount(calls=1), Amount(calls=2), "aten.mm float32 1 -> 2 calls"),
        (Amount(views=3), Amount(views=4), "aten.mm float32 3 -> 4 views"),
        (Amount(1, written=1000), Amount(1, written=3000), "aten.mm float32 1 call, +2 kB"),
        (Amount(1, elements=3), Amount(1, elements=4), "aten.mm float32 1 call, +1 elements"),
    ],
)
def test_differences_in_words(before: Amount, after: Amount, expected: str) -> None:
    """Calls come first, then views, then amounts."""
    assert expected == difference({MM: before}, {MM: after})


def test_the_largest_difference_is_named() -> None:
    """It is that of the work, whether the operator did much before or not."""
    add = Operator("aten.add", "float32", "cpu")
    before = {MM: Amount(1, flop=9_000_000_000), EXP: Amount(1), add: Amount(1)}
    after = {MM: Amount(1, flop=9_000_000_100), EXP: Amount(1, flop=500_000_000), add: Amount(2)}
    expected = "aten.exp float32 1 call, +500 MFLOP and 2 other operators"
    assert expected == difference(before, after)


def test_a_long_call_is_counted_once() -> None:
    """One pass is enough; the notes say so, and those of the pass follow."""
    used = CpuTime(100 * MS, 100 * MS, 100 * MS)
    found = coverage(used, trip(notes=(OUTLIVED,)))
    assert Coverage(share=0.9, notes=(COUNTED_ONCE, OUTLIVED)) == found


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        (None, "no call was measured without counting"),
        (CpuTime(MS - 1, MS - 1, MS - 1), "the call takes less than 1 ms of CPU time"),
    ],
)
def test_unknown_coverage(used: CpuTime | None, expected: str) -> None:
    """There is a reason instead of a number."""
    assert Coverage(unknown=expected) == coverage(used)


def test_a_device_that_works_later() -> None:
    """CPU time says nothing of a GPU's; the blind operators are known by their bytes."""
    on_gpu = Operator("aten.mm", "float32", "cpu -> cuda")
    trips = [trip(operator=on_gpu, blind={"lib.mix": 90, "lib.small": 5}) for _ in range(2)]
    found = coverage(CpuTime(100 * MS, 100 * MS, 100 * MS), *trips)
    assert found.share is None
    assert "CUDA computes later than the CPU calls it" == found.unknown
    assert ("lib.mix",) == found.blind
    assert (UNSEEN,) == found.notes


def test_short_operators() -> None:
    """Where counting adds more than half of the call's CPU time, the share is not known."""
    passes = [trip(), trip()]
    for each in passes:
        each.tallies["call"].inside.added = Instant(60 * MS, 60 * MS)
    found = coverage(CpuTime(100 * MS, 100 * MS, 100 * MS), *passes)
    assert "its operators are too short to be timed" == found.unknown


@pytest.mark.parametrize(
    ("used", "process", "thread", "expected"),
    [
        # 80 ms in threads that are not counted, 10 ms in operators
        (CpuTime(100, 100, 20), 10, 10, {"share": 0.1, "threads": 0.8}),
        # operators on four threads of torch
        (CpuTime(100, 100, 25), 100, 25, {"share": 1.0}),
        # half in other processes
        (CpuTime(100, 50, 50), 45, 45, {"share": 0.45, "children": 0.5}),
        # Python in the thread itself
        (CpuTime(100, 100, 100), 4, 4, {"share": 0.04}),
        # noise does not cover more than all
        (CpuTime(100, 100, 100), 130, 130, {"share": 1.0}),
    ],
)
def test_shares(used: CpuTime, process: int, thread: int, expected: dict[str, float]) -> None:
    """What is covered, and what other threads and other processes did."""
    used = CpuTime(*(each * MS for each in used))
    found = coverage(used, trip(process, thread), trip(process + 5, thread + 5))
    for name in ("share", "threads", "children"):
        assert pytest.approx(expected.get(name, 0.0)) == getattr(found, name), name


def test_blind_operators_are_named_if_they_take_long() -> None:
    """More than 5 % of the time inside operators, in both passes."""
    trips = [trip(blind={"lib.mix": 50, "lib.small": 4, "lib.once": 20 * n}) for n in range(2)]
    found = coverage(CpuTime(100 * MS, 100 * MS, 100 * MS), *trips)
    assert ("lib.mix",) == found.blind


def test_compiled_parts() -> None:
    """They have a field of their own."""
    found = coverage(None, trip(notes=(COMPILED,)), trip(notes=(COMPILED,)))
    assert found.compiled
    assert () == found.notes


def test_time_inside_without_what_counting_adds() -> None:
    """Operators of other threads count for the process only."""
    inside = TimeInside()
    inside.add(100, 80)
    inside.add(50, None)
    inside.added = Instant(10, 5)
    assert (130, 75, 20) == (inside.process, inside.thread, inside.overhead)


def heavy() -> Any:
    """Multiply large matrices."""
    return torch.ones(600, 600) @ torch.ones(600, 600)


def python() -> int:
    """Sum numbers in Python."""
    return sum(range(1_000_000))


def process() -> Any:
    """Sum numbers in a process of its own."""
    return subprocess.run([sys.executable, "-c", "sum(range(2_000_000))"], check=True)


def passed(work: Callable[[], Any]) -> Counted | str:
    """Return what two passes and a plain one make of some work."""
    work()
    passes = [pass_through(work) for _ in range(2)]
    plain = PlainTrip(lambda: None)
    with plain.window("call"):
        work()
    return counted_windows(passes, plain.used)["call"]


@pytest.mark.parametrize(("work", "least", "most"), [(heavy, 0.6, 1.0), (python, 0.0, 0.05)])
def test_real_passes(work: Callable[[], Any], least: float, most: float) -> None:
    """Large products are covered, Python is not, and an empty table is a value."""
    shares = []
    for _ in range(3):  # other processes disturb a measurement of milliseconds
        counted = passed(work)
        assert isinstance(counted, Counted)
        assert (work is python) == counted.empty
        shares.append(counted.coverage.share or 0.0)
    assert least <= max(shares)
    assert min(shares) <= most


def test_work_in_an_older_thread_and_in_another_process_shows() -> None:
    """What no pass can count has a share of its own."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(python).result()
        in_thread = passed(lambda: pool.submit(python).result())
    in_process = passed(process)
    assert isinstance(in_thread, Counted)
    assert isinstance(in_process, Counted)
    assert in_thread.coverage.threads > 0.5
    assert in_process.coverage.children > 0.5


def test_a_call_that_grows_differs() -> None:
    """The work of a list that grows with each call has no value."""
    kept: list[int] = []
    weight = torch.ones(3, 3)

    def work() -> Any:
        kept.append(1)
        return [weight @ weight for _ in kept]

    assert "calls differ: aten.mm float32 2 -> 3 calls, +54 FLOP" == passed(work)
