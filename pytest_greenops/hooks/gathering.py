"""The end of a run: results of each machine gathered, written to files, and summarized."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from pytest_greenops.baselines.store import Store
from pytest_greenops.hooks import failure
from pytest_greenops.hooks.caller import caller_of
from pytest_greenops.hooks.github_actions import GithubActions, repository_root
from pytest_greenops.hooks.report_data import GatheredReports, ReportData
from pytest_greenops.hooks.run_history import RunHistory
from pytest_greenops.hooks.run_output import OutputFiles, of_machine, print_lines, shows_unicode
from pytest_greenops.hooks.workers import Machine, Workers
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.result import Origin
from pytest_greenops.model.run_options import Options
from pytest_greenops.report import closing, terminal
from pytest_greenops.report.drawing import plain, visible
from pytest_greenops.report.layer_table import where_joules_go
from pytest_greenops.run.machine_results import MachineResults
from pytest_greenops.run.run import Run
from pytest_greenops.run.save import BaselineWriter


class Gathering:
    """What a run reports: of this machine, or of each on which workers of pytest-xdist measure.

    Raises `GreenopsError` for an output that could not be written at the end.
    """

    def __init__(self, config: pytest.Config, options: Options, origin: Origin | None) -> None:
        """Check the outputs of a run; `origin` says where its results are from."""
        self._config = config
        self._options = options
        self._given_origin = origin
        self._folder = config.rootpath / options.baselines
        self._files = OutputFiles(options)
        self._repository = repository_root(config.rootpath)
        self._history: RunHistory | None = None
        if options.history is not None:
            self._history = RunHistory(options.history, config.rootpath)
        self._github = GithubActions(options.github)
        self.workers = Workers(config, self._folder)
        self._of: dict[tuple[str, str], GatheredReports] = {}
        self._summarized = False

    def check_writable(self, run: Run | None) -> None:
        """Raise `BaselineError` if no baseline of this run can be saved."""
        (run.store if run else Store(self._folder, "")).check_writable()

    def add(self, report: pytest.TestReport, run: Run | None) -> None:
        """Gather what a report carries; `run` is that of this process, if it measures."""
        data = ReportData.of(report)
        if data is None:
            return
        node = getattr(report, "node", None)
        if node is None:
            assert run is not None
            gathered = self._of.setdefault(("", ""), GatheredReports(run))
        else:
            gathered = self._of_machine(self.workers.machine_of(node), run)
        gathered.add(report, data)

    def _of_machine(self, measured_on: Machine, run: Run | None) -> GatheredReports:
        """Return what is gathered of a machine; `run` is that of the controller's own, if any."""
        key = measured_on.name, measured_on.worker
        if key not in self._of:
            kept: MachineResults | None = run
            if run is None or self._of or run.environment.slug != measured_on.name:
                kept = MachineResults(self._options, measured_on.environment, self._origin())
            assert kept is not None
            store = Store(self._folder, measured_on.name)
            writer = BaselineWriter(store, measured_on.environment.machine)
            self._of[key] = GatheredReports(kept, writer)
        return self._of[key]

    def _origin(self) -> Origin | None:
        """Return where results are from; those of each machine are a run of their own."""
        if self._given_origin is None:
            return None
        return replace(self._given_origin, id=uuid4().hex)

    def finish(self, session: pytest.Session, run: Run | None) -> None:
        """Write the results; a run that could not do its work does not pass."""
        if not self._of:
            kept = run or MachineResults(self._options, Environment({}), self._given_origin)
            self._of["", ""] = GatheredReports(kept)
        for label, gathered in self._labelled():
            self._write(label, gathered)
        fine = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        if session.exitstatus not in fine:
            return
        for gathered in self._of.values():
            gathered.failed_as_a_whole = gathered.why_failed
            if gathered.problems or gathered.failed_as_a_whole:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _labelled(self) -> Iterator[tuple[str, GatheredReports]]:
        """Yield what was gathered with a name for its machine, which no other one has.

        The name is empty if there is only one.
        """
        names = Counter(name for name, _ in self._of)
        for (name, worker), gathered in sorted(self._of.items(), key=lambda each: each[0]):
            if len(self._of) == 1:
                name = ""
            elif names[name] > 1:
                name = f"{name}-{worker}"
            yield name, gathered

    def _write(self, label: str, gathered: GatheredReports) -> None:
        """Write the files of one machine, its history, and what GitHub Actions shows."""
        if self._history is not None:
            kept_in = self._history.append(gathered.kept)
            strict = self._options.strict and not kept_in.appended
            (gathered.problems if strict else gathered.remarks).extend(kept_in.lines)
        if not (self._files.wanted or self._github.wanted):
            return
        caller, document = caller_of(self._config), gathered.kept.document()
        places = gathered.places(self._config.rootpath, self._repository)
        try:
            files = OutputFiles(of_machine(self._options, label)) if label else self._files
        except GreenopsError as error:
            gathered.problems.append(str(error))
        else:
            gathered.problems += files.write(document, caller, places)
        gathered.remarks += self._github.write(document, caller, places)

    def summary(self, reporter: Any) -> Iterator[str]:
        """Yield the table of each machine, what was not saved and why, and the closing line."""
        self._summarized = True
        for label, gathered in self._labelled():
            if label:
                yield from ("", f"energy: on {label}")
            last = gathered is list(self._labelled())[-1][1]
            yield from self._of_one(gathered, reporter, self._github.annotations if last else [])

    def said(self, broken: bool) -> tuple[list[str], str]:
        """Return what the summary says beside the results, and why the run as a whole fails."""
        every = self._of.values()
        lines = [line for each in every for line in each.lines(broken)]
        return lines, "; ".join(filter(None, (each.failed_as_a_whole for each in every)))

    def _of_one(
        self, gathered: GatheredReports, reporter: Any, annotations: list[str]
    ) -> Iterator[str]:
        results, width, unicode = gathered.kept.results, reporter._tw.fullwidth, shows_unicode()
        say = visible if unicode else plain
        on_screen = gathered.failed if failure.shows_sections(self._config) else ()
        screen: Any = {"width": width, "color": reporter.hasmarkup, "unicode": unicode}
        yield ""
        if self._config.get_verbosity() < 0:
            yield from terminal.render_brief(results, **screen, on_screen=on_screen)
        else:
            caller = caller_of(self._config)
            yield from terminal.render(results, **screen, caller=caller, on_screen=on_screen)
        yield from where_joules_go(results, width, say)
        broken = "error" in reporter.stats
        for line in gathered.lines(broken):
            yield from closing.rows(say(f"energy: {line}"), width)
        yield from map(say, annotations)
        yield from map(say, closing.closing_lines(results, width, gathered.failed_as_a_whole))

    def print_unsaid(self) -> None:
        """Print what must be said where there was no summary (`--no-summary`)."""
        if self._summarized:
            return
        every = self._of.values()
        whys = [why for each in every for why in (*each.problems, each.failed_as_a_whole) if why]
        failed = [f"energy: {why}" for why in whys]
        print_lines(self._config, [*failed, *self._github.annotations])
