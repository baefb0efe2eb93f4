"""The progress bar of a measurement, drawn between its rounds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING

from pytest_greenops.report.drawing import elide, plain, shows_blocks, visible

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class MeasurementProgress:
    """A progress bar for measurements that take longer than two seconds.

    It draws only in `update`, which is called between rounds, so no thread runs in a measured
    window. It draws nothing if the file is not a terminal, and leaves the current line unchanged.
    `width` is that of the terminal by default.
    """

    #: Keep two lines free below and save the cursor position: rich draws on the next line.
    _LEAVE, _RETURN = "\x1bD\x1bD\x1b[2A\x1b7\r\n", "\x1b8"

    def __init__(
        self,
        file: IO[str],
        width: int | None = None,
        delay_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = file
        self._width = width
        self._enabled = file.isatty()
        self._delay_s = delay_s
        self._clock = clock
        self._label: str | None = None
        self._begun_s = 0.0
        self._shown: tuple[Progress, TaskID] | None = None

    def update(self, label: str, done: int, total: int) -> None:
        """Show how many rounds of a measurement are done; the last one removes the bar."""
        if not self._enabled:
            return
        if label != self._label:
            self.close()
            self._label, self._begun_s = label, self._clock()
        if done >= total:
            self.close()
        elif self._shown or self._clock() - self._begun_s >= self._delay_s:
            self._draw(label, done, total)

    def close(self) -> None:
        """Remove the bar, if there is one."""
        self._label = None
        if self._shown:
            self._shown[0].stop()
            self._shown = None
            self._file.write(self._RETURN)
            self._file.flush()

    def _draw(self, label: str, done: int, total: int) -> None:
        self._shown = self._shown or self._start(label, total)
        if self._shown:
            progress, task = self._shown
            progress.update(task, completed=done, total=total)
            progress.refresh()

    def _start(self, label: str, total: int) -> tuple[Progress, TaskID] | None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.table import Column

        console = Console(file=self._file, width=self._width, highlight=False)
        self._enabled = not console.is_dumb_terminal
        if not self._enabled:
            return None
        self._file.write(self._LEAVE)
        progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(20),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TextColumn("rounds", table_column=Column(no_wrap=True)),
            console=console,
            transient=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        say = visible if shows_blocks(console.encoding) else plain
        text = elide(say(label), max(10, console.width - 40), say("…"))
        task = progress.add_task(text, total=total)
        progress.start()
        return progress, task
