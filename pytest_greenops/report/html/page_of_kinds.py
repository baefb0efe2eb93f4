"""One page for runs of the same suite on several machines, side by side and one after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_greenops.model.advised import PLAIN, Caller
from pytest_greenops.model.result import Results
from pytest_greenops.model.units import counted
from pytest_greenops.report import kinds_table
from pytest_greenops.report.entry import Count, Entry, Text, sentence
from pytest_greenops.report.html.page import Note, Page, Region, page_of
from pytest_greenops.report.html.plain_table import PlainTable, cell

#: The headline quotes at most this many machines.
_QUOTED = 4


def page_of_kinds(
    runs: Mapping[str, Results], regions: Sequence[Region] = (), caller: Caller = PLAIN
) -> Page:
    """Return the page of several runs by the name of their machine; each gets a letter."""
    letters = kinds_table.letters(len(runs))
    pages = {
        letter: page_of(results, regions, caller)
        for letter, results in zip(letters, runs.values(), strict=True)
    }
    first = next(iter(pages.values()))
    headline = _headline(pages)
    counts: Counter[str] = Counter()
    for page in pages.values():
        counts.update({count.outcome: count.number for count in page.counts})
    tests: list[Any] = []
    windows: list[list[int]] = []
    fronts: list[Any] = []
    for page in pages.values():
        windows += [[place + len(tests) for place in places] for places in page.data["windows"]]
        tests += page.data["tests"]
        fronts += page.data["fronts"]
    return first._replace(
        title=f"{headline} – energy report",
        headline=headline,
        closing=" ".join(f"{letter}: {page.closing}" for letter, page in pages.items()),
        machine=counted(len(pages), "machine"),
        counts=tuple(Count(outcome, number) for outcome, number in counts.items()),
        failures=tuple(_entries(pages, "failures")),
        omitted=(
            sum(page.omitted[0] for page in pages.values()),
            sum(page.omitted[1] for page in pages.values()),
        ),
        entries=tuple(_entries(pages, "entries")),
        plain=tuple(tables for page in pages.values() for tables in page.plain),
        notes=tuple(
            _of_machine(letter, note) for letter, page in pages.items() for note in page.notes
        ),
        matrices=tuple(
            matrix._replace(title=f"{matrix.title} on {letter}")
            for letter, page in pages.items()
            for matrix in page.matrices
        ),
        fronts=tuple(front for page in pages.values() for front in page.fronts),
        run=tuple(
            (f"{letter}: {title}", facts)
            for letter, page in pages.items()
            for title, facts in page.run
        ),
        estimated=any(page.estimated for page in pages.values()),
        has_gpu=any(page.has_gpu for page in pages.values()),
        measured=any(page.measured for page in pages.values()),
        data={**first.data, "tests": tests, "windows": windows, "fronts": fronts},
        beside=_beside(runs, letters),
    )


def _headline(pages: Mapping[str, Page]) -> str:
    quoted = [f"{letter}: {page.headline}" for letter, page in pages.items()]
    more = f"; and {len(quoted) - _QUOTED} more" if len(quoted) > _QUOTED else ""
    return f"{counted(len(pages), 'machine')}. {'; '.join(quoted[:_QUOTED])}{more}"


def _entries(pages: Mapping[str, Page], field: str) -> Iterator[Entry]:
    """Yield the entries of each page, with its letter in their ids and below their names."""
    for letter, page in pages.items():
        of: Sequence[Entry] = getattr(page, field)
        for entry in of:
            module = Text.of(f"{letter}: {entry.module.full}")
            yield entry._replace(anchor=f"{letter}-{entry.anchor}", module=module)


def _of_machine(letter: str, note: Note) -> Note:
    if note.word:
        return note._replace(subject=Text.of(f"{note.subject.full} on {letter}"))
    return note._replace(text=f"{letter}: {note.text}")


def _beside(runs: Mapping[str, Results], letters: Sequence[str]) -> PlainTable:
    """Return the table with a row for each measurement, and a column for each machine."""
    named = "; ".join(f"{letter} is {kind}" for letter, kind in zip(letters, runs, strict=True))
    rows = kinds_table.rows({kind: results.results for kind, results in runs.items()})
    return PlainTable(
        "Side by side",
        sentence(f"{named}."),
        ("test", *letters),
        tuple(tuple(map(cell, row)) for row in rows),
    )
