"""The progress bar of a measurement, drawn while the patches of a test are active."""

from __future__ import annotations

import io
import sys
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_greenops.hooks.progress_bar import ProgressBar


class Terminal(io.StringIO):
    """A file that is a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


def test_a_bar_that_cannot_be_drawn_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test may make it impossible to import rich, and is measured all the same."""
    writer = SimpleNamespace(_file=Terminal(), fullwidth=80)
    plugins = {"terminalreporter": SimpleNamespace(isatty=True, _tw=writer)}
    config: Any = SimpleNamespace(
        pluginmanager=SimpleNamespace(get_plugin=plugins.get), get_verbosity=lambda: 0
    )
    live: Any = SimpleNamespace(through=nullcontext)
    for name in ("rich", "rich.console", "rich.progress", "rich.table"):
        monkeypatch.setitem(sys.modules, name, None)
    shown = ProgressBar(config, live)
    with shown:
        shown.update("test_it", 1, 5, at_once=True)
