"""The progress of a measurement, drawn between its rounds or its pairs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING

from pytest_greenops.report.drawing import cells, elide, plain, shows_blocks, visible

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID


class MeasurementProgress:
    """A progress bar for measurements that take longer than two seconds, or a live line.

    It draws only in `update` and `show`, which are called between rounds and between pairs, so no
    thread runs in a measured window. It draws nothing if the file is not a terminal, and leaves
    the current line unchanged. `width` is that of the terminal by default.
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

    def show(self, label: str, text: str) -> None:
        """Show a line at once, in place of the one before: a label, cut to fit, then a text."""
        if not self._enabled:
            return
        if self._label is not None:  # a bar
            self.close()
        self._shown = self._shown or self._begin(["{task.description}"])
        if self._shown:
            progress, task = self._shown
            width, say = progress.console.width, self._say(progress)
            text = elide(say(text), width, say("…"))
            label = elide(say(label), max(0, width - cells(text) - 2), say("…"))
            progress.update(task, description=f"{label}  {text}".strip())
            progress.refresh()

    def close(self) -> None:
        """Remove the bar or the line, if there is one."""
        self._label = None
        if self._shown:
            self._shown[0].stop()
            self._shown = None
            self._file.write(self._RETURN)
            self._file.flush()

    def _draw(self, label: str, done: int, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn
        from rich.table import Column

        if self._shown is None:
            done_of = MofNCompleteColumn(table_column=Column(no_wrap=True))
            self._shown = self._begin(["{task.description}", BarColumn(20), done_of, "rounds"])
        if self._shown:
            progress, task = self._shown
            say = self._say(progress)
            text = elide(say(label), max(10, progress.console.width - 40), say("…"))
            progress.update(task, description=text, completed=done, total=total)
            progress.refresh()

    @staticmethod
    def _say(progress: Progress) -> Callable[[str], str]:
        return visible if shows_blocks(progress.console.encoding) else plain

    def _begin(self, columns: Sequence[str | ProgressColumn]) -> tuple[Progress, TaskID] | None:
        """Return what draws these columns, texts among them, below the current line."""
        from rich.console import Console
        from rich.progress import Progress, TextColumn
        from rich.table import Column

        console = Console(file=self._file, width=self._width, highlight=False)
        self._enabled = not console.is_dumb_terminal
        if not self._enabled:
            return None
        self._file.write(self._LEAVE)
        drawn = (
            TextColumn(each, markup=False, table_column=Column(no_wrap=True))
            if isinstance(each, str)
            else each
            for each in columns
        )
        progress = Progress(
            *drawn,
            console=console,
            transient=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        task = progress.add_task("", total=None)
        progress.start()
        return progress, task
