"""With `--energy`: hooks that measure each energy test, fail those that are red, and report."""

from __future__ import annotations

from collections.abc import Generator
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_greenops import machine
from pytest_greenops.hooks import failure, selection
from pytest_greenops.hooks.caller import called_in, caller_of, inform_worker, is_one_of_each
from pytest_greenops.hooks.fixture import Energy, JoulesRead
from pytest_greenops.hooks.fresh_child import FreshChild
from pytest_greenops.hooks.fresh_parent import FreshParent
from pytest_greenops.hooks.gathering import Gathering
from pytest_greenops.hooks.job_run import JobRun
from pytest_greenops.hooks.live_output import LiveOutput
from pytest_greenops.hooks.measured_item import MeasuredItem, measured_whole
from pytest_greenops.hooks.progress_bar import ProgressBar
from pytest_greenops.hooks.run_output import header, shows_unicode
from pytest_greenops.hooks.side_process import SideProcess
from pytest_greenops.hooks.workers import open_store
from pytest_greenops.machine.facts import brought_facts
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.result import Origin
from pytest_greenops.model.run_options import Options
from pytest_greenops.ranks.alone import Alone
from pytest_greenops.report import closing
from pytest_greenops.report.drawing import plain, visible
from pytest_greenops.run.fresh_process import Answer
from pytest_greenops.run.run import Run
from pytest_greenops.run.save import NOT_ELSEWHERE
from pytest_greenops.sensors.brought import brought_sensors
from pytest_greenops.system import Originals

if TYPE_CHECKING:
    from pytest_greenops.hooks.ref_parent import RefParent

#: Options with which pytest shows something and runs no test.
_SHOW_ONLY = ("collectonly", "showfixtures", "show_fixtures_per_test", "cacheshow")


class Measuring:
    """One run with `--energy` in this process; each worker of pytest-xdist has its own."""

    def __init__(
        self,
        config: pytest.Config,
        options: Options,
        parent: FreshParent,
        against_ref: RefParent | None = None,
        job: JobRun | None = None,
    ) -> None:
        self._config = config
        self._options = options
        self._parent = parent
        self._against_ref = against_ref
        self._job = job
        self._team = Alone()
        self._follows = job is not None and job.follows
        #: Whether another process gathers and reports what this one measures.
        self._of_xdist = hasattr(config, "workerinput")
        self._is_worker = self._of_xdist or self._follows
        self._live = LiveOutput(getattr(config.option, "capture", "no"))
        self._progress = ProgressBar(config, self._live)
        self._run: Run | None = None
        self._gathering: Gathering | None = None
        self._refused = ""

    @property
    def run(self) -> Run:
        """Return the run, once its session has started; that of a side begins with its test."""
        if self._run is None and SideProcess.of(self._config):
            self._run = self._open()
        assert self._run is not None
        return self._run

    @property
    def gathering(self) -> Gathering:
        """Return what is gathered of the tests, once a session that runs them has started."""
        assert self._gathering is not None
        return self._gathering

    def handle(self, item: pytest.Item) -> Energy:
        """Return the handle of a test, which begins here if no marker or argument announced it."""
        return (MeasuredItem.of(item) or self._begin(item)).handle

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Open the sensors and read the baselines, before anything is collected."""
        if SideProcess.of(self._config):
            return
        try:
            if self._runs_tests and not self._is_worker:
                self._gathering = Gathering(self._config, self._options, self._origin)
            caller_of(self._config)  # before a test changes the environment that it reads
            if self._is_worker or not selection.is_over_hosts(self._config):
                self._run = self._open()
            selection.refuse_workers(self._config, bool(self._run and self._run.estimated_only))
            if self._gathering is not None and self._options.save:
                self._gathering.check_writable(self._run)
        except GreenopsError as error:
            if not self._of_xdist:
                raise pytest.UsageError(str(error)) from None
            self._refused = str(error)  # pytest-xdist would start a worker that fails again

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Read the baselines of the tests that run; fail a worker that cannot, as pytest-xdist can.

        That is an error of its collection.
        """
        try:
            if self._run is not None and self._runs_tests:
                keys = (TestKey(*selection.key_parts(item)) for item in session.items)
                self._run.read_baselines(keys)
        except GreenopsError as error:
            if not self._of_xdist:
                raise pytest.UsageError(str(error)) from None
            self._refused = str(error)
        if self._refused:
            selection.refuse_collection(session, self._refused)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Pass on to a worker of pytest-xdist how its controller was called, and connect it."""
        inform_worker(self._config, node.workerinput)
        if self._gathering is not None:
            self._gathering.workers.connect(node)

    def pytest_report_header(self) -> list[str]:
        """Say what measures, what it is compared with, and what fails."""
        if self._run is None or self._follows:
            return []
        say = visible if shows_unicode() else plain
        width = caller_of(self._config).width
        return [row for line in header(self.run) for row in closing.rows(say(line), width)]

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Remember every test, selected or not, to recognise a renamed test."""
        if self._run is None:
            return
        chosen = any("::" in argument for argument in self._config.args)
        if not chosen and not getattr(self._config.option, "lf", False):
            self.run.collected.add(TestKey(*selection.key_parts(item)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Begin a trial each time that an energy test runs."""
        MeasuredItem.forget(item)
        if selection.is_energy_test(item):
            self._begin(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Measure a marked test without the fixture as a whole; then enforce its budget."""
        __tracebackhide__ = True
        returned = unread = None
        with self._progress, measured_whole(item):
            try:
                returned = yield
            except JoulesRead as skip:  # the test has passed so far: its work is judged
                unread = skip
            finally:
                with Originals():
                    if measured := MeasuredItem.of(item):
                        measured.repetitions.close()
        with Originals():
            self._conclude(item)
        if unread is not None:
            raise unread
        return returned

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Keep the results of a test as they are, whatever its fixtures do from now on."""
        if measured := MeasuredItem.of(item):
            measured.handle.end(item.name)
            measured.trial.end()
            self._team.leave()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put results and short failures on the reports, which carry them to xdist's controller."""
        measured = MeasuredItem.of(item)
        if measured is None or measured.repetitions.active:  # a subtest of a repetition
            return (yield)
        if call.when == "call":
            with Originals():
                named = self.run.environment.slug if is_one_of_each(self._config) else None
                measured.keep_figures(call, named)
        report = yield
        with Originals():
            measured.describe(report, call, self.run, shows_unicode())
        return report

    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        """Give energy failures a letter and a word of their own."""
        return failure.status(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather what was measured, in this process and in others."""
        if self._gathering is not None:
            self._gathering.add(report, self._run)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the results; a run that could not do its work does not pass."""
        if self._gathering is None:
            return
        if child := FreshChild.of(self._config):
            child.answer(self.run)
            return
        self._gathering.finish(session, self._run)

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, exitstatus: int
    ) -> None:
        """Write the table, what was not saved and why, and the closing line."""
        if self._gathering is not None and exitstatus != pytest.ExitCode.USAGE_ERROR:
            for line in self._gathering.summary(terminalreporter):
                terminalreporter.write_line(line)

    def pytest_unconfigure(self) -> None:
        """Close the sensors; without a summary (`--no-summary`), say what must be said."""
        if self._gathering is not None:
            self._gathering.print_unsaid()
        self._live.close()
        self.close()

    def close(self) -> None:
        """Close the sensors; a side opens them again when its test begins."""
        if self._run is not None:
            self._run.close()
            self._run = None

    def only_count(self) -> None:
        """Measure no joules from now on: a side counts the work of a test."""
        self.close()
        self._options = self._options._replace(count_only=True, counting="on")

    def pytest_enter_pdb(self) -> None:
        """Let a debugger inside a repetition reach the terminal."""
        self._live.release()

    @property
    def _runs_tests(self) -> bool:
        """Whether pytest runs tests, and does not only show what it collected."""
        return not any(getattr(self._config.option, name, False) for name in _SHOW_ONLY)

    def _open(self) -> Run:
        config, hooks = self._config, self._config.hook
        sensors = list(brought_sensors(hooks.pytest_energy_sensors(config=config)))
        facts = dict(brought_facts(hooks.pytest_energy_facts(config=config)))
        side, options = SideProcess.of(config), self._options
        given: dict[str, Any] = {}
        if side is not None:
            given["meter"] = side.meter
        if self._against_ref is not None:
            given["ref"] = self._against_ref.label
        if self._of_xdist:
            options = options._replace(called_in=called_in(config))
            folder = config.rootpath / options.baselines
            given["open_store"] = partial(open_store, config, folder)
        elif not self._follows:
            given["origin"] = self._origin
        if self._job is not None and self._runs_tests:
            given["team"] = self._team = self._job.join()
        if not self._follows:
            given["progress"] = self._progress.update
        return Run(options, config.rootpath, sensors, facts, **given)

    @cached_property
    def _origin(self) -> Origin | None:
        """Where the results are from, if the run makes a document."""
        if not self._options.documented:
            return None
        own = machine.origin(self._config.rootpath, self._options.project)
        return own.shipped_from(self._options.shipped)

    def _begin(self, item: pytest.Item) -> MeasuredItem:
        self._team.enter(item.nodeid)
        key = TestKey(*selection.key_parts(item))
        left_s = partial(self._parent.left_s, item)
        trial = self.run.trial(key, selection.budget_of(item), left_s)
        return MeasuredItem(item, trial, self._live)

    def _conclude(self, item: pytest.Item) -> None:
        """Judge what a test measured, confirm it in a fresh process if needed, and enforce."""
        __tracebackhide__ = True
        measured = MeasuredItem.of(item)
        if measured is None or getattr(item, "_excinfo", None):  # unittest's own outcome
            return
        if measured.repetitions.failed:
            measured.outcome = "failed"
        trial = measured.trial
        with self._progress:
            trial.close(*selection.why_never(item))
        if self._options.fresh_child or measured.outcome == "failed":  # a subtest
            return
        trial.confirm(partial(self._measure_afresh, item))
        if self._against_ref is not None:
            self._against_ref.decide(item, trial, self._progress)
        results = trial.made.values()
        for result in () if self._follows else results:
            item.ihook.pytest_energy_verdict(item=item, result=result)
        accepted = self.run.saver.acceptable(trial)
        caller = caller_of(self._config)
        enforce = partial(failure.enforce, results, self._options, accepted, caller)
        if not self._team.conclude(enforce):
            measured.outcome = NOT_ELSEWHERE

    def _measure_afresh(self, item: pytest.Item) -> Answer:
        """Measure a test in a fresh process, and show that meanwhile."""
        with self._progress:
            self._progress.update(f"{item.name} in a fresh process", 0, 1, at_once=True)
            return self._parent.measure(item)
