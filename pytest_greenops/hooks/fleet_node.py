"""A plugin for a run on a node of a cluster: it reports each test as soon as it has ended.

`-p pytest_greenops.hooks.fleet_node` loads it, and an environment variable names its request.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from pytest_greenops.baselines.work_store import WorkStore
from pytest_greenops.fleet.node_events import (
    Collected,
    Ended,
    Event,
    Finished,
    NodeRequest,
    to_line,
)
from pytest_greenops.hooks.fresh_child import clean_up_afterwards, end_with_parent
from pytest_greenops.hooks.report_data import ReportData
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.errors import OptionError, encodable
from pytest_greenops.model.run_options import (
    FLEET_VARIABLE,
    REQUEST_VARIABLE,
    SIDE_VARIABLE,
    Options,
)
from pytest_greenops.run.run import Run
from pytest_greenops.system import SYSTEM, Originals

NAME = "greenops-fleet-node"
_WORKER = "PYTEST_XDIST_WORKER"
#: Of a failure, at most this many characters are reported.
_MOST_CHARACTERS = 20_000
#: What a run on a node would write there, where nobody reads it: the option, and what does it here.
_REFUSED = {
    "ab": ("--energy-ab", "run pytest --energy-ab on the machine itself"),
    "markdown": ("--energy-markdown", "use --energy-json"),
    "exports": ("--energy-export", "use --energy-json"),
    "history": ("--energy-history", "use --energy-json"),
}


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Join the run of a node; the fresh processes that it starts have parents of their own."""
    if not {REQUEST_VARIABLE, SIDE_VARIABLE}.isdisjoint(os.environ):
        return
    data = Path(os.environ[FLEET_VARIABLE]).read_bytes()
    request = msgspec.json.decode(data, type=NodeRequest)
    if _WORKER not in os.environ:
        end_with_parent(request.parent, request.folder)
        clean_up_afterwards(request.parent, request.folder)
    early_config.pluginmanager.register(FleetNode(early_config, request), NAME)


class FleetNode:
    """Reports what a run does, and leaves out the tests that another node has done."""

    def __init__(self, config: pytest.Config, request: NodeRequest) -> None:
        self._config = config
        self._request = request
        self._files: dict[str, str | None] = {"json": None, "html": None}
        self._ended: dict[str, Ended] = {}
        self._tests: dict[str, TestKey] = {}
        self._run: Run | None = None
        self._measuring: Any = None
        self._announced = False

    @staticmethod
    def of(config: pytest.Config) -> FleetNode | None:
        """Return the plugin of a run on a node, or None."""
        node: FleetNode | None = config.pluginmanager.get_plugin(NAME)
        return node

    def options(self, options: Options) -> Options:
        """Return the options of a run whose caller writes the files.

        Raises `OptionError` for a file that only the node would have, and for a folder of
        baselines that was not shipped.
        """
        for name, (option, instead) in _REFUSED.items():
            if getattr(options, name):
                raise OptionError(f"{option}: not with pytest-greenops fleet; {instead}")
        if getattr(self._config.option, "xmlpath", None):
            raise OptionError("--junitxml: not with pytest-greenops fleet; use --energy-json")
        root = self._config.rootpath
        if not (root / options.baselines).resolve().is_relative_to(root.resolve()):
            raise OptionError(
                f"--energy-baselines={options.baselines}: outside of {root.name}, which alone is "
                "shipped to the nodes; name a folder in it"
            )
        for kind in self._files:
            path: Path | None = getattr(options, kind)
            self._files[kind] = None if path is None else _relative(path, root)
        shipped = self._request.origin
        return options.without_reports()._replace(measure=True, json=None, shipped=shipped)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Follow the run; in a worker of pytest-xdist there is none, as its controller reports."""
        self._measuring = self._config.pluginmanager.get_plugin("greenops-measuring")
        if not hasattr(session.config, "workerinput"):
            self._run = self._measuring.run

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Deselect the tests that another node has done."""
        done = set(self._request.done)
        dropped = [item for item in items if encodable(item.nodeid) in done]
        if dropped:
            config.hook.pytest_deselected(items=dropped)
            items[:] = [item for item in items if encodable(item.nodeid) not in done]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Report the machine and the tests."""
        if self._run is not None:
            self._announce(self._run, [encodable(item.nodeid) for item in session.items])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        """Keep the outcome of a test, and which baselines it saved."""
        data = ReportData.of(report)
        returned = yield  # which writes what a worker of pytest-xdist left to write
        if self._run is not None and not hasattr(report, "context"):  # else a subtest's
            self._keep(report, data)
        return returned

    def _keep(self, report: pytest.TestReport, data: ReportData | None) -> None:
        before = self._ended.get(report.nodeid)
        ended = before or Ended(encodable(report.nodeid), "passed", 0.0)
        if report.when == "setup":
            ended = Ended(ended.node_id, "passed", ended.seconds)
        ended = replace(ended, seconds=ended.seconds + report.duration)
        if report.failed:
            text = encodable(report.longreprtext[-_MOST_CHARACTERS:])
            ended = replace(ended, outcome="failed" if report.when == "call" else "error")
            ended = replace(ended, text="\n".join(filter(None, (ended.text, text))))
        elif report.skipped:
            ended = replace(ended, outcome="skipped")
        if data is not None:
            self._tests[report.nodeid] = data.test
            ended = replace(ended, files={**ended.files, **self._saved(data)})
        self._ended[report.nodeid] = ended

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Report a test that has ended, with what it measured."""
        run, ended = self._run, self._ended.pop(nodeid, None)
        if run is not None and ended is not None:
            self._announce(run)
            test = self._tests.pop(nodeid, None)
            self._send(replace(ended, results=run.results_of(test) if test else ()))

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Report the end, after the run has judged itself."""
        returned = yield
        if (run := self._run) is not None:
            self._announce(run)
            lines: list[str] = []
            why_failed = ""
            if not self._config.option.collectonly:
                lines, why_failed = self._measuring.gathering.said(bool(session.testsfailed))
            status = int(session.exitstatus)
            self._send(Finished(status, run.document(), tuple(map(encodable, lines)), why_failed))
        return returned

    def _announce(self, run: Run, tests: Sequence[str] = ()) -> None:
        """Report the machine, once; the controller of pytest-xdist never learns all tests."""
        if not self._announced:
            self._announced = True
            saved = len(run.store.files())
            self._send(Collected(run.document(), tuple(tests), saved, **self._files))

    def _saved(self, data: ReportData) -> dict[str, str]:
        """Return the baselines that a test saved, by their path in the folder."""
        run = self._run
        assert run is not None
        results, saved = run.results_of(data.test), data.saved
        joules = any(result.saved for result in results if result.name in saved.names)
        paths = [run.store.path(data.test)] if joules else []
        if any(result.work_saved for result in results if result.name in saved.work):
            paths.append(WorkStore(run.store.folder).path(data.test))
        with Originals():
            return {
                path.relative_to(run.store.folder).as_posix(): SYSTEM.read_file(str(path)).decode()
                for path in paths
            }

    def _send(self, event: Event) -> None:
        """Append an event to the file that the node reads."""
        with Originals():
            line = to_line(event)
            handle = SYSTEM.open(
                self._request.events, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
            )
            try:
                while line:
                    line = line[SYSTEM.write(handle, line) :]
            finally:
                SYSTEM.close(handle)


def _relative(path: Path, root: Path) -> str:
    """Return a path from the root directory, if it is in it."""
    absolute = Path(os.path.abspath(root / path))
    inside = absolute.is_relative_to(root)
    return (absolute.relative_to(root) if inside else path).as_posix()
