"""A run of pytest that measures one test for another process: hooks that narrow it, and answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pytest_greenops.hooks.fresh_parent import node_of
from pytest_greenops.model.run_options import Options
from pytest_greenops.run.fresh_process import Answer, Request, asked
from pytest_greenops.run.run import Run

NAME = "greenops-fresh-child"
#: Options of pytest and of its plugins that would choose other tests, run them elsewhere or again,
#: or write what the asking run writes, by attribute; and the values with which they do not.
_NEUTRAL: dict[str, Any] = {
    # which tests
    "lf": False,
    "failedfirst": False,
    "newfirst": False,
    "stepwise": False,
    "stepwise_skip": False,
    "stepwise_reset": False,
    "pyargs": False,
    "splits": None,
    "group": None,
    # where, how often, until when
    "numprocesses": None,
    "distload": False,
    "dist": "no",
    "tx": [],
    "looponfail": False,
    "reruns": 0,
    "force_reruns": 0,
    "maxfail": 0,
    "usepdb": False,
    "trace": False,
    # files
    "xmlpath": None,
    "log_file": os.devnull,
    "pastebin": None,
    "htmlpath": None,
    "json_report": False,
    "json_report_file": None,
    "report_log": None,
    "allure_report_dir": None,
    "benchmark_save": None,
    "benchmark_autosave": False,
    "benchmark_json": None,
    "cov_source": [],
    # terminal
    "color": "no",
    "durations": None,
}


class FreshChild:
    """Narrows a run to the test that was asked for, and writes down what it measured."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._failure: str | None = None

    @classmethod
    def begin(cls, config: pytest.Config) -> None:
        """Join a run that answers another process, before its plugins read their options."""
        request = asked()
        if request is not None:
            end_with(request.asker)
            _neutralise(config.known_args_namespace, {})
            config.pluginmanager.register(cls(request), NAME)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, Any, Any]:
        """Choose the test, and take away what else the run would do."""
        apart = {"basetemp": Path(self._request.folder, "tmp")}
        _neutralise(config.option, {**apart, **self._request.options})
        config.args = [self._request.node]
        return (yield)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep why nothing could be collected."""
        if report.failed:
            self._keep("its collection failed there", report.longrepr)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Make sure that it is the test that was asked for."""
        node, found = self._request.node, [node_of(item) for item in session.items]
        if found != [node] and self._failure is None:
            self._failure = f"{len(found)} tests were found there as {node}, and not it alone"
            session.items.clear()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep how the test failed, or that it was skipped."""
        if report.failed:
            where = "" if report.when == "call" else f" in its {report.when}"
            self._keep(f"the test failed there{where}", report.longrepr)
        elif report.skipped and self._failure is None:
            self._failure = "the test was skipped there"

    def answer(self, run: Run) -> None:
        """Write what the run measured, for the process that asked."""
        Answer(run.environment, run.results, self._failure).write(self._request.answer)

    def _keep(self, what: str, longrepr: Any) -> None:
        crash = getattr(longrepr, "reprcrash", None)
        text = getattr(crash, "message", None) or getattr(longrepr, "errorstring", longrepr)
        said = [line.strip() for line in str(text).splitlines()]
        first = next((line for line in said if line), "")
        self._failure = self._failure or (f"{what}: {first}" if first else what)


def measuring_only(options: Options) -> Options:
    """The options of a run that measures for another one: it neither judges nor keeps."""
    return options._replace(
        measure=True, answers=True, save=None, sessions=1, json=None, strict=False
    )


def _neutralise(option: Any, more: dict[str, Any]) -> None:
    for name, value in {**_NEUTRAL, **more}.items():
        if hasattr(option, name):
            setattr(option, name, value)


def end_with(asker: int) -> None:
    """Let the system end this process as soon as the one that asked for it is gone (Linux)."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes
    import signal

    with suppress(OSError, AttributeError):
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != asker:  # it was gone before, or another process stands in between
        told = "sys.executable starts Python as a process of its own; let that wrapper exec Python"
        print(told, file=sys.stderr, flush=True)
        os._exit(1)
