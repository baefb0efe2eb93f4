"""Results on a terminal, readable at 40 columns, also without color and in plain ASCII."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from pytest_greenops.model.advised import PLAIN, Caller
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Outcome
from pytest_greenops.report.advice import Advice
from pytest_greenops.report.costliest import is_first
from pytest_greenops.report.drawing import (
    bar,
    cells,
    elide,
    elided,
    plain,
    sparkline,
    visible,
    wrapped,
)
from pytest_greenops.report.notes import OF_A_RUN, Note, Sentences, notes, remarks
from pytest_greenops.report.result_table import (
    GAP,
    NARROW_BAR,
    NARROWEST,
    SHORTEST_BAR,
    SHORTEST_ROUNDS,
    Headings,
    Part,
    Row,
    Widths,
    by_module,
    fit,
    headings,
    parts,
    row,
)
from pytest_greenops.report.section import command_lines, fact_lines

if TYPE_CHECKING:
    pass

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
#: Codes of the words in a style: ECMA-48, "Select Graphic Rendition".
_ANSI = {
    **{"bold": "1", "dim": "2"},
    **{"red": "31", "green": "32", "yellow": "33", "magenta": "35", "cyan": "36"},
}


def render(
    results: Sequence[Result],
    width: int,
    color: bool,
    unicode: bool,
    sentences: Sentences = OF_A_RUN,
    caller: Caller = PLAIN,
    on_screen: Collection[TestKey] = (),
) -> Iterator[str]:
    """Yield the table by module, then a note for each verdict that needs attention.

    No line is longer than `width`, at least 40, except for commands, which users copy.
    `on_screen` are tests whose failures are on the screen already: they have no note.
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
    titles, further = headings(results), [part for _, more in rows for part in more]
    widths = fit([r for r, _ in rows], further, titles, width, say)
    layout = _Layout([r for r, _ in rows], widths, width, color, unicode)
    yield from layout.heading(titles)
    for module, members in groups.items():
        rule = "─" if unicode else "-"
        title = f"{rule * 2} {elide(say(module), width - 6, say('…'))} "
        total = min(width, widths.total)
        yield _painted(title + rule * (total - cells(title)), "bold", color)
        for one, more in members:
            yield from layout.lines(one, more)
    yield from _listed(results, width, color, say, sentences, caller, on_screen)


def render_brief(
    results: Sequence[Result],
    width: int,
    color: bool,
    unicode: bool,
    on_screen: Collection[TestKey] = (),
) -> Iterator[str]:
    """Yield one line for each verdict that needs attention, but for failures on the screen."""
    say = visible if unicode else plain
    found = list(notes(results, on_screen=on_screen))
    subjects = _Elided(tuple(say(note.subject) for note in found), say("…"))
    for note in found:
        word, subject, brief = say(note.word), say(note.subject), say(note.brief)
        free = width - cells(word) - 2 * GAP
        brief = elide(brief, max(free // 2, free - cells(subject)), say("…"))
        subject = subjects.to(free - cells(brief))[subject]
        line = f"{word}  {subject}  {brief}".rstrip()
        yield _painted(line, _style(note), color)


class _Layout:
    """Cells of a table, cut to their widths: side by side, or below each name.

    Not drawn by rich, which takes milliseconds for each row of a large suite.
    """

    def __init__(
        self, rows: Sequence[Row], widths: Widths, width: int, color: bool, unicode: bool
    ) -> None:
        self.widths = widths
        self.width = width
        self.color = color
        self.unicode = unicode
        self.say: Callable[[str], str] = visible if unicode else plain
        self._names = _Elided(tuple(self.say(row.name) for row in rows), self.say("…"))
        self._labels = _Elided(tuple(self.say(row.label) for row in rows), self.say("…"))

    def heading(self, titles: Headings) -> Iterator[str]:
        upper, lower = titles
        below = f"  {lower[0]}" if lower[0] else ""
        name, *others = zip(upper, (below, *lower[1:]), strict=True)
        if not self.widths.name:
            name = (upper[0], "")
        stacks = (zip(texts, ("bold", "dim"), strict=True) for texts in (name, *others))
        yield from self._row(*stacks)

    def lines(self, one: Row, more: Sequence[Part]) -> Iterator[str]:
        """Yield a row, and its further lines."""
        style = _style(one)
        yield from self._row(
            ((self._name(one), "bold"), (self._rounds(one), "dim")),
            ((self._cut(one.energy[0], 1), ""), (self._cut(one.energy[1], 1), "")),
            ((self._cut(one.change[0], 2), style), (self._cut(one.change[1], 2), "")),
            ((self._cut(one.verdict, 3), style), (self._gauge(one), style)),
        )
        for part in more:
            name = self._part(part)
            if not part.energy:
                yield _painted(name, "dim", self.color)
            elif self.widths.name:
                yield from self._row([(name, "dim")], [(self._cut(part.energy, 1), "")])
            else:
                text = elide(f"{name}  {self.say(part.energy)}", self.width, self.say("…"))
                yield _painted(text, "dim", self.color)

    def _row(self, *stacks: Iterable[tuple[str, str]]) -> Iterator[str]:
        """Yield the lines of a row; a stack has the texts of a cell, with their styles."""
        first, *others = ([cell for cell in stack if cell[0]] for stack in stacks)
        if self.widths.name:
            yield from self._side_by_side(self.widths, first, *others)
            return
        yield from (_painted(*cell, self.color) for cell in first)
        for line in self._side_by_side(self.widths[1:], *others):
            yield " " * GAP + line

    def _side_by_side(
        self, widths: Sequence[int], *stacks: Sequence[tuple[str, str]]
    ) -> Iterator[str]:
        for texts in zip_longest(*stacks, fillvalue=("", "")):
            line = ""
            for (text, style), width in zip(texts, widths, strict=False):
                line += _painted(text, style, self.color) + " " * (width + GAP - cells(text))
            yield line.rstrip()

    def _part(self, part: Part) -> str:
        width = (self.widths.name if part.energy else 0) or self.width
        name = self.say(part.name)
        if part.short and cells(name) > width - 4:
            name = self.say(part.short)
        return f"    {elide(name, width - 4, self.say('…'))}"

    def _cut(self, text: str, column: int) -> str:
        return elide(self.say(text), self.widths[column], self.say("…"))

    def _name(self, one: Row) -> str:
        width = self.widths.name or self.width
        label = self._labels.to(width // 2)[self.say(one.label)]
        return self._names.to(width - cells(label))[self.say(one.name)] + label

    def _rounds(self, one: Row) -> str:
        """Return the rounds, drawn and counted: with the longest text that leaves them visible."""
        if not one.rounds:
            return ""
        width, texts = self.widths.name or self.width, list(map(self.say, one.tallies))
        if len(one.rounds) == 1:
            return elide(f"  {texts[0]}", width, self.say("…"))
        least = min(len(one.rounds), SHORTEST_ROUNDS)
        count = next((text for text in texts if width - cells(text) - 3 >= least), texts[-1])
        drawn = sparkline(one.rounds, width - cells(count) - 3, self.unicode)
        return f"  {drawn} {count}"

    def _gauge(self, one: Row) -> str:
        if one.gauge is None:
            return ""
        width = self.widths.verdict
        for words in one.gauge.words():
            words = self.say(words)
            bar_width = min(width - cells(words) - 1, 20)
            if bar_width >= SHORTEST_BAR:
                break
        else:  # of a narrow terminal, or of a long unit
            bar_width = max(NARROW_BAR, min(SHORTEST_BAR, width - cells(words) - 1))
            words = elide(words, width - bar_width - 1, self.say("…"))
        return f"{bar(one.gauge.share, bar_width, self.unicode)} {words}"


class _Elided:
    """Texts cut so that those that differ still differ, once for each width."""

    def __init__(self, texts: tuple[str, ...], ellipsis: str) -> None:
        self._texts = texts
        self._ellipsis = ellipsis
        self._of: dict[int, Mapping[str, str]] = {}

    def to(self, width: int) -> Mapping[str, str]:
        """Return each text cut to a number of columns."""
        if width not in self._of:
            self._of[width] = elided(self._texts, width, self._ellipsis)
        return self._of[width]


def _listed(
    results: Sequence[Result],
    width: int,
    color: bool,
    say: Callable[[str], str],
    sentences: Sentences,
    caller: Caller,
    on_screen: Collection[TestKey],
) -> Iterator[str]:
    """Yield the notes, then the remarks; a first run ends with its notes: the next command."""
    noted = _noted(list(notes(results, sentences, on_screen)), width, color, say, caller)
    said = [_sentence(each, width, say, caller, indent="") for each in remarks(results, sentences)]
    remarked = chain([""] if said else [], *said)
    yield from chain(remarked, noted) if is_first(results) else chain(noted, remarked)


def _noted(
    found: Sequence[Note], width: int, color: bool, say: Callable[[str], str], caller: Caller
) -> Iterator[str]:
    subjects = _Elided(tuple(say(note.subject) for note in found), say("…"))
    for note in found:
        word = say(note.word)
        subject = subjects.to(width - cells(word) - 2)[say(note.subject)]
        yield ""
        yield _painted(f"{word}: {subject}", _style(note), color)
        yield from _sentence(note.advice, width, say, caller, indent="  ")
        if note.red is not None:
            yield from (f"  {line}" for line in fact_lines(note.red, width - 2, say))
            yield from (f"  {say(line)}" for line in command_lines(note.steps, caller))


def _sentence(
    advice: Advice, width: int, say: Callable[[str], str], caller: Caller, indent: str
) -> Iterator[str]:
    """Yield a wrapped sentence, and its command on a line of its own."""
    command = caller.offer(advice.command)
    text = say(f"{advice.text}:" if command else advice.text)
    for line in wrapped(text, width - len(indent)):
        yield indent + line
    if command:
        yield f"{indent}  {say(command)}"


def _style(of: Note | Row) -> str:
    return _WARNED if of.warned else _STYLES[of.outcome]


def _painted(text: str, style: str, color: bool) -> str:
    """Return a text with ANSI codes for a style such as `bold red`, if it has color."""
    if not (color and style and text):
        return text
    codes = ";".join(_ANSI[word] for word in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m"
