"""Asks a fresh process to measure a test: how this pytest was started, and what time is left."""

from __future__ import annotations

import math
import os
import sys
import time
from typing import Any

import msgspec
import pytest

from pytest_greenops.run import fresh_process as fresh
from pytest_greenops.run.fresh_process import Answer, FreshFailure, FreshTimeout, Start

BEGUN = pytest.StashKey[float]()
DEADLINE = pytest.StashKey[float]()
#: What a process of pytest-xdist, or a test that runs, adds to the environment.
_OWN = ("PYTEST_XDIST_", "PYTEST_CURRENT_TEST", "PYTEST_VERSION")
_WORKERINPUT = "greenops_start"
#: Options whose values are drawn by chance unless they are given.
_DRAWN = ("randomly_seed",)
#: A fresh process may take this long, and so many times what its test took here.
LIMIT_S, PATIENCE = 300.0, 4.0
#: What a process takes to start, and what is kept of a timeout that runs out.
START_S, RESERVE_S = 5.0, 1.0


class FreshParent:
    """Knows how to run a test of this run once more, and by when it has to be done."""

    def __init__(
        self,
        config: pytest.Config,
        started: tuple[list[str], dict[str, str]] | None,
        allowed: bool = True,
    ) -> None:
        """Ask for processes that are started as this one was.

        started  the module path and the environment, if they were seen at the start
        allowed  `energy_fresh_process`
        """
        path, environ = started or (list(sys.path), dict(os.environ))
        self._config = config
        self._refusal = None if allowed else "energy_fresh_process is off"
        self._clock = time.monotonic  # a test may freeze the module's
        self._environ = {k: v for k, v in environ.items() if not k.startswith(_OWN)}
        self._start = _handed_over(config) or Start(
            args=[str(arg) for arg in config.invocation_params.args],
            folder=str(config.invocation_params.dir),
            path=path,
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of pytest-xdist how its controller was started."""
        node.workerinput[_WORKERINPUT] = msgspec.to_builtins(self._start)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Note when a test begins."""
        item.stash[BEGUN] = self._clock()

    @pytest.hookimpl(optionalhook=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> None:
        """Note by when pytest-timeout will end a test."""
        item.stash[DEADLINE] = self._clock() + settings.timeout

    @pytest.hookimpl(optionalhook=True)
    def pytest_timeout_cancel_timer(self, item: pytest.Item) -> None:
        """Note that nothing will end it any more."""
        item.stash[DEADLINE] = math.inf

    def left_s(self, item: pytest.Item) -> float:
        """How long a test may still run; infinite where nothing ends it."""
        return item.stash.get(DEADLINE, math.inf) - self._clock()

    def measure(self, item: pytest.Item) -> Answer:
        """Measure a test in a fresh process; raises `FreshFailure`.

        After one that was not done in time none is started any more: each might take as long.
        """
        if self._refusal:
            raise FreshFailure(self._refusal)
        limit_s = self._limit_s(item)
        option = self._config.option
        drawn = {name: getattr(option, name) for name in _DRAWN if hasattr(option, name)}
        try:
            return fresh.measure(
                self._start,
                node_of(item),
                options=drawn,
                environ=self._environ,
                caches=self._config.pluginmanager.hasplugin("cacheprovider"),
                limit_s=limit_s,
            )
        except FreshTimeout:
            self._refusal = f"none was started, for that of {item.name} was not done in time"
            raise

    def _limit_s(self, item: pytest.Item) -> float:
        """How long a fresh process of a test may take; raises `FreshFailure` if that is too little.

        It is bound by the timeout of the test, which it runs within.
        """
        elapsed_s = self._clock() - item.stash[BEGUN]
        left_s = self.left_s(item) - RESERVE_S
        if left_s < START_S + elapsed_s:
            raise FreshFailure(
                f"its timeout leaves {max(0.0, left_s):.0f} s, and it would take about "
                f"{START_S + elapsed_s:.0f} s; raise the timeout"
            )
        return min(LIMIT_S + PATIENCE * elapsed_s, left_s)


def node_of(item: pytest.Item) -> str:
    """The whole path of a test's file and its names, which choose it wherever pytest is called.

    Not the item's own id: pytest-xdist appends the group of a test to it (`--dist loadgroup`).
    """
    assert item.parent is not None
    _, inside, classes = item.parent.nodeid.partition("::")
    return f"{item.path}::{classes}{inside}{item.name}"


def _handed_over(config: pytest.Config) -> Start | None:
    start = getattr(config, "workerinput", {}).get(_WORKERINPUT)
    return None if start is None else msgspec.convert(start, Start)
