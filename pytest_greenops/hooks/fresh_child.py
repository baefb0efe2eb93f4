"""The fresh process: hooks that narrow this run of pytest to one test, and answer its parent."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Generator, Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from pytest_greenops.hooks.fresh_parent import node_of
from pytest_greenops.model.run_options import Options
from pytest_greenops.run.fresh_process import Answer, Request, take_request
from pytest_greenops.run.run import Run

NAME = "greenops-fresh-child"
#: How long the parent may take to end after this process, if the system ends both.
PARENT_S = 1.0
#: Options that would select other tests, run them elsewhere or again, or write files of the
#: parent: their values that do not, by attribute.
_OFF = (
    *("lf", "failedfirst", "newfirst", "stepwise", "stepwise_skip", "stepwise_reset", "pyargs"),
    *("distload", "looponfail", "usepdb", "trace", "json_report", "benchmark_autosave"),
)
_UNSET = (
    *("splits", "group", "numprocesses", "xmlpath", "pastebin", "htmlpath", "json_report_file"),
    *("report_log", "allure_report_dir", "durations"),
    *("benchmark_save", "benchmark_json", "benchmark_compare_fail", "benchmark_cprofile"),
)
_NONE = ("benchmark_compare", "benchmark_histogram", "benchmark_cprofile_dump")
_NEUTRAL: dict[str, Any] = {
    **dict.fromkeys(_OFF, False),
    **dict.fromkeys(_UNSET),
    **{name: [] for name in _NONE},
    **dict.fromkeys(("reruns", "force_reruns", "maxfail"), 0),
    **{"dist": "no", "tx": [], "log_file": os.devnull, "cov_source": [], "color": "no"},
}


class FreshChild:
    """Narrows a run to the requested test, and writes what it measured."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._outcome = Outcome(" there")
        self._only: Path | None = None

    @classmethod
    def begin(cls, config: pytest.Config) -> None:
        """Join the run of a fresh process, before its plugins read their options."""
        request = take_request()
        if request is not None:
            end_with_parent(request.parent_id, request.folder)
            clean_up_afterwards(request.parent_id, request.folder)
            neutralise(config.known_args_namespace, {})
            config.pluginmanager.register(cls(request), NAME)

    @staticmethod
    def of(config: pytest.Config) -> FreshChild | None:
        """Return the fresh child that this run is, or None."""
        child: FreshChild | None = config.pluginmanager.get_plugin(NAME)
        return child

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, Any, Any]:
        """Select the test, and turn off what else the run would do."""
        temporary = {"basetemp": Path(self._request.folder, "tmp")}
        neutralise(config.option, {**temporary, **self._request.options})
        config.args = [self._argument(config.invocation_params.dir)]
        return (yield)

    def _argument(self, folder: Path) -> str:
        """Return the argument of pytest that collects the test from a folder.

        In pytest's arguments, `[` begins the parameters of a test. So a path with this character is
        given from here, or else as the nearest folder without it, of which only the test is kept.
        """
        path, _, names = self._request.node.partition("::")
        if "[" not in path:
            return self._request.node
        relative = Path(os.path.relpath(path, folder))
        if "[" not in str(relative):
            return f"{relative}::{names}"
        self._only = Path(path)
        return str(Path(*takewhile(lambda part: "[" not in part, relative.parts)))

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Ignore all other files if pytest cannot name the one of the test."""
        only = self._only
        return (only is not None and not only.is_relative_to(collection_path)) or None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Ignore all other tests of that file."""
        if self._only is not None:
            items[:] = [item for item in items if node_of(item) == self._request.node]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note why nothing could be collected."""
        if report.failed:
            self._outcome.note("its collection failed there", report.longrepr)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Check that the requested test, and no other, was found."""
        node, found = self._request.node, [node_of(item) for item in session.items]
        if found != [node]:
            self._outcome.note(f"{len(found)} tests were found there as {node}, expected one")
            session.items.clear()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how the test failed, or that it was skipped."""
        self._outcome.add(report)

    def answer(self, run: Run) -> None:
        """Write what the run measured, for the parent."""
        Answer(run.environment, run.results, self._outcome.failure).write(self._request.answer)


def measuring_only(options: Options) -> Options:
    """Return the options of a fresh process, which neither judges nor saves."""
    return options.without_reports()._replace(
        measure=True,
        fresh_child=True,
        save=None,
        sessions=1,
        json=None,
        history=None,
        strict=False,
    )


class Outcome:
    """How a test ended in this process; `failure` says it for its parent if it did not pass."""

    def __init__(self, where: str = "") -> None:
        """Begin with no failure; `where` follows the verb in its text."""
        self.failure: str | None = None
        self._where = where

    def add(self, report: pytest.TestReport) -> None:
        """Note how the test failed in a phase, or that it was skipped; the first counts."""
        if report.failed:
            where = "" if report.when == "call" else f" in its {report.when}"
            self.note(f"the test failed{self._where}{where}", report.longrepr)
        elif report.skipped:
            self.note(f"the test was skipped{self._where}")

    def note(self, what: str, longrepr: Any = "") -> None:
        """Note a failure, with the first line of its description."""
        first = first_line(longrepr)
        self.failure = self.failure or (f"{what}: {first}" if first else what)


def first_line(longrepr: Any) -> str:
    """Return the first line of the description of a failure."""
    crash = getattr(longrepr, "reprcrash", None)
    text = getattr(crash, "message", None) or getattr(longrepr, "errorstring", longrepr)
    said = [line.strip() for line in str(text).splitlines()]
    return next((line for line in said if line), "")


def neutralise(option: Any, more: dict[str, Any]) -> None:
    """Set options to values with which a run selects, writes and repeats nothing by itself."""
    for name, value in {**_NEUTRAL, **more}.items():
        if hasattr(option, name):
            setattr(option, name, value)


def end_with_parent(parent_id: int, folder: str | None = None) -> None:
    """Let the system end this process as soon as its parent has ended (Linux).

    folder  removed if the parent has ended already
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    with suppress(OSError, AttributeError):
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent_id:  # it has ended, or another process is in between
        error = "sys.executable starts Python as a process of its own; let that wrapper exec Python"
        print(error, file=sys.stderr, flush=True)
        if folder and not _lives(parent_id):
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)


def clean_up_afterwards(parent_id: int, folder: str) -> None:
    """Start a process that waits for this one, and then ends what it started (Linux).

    It removes the folder too if the parent has ended. It is no child of this process, whose tests
    may wait for all of their children.
    """
    if not hasattr(os, "pidfd_open"):
        return
    me, ended = os.getpid(), select.poll()
    try:
        ended.register(os.pidfd_open(me), select.POLLIN)
    except OSError:  # a kernel before 5.3
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's about threads: nothing here needs a lock
        starter = os.fork()
        if starter == 0:
            os.setsid()
            if os.fork() == 0:
                _clean_up(me, ended, parent_id, folder)
            os._exit(0)
    os.waitpid(starter, 0)


def _clean_up(me: int, ended: select.poll, parent_id: int, folder: str) -> None:
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        ended.poll()
        _end_session(me)
        waited_s = 0.0
        while waited_s < PARENT_S and _lives(parent_id):  # the system ends both, one by one
            time.sleep(0.05)
            waited_s += 0.05
        if not _lives(parent_id):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os._exit(0)


def _end_session(leader: int) -> None:
    """Kill the processes of a session; those that began one of their own are meant to stay."""
    killed: set[int] = {leader}
    while found := set(_of_session(leader)) - killed:
        for process in found:
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)
        killed |= found


def _of_session(leader: int) -> Iterator[int]:
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            if os.getsid(int(name)) == leader:
                yield int(name)


def _lives(process: int) -> bool:
    """Return whether a process has not ended: not even as a zombie."""
    try:
        state = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in (b"Z", b"X")
