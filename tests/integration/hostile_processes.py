"""Tests that change the state of their process; `test_hostile.py` runs this file.

Each passes without `--energy`, and must pass with it. It checks that its state is as it left it.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import logging
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_greenops import Energy
from tests.integration.simulated_work import forbid, forbidden, measured, work

pytestmark = pytest.mark.energy_budget("1 kJ", max_power="1000 kW")


@contextmanager
def limited(kind: int, soft: int) -> Iterator[None]:
    """Lower a limit of this process in a block."""
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


@contextmanager
def handled(number: int, handler: Any) -> Iterator[None]:
    """Handle a signal in a block, after which the handler must still be there."""
    before = signal.signal(number, handler)
    try:
        yield
        assert signal.getsignal(number) is handler
    finally:
        signal.signal(number, before)


# --- limits ----------------------------------------------------------------------------------


def test_cpu_time_used_up(energy: Energy) -> None:
    """The process has used all its CPU time: the system sends a signal each second."""
    used_s = int(time.process_time())
    with handled(signal.SIGXCPU, lambda *_: None), limited(resource.RLIMIT_CPU, max(1, used_s)):
        assert measured(energy, work, 100_000) == work(100_000)


def test_files_may_not_grow(energy: Energy, tmp_path: Path) -> None:
    """No file can be written."""
    with limited(resource.RLIMIT_FSIZE, 0):
        with pytest.raises(OSError, match="File too large"), open(tmp_path / "x", "wb", 0) as file:
            file.write(b"x")
        assert measured(energy) == work()


def test_no_process_more(energy: Energy) -> None:
    """No process and no thread may be started; root may all the same."""
    with limited(resource.RLIMIT_NPROC, 1):
        assert measured(energy) == work()


def test_small_stacks(energy: Energy) -> None:
    """New threads have the smallest stack."""
    before = threading.stack_size(32_768)
    try:
        assert measured(energy) == work()
    finally:
        assert threading.stack_size(before) == 32_768


# --- signals ---------------------------------------------------------------------------------


def test_timer_interrupts(energy: Energy) -> None:
    """A timer interrupts system calls a thousand times a second."""
    rang: list[int] = []
    with handled(signal.SIGALRM, lambda number, frame: rang.append(number)):
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        try:
            assert measured(energy, work, 300_000) == work(300_000)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    assert rang


def test_timer_ends_the_function(energy: Energy) -> None:
    """An alarm raises in a function that never returns."""

    def rings(*_: object) -> None:
        raise TimeoutError("rang")

    def waits() -> None:
        while True:
            work()

    with handled(signal.SIGALRM, rings):
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(TimeoutError, match="rang"):
            measured(energy, waits)


def test_signals_blocked(energy: Energy) -> None:
    """Every signal is blocked, and stays so."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        assert measured(energy) == work()
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == blocked
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_signals_handled(energy: Energy) -> None:
    """The test handles the signals that end a process; none is sent."""
    with (
        handled(signal.SIGINT, forbidden),
        handled(signal.SIGTERM, forbidden),
        handled(signal.SIGHUP, forbidden),
        handled(signal.SIGCHLD, forbidden),
        handled(signal.SIGPIPE, forbidden),
        handled(signal.SIGUSR1, forbidden),
    ):
        assert measured(energy) == work()


def test_signals_wake_a_pipe(energy: Energy) -> None:
    """Each signal would write into a pipe: none comes."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing)
    try:
        assert measured(energy) == work()
        with pytest.raises(BlockingIOError):
            os.read(reading, 1)
    finally:
        assert signal.set_wakeup_fd(before) == writing
        os.close(reading)
        os.close(writing)


def test_faulthandler(energy: Energy) -> None:
    """The stacks would be dumped in an hour."""
    before = faulthandler.is_enabled()
    faulthandler.dump_traceback_later(3600, exit=True)
    try:
        assert measured(energy) == work()
        assert faulthandler.is_enabled() == before
    finally:
        faulthandler.cancel_dump_traceback_later()


# --- threads and processes -------------------------------------------------------------------


def test_thread_outlives(energy: Energy) -> None:
    """The function starts a thread that lives as long as the process."""

    def starts() -> int:
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
        return work()

    assert measured(energy, starts) == work()


def test_thread_exits(energy: Energy) -> None:
    """A thread of the function calls `sys.exit`."""

    def starts() -> int:
        thread = threading.Thread(target=sys.exit)
        thread.start()
        thread.join()
        return work()

    assert measured(energy, starts) == work()


@pytest.fixture(scope="module")
def children() -> Iterator[list[int]]:
    """Return a list of children, which are ended after the last test of this file."""
    found: list[int] = []
    yield found
    for child in found:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_process_outlives(energy: Energy, children: list[int]) -> None:
    """The function starts a process that outlives the test, and nobody waits for it."""

    def starts() -> int:
        children.append(os.posix_spawn("/bin/sleep", ["sleep", "3600"], {}, setsid=True))
        return work()

    assert measured(energy, starts) == work()


def test_process_group(energy: Energy) -> None:
    """The function starts a shell in a session of its own, which runs another process."""

    def starts() -> int:
        work()
        return subprocess.call(["sh", "-c", "true & wait"], start_new_session=True)

    assert measured(energy, starts) == 0


def test_hooks_of_threads(energy: Energy) -> None:
    """New threads would be traced, and their errors seen; the plugin's are not."""
    seen: list[object] = []
    before = threading.excepthook, sys.unraisablehook, sys.excepthook
    threading.settrace(lambda *_: None)
    threading.setprofile(lambda *_: None)
    threading.excepthook = sys.unraisablehook = seen.append
    sys.excepthook = lambda *given: seen.append(given)
    try:
        assert measured(energy) == work()
    finally:
        threading.settrace(None)
        threading.setprofile(None)
        threading.excepthook, sys.unraisablehook, sys.excepthook = before
    assert seen == []


def test_one_processor(energy: Energy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process may use one processor; the list of them cannot be read or changed."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    forbid(monkeypatch, os, "sched_getaffinity", "sched_setaffinity", "cpu_count")
    try:
        assert measured(energy) == work()
    finally:
        monkeypatch.undo()
        assert os.sched_getaffinity(0) == {min(before)}
        os.sched_setaffinity(0, before)


# --- descriptors, folders, environment -------------------------------------------------------


def test_standard_descriptors_closed(energy: Energy) -> None:
    """Neither input nor output is open: the next file gets their number."""
    kept = [os.dup(number) for number in (0, 1, 2)]
    for number in (0, 1, 2):
        os.close(number)
    try:
        assert measured(energy) == work()
    finally:
        for number, copy in enumerate(kept):
            os.dup2(copy, number)
            os.close(copy)


def test_output_is_a_terminal(energy: Energy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Input and output are a terminal that shows nothing of the plugin."""
    master, terminal = os.openpty()
    with os.fdopen(terminal, "w") as file:
        for name in ("stdin", "stdout", "stderr"):
            monkeypatch.setattr(sys, name, file)
        assert measured(energy) == work()
        monkeypatch.undo()
    os.set_blocking(master, False)
    with pytest.raises(OSError, match=r"unavailable|Input/output"):
        os.read(master, 1)
    os.close(master)


def test_umask(energy: Energy) -> None:
    """Nobody may use the files that are made."""
    before = os.umask(0o777)
    try:
        assert measured(energy) == work()
        assert os.umask(0o777) == 0o777
    finally:
        os.umask(before)


def test_no_temporary_folder(energy: Energy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of temporary files does not exist, until the teardown."""
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    assert measured(energy) == work()


def test_another_home_and_time_zone(energy: Energy) -> None:
    """There is no home, and it is tomorrow."""
    before = dict(os.environ)
    os.environ["TZ"] = "Pacific/Kiritimati"
    os.environ.pop("HOME", None)
    time.tzset()
    try:
        assert measured(energy) == work()
    finally:
        os.environ.clear()
        os.environ.update(before)
        time.tzset()


# --- the interpreter and libraries -----------------------------------------------------------


def test_path_emptied(energy: Energy) -> None:
    """Modules are found nowhere."""
    before = list(sys.path), sys.path_hooks, dict(sys.path_importer_cache)
    sys.path[:], sys.path_hooks = [], []
    sys.path_importer_cache.clear()
    try:
        assert measured(energy) == work()
    finally:
        sys.path[:], sys.path_hooks = before[:2]
        sys.path_importer_cache.update(before[2])


def test_modules_emptied(energy: Energy) -> None:
    """No module is known."""
    before = dict(sys.modules)
    sys.modules.clear()
    try:
        value = measured(energy)
    finally:
        sys.modules.update(before)
    assert value == work()


_FORBIDDEN_EVENTS = {"open", "import", "subprocess.Popen", "os.posix_spawn", "os.listdir"}
_watching = False


def _audit(event: str, _: object) -> None:
    if _watching and event in _FORBIDDEN_EVENTS:
        raise RuntimeError(f"{event}: forbidden here")


def test_audit_hook(energy: Energy) -> None:
    """A hook of the interpreter, which cannot be removed, forbids files, imports and processes."""
    global _watching
    sys.addaudithook(_audit)
    _watching = True
    try:
        value = measured(energy)
    finally:
        _watching = False
    assert value == work()


def test_garbage_collector_off(energy: Energy) -> None:
    """The collector is off, and stays off, with its thresholds."""
    before = gc.get_threshold()
    gc.disable()
    gc.set_threshold(1, 1, 1)
    try:
        assert measured(energy) == work()
        assert (gc.isenabled(), gc.get_threshold()[:2]) == (False, (1, 1))
    finally:
        gc.set_threshold(*before)
        gc.enable()


def test_threads_switch_rarely(energy: Energy) -> None:
    """A thread keeps the interpreter for a minute."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        assert measured(energy) == work()
        assert sys.getswitchinterval() == 60
    finally:
        sys.setswitchinterval(before)


def test_numpy_raises(energy: Energy) -> None:
    """Each floating-point error raises, and does so afterwards; until the teardown."""
    with np.errstate(all="raise"):
        assert measured(energy) == work()
        assert set(np.geterr().values()) == {"raise"}


def test_logging_disabled(energy: Energy, monkeypatch: pytest.MonkeyPatch) -> None:
    """No logger logs, and each handler fails."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    forbid(monkeypatch, logging.Handler, "handle", "emit")
    try:
        assert measured(energy) == work()
        assert logging.root.manager.disable == logging.CRITICAL
    finally:
        logging.disable(before)


def test_policy_of_event_loops(energy: Energy) -> None:
    """Loops are of a class of the test."""

    class Loop(asyncio.SelectorEventLoop):
        pass

    class Policy(asyncio.DefaultEventLoopPolicy):
        _loop_factory = Loop

    async def coroutine() -> bool:
        work()
        return isinstance(asyncio.get_running_loop(), Loop)

    with warnings.catch_warnings():  # a later Python has no policies
        warnings.simplefilter("ignore", DeprecationWarning)
        asyncio.set_event_loop_policy(Policy())
        try:
            assert measured(energy, lambda: asyncio.run(coroutine()))
            assert asyncio.run(energy.named("coroutine").acall(coroutine))
        finally:
            asyncio.set_event_loop_policy(None)


# --- folders ----------------------------------------------------------------------------------


def test_folder_changed_for_good(energy: Energy, tmp_path: Path) -> None:
    """The working directory is another one from now on, also for the reports of the run."""
    os.chdir(tmp_path)
    assert measured(energy) == work()
