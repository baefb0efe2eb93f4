"""The warm process of one side of an A/B comparison: it collects, then runs tests on request."""

from __future__ import annotations

import gc
import os
import sys
import threading
import warnings
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_greenops.ab.messages import (
    Channel,
    ChannelClosed,
    Command,
    Ended,
    EndLoop,
    Ready,
    Start,
)
from pytest_greenops.ab.redirect import not_built
from pytest_greenops.ab.side import INCOMING, OUTGOING, SideRequest
from pytest_greenops.hooks import selection
from pytest_greenops.hooks.fresh_child import (
    Outcome,
    clean_up_afterwards,
    end_with_parent,
    first_line,
    neutralise,
)
from pytest_greenops.hooks.fresh_parent import node_of
from pytest_greenops.hooks.report_data import ReportData
from pytest_greenops.measure.commanded import CommandedMeter, Loop, Order, Slice
from pytest_greenops.model.counted import WorkRecord
from pytest_greenops.model.result import Result
from pytest_greenops.model.run_options import SIDE_VARIABLE, Options
from pytest_greenops.run.process import exit_text
from pytest_greenops.system import SYSTEM

NAME = "greenops-side"
#: Exit code of a fork that has sent how its test ended.
_SENT = 71
#: Blocks that a fork allocates before its test, and the largest of them, in bytes.
_BLOCKS, _LARGEST = 20_000, 512


class SideProcess:
    """Runs each test that the parent asks for, in a fork of this process if it can fork."""

    def __init__(self, request: SideRequest, config: pytest.Config) -> None:
        self._request = request
        self._config = config
        self._channel = Channel(INCOMING, OUTGOING, Command)
        self._failures: dict[str, str] = {}
        self._outcome = Outcome()

    @classmethod
    def begin(cls, config: pytest.Config) -> None:
        """Join the run of a side, before its plugins read their options."""
        path = os.environ.pop(SIDE_VARIABLE)
        request = msgspec.json.decode(Path(path).read_bytes(), type=SideRequest)
        os.unlink(path)
        end_with_parent(request.parent_id, request.folder)
        clean_up_afterwards(request.parent_id, request.folder)
        neutralise(config.known_args_namespace, {})
        config.pluginmanager.register(cls(request, config), NAME)

    @staticmethod
    def of(config: pytest.Config) -> SideProcess | None:
        """Return the side that this run is, or None."""
        side: SideProcess | None = config.pluginmanager.get_plugin(NAME)
        return side

    @property
    def meter(self) -> Callable[..., CommandedMeter]:
        """The meter of this side, whose trips the parent orders."""
        return partial(CommandedMeter, orders=_Orders(self._channel))

    def options(self, options: Options) -> Options:
        """Return the options of a side, which neither judges nor saves nor reads baselines."""
        nothing = Path(self._request.folder, "no-baselines")
        return options.without_reports()._replace(
            measure=True,
            fresh_child=True,
            baselines=nothing,
            save=None,
            sessions=1,
            json=None,
            history=None,
            strict=False,
            explain=False,
            ab=None,
        )

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, Any, Any]:
        """Select the test files, and turn off what else the run would do."""
        temporary = {"basetemp": Path(self._request.folder, f"tmp-{os.getpid()}")}
        neutralise(config.option, {**temporary, **self._request.options})
        config.args = list(self._request.files)
        return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Note the threads of plugins, before the tests are imported."""
        self._threads = _Threads()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note why the tests of a file could not be collected."""
        if report.failed:
            file = report.nodeid.partition("::")[0]
            self._failures[file] = first_line(report.longrepr)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run tests until the parent wants no more."""
        items = {self._relative(node_of(item)): item for item in session.items}
        energy = [node for node, item in items.items() if selection.is_energy_test(item)]
        one_start = self._why_no_fork()
        self._open_early()
        # Else the first collection in a fork copies every page of what was imported.
        gc.collect()
        gc.freeze()
        others = [node for node in items if node not in set(energy)]
        self._channel.send(
            Ready(energy, others, self._failures, not_built(), one_start, self._foreign())
        )
        while True:
            try:
                command = self._channel.receive()
            except ChannelClosed:
                return True
            assert isinstance(command, Start)
            item = items[command.node]
            if one_start:
                self._run(item, command.count)
                return True
            self._fork(item, command.count)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how the test failed, or that it was skipped, and what was measured."""
        self._outcome.add(report)
        if data := ReportData.of(report):
            self._measuring.run.record(data.results)

    @property
    def _measuring(self) -> Any:
        return self._config.pluginmanager.get_plugin("greenops-measuring")

    def _relative(self, node: str) -> str:
        """Return a test by its path from the top of the tree, and its names."""
        path, _, names = node.partition("::")
        return f"{os.path.relpath(os.path.realpath(path), self._request.redirect.tree)}::{names}"

    def _run(self, item: pytest.Item, count: bool) -> None:
        if count:
            self._measuring.only_count()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        results = self._measuring.run.results
        checks = {result.name: result.checks for result in results}
        work = {result.name: _work(result) for result in results if count}
        self._channel.send(Ended(self._outcome.failure, self._foreign(), checks, work))

    def _open_early(self) -> None:
        """Open the sensors before the first start, unless they are of devices with a driver.

        A fork cannot use what a driver knows of this process.
        """
        if self._measuring.run.instruments.has_drivers:
            self._measuring.close()

    def _fork(self, item: pytest.Item, count: bool) -> None:
        """Run a test in a fork, and say how the fork ended if it could not."""
        here = os.getpid()
        child = forked()
        if child == 0:
            code = 1
            try:
                end_with_parent(here)
                self._channel.kept_by(here)
                self._scattered = scattered_memory()
                self._run(item, count)
                code = _SENT
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        if (code := os.waitstatus_to_exitcode(status)) != _SENT:
            self._channel.send(Ended(f"its process {exit_text(code)}", {}))

    def _foreign(self) -> dict[str, str]:
        """Return which modules of the project were imported from outside of this tree."""
        from pytest_greenops.ab.own_packages import foreign

        return foreign(self._request.redirect, self._request.roots)

    def _why_no_fork(self) -> str | None:
        """Return why a fork of this process could not run a test, or None."""
        if not hasattr(os, "fork") or not hasattr(os, "waitstatus_to_exitcode"):
            return "this system cannot fork"
        torch = sys.modules.get("torch")
        if torch is not None and getattr(torch, "cuda", None) and torch.cuda.is_initialized():
            return "collection initializes CUDA"
        if begun := set(threading.enumerate()) - self._threads.known:
            return f"collection starts the thread {next(iter(begun)).name!r}"
        if _Threads().running > self._threads.running:
            return "collection starts threads, such as those of OpenMP"
        return None


def _work(result: Result) -> WorkRecord | str:
    """Return the counted work of a result, or why there is none."""
    why = result.verdict.work.cause if result.verdict.work else None
    return result.work or why or "its work was not counted"


class _Threads:
    """The threads of this process: those that Python knows, and how many there are in all.

    Threads do not survive a fork. Those of OpenBLAS end before one by themselves, so an empty fork
    comes first; those of GNU's OpenMP would be waited for in vain.
    """

    def __init__(self) -> None:
        self.known = set(threading.enumerate())
        self.running = 1
        if not hasattr(os, "fork"):
            return
        child = forked()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        with suppress(OSError):
            self.running = len(os.listdir("/proc/self/task"))


def forked() -> int:
    """Fork this process without Python's warning about threads, and return what `os.fork` does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return os.fork()


class _Orders:
    """The parent's orders, as they arrive; see `measure.commanded.Orders`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def begin(self, loop: Loop) -> None:
        """Say that the work is ready."""
        self._channel.send(loop)

    def next(self) -> Order | None:
        """Wait for an order; None ends the loop. A parent that has ended ends this process."""
        try:
            command = self._channel.receive()
        except ChannelClosed:
            SYSTEM.exit_at_once(1)
        return None if isinstance(command, EndLoop) else command

    def done(self, slice_: Slice) -> None:
        """Send what a trip used."""
        self._channel.send(slice_)


def scattered_memory() -> list[bytes]:
    """Return blocks of random sizes, of which others were freed: each start has its own layout.

    Else all starts of a side have the one that its imports happen to leave behind: four runs of
    unchanged JSON parsing were off by -1.2 to +1.3 % in the mean of ten tests, and two with this
    by -0.2 and +0.1 % (2026-11-29).
    """
    chance = SYSTEM.new_random()
    number = chance.randrange(_BLOCKS)
    blocks = [bytes(size) for size in chance.choices(range(1, _LARGEST), k=number)]
    return [block for block in blocks if chance.random() < 0.5]
