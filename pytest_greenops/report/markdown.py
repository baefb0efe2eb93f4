"""A run as Markdown for a reviewer: verdicts, each failure, then a table of all others.

The text is GitHub's Markdown, for a comment or a job summary. Names cannot act in it: they are code
spans, and in sentences every character with a meaning is escaped, also that of a mention (`@`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pytest_greenops.model.advised import PLAIN, Caller
from pytest_greenops.model.result import Results
from pytest_greenops.model.units import counted
from pytest_greenops.report import closing, figures
from pytest_greenops.report.drawing import elide, visible
from pytest_greenops.report.entry import (
    NONE,
    Entry,
    Text,
    counts_of,
    entries,
    gravity,
    headline_of,
    sentence,
)
from pytest_greenops.report.reasons import ESTIMATE_BAND

#: The first line: a comment that shows nothing, by which a report of ours is recognised.
MARK = "<!-- pytest-greenops -->"
#: GitHub takes 65,536 characters in a comment, and 1 MiB in the summary of a step; some are left
#: for what others add.
COMMENT_BYTES, SUMMARY_BYTES = 65_000, 1_000_000
#: At most this many failures are described; the table has the others.
_DESCRIBED = 25
#: A command that is longer is cut in the middle, and so is a reason in the table.
_COMMAND, _REASON = 2_000, 300
#: Failures take at most this share of the text.
_FAILURES = 0.7
#: Kept for the sentences that say what is left out.
_SPARE_BYTES = 400
_ICONS = {True: "❌", False: "⚠️"}
#: What Markdown, GitHub or HTML acts on in a sentence: characters, what makes a mention, a number
#: of an issue or a link of those behind it, and what begins a list.
_ACTING = re.compile(
    r"(?P<linking>[@#](?=\w)|\b(?:GH-|www\.|https?:|ftp:))|[\\`*_\[\]<>~$#|&]"
    r"|^(?P<number>\d*)[-+.)](?=\s|$)",
    re.IGNORECASE,
)
_ENTITIES = {"&": "&amp;", "|": "&#124;"}
#: Those that stay in a code span.
_PLAIN_CODE = re.compile(r"[^`|\\]+")
_REASONED = ("inconclusive", "not comparable", "not measured", "not counted", "no baseline")


class _Table(NamedTuple):
    """A table of measurements; `column` is the heading of what they used."""

    column: str
    rows: Sequence[Entry]


def to_markdown(document: Results, caller: Caller = PLAIN, most_bytes: int = COMMENT_BYTES) -> str:
    """Return a run as Markdown of at most `most_bytes` in UTF-8.

    What does not fit is left out from the end, and a sentence says how many measurements.
    """
    results = sorted(document.results, key=gravity)
    found = entries(results, document.policy, caller)
    red = sorted((e for e in found if e.failing or e.red), key=lambda e: not e.failing)
    head = _joined(_head(document, found))
    foot = _joined(_foot(document))
    left = most_bytes - _size(head) - _size(foot) - _SPARE_BYTES
    blocks, used = [], 0
    for entry in red[:_DESCRIBED]:
        block = _joined(_failure(entry))
        if used + _size(block) > left * _FAILURES:
            break
        blocks.append(block)
        used += _size(block)
    described = red[: len(blocks)]
    others = [*red[len(blocks) :], *(e for e in found if e not in red)]
    column = "energy" if any(map(figures.measured, results)) else "work"
    table = _joined(_table(_Table(column, others), left - used))
    more = len(red) - len(described)
    said = f"{counted(more, 'more failure')} {'is' if more == 1 else 'are'} in the table below."
    return "\n".join([head, *blocks, *([f"{said}\n"] if more else []), table, foot])


def escaped(text: str) -> str:
    """Return a sentence in which nothing acts: no markup, mention, link, or number of an issue."""

    def inert(found: re.Match[str]) -> str:
        if found["linking"]:
            return f"{found[0]}&#8203;"
        number = found["number"] or ""
        acting = found[0].removeprefix(number)
        return _ENTITIES.get(acting, f"{number}\\{acting}")

    return _ACTING.sub(inert, visible(text).strip())


def code(text: str) -> str:
    """Return a name as code, in a sentence or a table."""
    text = visible(text)
    if _PLAIN_CODE.fullmatch(text) and text.strip() == text:
        return f"`{text}`"
    whole = re.sub(r"[^\w \[\].-]", lambda found: f"&#{ord(found[0])};", text)
    return f"<code>{re.sub(r'[_ ]|^-', lambda found: f'&#{ord(found[0])};', whole)}</code>"


def _head(document: Results, found: Sequence[Entry]) -> Iterator[str]:
    failing, red = any(e.failing for e in found), any(e.red for e in found)
    icon = f"{_ICONS[failing]} " if failing or red else ""
    yield MARK
    yield f"## {icon}{escaped(headline_of(document.results, found))}"
    yield ""
    counts = [f"**{each.number}** {each.outcome}" for each in counts_of(document.results)]
    if counts:
        yield " · ".join(counts)
        yield ""
    if document.policy.ab:
        yield f"Compared with {code(document.policy.ab)}, in turns on the same machine."
        yield ""
    if any(r.verdict.alone for r in document.results):
        yield "Counted work is what the calls do inside torch; no joules were measured."
        yield ""


def _failure(entry: Entry) -> Iterator[str]:
    """Yield what happened, by how much, why, and the commands."""
    tags = "".join(f" · {escaped(tag)}" for tag in entry.tags)
    yield f"### {_ICONS[entry.failing]} {code(entry.name.shown)} {escaped(entry.word)}{tags}"
    yield ""
    yield escaped(entry.reason)
    yield ""
    for label, text in entry.facts:
        yield f"* **{escaped(label)}**: {escaped(text)}"
    if entry.facts:
        yield ""
    if entry.steps:
        lines = [
            line
            for step in entry.steps
            for line in (f"# {step.label}", Text.of(step.command.full, _COMMAND).shown)
        ]
        runs = [len(run) for line in lines for run in re.findall("`+", line)]
        fence = "`" * (1 + max([2, *runs]))
        yield from (f"{fence}sh", *lines, fence, "")


def _table(table: _Table, most_bytes: int) -> Iterator[str]:
    """Yield a table that opens, of the rows that fit, and how many do not."""
    if not table.rows:
        return
    head = [
        "<details>",
        f"<summary>{counted(len(table.rows), 'other measurement')}</summary>",
        "",
        f"| verdict | test | {table.column} | change | limit |",
        "|---|---|---:|---:|---:|",
    ]
    left = most_bytes - _size("\n".join(head)) - len("\n\n</details>\n")
    rows: list[str] = []
    said = ""
    for entry in table.rows:
        row = _row(entry, entry.reason != said)
        said = entry.reason
        left -= _size(row) + 1
        if left < 0:
            break
        rows.append(row)
    yield from (*head, *rows, "")
    omitted = len(table.rows) - len(rows)
    if omitted:
        are = "measurement is" if omitted == 1 else "measurements are"
        yield f"{omitted:,} more {are} left out: the report has a limited size."
        yield ""
    yield from ("</details>", "")


def _row(entry: Entry, explained: bool) -> str:
    """Return a row; `explained` is whether the row above has another reason."""
    reason = ""
    if explained and entry.outcome in _REASONED:
        reason = f"<br>{escaped(elide(entry.reason, _REASON))}"
    span = f"<br>{_unbroken(entry.change[1])}" if entry.change[1] else ""
    marks = "".join(f"<br>{escaped(tag)}" for tag in entry.tags)
    limit = entry.gauge.limit if entry.gauge else NONE
    cells = (
        f"{escaped(entry.word)}{marks}",
        f"{code(entry.name.shown)}{reason}",
        "<br>".join(_unbroken(text) for text in entry.energy if text),
        f"{_unbroken(entry.change[0])}{span}",
        _unbroken(limit),
    )
    return f"| {' | '.join(cells)} |"


def _unbroken(figure: str) -> str:
    """Return a figure that stays in one line of its cell."""
    return escaped(figure).replace(" ", "\u00a0").replace("…", "\u2060…\u2060")


def _foot(document: Results) -> Iterator[str]:
    results = document.results
    if any(figures.estimated(r) and figures.measured(r) for r in results):
        band = ESTIMATE_BAND
        yield f"Estimated figures (`~`) are computed, not sensed: {band} on the absolute figure."
        yield ""
    yield f"<sub>{escaped(closing.closing_line(results).removeprefix('energy: '))}</sub>"
    known = document.environment.machine
    origin = document.origin
    facts = [
        known.get("cpu", ""),
        known.get("gpu", ""),
        f"commit {origin.commit[:10]}" if origin and origin.commit else "",
        f"pytest-greenops {document.version}",
    ]
    yield f"<br><sub>{escaped(sentence(' · '.join(filter(None, facts))))}</sub>"
    yield ""


def _joined(lines: Iterator[str]) -> str:
    return "\n".join(lines)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
