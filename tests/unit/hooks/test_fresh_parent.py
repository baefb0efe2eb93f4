"""Whether a fresh process is asked for, and by which name."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_greenops.hooks import fresh_parent as asking
from pytest_greenops.hooks.fresh_parent import BEGUN, DEADLINE, FreshParent, node_of
from pytest_greenops.model.environment import Environment
from pytest_greenops.run import fresh_process as fresh
from pytest_greenops.run.fresh_process import Answer, FreshFailure, FreshTimeout


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FreshParent]:
    """Makes one that asks; `happens` is what its processes come to, one after the other."""

    def begin(*happens: Any, allowed: bool = True) -> FreshParent:
        left = list(happens)

        def measure(*_: object, **__: object) -> Answer:
            now = left.pop(0)
            if isinstance(now, Exception):
                raise now
            assert isinstance(now, Answer)
            return now

        monkeypatch.setattr(fresh, "measure", measure)
        config: Any = SimpleNamespace(
            invocation_params=SimpleNamespace(args=("-q",), dir=Path("/project")),
            option=SimpleNamespace(),
            pluginmanager=SimpleNamespace(hasplugin=lambda name: False),
        )
        return FreshParent(config, None, allowed)

    return begin


def item(name: str = "test_it", parent: str = "test_it.py", **more: Any) -> Any:
    """A test that has just begun."""
    return SimpleNamespace(
        name=name,
        path=Path("/project/test_it.py"),
        parent=SimpleNamespace(nodeid=parent),
        stash={BEGUN: time.monotonic()},
        **more,
    )


ANSWER = Answer(Environment({}), ())


def failure(asks: FreshParent, test: Any) -> str:
    """Why there is no fresh session."""
    with pytest.raises(FreshFailure) as raised:
        asks.measure(test)
    return str(raised.value)


def test_none_is_asked_for_where_they_are_forbidden(begin: Callable[..., FreshParent]) -> None:
    """With `energy_fresh_process = false` nothing is started, and the option is named."""
    assert failure(begin(allowed=False), item()) == "energy_fresh_process is off"


def test_none_is_asked_for_after_one_that_took_too_long(begin: Callable[..., FreshParent]) -> None:
    """Each of the others might take as long; the first is named."""
    asks = begin(ANSWER, FreshTimeout("it was not done after 300 s"))
    assert asks.measure(item()) == ANSWER
    assert failure(asks, item("test_slow")) == "it was not done after 300 s"
    assert failure(asks, item()) == "none was started, for that of test_slow was not done in time"


def test_others_are_asked_for_after_one_that_failed(begin: Callable[..., FreshParent]) -> None:
    """A test that fails in its fresh process says nothing of the next."""
    asks = begin(FreshFailure("the test failed there"), ANSWER)
    assert failure(asks, item()) == "the test failed there"
    assert asks.measure(item()) == ANSWER


def test_a_frozen_clock_does_not_matter(
    begin: Callable[..., FreshParent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of a timeout is known where a fixture of the test holds the time."""
    asks, test = begin(), item()
    test.stash[DEADLINE] = time.monotonic() + asking.RESERVE_S + 1.5
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    assert failure(asks, test).startswith("its timeout leaves 1 s, and it would take about 5 s")


@pytest.mark.parametrize(
    ("parent", "name", "node"),
    [
        ("test_it.py", "test_it[a::b]", "test_it[a::b]"),
        ("test_it.py::TestA::TestB", "test_it", "TestA::TestB::test_it"),
        ("::TestA", "test_it", "TestA::test_it"),
    ],
    ids=["function", "method", "outside of the root"],
)
def test_a_test_is_named_by_its_path_and_names(parent: str, name: str, node: str) -> None:
    """Its own id may have the group of pytest-xdist appended."""
    test = item(name, parent, nodeid=f"{parent}::{name}@group")
    assert node_of(test) == f"/project/test_it.py::{node}"
