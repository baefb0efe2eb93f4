"""The progress of a measurement on the terminal of pytest, which captures output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import pytest

from pytest_greenops.hooks.live_output import LiveOutput
from pytest_greenops.report import progress


class ProgressBar:
    """The progress of a measurement, if the terminal can show it; `with` takes it away."""

    def __init__(self, config: pytest.Config, live: LiveOutput) -> None:
        self._config = config
        self._live = live
        self._bar: progress.MeasurementProgress | None = None

    def __enter__(self) -> None:
        """Begin with no bar: `update` draws it."""

    def __exit__(self, *_: object) -> None:
        """Take the bar away."""
        if self._bar is not None:
            with suppress(Exception), self._uncaptured():
                self._bar.close()
            self._bar = None

    def update(self, label: str, done: int, most: int, at_once: bool = False) -> None:
        """Show how many rounds are done, at once or after two seconds."""
        self._draw(lambda bar: bar.update(label, done, most), at_once)

    def show(self, label: str, text: str) -> None:
        """Show a line at once, in place of the one before: a label, cut to fit, then a text."""
        self._draw(lambda bar: bar.show(label, text), at_once=True)

    def _draw(self, draw: Callable[[progress.MeasurementProgress], None], at_once: bool) -> None:
        """Let a bar draw, if the terminal shows it.

        A test may have made it impossible to load what draws: then nothing is shown.
        """
        config = self._config
        reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        quiet = hasattr(config, "workerinput") or config.get_verbosity() < 0
        if quiet or reporter is None or not reporter.isatty:
            return
        with suppress(Exception), self._uncaptured():
            if self._bar is None:
                delay: Any = {"delay_s": 0.0} if at_once else {}
                writer = reporter._tw
                self._bar = progress.MeasurementProgress(writer._file, writer.fullwidth, **delay)
            draw(self._bar)

    @contextmanager
    def _uncaptured(self) -> Iterator[None]:
        """Let the bar alone reach the terminal while a test runs."""
        capture: Any = self._config.pluginmanager.get_plugin("capturemanager")
        captured = capture.global_and_fixture_disabled() if capture else nullcontext()
        with captured, self._live.through():
            yield
