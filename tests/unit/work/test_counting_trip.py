"""A pass that counts leaves nothing behind, sees threads, and compiles nothing."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs torch: make test-studies")

from torch import _dynamo  # noqa: E402

from pytest_greenops.model.counted import Amount, Operator  # noqa: E402
from pytest_greenops.work.counting_trip import (  # noqa: E402
    COMPILED,
    OUTLIVED,
    UNKNOWN_IF_COMPILED,
    CountingTrip,
    CpuTime,
    PlainTrip,
    least_used,
    why_not,
)
from tests.unit.work.one_pass import counted, flop, of, pass_through  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of what is deprecated, or in beta state
nn = torch.nn
F = nn.functional


# --- nothing is left -----------------------------------------------------------------------------


def surroundings() -> list[Any]:
    """Return what a pass replaces while it counts."""
    return [
        nn.Module.__call__,
        vars(threading.Thread)["_bootstrap_inner"],
        _dynamo.eval_frame._callback_from_stance,
        _dynamo.eval_frame._stance,
        torch.utils._python_dispatch._get_current_dispatch_mode_stack(),
        torch._C._dispatch_tls_local_include_set(),
        torch._C._dispatch_tls_local_exclude_set(),
        gc.isenabled(),
        threading.active_count(),
    ]


@pytest.mark.parametrize("collects", [True, False])
def test_nothing_is_left_after_an_error(collects: bool) -> None:
    """Everything is as it was; an error ends the window only, and an interrupt passes through."""
    was = gc.isenabled()
    model = nn.Linear(4, 4)
    (gc.enable if collects else gc.disable)()
    try:
        before = surroundings()
        trip = CountingTrip(torch, lambda: None, extra=True)
        with trip.window("call"):
            model(torch.ones(3)[None])
        assert trip.failed["call"].startswith("RuntimeError: mat1 and mat2")
        with pytest.raises(KeyboardInterrupt):
            pass_through(_interrupt)
        assert before == surroundings()
    finally:
        (gc.enable if was else gc.disable)()
    assert not model._forward_hooks
    assert not model._backward_hooks


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("two\n  lines"), "ValueError: two lines"),
        (ValueError(), "ValueError"),
    ],
)
def test_an_error_is_kept_in_one_line(error: Exception, words: str) -> None:
    """One without a message has its kind alone."""
    trip = CountingTrip(torch, lambda: None, extra=True)
    with trip.window("call"):
        raise error
    assert trip.failed == {"call": words}


@pytest.mark.parametrize("trip", [CountingTrip(torch, lambda: None), PlainTrip(lambda: None)])
def test_the_work_is_done_once(trip: CountingTrip | PlainTrip) -> None:
    """A count needs no repetition, whether calls could be made together or not."""
    assert trip.iterations == 1
    assert [*trip.batches()] == [*trip.batches(together=False)] == [1]


def test_a_plain_call_that_is_left_has_no_time() -> None:
    """What follows is another measurement."""
    trip = PlainTrip(lambda: None)
    with trip.window("call"):
        trip.leave()
    assert trip.used == {}


def test_an_error_of_the_only_call_passes_through() -> None:
    """Where the counted call is the test's own, what it raises fails the test."""
    trip = CountingTrip(torch, lambda: None)
    with pytest.raises(ZeroDivisionError), trip.window("call"):
        _ = 1 / 0


def test_a_whole_test_that_measures_by_itself() -> None:
    """What is counted before the test measures by itself is dropped, and nothing counts on."""
    trip = CountingTrip(torch, lambda: None)
    with trip.window("call"):
        torch.ones(3) + 1
        trip.leave()
        torch.ones(3) + 1
    assert trip.tallies == {}


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_windows_inside_windows() -> None:
    """A window inside another one counts for both, and a window that opens twice for itself."""
    trip = CountingTrip(torch, lambda: None)
    with trip.window("outer"):
        for _ in range(2):
            with trip.window("inner"):
                torch.ones(2, 3) @ torch.ones(3, 2)
        torch.ones(3).exp()
    outer, inner = trip.tallies["outer"], trip.tallies["inner"]
    assert (2, 2) == (of(outer, "aten.mm").calls, of(inner, "aten.mm").calls)
    assert (1, 0) == (of(outer, "aten.exp").calls, of(inner, "aten.exp").calls)
    assert of(outer, "aten.empty").calls == 0  # of this package, when a window opens


_STEPS = (
    lambda: torch.ones(2, 3) @ torch.ones(3, 2),
    lambda: torch.ones(3).exp(),
    lambda: torch.ones(4, dtype=torch.float64).sum(),
    lambda: torch.ones(2, 3).t(),
)


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(st.lists(st.lists(st.sampled_from(_STEPS), max_size=4), min_size=1, max_size=4))
def test_work_adds_up_over_windows(windows: list[list[Callable[[], Any]]]) -> None:
    """Work that is split into windows has, in all of them, the operators that one window has."""
    trip = CountingTrip(torch, lambda: None)
    with trip.window("whole"):
        for number, steps in enumerate(windows):
            with trip.window(f"part {number}"):
                for step in steps:
                    step()
    whole = trip.tallies.pop("whole").operators
    summed: dict[Operator, Amount] = {}
    for tally in trip.tallies.values():
        for operator, amount in tally.operators.items():
            summed[operator] = summed.get(operator, Amount()) + amount
    assert summed == whole


def test_a_device_that_fails_does_not_stop_the_work() -> None:
    """A test may replace the framework; waiting for a device is not what it tests."""
    trip = CountingTrip(torch, lambda: 1 / 0)
    with trip.window("call"):
        torch.ones(3).exp()
    assert of(trip.tallies["call"], "aten.exp").calls == 1


# --- threads -------------------------------------------------------------------------------------


def product() -> Any:
    """Multiply two matrices: 36 operations."""
    return torch.ones(2, 3) @ torch.ones(3, 3)


class OwnThread(threading.Thread):
    """A thread that replaces `run`."""

    def run(self) -> None:
        """Work."""
        product()


def _threads() -> None:
    threads = [threading.Thread(target=product), OwnThread()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _pool() -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: product(), range(4)))


async def _tasks() -> None:
    async def one() -> None:
        product()

    await asyncio.gather(one(), one(), asyncio.to_thread(product))


@pytest.mark.parametrize(
    ("work", "expected"), [(_threads, 2), (_pool, 4), (lambda: asyncio.run(_tasks()), 3)]
)
def test_threads_that_the_call_starts_are_counted(work: Callable[[], Any], expected: int) -> None:
    """Threads, also of an own class, of a pool and of an event loop."""
    assert expected * 36 == flop(work)


def test_memory_is_concurrent_if_threads_make_tensors_at_once() -> None:
    """Threads that meet while each holds a tensor; not a call of one thread."""
    meet = threading.Barrier(2)

    def hold() -> None:
        held = torch.ones(3) + 1
        meet.wait(10)
        del held

    def both() -> None:
        threads = [threading.Thread(target=hold) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert pass_through(both).tallies["call"].memory.concurrent
    assert not pass_through(product).tallies["call"].memory.concurrent


def test_a_thread_that_goes_on_is_noted() -> None:
    """What it does later is not counted, and the notes say so."""
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait)
    trip = pass_through(thread.start)
    assert [OUTLIVED] == trip.notes
    go_on.set()
    thread.join()


def test_an_older_thread_is_not_counted() -> None:
    """A pool from before the call works unseen; its CPU time shows in the coverage."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(product).result()
        assert 0 == flop(lambda: pool.submit(product).result())


# --- compilation ---------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Forget what was compiled."""
    yield
    _dynamo.reset()


def compiling(compiled: list[Any], **options: Any) -> Any:
    """Return a compiled function that notes each compilation."""

    def backend(graph: Any, _: Any) -> Any:
        compiled.append(graph)
        return graph.forward

    return torch.compile(lambda x: (x @ x).exp(), backend=backend, **options)


@pytest.mark.parametrize("fullgraph", [False, True])
def test_compiled_code_is_counted_as_eager_and_still_compiled(fullgraph: bool) -> None:
    """A function first called while counting is compiled at its next call, once."""
    graphs: list[Any] = []
    function, data = compiling(graphs, fullgraph=fullgraph), torch.ones(3, 3)
    trip = pass_through(lambda: function(data))
    assert [COMPILED] == trip.notes
    assert 54 == of(trip.tallies["call"], "aten.mm").flop
    assert 0 == len(graphs)
    function(data)
    assert 1 == len(graphs)
    pass_through(lambda: function(data))
    function(data)
    assert 1 == len(graphs)


def test_a_torch_that_does_not_tell_what_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counts say that it is not known."""
    monkeypatch.delattr("torch._dynamo.eval_frame._callback_from_stance")
    trip = pass_through(lambda: torch.ones(3) + 1)
    assert [UNKNOWN_IF_COMPILED] == trip.notes


def test_a_compiled_model_is_not_compiled_again() -> None:
    """Neither does a count compile it, nor does the next call compile it anew."""
    graphs: list[Any] = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    model, data = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), torch.ones(3, 4)
    model = torch.compile(model, backend=backend)
    for counts, expected in ((True, 0), (False, 1), (True, 1), (False, 1)):
        work = lambda: model(data).sum().backward()  # noqa: E731
        pass_through(work) if counts else work()
        assert expected == len(graphs)


def test_an_optimizer_is_not_noted_as_compiled() -> None:
    """torch asks the compiler to leave its optimizers alone; nothing is compiled."""
    weight = nn.Parameter(torch.ones(3))
    weight.grad, optimizer = torch.ones(3), torch.optim.AdamW([weight])
    optimizer.step()
    assert [] == pass_through(optimizer.step).notes


def test_operators_of_higher_order_are_counted_inside() -> None:
    """`cond`, `while_loop`, `map` and `flex_attention` count as the operators that they call."""
    from torch._higher_order_ops.map import map as torch_map
    from torch._higher_order_ops.while_loop import while_loop
    from torch.nn.attention.flex_attention import flex_attention

    data, heads = torch.ones(4, 4), torch.ones(1, 2, 8, 4)
    step = lambda i, x: (i + 1, x @ torch.eye(4))  # noqa: E731
    works: list[tuple[Callable[[], Any], int]] = [
        (lambda: torch.cond(data.sum() > 0, lambda x: (x @ x).sin(), torch.cos, (data,)), 1),
        (lambda: while_loop(lambda i, x: i < 3, step, (torch.tensor(0), data)), 3),
        (lambda: torch_map(lambda x, y: x[None] @ y, data, data.clone()), 1),
    ]
    for work, products in works:
        work()
        assert products * 2 * 4**3 == flop(work), products
    assert 2 * 2 * 2 * 8 * 8 * 4 == flop(lambda: flex_attention(heads, heads, heads))


def test_the_compiler_is_not_loaded() -> None:
    """Counting imports nothing: without the compiler in memory nothing is compiled."""
    import subprocess
    import sys

    program = (
        "import sys, torch\n"
        "from pytest_greenops.work.counting_trip import CountingTrip\n"
        "before = set(sys.modules)\n"
        "trip = CountingTrip(torch, lambda: None)\n"
        "x = torch.ones(3, 4, requires_grad=True)\n"
        "with trip.window('call'): torch.nn.Tanh()(x).sum().backward()\n"
        "assert trip.tallies['call'].operators\n"
        "print(sorted(set(sys.modules) - before))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "[]" == ran.stdout.strip(), ran.stdout + ran.stderr


def test_old_versions_of_torch() -> None:
    """A version that cannot be kept from compiling is not counted, and the reason says so."""
    old = SimpleNamespace(__version__="2.5.1", compiler=SimpleNamespace())
    expected = "torch 2.5.1 is too old to be counted: install torch 2.6 or newer"
    assert (expected, None) == (why_not(old), why_not(torch))


# --- a plain pass --------------------------------------------------------------------------------


def test_a_plain_pass_measures_cpu_time() -> None:
    """Of the process tree, the process and the thread; windows of a name are summed."""
    trip = PlainTrip(lambda: None)
    for _ in range(2):
        with trip.window("call"):
            sum(range(200_000))
    used = trip.used["call"]
    assert used.tree >= used.process * 0.5 > 0
    assert 0 < used.thread <= 1.1 * used.process
    assert CpuTime(1, 2, 3) == CpuTime(2, 4, 6) - CpuTime(1, 2, 3)


@pytest.mark.real_time
def test_time_inside_operators() -> None:
    """Large operators take the time; Python around them does not."""
    data = torch.ones(300, 300)
    trip = PlainTrip(lambda: None)

    def work() -> None:
        for _ in range(20):
            sum(range(30_000))
            data @ data

    work()
    with trip.window("call"):
        work()
    inside = counted(work).inside
    assert 0.3 * trip.used["call"].process < inside.process
    assert inside.thread <= inside.process * 1.2


def test_the_least_disturbed_of_two_plain_calls() -> None:
    """Each window has the CPU times of the call that used least in all."""
    one, other = PlainTrip(lambda: None), PlainTrip(lambda: None)
    one.used = {"prefill": CpuTime(100, 90, 10), "decode": CpuTime(50, 50, 50)}
    other.used = {"prefill": CpuTime(80, 80, 80), "decode": CpuTime(60, 50, 50)}
    least = {"prefill": CpuTime(80, 80, 80), "decode": CpuTime(50, 50, 50)}
    assert least_used([one, other]) == least
    assert least_used([]) is None
