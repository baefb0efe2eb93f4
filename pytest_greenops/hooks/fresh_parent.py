"""The parent of fresh processes: how this pytest was started, and how long a test may still run."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pytest_greenops.hooks.workers import is_elsewhere
from pytest_greenops.run import fresh_process
from pytest_greenops.run.fresh_process import Answer, FreshFailure, FreshTimeout
from pytest_greenops.run.process import Invocation
from pytest_greenops.system import SYSTEM

BEGUN = pytest.StashKey[float]()
DEADLINE = pytest.StashKey[float]()
#: Variables that pytest-xdist, or a test that runs, adds to the environment.
_ADDED = ("PYTEST_XDIST_", "PYTEST_CURRENT_TEST", "PYTEST_VERSION")
_WORKERINPUT = "greenops_invocation"
#: Options whose values are random unless they are given.
_RANDOM = ("randomly_seed",)
#: A fresh process may take this long, plus this many times what its test took here.
LIMIT_S, PATIENCE = 300.0, 4.0
#: What a process takes to start, and what is kept of a timeout as a reserve.
START_S, RESERVE_S = 5.0, 1.0


class FreshParent:
    """Runs a test of this run in a fresh process, within what is left of the test's timeout.

    invocation, environ  how this process was started
    """

    def __init__(
        self,
        config: pytest.Config,
        started: tuple[list[str], dict[str, str]] | None,
        refusal: str | None = None,
        clock: Callable[[], float] = lambda: SYSTEM.monotonic_ns() * 1e-9,
        run: Callable[..., Answer] = fresh_process.measure,
    ) -> None:
        """Start processes as this one was: by its `sys.path` and environment, if they were seen.

        refusal  why none may be started, or None
        """
        path, environ = started or (list(sys.path), dict(os.environ))
        self._config = config
        self._refusal = refusal
        self._clock = clock
        self.environ = {k: v for k, v in environ.items() if not k.startswith(_ADDED)}
        self._run = run
        called = config.invocation_params
        self.invocation = _of_controller(config) or Invocation(
            list(map(str, called.args)), str(called.dir), path
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Pass on to a worker of pytest-xdist how its controller was started.

        A worker elsewhere starts processes as it was started itself.
        """
        if not is_elsewhere(node.gateway.spec):
            node.workerinput[_WORKERINPUT] = msgspec.to_builtins(self.invocation)

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
        """Note that no timeout ends the test any more."""
        item.stash[DEADLINE] = math.inf

    def left_s(self, item: pytest.Item) -> float:
        """Return how long a test may still run; infinite if it has no timeout."""
        return item.stash.get(DEADLINE, math.inf) - self._clock()

    def measure(self, item: pytest.Item) -> Answer:
        """Measure a test in a fresh process; raises `FreshFailure`.

        After a timeout no process is started any more: each might take as long.
        """
        if self._refusal:
            raise FreshFailure(self._refusal)
        limit_s = self._limit_s(item)
        try:
            caches = self._config.pluginmanager.hasplugin("cacheprovider")
            given: dict[str, Any] = {
                "options": self.drawn_options(),
                "environ": self.environ,
                "caches": caches,
            }
            return self._run(self.invocation, node_of(item), **given, limit_s=limit_s)
        except FreshTimeout:
            self._refusal = f"none was started, since that of {item.name} did not end in time"
            raise

    def drawn_options(self) -> dict[str, Any]:
        """Return the values of options that are random unless they are given."""
        option = self._config.option
        return {name: getattr(option, name) for name in _RANDOM if hasattr(option, name)}

    def patience_s(self, item: pytest.Item) -> float:
        """Return how long a process that runs a test may take, by what it took here."""
        elapsed_s = self._clock() - item.stash[BEGUN]
        return min(LIMIT_S + PATIENCE * elapsed_s, max(0.0, self.left_s(item) - RESERVE_S))

    def _limit_s(self, item: pytest.Item) -> float:
        """Return how long a fresh process may take within the test's timeout, or raise."""
        elapsed_s = self._clock() - item.stash[BEGUN]
        left_s = self.left_s(item) - RESERVE_S
        if left_s < START_S + elapsed_s:
            raise FreshFailure(
                f"its timeout leaves {max(0.0, left_s):.0f} s, but it needs about "
                f"{START_S + elapsed_s:.0f} s; raise the timeout"
            )
        return min(LIMIT_S + PATIENCE * elapsed_s, left_s)


def node_of(item: pytest.Item) -> str:
    """Return the absolute path and the names of a test, which select it from any directory.

    Not the item's own id: pytest-xdist appends the group of a test to it (`--dist loadgroup`).
    """
    assert item.parent is not None
    _, inside, classes = item.parent.nodeid.partition("::")
    return f"{item.path}::{classes}{inside}{item.name}"


def _of_controller(config: pytest.Config) -> Invocation | None:
    invocation = getattr(config, "workerinput", {}).get(_WORKERINPUT)
    return None if invocation is None else msgspec.convert(invocation, Invocation)
