"""Budgets in the ini file, for tests without a marker: `energy_budgets`, a glob on each line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fnmatch import translate
from typing import Any, NamedTuple

import pytest

from pytest_greenops.hooks.selection import INI_MARK, MARKER
from pytest_greenops.model.budget import parse_arguments
from pytest_greenops.model.errors import BudgetError, OptionError, shown
from pytest_greenops.report.drawing import visible

NAME = "energy_budgets"
#: Between the glob and the arguments; the glob may have `=` in the brackets of parameters.
_BETWEEN = re.compile(r"\s=(?:\s|$)")
#: What a worker of pytest-xdist sends to its controller.
_WORKEROUTPUT = "greenops_unmatched"


class _Line(NamedTuple):
    """A line: where it is, its glob, what matches it, and the arguments of the marker."""

    place: str
    glob: str
    match: Callable[[str], re.Match[str] | None]
    arguments: dict[str, object]


class IniBudgets:
    """Gives each collected test that a glob matches a mark with the arguments of its line."""

    def __init__(self, config: pytest.Config, lines: list[_Line]) -> None:
        self._config = config
        self._lines = lines
        self._unmatched: list[int] = []
        self._marks: dict[tuple[int, ...], pytest.MarkDecorator] = {}
        self._of_node: dict[str, frozenset[int]] = {}

    @classmethod
    def join(cls, config: pytest.Config) -> None:
        """Join a run; raise `OptionError` for a line that cannot be used."""
        written: list[str] = config.getini(NAME)
        lines = [_parse(*each) for each in zip(_places(config, written), written, strict=True)]
        config.pluginmanager.register(cls(config, lines), "greenops-ini-budgets")

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> None:
        """Mark the matching tests, before any option deselects tests."""
        unmatched = set(range(len(self._lines)))
        for item in items:
            if of_item := tuple(sorted(self._of(item))):
                unmatched.difference_update(of_item)
                mark = self._mark(of_item)
                item.add_marker(mark)
                item.stash[INI_MARK] = mark.mark
        if not session.testsfailed:
            self._unmatched = sorted(unmatched)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Tell the controller of pytest-xdist which lines matched nothing."""
        if (output := getattr(self._config, "workeroutput", None)) is not None:
            output[_WORKEROUTPUT] = self._unmatched

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker found; each collects all tests."""
        self._unmatched = getattr(node, "workeroutput", {}).get(_WORKEROUTPUT, [])

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name the globs that match no test, if all tests were collected."""
        if self._is_whole():
            for line in (self._lines[i] for i in self._unmatched):
                text = f"energy: {line.place}: no test matches {shown(line.glob)}"
                terminalreporter.write_line(visible(text))

    def _of(self, item: pytest.Item) -> frozenset[int]:
        """Return the lines for an item: a glob covers what lies in the node that it matches."""
        assert item.parent is not None
        name = getattr(item, "originalname", None) or item.name
        function = f"{item.parent.nodeid}::{name}"
        above = self._of_node.get(function)
        if above is None:
            nodes = (node.nodeid for node in item.listchain()[:-1])
            above = self._matching(function).union(*map(self._matching, nodes))
            self._of_node[function] = above
        return above | self._matching(item.nodeid)

    def _matching(self, node_id: str) -> frozenset[int]:
        return frozenset(i for i, line in enumerate(self._lines) if line.match(node_id))

    def _mark(self, of_item: tuple[int, ...]) -> pytest.MarkDecorator:
        """Return the mark of these lines; the last one that has an argument decides it."""
        if of_item not in self._marks:
            merged: dict[str, Any] = {}
            for i in of_item:
                merged |= self._lines[i].arguments
            self._marks[of_item] = getattr(pytest.mark, MARKER).with_args(**merged)
        return self._marks[of_item]

    def _is_whole(self) -> bool:
        """Return whether nothing on the command line leaves out a file."""
        config, option = self._config, self._config.option
        source = config.ArgsSource
        whole = config.args_source == source.TESTPATHS or (
            config.args_source == source.INVOCATION_DIR
            and config.invocation_params.dir == config.rootpath
        )
        narrowing = ("lf", "ignore", "ignore_glob")
        return whole and not any(getattr(option, name, None) for name in narrowing)


def override(config: pytest.Config) -> list[str]:
    """Return arguments with which another tree has the energy tests and budgets of this run."""
    arguments = []
    for name in (NAME, "energy_benchmarks", "energy_benchmark_units"):
        if value := config.getini(name):
            text = "true" if value is True else "\n".join(value)
            arguments += ["-o", f"{name}={text}"]
    return arguments


def _parse(place: str, written: str) -> _Line:
    glob, *rest = _BETWEEN.split(written, maxsplit=1)
    glob = glob.strip()
    try:
        if not rest or not glob:
            example = "'tests/bench/* = max_increase=3%'"
            raise BudgetError(f"{shown(written)}: expected GLOB = ARGUMENTS, such as {example}")
        arguments = parse_arguments(rest[0])
    except BudgetError as error:
        raise OptionError(f"{place}: {error}") from None
    return _Line(place, glob, _compile(glob), arguments)


def _compile(glob: str) -> Callable[[str], re.Match[str] | None]:
    """Return what matches a glob, in which only `*` and `?` are special: ids have brackets."""
    return re.compile(translate(glob.replace("[", "[[]"))).match


def _places(config: pytest.Config, written: list[str]) -> Iterator[str]:
    """Yield where each line is: `pytest.ini:4: energy_budgets`, without a number if unknown."""
    overridden = [each for each in config.option.override_ini or () if each.startswith(f"{NAME}=")]
    if overridden or config.inipath is None:
        yield from (f"-o {NAME}" for _ in written)
        return
    name = config.inipath.name
    try:
        text = config.inipath.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        text = []
    begun = next((i for i, line in enumerate(text) if line.lstrip().startswith(NAME)), 0)
    for each in written:
        found = next((i for i in range(begun, len(text)) if each in text[i]), None)
        begun = begun if found is None else found + 1
        yield f"{name}: {NAME}" if found is None else f"{name}:{found + 1}: {NAME}"
