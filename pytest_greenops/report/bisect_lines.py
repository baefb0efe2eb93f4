"""A bisect as text: one line for each step, and where it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_greenops.model.bisected import Commit, Found, Measured, Remaining, Step
from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.outcome import Outcome
from pytest_greenops.model.units import counted, format_percent
from pytest_greenops.report.drawing import aligned, cells, column_widths, hanging
from pytest_greenops.report.figures import span

#: A subject in fewer columns says nothing: the rest of the line is wrapped instead.
_LEAST_SUBJECT = 12
#: Lines of fewer columns leave the date of a step out: the table at the end has it.
_WITH_DATES = 100
#: At most this many commits are listed where several are left.
_LISTED = 10


def finding(compared: Interleaved) -> str:
    """Return `'+8.3 % (95 % CI +6.9…+9.8 %), 7 pairs'`, or why there is no such figure.

    Of counted work, which has no interval: `'+24 % work: aten.mm float32 28 -> 29 calls'`.
    """
    if compared.relative is not None and compared.low is None:
        return f"{format_percent(compared.relative)} work: {compared.cause}"
    if compared.relative is None or compared.low is None or compared.high is None:
        cause = f" ({compared.cause})" if compared.cause else ""
        return f"{compared.outcome.value}{cause}"
    change = span(compared.low, compared.high, format_percent)
    pairs = counted(compared.pairs, "pair")
    return f"{format_percent(compared.relative)} (95 % CI {change}), {pairs}"


def measuring_line(label: str, commit: Commit, width: int) -> str:
    """Return the line of a commit that is being measured."""
    return _line(_head(label, commit, width), commit.subject, ": measuring …", width)


def step_lines(label: str, step: Step, width: int) -> Iterator[str]:
    """Yield the line of a step, with its commit's subject cut; two lines where that is too long."""
    head, found = _head(label, step.commit, width), f": {step.finding}: {step.mark}"
    if cells(head) + _LEAST_SUBJECT + cells(found) <= width:
        yield _line(head, step.commit.subject, found, width)
    else:
        yield _line(head, step.commit.subject, "", width)
        yield from hanging(" " * cells(f"{label}  "), found.removeprefix(": "), width)


def text_lines(text: str, width: int) -> Iterator[str]:
    """Yield a text in lines of at most `width` columns."""
    yield from hanging("", text, width)


def closing(
    ended: Found | Remaining, steps: Sequence[Step], good: Commit, width: int
) -> Iterator[str]:
    """Yield every commit that was measured, in the order of the history, and what was found."""
    yield f"measured against GOOD ({good.short}), the oldest commit first:"
    yield from _table(steps, width)
    if isinstance(ended, Found):
        yield from _found(ended, width)
    else:
        yield from _remaining(ended, width)


def _table(steps: Sequence[Step], width: int) -> Iterator[str]:
    rows = [(each.commit.short, each.commit.date, each.mark, each.finding) for each in steps]
    widths = column_widths(rows) if rows else []
    for row in rows:
        *cut, found = row
        label = f"  {aligned(cut, widths[:-1])}".ljust(sum(widths[:-1]) + 2 * len(cut) + 2)
        yield from hanging(label, found, width)


def unregressed(compared: Mapping[Measured, Interleaved], good: Commit, bad: Commit) -> str:
    """Return what was found instead of a regression of BAD, of one or of several tests."""
    largest = max(compared, key=lambda test: compared[test].relative or 0.0)
    change = finding(compared[largest])
    both = f"use more energy than GOOD ({good.short})"
    if len(compared) > 1:
        change = f"none of {len(compared)} measurements regressed, the largest change is {change}"
    if Outcome.INCONCLUSIVE in {each.outcome for each in compared.values()}:
        return f"it is not clear whether BAD ({bad.short}) {_does(both)}: {change}, inconclusive"
    return f"BAD ({bad.short}) does not {both}: {change}"


def _does(text: str) -> str:
    return text.replace("use ", "uses ", 1)


def _found(found: Found, width: int) -> Iterator[str]:
    commit, label = found.commit, "found: "
    yield _line(f"{label}{commit.short} ", commit.subject, "", width)
    change = f"{found.finding}, against its parent {found.parent.short}"
    if not found.alone:
        change += "; by itself this is not a regression: earlier commits added the rest"
    indent = " " * cells(label)
    yield from hanging(indent, f"{commit.author}, {commit.date}", width)
    yield from hanging(indent, change, width)
    if commit.parents[1:]:
        yield from hanging(indent, "a merge: none of its parents alone is bad", width)


def _remaining(left: Remaining, width: int) -> Iterator[str]:
    count = len(left.commits)
    why = f"the first bad commit is one of {count}, {count - 1} of which could not be measured:"
    yield from hanging("not found: ", why, width)
    for commit in left.commits[:_LISTED]:
        yield _line(f"  {commit.short} {commit.date} ", commit.subject, "", width)
    if count > _LISTED:
        yield f"  … and {count - _LISTED} more"


def _head(label: str, commit: Commit, width: int) -> str:
    date = f"{commit.date} " if width >= _WITH_DATES else ""
    return f"{label}  {commit.short} {date}"


def _line(head: str, subject: str, end: str, width: int) -> str:
    """Return a line in which the subject has the columns that are left."""
    return f"{head}{_cut(subject, width - cells(head) - cells(end))}{end}"


def _cut(text: str, width: int) -> str:
    """Return a text in at most `width` columns, cut at its end."""
    if cells(text) <= width:
        return text
    while text and cells(text) >= width:
        text = text[:-1]
    return f"{text.rstrip()}…"
