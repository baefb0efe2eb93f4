"""The progress bar of a long measurement."""

from __future__ import annotations

import io
import re
import sys
import threading

import pytest

from pytest_greenops.report.progress import MeasurementProgress


class Terminal(io.StringIO):
    """A file that claims to be a terminal."""

    def isatty(self) -> bool:
        """Return true."""
        return True


class TestProgress:
    """When the bar is drawn, and what remains of it."""

    @pytest.fixture(autouse=True)
    def _terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TERM", "xterm")
        for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
            monkeypatch.delenv(name, raising=False)

    @staticmethod
    def measure(file: io.StringIO, round_s: float, rounds: int = 5) -> None:
        """Report some rounds of `round_s` seconds each."""
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
        """After two seconds the bar is drawn, and it is removed at the end."""
        file = Terminal()
        self.measure(file, round_s=1.5)
        text = file.getvalue()
        assert "test_long · prefill" in text
        assert "4/5" in text
        assert text.startswith("\x1bD\x1bD\x1b[2A\x1b7")
        assert text.endswith("\x1b8")
        assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")

    def test_ends_with_the_last_round(self) -> None:
        """The bar is removed after the last round, without being closed."""
        file, now_s = Terminal(), 0.0
        progress = MeasurementProgress(file, width=80, clock=lambda: now_s)
        progress.update("test_long", 0, 2)
        now_s = 3.0
        progress.update("test_long", 1, 2)
        assert not file.getvalue().endswith("\x1b8")
        progress.update("test_long", 2, 2)
        assert file.getvalue().endswith("\x1b8")

    def test_counts_the_two_seconds_for_each_measurement(self) -> None:
        """Many short measurements draw nothing."""
        file, now_s = Terminal(), 0.0
        progress = MeasurementProgress(file, width=80, clock=lambda: now_s)
        for number in range(10):
            progress.update(f"test_{number}", 1, 5)
            now_s += 1.0
        assert file.getvalue() == ""

    def test_shows_a_line_at_once_with_a_label_that_fits(self) -> None:
        """Each line takes the place of the one before; the text is never cut for the label."""
        file = Terminal()
        progress = MeasurementProgress(file, width=50)
        progress.show("test_encode", "A/B 5 pairs, +7.9 % (+3.1…+12.7)")
        assert "test_encode  A/B 5 pairs, +7.9 % (+3.1" in file.getvalue()
        progress.show("test_of_a_very_long_name", "A/B 6 pairs, +7.9 % (+3.1…+12.7)")
        text = file.getvalue()
        assert re.search(r"test_\S+ame  A/B 6 pairs, \+7.9 % \(\+3.1\S+?\+12.7\)", text)
        assert "long" not in text
        assert text.count("\x1b7") == 1
        progress.close()
        assert file.getvalue().endswith("\x1b8")

    def test_replaces_a_bar_by_a_line_and_a_line_by_a_bar(self) -> None:
        """A measurement has a bar, then its pairs a line, then the next measurement a bar."""
        file = Terminal()
        progress = MeasurementProgress(file, width=80, delay_s=0.0)
        progress.update("test_a", 1, 5)
        progress.show("test_a", "A/B 1 pair")
        progress.update("test_b", 2, 5)
        progress.close()
        bar, line, last = file.getvalue().split("\x1b7")[1:]
        assert "1/5" in bar
        assert "A/B 1 pair" in line
        assert "rounds" not in line
        assert "2/5" in last

    def test_runs_no_thread_and_leaves_the_streams_alone(self) -> None:
        """The bar does not disturb a measured window."""
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
    def test_is_silent_if_nothing_can_be_drawn(
        self, file: io.StringIO, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither a log file nor a dumb terminal gets control characters."""
        monkeypatch.setenv("TERM", "dumb")
        self.measure(file, round_s=1.5)
        MeasurementProgress(file, width=80).show("test_a", "A/B 1 pair")
        assert file.getvalue() == ""
