"""Text that fits a terminal: wrapped, aligned, elided, and drawn in characters or ASCII."""

from __future__ import annotations

import itertools
import math
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

_BLOCKS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_ASCII_LEVELS = ".:-=+*#"
_ASCII = str.maketrans({"…": "..", "·": "-", "±": "+-", "µ": "u", "─": "-"})
#: Control characters, line separators, lone surrogates, and what has no width or changes the
#: direction: soft hyphens, marks, tags. The joiners U+200C and U+200D are part of words and emoji.
_ACTING = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
#: A space at which a line must not break: before a unit, in `95 % CI`, and beside an arrow.
_JOINED = re.compile(
    r"(?<=\d) (?=%|[mkµuMG]?[JWgs]\b|[kMGTP]?(?:B|FLOP)\b|->)|(?<=%) (?=CI)|(?<=->) (?=\d)"
)
#: The most columns of a sentence, whatever is named in it.
SENTENCE = 900
#: The height of a sparkline is at least this share of its lowest value, so noise stays flat.
_LEAST_SPREAD = 0.05


def shows_blocks(encoding: str | None) -> bool:
    """Return whether an encoding has all characters of the drawings."""
    try:
        f"{_BLOCKS}{_EIGHTHS}▸·…±µ".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def visible(text: str) -> str:
    """Return the text with an escape for each character that a terminal or a log acts on.

    So a name cannot move the cursor, break a line, or command the log of GitHub Actions, which
    obeys `::` at the beginning of a line and `##[` anywhere.
    """
    return _ACTING.sub(lambda found: found[0].encode("unicode_escape").decode(), text).replace(
        "##[", "#\\x23["
    )


def plain(text: str) -> str:
    """Return the text in ASCII, and `visible`."""
    return in_ascii(visible(text))


def in_ascii(text: str) -> str:
    """Return the text in ASCII, with the escape sequences that color it."""
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")


def cells(text: str) -> int:
    """Return the width of a text in columns of a terminal."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def elide(text: str, width: int, ellipsis: str = "…") -> str:
    """Return the text in at most `width` columns, cut in the middle: `'test_resnet_i…nce[64]'`."""
    if cells(text) <= width:
        return text
    kept = width - cells(ellipsis)
    if kept < 2:
        return _head(text, max(width, 0))
    return _head(text, kept - kept // 2) + ellipsis + _tail(text, kept // 2)


@lru_cache(maxsize=128)
def elided(texts: tuple[str, ...], width: int, ellipsis: str = "…") -> Mapping[str, str]:
    """Return each text cut to `width` columns: texts that differ still differ.

    They are cut in the middle. Those that would then look alike are cut where they agree.
    """
    cut = {text: elide(text, width, ellipsis) for text in texts}
    groups: dict[str, list[str]] = {}
    for text, short in cut.items():
        groups.setdefault(short, []).append(text)
    taken = set(groups)
    for alike in groups.values():
        if alike[1:]:
            shorts = next(s for s in _apart(alike, width, ellipsis) if taken.isdisjoint(s))
            cut.update(zip(alike, shorts, strict=True))
            taken.update(shorts)
    return cut


def wrapped(text: str, width: int, whole: bool = False) -> list[str]:
    """Return the lines of a text, cut if it is very long; a number stays with its unit.

    With `whole`, a longer word makes a longer line, as users may copy it.
    """
    text = _JOINED.sub("\u00a0", elide(visible(text), SENTENCE))
    lines = textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=not whole)
    return [_uncommanding(line.replace("\u00a0", " ")) for line in lines]


def hanging(label: str, text: str, width: int, whole: bool = False) -> Iterator[str]:
    """Wrap a text behind a label, to `width` columns; further lines are indented as far."""
    first = label
    for line in wrapped(text, width - cells(label), whole) or [""]:
        yield f"{first}{line}"
        first = " " * cells(label)


def column_widths(rows: Iterable[Sequence[str]]) -> list[int]:
    """Return the width of the widest cell of each column."""
    return [max(map(cells, column)) for column in zip(*rows, strict=True)]


def aligned(row: Sequence[str], widths: Sequence[int], right: Sequence[int] = ()) -> str:
    """Return the cells of a row in one line, in columns of these widths, two spaces apart.

    The columns with a number in `right` are aligned to the right.
    """
    padded = []
    for number, (text, width) in enumerate(zip(row, widths, strict=True)):
        space = " " * (width - cells(text))
        padded.append(space + text if number in right else text + space)
    return _uncommanding("  ".join(padded).rstrip())


def sparkline(values: Sequence[float], width: int, unicode: bool) -> str:
    """Return one character per value; neighbors are averaged if there are more than `width`."""
    if not values or width < 1:
        return ""
    points = _condensed(values, width)
    levels = _BLOCKS if unicode else _ASCII_LEVELS
    low = min(points)
    spread = max(max(points) - low, abs(low) * _LEAST_SPREAD) or 1.0
    top = len(levels) - 1
    return "".join(levels[min(top, int((point - low) / spread * len(levels)))] for point in points)


def bar(share: float, width: int, unicode: bool) -> str:
    """Return a bar of `width` characters for a share of one; an arrow marks a share above one."""
    full, rest, over = ("█", "·", "▸") if unicode else ("#", ".", ">")
    if share > 1:
        return full * (width - 1) + over
    eighths = round(max(0.0, share) * width * 8)
    whole, part = divmod(eighths, 8)
    if not unicode:
        whole, part = round(eighths / 8), 0
    drawn = full * whole + (_EIGHTHS[part] if part else "")
    return drawn + rest * (width - len(drawn))


def _uncommanding(line: str) -> str:
    """Return a line that GitHub Actions does not take for a command."""
    return line.replace("::", "\\x3a:", 1) if line.lstrip().startswith("::") else line


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _head(text: str, width: int) -> str:
    ends = itertools.accumulate(map(_cells, text))
    return text[: sum(end <= width for end in ends)]


def _tail(text: str, width: int) -> str:
    return _head(text[::-1], width)[::-1]


def _apart(alike: Sequence[str], width: int, ellipsis: str) -> Iterator[list[str]]:
    """Yield ways to cut texts so that they differ: another cut, two cuts, or numbers at the end."""
    kept = width - cells(ellipsis)
    outer = (kept - cells(ellipsis)) // 4
    agree = sum(1 for _ in itertools.takewhile(_all_equal, zip(*alike, strict=False)))

    def once(head: int) -> list[str]:
        return [_head(text, head) + ellipsis + _tail(text, kept - head) for text in alike]

    def twice(middle: int) -> list[str]:
        parts = ((_head(t, outer), _head(t[agree:], middle), _tail(t, outer)) for t in alike)
        return list(map(ellipsis.join, parts))

    heads = sorted(range(1, kept), key=lambda head: abs(head - (kept - kept // 2)))
    near = (head for head in heads if outer <= head <= kept - outer)
    middles = [kept - cells(ellipsis) - 2 * outer] if agree > outer > 0 else []
    for shorts in itertools.chain(map(once, near), map(twice, middles), map(once, heads)):
        if len(set(shorts)) == len(shorts):
            yield shorts
    for first in itertools.count(1):
        marks = [f"~{first + number}" for number in range(len(alike))]
        pairs = zip(alike, marks, strict=True)
        yield [elide(text, width - len(mark), ellipsis) + mark for text, mark in pairs]


def _all_equal(letters: Sequence[str]) -> bool:
    return len(set(letters)) == 1


def _condensed(values: Sequence[float], width: int) -> list[float]:
    if len(values) <= width:
        return list(values)
    edges = [math.floor(i * len(values) / width) for i in range(width + 1)]
    return [math.fsum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
