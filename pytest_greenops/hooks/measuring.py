"""With `--energy`: hooks that measure each energy test, fail those that are red, and report."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import pytest

from pytest_greenops.baselines.store import write_whole
from pytest_greenops.hooks import pytest_report as outcome
from pytest_greenops.hooks import selection
from pytest_greenops.hooks.fixture import HANDLE, Energy, measured_whole
from pytest_greenops.hooks.fresh_child import NAME, FreshChild, measuring_only
from pytest_greenops.hooks.fresh_parent import FreshParent
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.result import Result
from pytest_greenops.model.run_options import Options
from pytest_greenops.report import closing, terminal
from pytest_greenops.report.document import to_json
from pytest_greenops.report.drawing import plain, shows_blocks
from pytest_greenops.report.layer_table import where_joules_go
from pytest_greenops.run.fresh_process import Answer
from pytest_greenops.run.run import Run
from pytest_greenops.run.trial import Trial

TRIAL = pytest.StashKey[Trial]()
#: How the latest phase of a test ended; `failed` as soon as any has, or a subtest.
ENDED = pytest.StashKey[str]()
#: Options with which pytest shows something and runs no test.
SHOWS = ("collectonly", "showfixtures", "show_fixtures_per_test", "cacheshow")


class Measuring:
    """One run with `--energy` in this process; each worker of pytest-xdist has its own."""

    def __init__(self, config: pytest.Config, options: Options, asking: FreshParent) -> None:
        self._config = config
        self._options = options
        self._asking = asking
        self._is_worker = hasattr(config, "workerinput")
        self._run: Run | None = None
        self._progress: terminal.MeasurementProgress | None = None
        self._problems: list[str] = []
        self._refused: dict[TestKey, list[str]] = {}

    @classmethod
    def join(
        cls,
        config: pytest.Config,
        options: Options,
        started: tuple[list[str], dict[str, str]] | None,
    ) -> None:
        """Join a run with `--energy`, or one that measures for another."""
        plugins = config.pluginmanager
        if plugins.hasplugin(NAME):
            options = measuring_only(options)
        asking = FreshParent(config, started, options.fresh_process)
        plugins.register(asking, "greenops-fresh-parent")
        plugins.register(cls(config, options, asking), "greenops-measuring")

    @property
    def run(self) -> Run:
        """The run, once its session has started."""
        assert self._run is not None
        return self._run

    @property
    def _runs_tests(self) -> bool:
        """Whether pytest was started to run tests, and not to show what there is."""
        return not any(getattr(self._config.option, name, False) for name in SHOWS)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Open the sensors and read the baselines, before anything is collected."""
        config, hooks = self._config, self._config.hook
        try:
            self._run = Run(
                self._options,
                config.rootpath,
                sensors=[s for many in hooks.pytest_energy_sensors(config=config) for s in many],
                facts=dict(f for d in hooks.pytest_energy_facts(config=config) for f in d.items()),
                progress=self._show_progress,
            )
            selection.refuse_workers(config, self._run.estimated_only)
            if self._options.save and self._runs_tests:
                self._run.store.check_writable()
        except GreenopsError as error:
            raise pytest.UsageError(str(error)) from None

    def pytest_report_header(self) -> list[str]:
        """Say what measures, what it is compared with, and what fails."""
        lines = _header(self.run)
        return list(lines if _unicode() else map(plain, lines))

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Remember which tests there are, chosen or not, to tell a renamed one from a new one."""
        chosen = any("::" in argument for argument in self._config.args)
        if not chosen and not getattr(self._config.option, "lf", False):
            self.run.collected.add(TestKey(*selection.key_parts(item)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Give an energy test its trial, each time that it is run."""
        if TRIAL in item.stash:  # it is run again
            del item.stash[TRIAL], item.stash[HANDLE]
            item.stash[ENDED] = "passed"
            outcome.keep_properties(item, ())
        if selection.is_energy_test(item):
            self.begin(item)

    def begin(self, item: pytest.Item) -> Energy:
        """Begin the trial of an item; one that nothing announces begins as it takes the fixture."""
        key = TestKey(*selection.key_parts(item))
        left_s = partial(self._asking.left_s, item)
        trial = item.stash[TRIAL] = self.run.trial(key, selection.budget_of(item), left_s)
        handle = item.stash[HANDLE] = Energy(trial, enabled=True)
        return handle

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure a marked test that does not ask for the fixture as a whole; then enforce."""
        __tracebackhide__ = True
        try:
            with measured_whole(item):
                returned = yield
        finally:
            self._end_progress()
        if TRIAL not in item.stash or getattr(item, "_excinfo", None):  # unittest's own outcome
            return returned
        trial = item.stash[TRIAL]
        trial.close()
        self._end_progress()
        if self._options.answers or item.stash.get(ENDED, None) == "failed":  # a subtest
            return returned
        trial.renew(partial(self._measure_afresh, item))
        results = trial.results.values()
        for result in results:
            item.ihook.pytest_energy_verdict(item=item, result=result)
        outcome.enforce(results, self._options, self.run.acceptable(trial))
        return returned

    def _measure_afresh(self, item: pytest.Item) -> Answer:
        """Measure a test in a fresh process, while the progress shows that."""
        try:
            self._show_progress(f"{item.name} in a fresh process", 0, 1, at_once=True)
            return self._asking.measure(item)
        finally:
            self._end_progress()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put results and short failures on the reports, which carry them to xdist's controller."""
        trial = item.stash.get(TRIAL, None)
        if trial is None:
            return (yield)
        results: tuple[Result, ...] = ()
        if call.when == "call":
            results = outcome.results_of(item, call.excinfo, trial)
            outcome.keep_properties(item, results)
        report = yield
        if call.when == "teardown":
            outcome.save(report, self.run, trial, item.stash[ENDED])
        elif item.stash.get(ENDED, None) != "failed":
            item.stash[ENDED] = report.outcome
        if call.when == "setup":
            outcome.Carried(trial.test).put(report)
        elif call.when == "call":
            outcome.describe_call(report, call.excinfo, trial, results, _unicode())
        return report

    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        """Give energy failures a letter and a word of their own."""
        return outcome.status(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather what was measured, in this process and in others."""
        if not self._is_worker:
            outcome.gather(report, self.run, self._problems, self._refused)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the results; a gate that could not do its work does not pass."""
        if self._is_worker or self._run is None or not self._runs_tests:
            return
        if self._options.answers:
            answering: FreshChild = self._config.pluginmanager.get_plugin(NAME)  # type: ignore[assignment]
            answering.answer(self._run)
            return
        self._problems += _write_json(self._run)
        idle = self._options.strict and not self._options.save and not self._run.compared
        fine = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        if (self._problems or idle) and session.exitstatus in fine:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, exitstatus: int
    ) -> None:
        """Write the table, what was not saved and why, and the closing line."""
        refused = exitstatus == pytest.ExitCode.USAGE_ERROR
        if self._run is not None and self._runs_tests and not refused:
            for line in self._summary(terminalreporter):
                terminalreporter.write_line(line)

    def pytest_unconfigure(self) -> None:
        """Close the sensors."""
        if self._run is not None:
            self._run.close()

    def _summary(self, reporter: Any) -> Iterator[str]:
        unicode = _unicode()
        render = terminal.render_brief if self._config.get_verbosity() < 0 else terminal.render
        yield ""
        yield from render(
            self.run.results,
            width=reporter._tw.fullwidth,
            color=reporter.hasmarkup,
            unicode=unicode,
        )
        say = str if unicode else plain
        yield from where_joules_go(self.run.results, max(80, reporter._tw.fullwidth), say)
        yield from (
            f"energy: not saved: {line}" for lines in self._refused.values() for line in lines
        )
        yield from (f"energy: {line}" for line in self._problems)
        last = closing.closing_line(self.run.results)
        yield last if unicode else plain(last)

    def _show_progress(self, label: str, done: int, most: int, at_once: bool = False) -> None:
        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        if self._is_worker or self._config.get_verbosity() < 0:
            return
        if reporter is None or not reporter.isatty:
            return
        with self._uncaptured():
            if self._progress is None:
                delay: Any = {"delay_s": 0.0} if at_once else {}
                self._progress = terminal.MeasurementProgress(
                    reporter._tw._file, width=reporter._tw.fullwidth, **delay
                )
            self._progress.update(label, done, most)

    def _end_progress(self) -> None:
        if self._progress is not None:
            with self._uncaptured():
                self._progress.close()
            self._progress = None

    def _uncaptured(self) -> AbstractContextManager[None]:
        """While a test runs, only this reaches the terminal."""
        capture: Any = self._config.pluginmanager.get_plugin("capturemanager")
        return capture.global_and_fixture_disabled() if capture else nullcontext()


def _unicode() -> bool:
    """Whether the terminal shows more than ASCII."""
    return shows_blocks(getattr(sys.__stdout__, "encoding", None))


def _header(run: Run) -> Iterator[str]:
    sensors = [
        closing.SensorLine(
            s.name, s.source, s.method, [d.name for d in s.domains], getattr(s, "notes", ())
        )
        for s in run.instruments.sensors
    ]
    unreadable = [
        closing.Unreadable(finding.name, finding.problem.reason, finding.problem.remedy)
        for finding in run.findings
        if finding.problem and not finding.problem.absent
    ]
    saved = len(run.store.files())
    return closing.header(sensors, unreadable, run.environment.slug, saved, run.policy)


def _write_json(run: Run) -> Iterator[str]:
    """Write the results where the options say so; yield the problem where that fails."""
    path = run.options.json
    try:
        if path:
            write_whole(path, to_json(run.document()))
    except OSError as error:
        yield f"--energy-json {path}: cannot be written ({error.strerror}); name another file"
