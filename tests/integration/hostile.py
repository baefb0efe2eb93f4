"""Tests that replace, forbid or exhaust what the plugin may need; `test_hostile.py` runs this file.

Each passes without `--energy`, and must pass with it. What a test sees of its process (threads,
random numbers, open files, …) it checks itself. Those that change the state of their process are in
`hostile_processes.py`.
"""

from __future__ import annotations

import asyncio
import atexit
import builtins
import contextlib
import contextvars
import decimal
import gc
import importlib
import io
import json
import locale
import math
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import warnings
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import psutil
import pytest

from pytest_greenops import Energy
from tests.integration.simulated_work import Forbidden, forbid, forbidden, measured, work

#: Joules and watts are compared with limits, so that the statistics run too.
pytestmark = pytest.mark.energy_budget("1 kJ", max_power="1000 kW")


def open_files() -> list[str]:
    """Return what the open descriptors of this process are."""
    found = []
    for handle in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{handle}"))
        except OSError:  # that of the list itself
            continue
    return sorted(found)


# --- clocks ----------------------------------------------------------------------------------


def test_frozen_clock(energy: Energy) -> None:
    """The clock stands still."""
    import freezegun

    with freezegun.freeze_time("2026-01-01"):
        assert measured(energy) == work()


def test_ticking_clock(energy: Energy) -> None:
    """The clock advances by a quarter of a minute each time that it is read."""
    import freezegun

    with freezegun.freeze_time("2026-01-01", auto_tick_seconds=15):
        assert measured(energy) == work()


def test_clock_set_back(energy: Energy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every clock shows the same moment of the past, until the teardown."""
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        monkeypatch.setattr(time, name, lambda: 5.0)
        monkeypatch.setattr(time, f"{name}_ns", lambda: 5_000_000_000)
    assert measured(energy) == work()


def test_calibrated_under_a_frozen_clock(energy: Energy) -> None:
    """The plugin chooses how often it calls the function."""
    with mock.patch("time.monotonic_ns", return_value=0), mock.patch("time.sleep", forbidden):
        assert energy(work) == work()


# --- files and processes ---------------------------------------------------------------------


def test_open_mocked(energy: Energy) -> None:
    """Each file has the same content."""
    with mock.patch("builtins.open", mock.mock_open(read_data="x")) as opened:
        assert measured(energy) == work()
    opened.assert_not_called()


def test_fake_file_system(energy: Energy) -> None:
    """There is no /proc."""
    from pyfakefs import fake_filesystem_unittest as fake

    with fake.Patcher():
        assert not os.path.exists("/proc/stat")
        assert measured(energy) == work()


def test_functions_of_os_forbidden(energy: Energy) -> None:
    """No file can be opened, and no process is known."""
    files = ("open", "read", "pread", "close", "fstat", "lstat", "stat", "scandir", "listdir")
    processes = ("waitid", "waitpid", "getpid", "getppid", "sysconf", "urandom", "posix_spawn")
    with Forbidden(os, *files, *processes):
        assert measured(energy) == work()


def test_psutil_forbidden(energy: Energy) -> None:
    """Neither the machine nor a process is known to psutil."""
    with Forbidden(psutil, "cpu_times", "Process", "virtual_memory", "cpu_percent"):
        assert measured(energy) == work()


@pytest.mark.energy_budget("0.001 mJ", action="warn")
def test_processes_forbidden(energy: Energy, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process can be started, until the teardown; the conftest.py forbids the rest."""
    forbid(monkeypatch, subprocess, "Popen", "call", "check_output", "_args_from_interpreter_flags")
    forbid(monkeypatch, tempfile, "mkdtemp", "mkstemp", "gettempdir", "TemporaryDirectory")
    forbid(monkeypatch, os, "fork", "posix_spawn", "execve", "pidfd_open", "killpg")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setenv("TMPDIR", "/nowhere")
    assert energy.pedantic(work, args=(500_000,), rounds=2) == work(500_000)


def test_no_descriptor_left(energy: Energy) -> None:
    """As many files are open as may be."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    first_free = os.open(os.devnull, os.O_RDONLY)
    os.close(first_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first_free, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            os.open(os.devnull, os.O_RDONLY)
        assert measured(energy) == work()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_no_descriptor_left_for_a_child(energy: Energy) -> None:
    """The CPU time of a child cannot be read."""
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    first_free = os.open(os.devnull, os.O_RDONLY)
    os.close(first_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first_free, limits[1]))
    try:
        assert measured(energy) == work()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_foreign_descriptors_closed(energy: Energy) -> None:
    """The test closes what it has not opened, and opens another file under the number."""

    def closing() -> int:
        for handle in os.listdir("/proc/self/fd"):
            name = f"/proc/self/fd/{handle}"
            if os.path.exists(name) and os.readlink(name).startswith(("/proc/stat", "/sys/")):
                os.close(int(handle))
                mine.append(os.open(os.devnull, os.O_RDONLY))
        return work()

    mine: list[int] = []
    assert measured(energy, closing) == work()
    for handle in mine:
        os.close(handle)


def test_open_files_are_unchanged(energy: Energy) -> None:
    """The test counts the descriptors of its process."""
    before = open_files()
    measured(energy)
    assert open_files() == before


def test_folder_removed(energy: Energy, tmp_path: Path) -> None:
    """The working directory does not exist any more."""
    gone = tmp_path / "gone"
    gone.mkdir()
    before = os.getcwd()
    os.chdir(gone)
    gone.rmdir()
    try:
        assert measured(energy) == work()
    finally:
        os.chdir(before)


def test_environment_cleared(energy: Energy) -> None:
    """There is not one variable."""
    with mock.patch.dict(os.environ, clear=True):
        assert measured(energy) == work()


def test_little_memory(energy: Energy) -> None:
    """The process may grow by 64 MiB."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 2**26
    resource.setrlimit(resource.RLIMIT_AS, (most, limits[1]))
    try:
        assert measured(energy) == work()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def test_fork(energy: Energy) -> None:
    """The function forks, and its child ends at once."""

    def forks() -> int:
        work()
        child = os.fork()
        if child == 0:
            os._exit(7)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert measured(energy, forks) == 7


def test_children_ignored(energy: Energy) -> None:
    """The system reaps every child."""

    def starts() -> bool:
        work()
        child = os.posix_spawn("/bin/true", ["true"], {})
        try:
            os.waitpid(child, 0)
        except ChildProcessError:
            return True
        return False

    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert measured(energy, starts)
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_alarm(energy: Energy) -> None:
    """A signal interrupts the function."""

    def rings(*_: object) -> None:
        raise TimeoutError("rang")

    before = signal.signal(signal.SIGALRM, rings)
    try:
        with pytest.raises(TimeoutError, match="rang"):
            measured(energy, lambda: signal.raise_signal(signal.SIGALRM))
    finally:
        signal.signal(signal.SIGALRM, before)


def test_multiprocessing(energy: Energy) -> None:
    """The function starts a process and waits for it."""

    def parallel() -> int | None:
        work()
        process = multiprocessing.get_context("fork").Process(target=work)
        process.start()
        process.join()
        return process.exitcode

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert measured(energy, parallel) == 0


# --- modules and builtins --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["numpy", "scipy", "scipy.special", "psutil", "msgspec", "rich"])
def test_library_missing(energy: Energy, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library cannot be imported, until the teardown."""
    monkeypatch.setitem(sys.modules, name, None)
    assert measured(energy) == work()


def test_imports_refused(energy: Energy) -> None:
    """Nothing can be imported any more."""
    finders, sys.meta_path = sys.meta_path, []
    try:
        with Forbidden(builtins, "__import__"), Forbidden(importlib, "import_module"):
            assert measured(energy) == work()
    finally:
        sys.meta_path = finders


def test_builtins_forbidden(energy: Energy) -> None:
    """Common functions fail."""
    names = ("sum", "sorted", "round", "print", "min", "max", "any", "all", "zip", "map", "abs")
    names += ("filter", "reversed", "vars", "divmod", "hash", "open", "len")
    with Forbidden(builtins, *names):
        value = measured(energy)
    assert value == work()


class OneWay(io.StringIO):
    """Output that cannot be read again."""

    seek = forbidden


def test_output_one_way(energy: Energy) -> None:
    """Whatever is written goes where it cannot be removed."""
    with contextlib.redirect_stdout(OneWay()):
        assert measured(energy) == work()


def test_output_mocked(energy: Energy) -> None:
    """Whatever is written goes to a mock, each attribute of which is another mock."""
    with mock.patch("sys.stdout"), mock.patch("sys.stderr"):
        assert measured(energy) == work()


def test_builtins_lie(energy: Energy) -> None:
    """Common functions return nonsense, which the test itself sees."""

    def lied() -> tuple[int, int, float]:
        work()
        return sum([1, 2]), len("abc"), float("2")

    with Forbidden(builtins, "sum", "len", "float", by=lambda *_: 7):
        value = measured(energy, lied)
    assert value == (7, 7, 7)


def test_mathematics_replaced(energy: Energy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions of math, NumPy and json fail, until the teardown."""
    forbid(monkeypatch, math, "log", "exp", "sqrt", "fsum", "hypot", "ceil", "isfinite")
    forbid(monkeypatch, np, "sort", "asarray", "median", "where", "log", "exp", "zeros")
    forbid(monkeypatch, json, "dumps", "loads")
    assert measured(energy) == work()


def test_threads_replaced(energy: Energy) -> None:
    """No thread can be started; the test counts those that there are."""
    before = threading.active_count()
    with Forbidden(threading, "Thread", "Event", "Lock", "RLock", "Condition"):
        assert measured(energy) == work()
    assert threading.active_count() == before


def test_modules_reloaded(energy: Energy) -> None:
    """A module of the plugin is loaded again."""
    importlib.reload(sys.modules["pytest_greenops.model.errors"])
    assert measured(energy) == work()


# --- the interpreter -------------------------------------------------------------------------


def test_random_numbers_are_unchanged(energy: Energy) -> None:
    """The test draws from generators with a seed."""
    random.seed(7)
    np.random.seed(7)
    states = random.getstate(), repr(np.random.get_state())
    measured(energy)
    assert (random.getstate(), repr(np.random.get_state())) == states


def test_garbage_is_kept(energy: Energy) -> None:
    """The collector must not be called."""
    before = gc.isenabled(), gc.get_threshold(), list(gc.callbacks)
    with Forbidden(gc, "collect", "enable", "freeze", "disable"):
        assert measured(energy) == work()
    assert (gc.isenabled(), gc.get_threshold(), list(gc.callbacks)) == before


def test_warnings_are_errors(energy: Energy) -> None:
    """Each warning raises, and the filters stay as they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        assert measured(energy) == work()
        assert list(warnings.filters) == before


def test_low_recursion_limit(energy: Energy) -> None:
    """A hundred calls may be nested in the test."""
    depth, frame = 0, sys._getframe()
    while frame.f_back is not None:
        depth, frame = depth + 1, frame.f_back
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + 100)
    try:
        assert measured(energy) == work()
    finally:
        sys.setrecursionlimit(before)


def test_endless_recursion(energy: Energy) -> None:
    """The function calls itself for ever."""

    def calls_itself() -> None:
        calls_itself()

    with pytest.raises(RecursionError):
        measured(energy, calls_itself)


def test_traced(energy: Energy) -> None:
    """A trace and a profile function are set, and stay."""

    def trace(*_: object) -> None:
        return None

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(trace)
    sys.setprofile(trace)
    try:
        assert measured(energy) == work()
        seen = sys.gettrace(), sys.getprofile()
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    assert seen == (trace, trace)


def test_decimals_and_locale(energy: Energy) -> None:
    """Decimals have two digits, and the locale is another."""
    before = locale.setlocale(locale.LC_ALL)
    with decimal.localcontext() as context:
        context.prec = 2
        context.traps[decimal.Inexact] = True
        locale.setlocale(locale.LC_ALL, "C")
        assert measured(energy) == work()
    locale.setlocale(locale.LC_ALL, before)


def test_output_closed(energy: Energy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The streams are closed, until the teardown."""
    for name in ("stdout", "stderr", "__stdout__", "__stderr__"):
        closed = io.StringIO()
        closed.close()
        monkeypatch.setattr(sys, name, closed)
    assert measured(energy) == work()


def test_exit_handlers(energy: Energy) -> None:
    """The function registers a handler for the end of the process."""
    measured(energy, lambda: (work(), atexit.register(work)))
    atexit.unregister(work)


def test_context_variables(energy: Energy) -> None:
    """What the function sets is seen after it."""
    variable = contextvars.ContextVar("variable", default=0)
    measured(energy, lambda: (work(), variable.set(1)))
    assert variable.get() == 1


def test_event_loop(energy: Energy) -> None:
    """The function runs a loop, and a coroutine is measured in another."""

    async def coroutine() -> int:
        await asyncio.sleep(0)
        return work()

    assert measured(energy, lambda: asyncio.run(coroutine())) == work()
    assert asyncio.run(energy.named("coroutine").acall(coroutine)) == work()


# --- what functions do -----------------------------------------------------------------------


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration])
def test_raises(energy: Energy, error: type[BaseException]) -> None:
    """The function raises what ends other things than tests."""

    def raises() -> None:
        raise error

    with pytest.raises(error):
        measured(energy, raises)


def test_generator(energy: Energy) -> None:
    """The function has not run when it returns, which is refused."""

    def generates() -> Iterator[int]:
        yield work()

    with pytest.raises(TypeError, match="list"):
        measured(energy, generates)


class Hostile:
    """An object that can be used for nothing."""

    __eq__ = __bool__ = __len__ = __iter__ = __repr__ = __str__ = forbidden
    __call__ = __getattr__ = __float__ = __index__ = __format__ = forbidden
    __hash__ = None


def test_hostile_objects(energy: Energy) -> None:
    """Neither an argument nor the result can be compared, shown or counted."""
    hostile = Hostile()
    assert measured(energy, lambda given: (given, work())[0], hostile) is hostile


@pytest.mark.parametrize("letters", ["x" * 2000, "\u00e9\u65e5\U0001f600::[a]/../b\\c\n"])
def test_long_id(energy: Energy, letters: str) -> None:
    """The name of the test has two thousand letters, or strange ones."""
    assert measured(energy) == work()


class TestCase(unittest.TestCase):
    """A test of unittest, measured as a whole."""

    @pytest.mark.energy_budget("1 kJ", max_rounds=2)
    def test_case(self) -> None:
        """The body is the work."""
        assert work() == work()


def test_pytest_inside(energy: Energy, pytester: pytest.Pytester) -> None:
    """Pytest runs in this process, and measures too."""
    pytester.makepyfile("def test_inner(energy): energy.pedantic(sum, args=([],), rounds=1)")
    pytester.makeini("[pytest]\nenergy_sensors = estimate")
    inner = pytester.runpytest_inprocess("--energy", "-p", "greenops", "-p", "no:cacheprovider")
    inner.assert_outcomes(passed=1)
    assert measured(energy) == work()


def test_plugin_deleted(energy: Energy) -> None:
    """The plugin is not among the loaded modules any more, for this test and all later ones."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "pytest_greenops"]:
        del sys.modules[name]
    assert measured(energy) == work()


def test_after_all(energy: Energy) -> None:
    """The plugin measures after all of that."""
    assert energy.pedantic(work, rounds=2) == work()
