"""Results on a terminal, readable at 40 columns, also without color and in plain ASCII."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING

from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Outcome
from pytest_greenops.report.drawing import (
    bar,
    cells,
    elide,
    elided,
    plain,
    shows_blocks,
    sparkline,
    visible,
    wrapped,
)
from pytest_greenops.report.notes import OF_A_RUN, Note, Sentences, notes, remarks
from pytest_greenops.report.reasons import Advice
from pytest_greenops.report.result_table import (
    GAP,
    HEADINGS,
    NARROWEST,
    SHORTEST_BAR,
    Part,
    Row,
    Widths,
    by_module,
    fit,
    parts,
    row,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from rich.table import Table
    from rich.text import Text

_STYLES = {
    Outcome.PASSED: "green",
    Outcome.IMPROVED: "bold green",
    Outcome.REGRESSED: "bold red",
    Outcome.OVER_BUDGET: "bold red",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.NO_BASELINE: "cyan",
    Outcome.NOT_COMPARABLE: "magenta",
    Outcome.NOT_MEASURED: "magenta",
}
_WARNED = "yellow"


def render(
    results: Sequence[Result],
    width: int,
    color: bool,
    unicode: bool,
    sentences: Sentences = OF_A_RUN,
) -> Iterator[str]:
    """Yield the table by module, then a note for each verdict that needs attention.

    No line is longer than `width`, at least 40, except for commands, which users copy.
    """
    if not results:
        return
    say = visible if unicode else plain
    width = max(width, NARROWEST)
    groups = {
        module: [(row(result), list(parts(result))) for result in members]
        for module, members in by_module(results).items()
    }
    rows = [pair for members in groups.values() for pair in members]
    widths = fit([r for r, _ in rows], [part for _, more in rows for part in more], width, say)
    layout = _Layout([r for r, _ in rows], widths, width, unicode)
    yield from layout.heading(color)
    for module, members in groups.items():
        rule = "─" if unicode else "-"
        title = f"{rule * 2} {elide(say(module), width - 6, say('…'))} "
        total = min(width, widths.total)
        yield from _painted(title + rule * (total - cells(title)), "bold", color)
        yield from layout.lines(members, color)
    yield from _listed(results, width, color, say, sentences)


def render_brief(
    results: Sequence[Result], width: int, color: bool, unicode: bool
) -> Iterator[str]:
    """Yield one line for each verdict that needs attention."""
    say = visible if unicode else plain
    found = list(notes(results))
    subjects = tuple(say(note.subject) for note in found)
    for note in found:
        word, subject, brief = say(note.word), say(note.subject), say(note.brief)
        free = width - cells(word) - 2 * GAP
        brief = elide(brief, max(free // 2, free - cells(subject)), say("…"))
        subject = elided(subjects, free - cells(brief), say("…"))[subject]
        line = f"{word}  {subject}  {brief}".rstrip()
        yield from _painted(line, _style(note), color)


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


class _Layout:
    """Cells of a table, cut to their widths: side by side, or below each name."""

    def __init__(self, rows: Sequence[Row], widths: Widths, width: int, unicode: bool) -> None:
        self.widths = widths
        self.width = width
        self.unicode = unicode
        self.say: Callable[[str], str] = visible if unicode else plain
        self._names = tuple(self.say(row.name) for row in rows)
        self._labels = tuple(self.say(row.label) for row in rows)

    def heading(self, color: bool) -> Iterator[str]:
        upper, lower = HEADINGS
        table = self._table()
        if self.widths.name:
            table.add_row(*upper, style="bold")
            table.add_row(f"  {lower[0]}", *lower[1:], style="dim")
            yield from _drawn(table, self.width, color)
        else:
            yield from _painted(upper[0], "bold", color)
            table.add_row(*upper[1:], style="bold")
            table.add_row(*lower[1:], style="dim")
            yield from self._below(table, color)

    def lines(self, members: Sequence[tuple[Row, Sequence[Part]]], color: bool) -> Iterator[str]:
        """Yield the rows of a module, and further lines of each."""
        table = self._table()
        for one, more in members:
            first = [(self._name(one), "bold"), (self._rounds(one), "dim")]
            parts = [(self._part(part), part) for part in more]
            if self.widths.name:
                table.add_row(self._stack(*first), *self._figures(one))
                for name, part in parts:
                    table.add_row(self._stack((name, "dim")), self._cut(part.energy, 1))
                continue
            yield from (line for each in first if each[0] for line in _painted(*each, color))
            table = self._table()
            table.add_row(*self._figures(one))
            yield from self._below(table, color)
            for name, part in parts:
                text = elide(f"{name}  {self.say(part.energy)}", self.width, self.say("…"))
                yield from _painted(text, "dim", color)
        if self.widths.name:
            yield from _drawn(table, self.width, color)

    def _table(self) -> Table:
        from rich.table import Table

        table = Table(box=None, show_header=False, padding=(0, GAP, 0, 0), pad_edge=False)
        for width in filter(None, self.widths):
            table.add_column(width=width, no_wrap=True, overflow="crop")
        return table

    def _below(self, table: Table, color: bool) -> Iterator[str]:
        return (" " * GAP + line for line in _drawn(table, self.width - GAP, color))

    def _figures(self, one: Row) -> Iterator[Text]:
        style = _style(one)
        yield self._stack((self._cut(one.energy[0], 1), ""), (self._cut(one.energy[1], 1), ""))
        yield self._stack((self._cut(one.change[0], 2), style), (self._cut(one.change[1], 2), ""))
        yield self._stack((self._cut(one.verdict, 3), style), (self._gauge(one), style))

    def _part(self, part: Part) -> str:
        width = self.widths.name or self.width
        return f"    {elide(self.say(part.name), width - 4, self.say('…'))}"

    def _cut(self, text: str, column: int) -> str:
        return elide(self.say(text), self.widths[column], self.say("…"))

    def _stack(self, *lines: tuple[str, str]) -> Text:
        from rich.text import Text

        return Text("\n").join(Text(text, style) for text, style in lines if text)

    def _name(self, one: Row) -> str:
        width, say = self.widths.name or self.width, self.say
        label = elided(self._labels, width // 2, say("…"))[say(one.label)]
        return elided(self._names, width - cells(label), say("…"))[say(one.name)] + label

    def _rounds(self, one: Row) -> str:
        """Return the rounds, drawn and counted: with the longest text that leaves them visible."""
        if not one.rounds:
            return ""
        width, texts = self.widths.name or self.width, list(map(self.say, one.tallies))
        if len(one.rounds) == 1:
            return elide(f"  {texts[0]}", width, self.say("…"))
        least = min(len(one.rounds), SHORTEST_BAR)
        count = next((text for text in texts if width - cells(text) - 3 >= least), texts[-1])
        drawn = sparkline(one.rounds, width - cells(count) - 3, self.unicode)
        return f"  {drawn} {count}"

    def _gauge(self, one: Row) -> str:
        if one.gauge is None:
            return self.say(one.hint)
        width = self.widths.verdict
        for words in one.gauge.words():
            words = self.say(words)
            bar_width = min(width - cells(words) - 1, 20)
            if bar_width >= SHORTEST_BAR:
                break
        else:
            bar_width = SHORTEST_BAR
            words = elide(words, width - bar_width - 1, self.say("…"))
        return f"{bar(one.gauge.share, bar_width, self.unicode)} {words}"


def _listed(
    results: Sequence[Result],
    width: int,
    color: bool,
    say: Callable[[str], str],
    sentences: Sentences,
) -> Iterator[str]:
    found = list(notes(results, sentences))
    subjects = tuple(say(note.subject) for note in found)
    for note in found:
        word = say(note.word)
        subject = elided(subjects, width - cells(word) - 2, say("…"))[say(note.subject)]
        yield ""
        yield from _painted(f"{word}: {subject}", _style(note), color)
        yield from _sentence(note.advice, width, say, indent="  ")
    last = list(remarks(results, sentences))
    if last:
        yield ""
    for remark in last:
        yield from _sentence(remark, width, say, indent="")


def _sentence(advice: Advice, width: int, say: Callable[[str], str], indent: str) -> Iterator[str]:
    """Yield a wrapped sentence, and its command on a line of its own."""
    text = say(f"{advice.text}:" if advice.command else advice.text)
    for line in wrapped(text, width - len(indent)):
        yield indent + line
    if advice.command:
        yield f"{indent}  {say(advice.command)}"


def _style(of: Note | Row) -> str:
    return _WARNED if of.warned else _STYLES[of.outcome]


def _painted(line: str, style: str, color: bool) -> Iterable[str]:
    from rich.text import Text

    return _drawn(Text(line, style, no_wrap=True, overflow="ignore"), None, color)


def _drawn(drawing: Table | Text, width: int | None, color: bool) -> Iterator[str]:
    """Yield the lines of a drawing, with ANSI codes only for color, whatever the environment."""
    from rich.console import Console

    console = Console(
        file=io.StringIO(),
        width=width or 10_000,
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
        highlight=False,
        _environ={},
    )
    with console.capture() as captured:
        console.print(drawing, markup=False, emoji=False, crop=False)
    for line in captured.get().splitlines():
        yield line.rstrip()
