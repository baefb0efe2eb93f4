"""Whose a folder is by its name."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pytest_greenops.ab import owner


def test_this_process_has_not_ended() -> None:
    """Its own mark says so, and stays the same."""
    assert owner.mark() == owner.mark(os.getpid())
    assert owner.has_ended(f"{owner.mark()}-0f0f") is False


def test_a_process_that_nobody_waited_for_has_ended() -> None:
    """Its parent may live on without asking for its exit code."""
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        mark = owner.mark(process.pid)
        assert process.stdout is not None
        process.stdout.read()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert owner.has_ended(mark) is True
    assert owner.has_ended(mark) is True


@pytest.mark.parametrize("name", ["", "1", "x-1-y", "1-1-00000000-x", "made-by-hand-or-not"])
def test_other_names_say_nothing(name: str) -> None:
    """They were made by hand, on another machine, or in another container."""
    assert owner.has_ended(name) is None
