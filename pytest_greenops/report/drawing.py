"""Small drawings in characters, with plain ASCII where a terminal has nothing better."""

from __future__ import annotations

import itertools
import math
import re
import textwrap
import unicodedata
from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_ASCII_LEVELS = ".:-=+*#"
_ASCII = str.maketrans({"…": "..", "·": "-", "±": "+-", "µ": "u", "─": "-"})
#: A space that must not break a line: before a unit, and in `95 % CI`.
_JOINED = re.compile(r"(?<=\d) (?=%|[mkµuMG]?[JWgs]\b)|(?<=%) (?=CI)")
#: The full height of a sparkline is at least this share of its lowest value: noise stays flat.
_LEAST_SPREAD = 0.05


def shows_blocks(encoding: str | None) -> bool:
    """Whether text in this encoding can hold the block characters of the drawings."""
    try:
        f"{_BLOCKS}{_EIGHTHS}▸·…±µ".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def plain(text: str) -> str:
    """The same text in ASCII."""
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")


def cells(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def elide(text: str, width: int, ellipsis: str = "…") -> str:
    """The text in at most `width` columns, cut in its middle: `'test_resnet_i…nce[64]'`."""
    if cells(text) <= width:
        return text
    room = width - cells(ellipsis)
    if room < 2:
        return _head(text, max(width, 0))
    return _head(text, room - room // 2) + ellipsis + _head(text[::-1], room // 2)[::-1]


def wrapped(text: str, width: int) -> list[str]:
    """The lines of a text; a number stays with its unit."""
    lines = textwrap.wrap(_JOINED.sub("\u00a0", text), width, break_on_hyphens=False)
    return [line.replace("\u00a0", " ") for line in lines]


def sparkline(values: Sequence[float], width: int, unicode: bool) -> str:
    """One character a value; neighbours are averaged where there are more values than room."""
    if not values or width < 1:
        return ""
    points = _condensed(values, width)
    levels = _BLOCKS if unicode else _ASCII_LEVELS
    low = min(points)
    spread = max(max(points) - low, abs(low) * _LEAST_SPREAD) or 1.0
    top = len(levels) - 1
    return "".join(levels[min(top, int((point - low) / spread * len(levels)))] for point in points)


def bar(share: float, width: int, unicode: bool) -> str:
    """A bar of a share of one, `width` characters long; it ends in an arrow above one."""
    full, rest, over = ("█", "·", "▸") if unicode else ("#", ".", ">")
    if share > 1:
        return full * (width - 1) + over
    eighths = round(max(0.0, share) * width * 8)
    whole, part = divmod(eighths, 8)
    if not unicode:
        whole, part = round(eighths / 8), 0
    drawn = full * whole + (_EIGHTHS[part] if part else "")
    return drawn + rest * (width - len(drawn))


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _head(text: str, width: int) -> str:
    ends = itertools.accumulate(map(_cells, text))
    return text[: sum(end <= width for end in ends)]


def _condensed(values: Sequence[float], width: int) -> list[float]:
    if len(values) <= width:
        return list(values)
    edges = [math.floor(i * len(values) / width) for i in range(width + 1)]
    return [math.fsum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
