"""Tests of torch code that counting could disturb; `test_count_effects.py` runs this file.

Each passes without `--energy`, and must pass with it. What a test sees of its process it checks
itself.
"""

from __future__ import annotations

import asyncio
import builtins
import gc
import random
import sys
import threading
import time
import unittest
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode
from torch.utils.flop_counter import FlopCounterMode

from pytest_greenops import Energy

pytestmark = pytest.mark.energy_budget(max_flop="1 GFLOP")


def work() -> torch.Tensor:
    """Do 2,000 floating-point operations."""
    return torch.ones(10, 10) @ torch.ones(10, 10)


def forbidden(*_: object, **__: object) -> Any:
    """Stand in for a function that the test forbids."""
    raise AssertionError("forbidden here")


def test_a_call_that_refuses_to_be_counted(energy: Energy) -> None:
    """It raises while its operators are seen; only its count is missing."""

    def refuses() -> torch.Tensor:
        if _get_current_dispatch_mode() is not None:
            raise RuntimeError("not while I am watched")
        return work()

    assert energy(refuses)[0, 0] == 10


def test_a_call_that_always_fails(energy: Energy) -> None:
    """The test expects its exception."""

    def fails() -> None:
        work()
        raise ValueError("as expected")

    with pytest.raises(ValueError, match="as expected"):
        energy(fails)


def test_an_exit_is_no_failure_of_a_count(energy: Energy) -> None:
    """What ends a test ends it in a counted call, too."""

    def leaves() -> None:
        work()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        energy(leaves)


def test_a_value_survives_a_failing_count(energy: Energy) -> None:
    """The test has the value of a call that was not counted."""
    values = []

    def refuses_later() -> int:
        if _get_current_dispatch_mode() is not None:
            raise ValueError
        values.append(len(values))
        return values[-1]

    assert energy(refuses_later) == values[-1]


def test_calls_are_only_added(energy: Energy) -> None:
    """Each call has its set-up, and the last value is that of a call that was not counted."""
    made, done = [], []

    def setup() -> int:
        made.append(len(made))
        return made[-1]

    def call(number: int) -> tuple[int, bool]:
        work()
        done.append(number)
        return number, _get_current_dispatch_mode() is not None

    last, counted = energy.pedantic(call, setup=setup, rounds=2, warmup_rounds=0, iterations=1)
    assert made == done
    assert len(done) >= 1
    assert (last, counted) == (done[-1], False)


def test_random_state(energy: Energy) -> None:
    """Counting draws no random number, of torch or Python."""
    before = torch.get_rng_state(), random.getstate()
    energy(work)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage(energy: Energy, enabled: bool) -> None:
    """The collector stays on, or off, and its thresholds and callbacks stay."""
    (gc.enable if enabled else gc.disable)()
    before = gc.isenabled(), gc.get_threshold(), list(gc.callbacks)
    try:
        energy(work)
        assert (gc.isenabled(), gc.get_threshold(), list(gc.callbacks)) == before
    finally:
        gc.enable()


def test_clocks_threads_and_files_forbidden(
    energy: Energy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No clock can be read, no thread started and no file opened."""
    clocks = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
    with monkeypatch.context() as patched:
        for name in (*clocks, *(f"{clock}_ns" for clock in clocks)):
            patched.setattr(time, name, forbidden)
        for name in ("Thread", "Lock", "RLock", "get_ident", "current_thread"):
            patched.setattr(threading, name, forbidden)
        patched.setattr(gc, "disable", forbidden)
        patched.setattr(builtins, "open", forbidden)
        value = energy(work)
    assert value[0, 0] == 10


def test_fake_files(energy: Energy) -> None:
    """All files are those of pyfakefs."""
    fake = pytest.importorskip("pyfakefs.fake_filesystem_unittest")
    with fake.Patcher():
        assert energy(work)[0, 0] == 10


def test_warnings_are_errors(energy: Energy) -> None:
    """Each warning raises, and the filters stay as they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        energy(work)
        assert list(warnings.filters) == before


def test_traced(energy: Energy) -> None:
    """A profile function is set, and stays."""

    def trace(*_: object) -> None:
        return None

    before = sys.getprofile()
    sys.setprofile(trace)
    try:
        energy(work)
        seen = sys.getprofile()
    finally:
        sys.setprofile(before)
    assert seen is trace


def test_default_dtype(energy: Energy) -> None:
    """Tensors are double by default, before, in and after the call."""
    torch.set_default_dtype(torch.float64)
    try:
        assert energy(work).dtype == torch.float64
        assert torch.ones(1).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_threads_and_algorithms(energy: Energy) -> None:
    """The test chooses one thread and deterministic algorithms, which stay."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        energy(work)
        assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (1, True)
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])


def test_default_device(energy: Energy) -> None:
    """Tensors are made on another device by default."""
    torch.set_default_device("meta")
    try:
        assert energy(work).device.type == "meta"
        assert torch.ones(1).device.type == "meta"
    finally:
        torch.set_default_device(None)


def test_modes_of_autograd(energy: Energy) -> None:
    """Inference mode, no gradients, autocast: each holds in every call, and after it."""
    with torch.inference_mode():
        assert energy.named("inference")(work).is_inference()
        assert torch.is_inference_mode_enabled()
    with torch.no_grad():
        energy.named("no_grad")(work)
        assert not torch.is_grad_enabled()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert energy.named("autocast")(work).dtype == torch.bfloat16


def test_modes_of_the_test(energy: Energy) -> None:
    """The test sees operators by itself, and its mode is as it was afterwards."""
    with FlopCounterMode(display=False) as own:
        energy(work)
        assert own.get_total_flops() % 2000 == 0
        assert own.get_total_flops() >= 2000


class Raises(TorchDispatchMode):
    """Refuses matrix products."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Raise for a product, and call all else."""
        if "mm" in str(func):
            raise RuntimeError("no products here")
        return func(*args, **(kwargs or {}))


def test_a_mode_that_raises(energy: Energy) -> None:
    """An operator fails in each call, and counting leaves the mode of the test."""
    with Raises() as mode:
        with pytest.raises(RuntimeError, match="no products here"):
            energy(work)
        assert _get_current_dispatch_mode() is mode


def test_in_a_thread(energy: Energy) -> None:
    """The test measures in a thread of its own."""
    found: list[torch.Tensor] = []
    thread = threading.Thread(target=lambda: found.append(energy(work)))
    thread.start()
    thread.join()
    assert found[0][0, 0] == 10


def test_thread_in_the_call(energy: Energy) -> None:
    """The call starts a thread of a subclass, which is as it was afterwards."""

    class Own(threading.Thread):
        def run(self) -> None:
            work()

    def call() -> None:
        thread = Own()
        thread.start()
        thread.join()

    before = threading.Thread.__dict__.copy()
    energy(call)
    assert threading.Thread.__dict__ == before


def test_coroutine(energy: Energy) -> None:
    """A coroutine is awaited."""

    async def call() -> torch.Tensor:
        await asyncio.sleep(0)
        return work()

    assert asyncio.run(energy.acall(call))[0, 0] == 10


@pytest.mark.skipif(not hasattr(pytest, "Subtests"), reason="this pytest has no subtests")
def test_in_subtests(energy: Energy, request: pytest.FixtureRequest) -> None:
    """Measurements inside of subtests."""
    subtests = request.getfixturevalue("subtests")
    for name in ("a", "b"):
        with subtests.test(name):
            energy.named(name)(work)


def test_two_windows(energy: Energy) -> None:
    """A loop with two windows, one of which does twice the work."""
    for _ in energy.rounds():
        with energy.measure("one"):
            work()
        with energy.measure("two"):
            work()
            work()


def test_loop_that_is_left(energy: Energy) -> None:
    """The test leaves its loop in the second round."""
    for number in energy.rounds():
        with energy.measure("left"):
            work()
        if number:
            break


def test_whole() -> None:
    """The whole test is the work."""
    assert work()[0, 0] == 10


def test_whole_that_measures_by_itself(request: pytest.FixtureRequest) -> None:
    """Its body asks for the handle, and is not repeated."""
    energy: Energy = request.getfixturevalue("energy")
    work()
    energy.named("inner")(work)


@pytest.fixture
def trained() -> Iterator[torch.nn.Linear]:
    """Return a layer whose gradients a test must leave as one call makes them."""
    layer = torch.nn.Linear(10, 10)
    yield layer
    assert layer.weight.grad is not None


def test_training(energy: Energy, trained: torch.nn.Linear) -> None:
    """Each call starts from zero gradients, and leaves those of one call."""

    def step() -> None:
        trained.zero_grad()
        trained(torch.ones(10, 10)).sum().backward()

    energy(step)
    assert trained.weight.grad is not None
    assert torch.equal(trained.weight.grad, torch.full((10, 10), 10.0))


class TestCase(unittest.TestCase):
    """A test of unittest, measured as a whole."""

    def test_case(self) -> None:
        """The body is the work."""
        assert work()[0, 0] == 10


def test_torch_deleted(energy: Energy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch is not among the loaded modules any more."""
    with monkeypatch.context() as patched:
        patched.delitem(sys.modules, "torch")
        value = energy(work)
    assert value[0, 0] == 10


def test_after_all(energy: Energy) -> None:
    """Counting still works after all of that."""
    assert energy(work)[0, 0] == 10
