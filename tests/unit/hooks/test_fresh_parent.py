"""Whether the parent starts a fresh process, and for which test."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_greenops.hooks.fresh_parent import BEGUN, DEADLINE, RESERVE_S, FreshParent, node_of
from pytest_greenops.model.environment import Environment
from pytest_greenops.run.fresh_process import Answer, FreshFailure, FreshTimeout

NOW_S = 100.0


def parent(
    *happens: Answer | FreshFailure,
    refusal: str | None = None,
    clock: Callable[[], float] | None = lambda: NOW_S,
) -> FreshParent:
    """Return a parent whose fresh processes end like this, one after the other.

    `clock` is None for the parent's own.
    """
    left = list(happens)

    def run(*_: object, **__: object) -> Answer:
        now = left.pop(0)
        if isinstance(now, Exception):
            raise now
        return now

    config: Any = SimpleNamespace(
        invocation_params=SimpleNamespace(args=("-q",), dir=Path("/project")),
        option=SimpleNamespace(),
        pluginmanager=SimpleNamespace(hasplugin=lambda name: False),
    )
    own: dict[str, Any] = {} if clock is None else {"clock": clock}
    return FreshParent(config, None, refusal, run=run, **own)


def item(name: str = "test_it", module: str = "test_it.py", **more: Any) -> Any:
    """Return a test that has just begun."""
    return SimpleNamespace(
        name=name,
        path=Path("/project/test_it.py"),
        parent=SimpleNamespace(nodeid=module),
        stash={BEGUN: NOW_S},
        **more,
    )


ANSWER = Answer(Environment({}), ())


def failure(parent: FreshParent, test: Any) -> str:
    """Return why there is no fresh session."""
    with pytest.raises(FreshFailure) as raised:
        parent.measure(test)
    return str(raised.value)


def test_fresh_processes_can_be_forbidden() -> None:
    """Where none may be started, the failure says why."""
    assert (
        failure(parent(refusal="energy_fresh_process is off"), item())
        == "energy_fresh_process is off"
    )


def test_no_process_after_a_timeout() -> None:
    """Each further process might take as long; the failure names the test that did."""
    slow = parent(ANSWER, FreshTimeout("it did not end within 300 s"))
    assert slow.measure(item()) == ANSWER
    assert failure(slow, item("test_slow")) == "it did not end within 300 s"
    assert failure(slow, item()) == "none was started, since that of test_slow did not end in time"


def test_another_process_after_a_failure() -> None:
    """A test that fails in its fresh process says nothing about the next test."""
    failing = parent(FreshFailure("the test failed there"), ANSWER)
    assert failure(failing, item()) == "the test failed there"
    assert failing.measure(item()) == ANSWER


def test_no_process_without_time_for_it() -> None:
    """What is left of the test's timeout must be enough; the failure says to raise it."""
    test = item()
    test.stash[DEADLINE] = NOW_S + RESERVE_S + 1.5
    assert failure(parent(), test) == (
        "its timeout leaves 2 s, but it needs about 5 s; raise the timeout"
    )


def test_a_frozen_clock_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a fixture freezes the time, the time that is left is still known."""
    test, unfrozen = item(), parent(clock=None)
    test.stash[DEADLINE] = time.monotonic() + 60.0
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    assert 0.0 < unfrozen.left_s(test) <= 60.0


@pytest.mark.parametrize(
    ("module", "name", "node"),
    [
        ("test_it.py", "test_it[a::b]", "test_it[a::b]"),
        ("test_it.py::TestA::TestB", "test_it", "TestA::TestB::test_it"),
        ("::TestA", "test_it", "TestA::test_it"),
    ],
    ids=["function", "method", "outside of the root"],
)
def test_a_test_is_named_by_its_path_and_names(module: str, name: str, node: str) -> None:
    """Its own id may end in the group of pytest-xdist."""
    test = item(name, module, nodeid=f"{module}::{name}@group")
    assert node_of(test) == f"/project/test_it.py::{node}"
