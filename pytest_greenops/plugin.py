"""The entry point: light hooks. With `--energy` they register the plugin `Measuring`."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from pytest_greenops.hooks import hookspec, selection
from pytest_greenops.hooks.options import add_options, read_options
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.marker import marker_help
from pytest_greenops.model.run_options import REQUEST_VARIABLE, SIDE_VARIABLE, Options

if TYPE_CHECKING:
    from pytest_greenops.hooks.fixture import Energy

OPTIONS = pytest.StashKey[Options]()
#: Plugins of a run that measures for another process.
_FOR_ANOTHER = ("greenops-fresh-child", "greenops-side")
#: The handle of a test that is not measured.
HANDLE: pytest.StashKey[Energy] = pytest.StashKey()
#: `sys.path` and the environment of this run, before a conftest.py changed them.
STARTED = pytest.StashKey[tuple[list[str], dict[str, str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options and their ini twins."""
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the hooks that other plugins may implement."""
    pluginmanager.add_hookspecs(hookspec)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Remember how this run was started, and join it if it is a fresh process."""
    early_config.stash[STARTED] = list(sys.path), dict(os.environ)
    if REQUEST_VARIABLE in os.environ:
        from pytest_greenops.hooks.fresh_child import FreshChild

        FreshChild.begin(early_config)
    elif SIDE_VARIABLE in os.environ:
        from pytest_greenops.hooks.side_process import SideProcess

        SideProcess.begin(early_config)
    return (yield)


def pytest_configure(config: pytest.Config) -> None:
    """Read the options; measure, or count the budgets that are not enforced."""
    config.addinivalue_line("markers", marker_help())
    try:
        options = config.stash[OPTIONS] = read_options(config)
        if fleet := config.pluginmanager.get_plugin("greenops-fleet-node"):
            options = config.stash[OPTIONS] = fleet.options(options)
        if config.getini("energy_budgets"):
            from pytest_greenops.hooks.ini_budgets import IniBudgets

            IniBudgets.join(config)
    except GreenopsError as error:
        raise pytest.UsageError(str(error)) from None
    if {
        REQUEST_VARIABLE,
        SIDE_VARIABLE,
    } & os.environ.keys():  # this plugin was loaded too late to narrow the run
        raise pytest.UsageError("load pytest-greenops before any conftest.py: -p greenops")
    if options.benchmarks:
        from pytest_greenops.hooks import own_benchmark

        config.stash[selection.BENCHMARKS] = True
        own_benchmark.join(config)
    if options.measure or any(map(config.pluginmanager.hasplugin, _FOR_ANOTHER)):
        from pytest_greenops.hooks import joining

        joining.join(config, options, config.stash.get(STARTED, None))
    else:
        config.pluginmanager.register(NotMeasuring(config), "greenops-not-measuring")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Reject invalid marks, as an error of the collection that found them."""
    report = yield
    selection.reject_invalid_marks(report)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that `--energy-only` or `--energy-skip` excludes."""
    dropped = selection.select(items, config.stash[OPTIONS])
    if dropped:
        config.hook.pytest_deselected(items=dropped)
    if hasattr(config.option, "parallel_threads"):
        selection.keep_in_one_thread(items)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Reject invalid marks that a hook has added to the collected tests."""
    invalid = selection.invalid_marks(session.items)
    if not invalid:
        return
    if not hasattr(session.config, "workerinput"):
        raise pytest.UsageError(*invalid)
    selection.refuse_collection(session, "\n".join(invalid))


@pytest.fixture
def energy(request: pytest.FixtureRequest) -> Energy:
    """Measure the energy of a call: `energy(function, *args)` returns what it returned."""
    if measuring := request.config.pluginmanager.get_plugin("greenops-measuring"):
        handle: Energy = measuring.handle(request.node)
        return handle
    from pytest_greenops.hooks.fixture import Energy, UnmeasuredTrial

    unmeasured = request.node.stash[HANDLE] = Energy(UnmeasuredTrial(), enabled=False)
    return unmeasured


class NotMeasuring:
    """Without `--energy`: counts the budgets that are not enforced."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._not_enforced: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Refuse what fixtures measure when the test is over, as a run with `--energy` does."""
        if handle := item.stash.get(HANDLE, None):
            handle.end(item.name)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the energy tests that ran; a rerun test counts once."""
        if report.when == "call" and selection.MARKER in report.keywords:
            self._not_enforced.add(report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the closing line."""
        if self._not_enforced:
            from pytest_greenops.hooks.caller import caller_of

            command = caller_of(self._config).adding("--energy")
            terminalreporter.write_line(not_enforced(len(self._not_enforced), command))


def not_enforced(budgets: int, command: str) -> str:
    """Return the line `energy: 4 budgets not enforced; measure them: pytest --energy`."""
    noun, them = ("budget", "it") if budgets == 1 else ("budgets", "them")
    return f"energy: {budgets} {noun} not enforced; measure {them}: {command}"
