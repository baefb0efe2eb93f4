"""Bad input from valid input: other values in a document, other numbers and bytes in a text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import msgspec
from hypothesis import strategies as st

#: Before each message of a pipe is its length.
_HEAD = 4
_NUMBER = re.compile(rb"\d+")
_ODD_NUMBERS = (
    *("", "-1", "0", "-0", "00", "1.5", "1e400", "-1e-400", "0x10", "1_0", "9" * 20, "9" * 400),
    *("9" * 5000, "NaN", "inf", "\N{ARABIC-INDIC DIGIT THREE}", "\N{SUPERSCRIPT TWO}", "+1"),
)
_ODD_TEXTS = (
    *(
        "",
        " ",
        "\0",
        "\n",
        "a\nb",
        "a\r\nb",
        "\x1b[31m",
        "\N{RIGHT-TO-LEFT OVERRIDE}",
        "../..",
        "/",
    ),
    *("\ud800", "call", "total", "gpu:0", "%s%n", "{}", "A" * 300, "nan", "é", "\N{PILE OF POO}"),
)
_PIECES = tuple(each.encode("utf-8", "surrogatepass") for each in (*_ODD_NUMBERS, *_ODD_TEXTS))
_BYTES = (*_PIECES, b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"=", b",", b":", b'"', b"'", b"[", b"@")
_LEAVES = st.one_of(
    st.sampled_from((None, True, False, 0, -1, 1, 10**18, 1 << 63, 10**30, 10**400)),
    st.sampled_from((0.0, -0.0, 1e-320, 1e-31, -1.5, 1e30, 1.7e308)),
    st.sampled_from(_ODD_TEXTS),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
_VALUES = st.recursive(
    _LEAVES,
    lambda of: st.lists(of, max_size=3) | st.dictionaries(st.text(max_size=4), of, max_size=3),
)


def inputs(seeds: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """Return a strategy for input that is much like the seeds, and some that is not."""
    return st.one_of(
        st.sampled_from(seeds).flatmap(_changed_bytes),
        *(_changed_document(*each) for each in map(_as_document, seeds) if each),
        st.sampled_from(seeds).flatmap(_changed_bytes),
        st.binary(max_size=64),
        st.text(max_size=64).map(lambda text: text.encode("utf-8", "surrogatepass")),
    )


Encode = Callable[[Any], bytes]


def _as_document(seed: bytes) -> tuple[Any, Encode] | None:
    """Return the document in a seed, and what makes bytes of it again."""
    with_head = len(seed) >= _HEAD and int.from_bytes(seed[:_HEAD], "big") == len(seed) - _HEAD
    try:
        if with_head:
            return msgspec.msgpack.decode(seed[_HEAD:]), _framed
        return json.loads(seed), lambda value: json.dumps(value).encode()
    except ValueError:
        pass
    try:
        return msgspec.msgpack.decode(seed), _packed
    except ValueError:
        return None


def _packed(value: Any) -> bytes:
    try:
        return msgspec.msgpack.encode(value)
    except (ValueError, OverflowError):  # it has numbers of at most 64 bits
        return b"\xc1"


def _framed(value: Any) -> bytes:
    content = _packed(value)
    return len(content).to_bytes(_HEAD, "big") + content


@st.composite
def _changed_document(draw: st.DrawFn, document: Any, encode: Encode) -> bytes:
    """Return a document with one to three of its values changed, left out or added."""
    root = [deepcopy(document)]
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(root))
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        how = draw(st.sampled_from(("replace", "replace", "remove", "add", "twice")))
        if how == "replace" or holder is root:
            holder[key] = draw(_VALUES)
        elif how == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw(st.text(max_size=8))] = deepcopy(holder[key])
        else:
            holder.append(deepcopy(holder[key]) if how == "twice" else draw(_VALUES))
    return encode(root[0])


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container in a document with each key or index of it."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from _places(value[key])


@st.composite
def _changed_bytes(draw: st.DrawFn, seed: bytes) -> bytes:
    """Return a text with other numbers, with odd pieces in it, without a part, or cut off."""
    data = seed
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.sampled_from((0, 0, 1, 4, 40))))
        how = draw(st.sampled_from(("number", "number", "piece", "cut", "twice")))
        if how == "number" and (numbers := list(_NUMBER.finditer(data))):
            begin, end = numbers[draw(st.integers(0, len(numbers) - 1))].span()
            piece = draw(st.sampled_from(_PIECES))
        elif how == "cut":
            end, piece = len(data), b""
        elif how == "twice":
            piece = data[begin:end] * 2
        else:
            piece = draw(st.sampled_from(_BYTES) | st.binary(max_size=4))
        data = data[:begin] + piece + data[end:]
    return data
