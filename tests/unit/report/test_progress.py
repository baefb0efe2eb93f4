"""The progress bar of a long measurement."""

from __future__ import annotations

import io
import sys
import threading

import pytest

from pytest_greenops.report.terminal import MeasurementProgress


class Terminal(io.StringIO):
    """A file that says that it is a terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


class TestProgress:
    """When it is drawn, and what it leaves behind."""

    @pytest.fixture(autouse=True)
    def _terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TERM", "xterm")
        for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
            monkeypatch.delenv(name, raising=False)

    @staticmethod
    def measure(file: io.StringIO, round_s: float, rounds: int = 5) -> None:
        """Tell of some rounds, each of so many seconds."""
        now_s = 0.0
        progress = MeasurementProgress(file, width=80, clock=lambda: now_s)
        for done in range(rounds):
            progress.update("test_long · prefill", done, rounds)
            now_s += round_s
        progress.close()

    def test_is_silent_for_a_short_measurement(self) -> None:
        """Under two seconds nothing is drawn."""
        file = Terminal()
        self.measure(file, round_s=0.3)
        assert file.getvalue() == ""

    def test_shows_a_long_measurement_and_leaves_the_line_as_it_was(self) -> None:
        """After two seconds the bar is drawn below, and taken away in the end."""
        file = Terminal()
        self.measure(file, round_s=1.5)
        text = file.getvalue()
        assert "test_long · prefill" in text
        assert "4/5" in text
        assert text.startswith("\x1bD\x1bD\x1b[2A\x1b7")
        assert text.endswith("\x1b8")
        assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")

    def test_ends_with_the_last_round(self) -> None:
        """The bar goes when all rounds are done, without being closed."""
        file, now_s = Terminal(), 0.0
        progress = MeasurementProgress(file, width=80, clock=lambda: now_s)
        progress.update("test_long", 0, 2)
        now_s = 3.0
        progress.update("test_long", 1, 2)
        assert not file.getvalue().endswith("\x1b8")
        progress.update("test_long", 2, 2)
        assert file.getvalue().endswith("\x1b8")

    def test_counts_the_two_seconds_for_each_measurement(self) -> None:
        """Many short measurements draw nothing, however long they take together."""
        file, now_s = Terminal(), 0.0
        progress = MeasurementProgress(file, width=80, clock=lambda: now_s)
        for number in range(10):
            progress.update(f"test_{number}", 1, 5)
            now_s += 1.0
        assert file.getvalue() == ""

    def test_runs_no_thread_and_leaves_the_streams_alone(self) -> None:
        """Nothing of it works, or stands in the way, while a window is measured."""
        threads, streams = threading.active_count(), (sys.stdout, sys.stderr)
        file, now_s = Terminal(), 0.0
        progress = MeasurementProgress(file, width=80, clock=lambda: now_s)
        progress.update("test_long", 0, 9)
        now_s = 3.0
        progress.update("test_long", 1, 9)
        assert "1/9" in file.getvalue()
        assert (threads, streams) == (threading.active_count(), (sys.stdout, sys.stderr))
        progress.close()

    @pytest.mark.parametrize("file", [io.StringIO(), Terminal()], ids=["file", "dumb terminal"])
    def test_is_silent_where_nothing_can_be_drawn(
        self, file: io.StringIO, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A log file gets no control characters, and a dumb terminal none either."""
        monkeypatch.setenv("TERM", "dumb")
        self.measure(file, round_s=1.5)
        assert file.getvalue() == ""
