"""Where the joules go: by named window, and by layer of the models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.explanation import Explanation, Layer
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import format_energy, format_percent
from pytest_greenops.report import figures
from pytest_greenops.report.drawing import aligned, cells, column_widths, elide, elided, hanging

#: At most this many layers are listed; the others are summed up.
_MOST_LISTED = 8
#: The longest class name, the width of a line without name and class, and the least of a line.
_KIND, _REST, _NARROWEST = 18, 40, 50
_INDENT = " " * 4


def where_joules_go(
    results: Sequence[Result], width: int, say: Callable[[str], str] = str
) -> Iterator[str]:
    """Yield the named windows of each test with their layers, for `--energy-explain`.

    No line is longer than `width`, at least 50.
    """
    width = max(width, _NARROWEST)
    by_test: dict[TestKey, list[Result]] = {}
    for result in results:
        if result.explained is not None and figures.measured(result):
            by_test.setdefault(result.test, []).append(result)
    for test, windows in by_test.items():
        yield ""
        yield elide(say(f"where the joules go: {test.node_id}"), width, say("…"))
        yield from (say(line) for result in windows for line in _window(result, width))


def failed_while_explained() -> str:
    """Return the note for a test that failed in the additional call of `--energy-explain`."""
    return (
        "the test failed in the additional call of --energy-explain: provide data for one more "
        "call, or omit the option"
    )


def in_brief(explained: Explanation) -> str:
    """Return the layer to look at, or those that use the most energy."""
    if explained.doubt:
        return f"unreliable: {explained.doubt}"
    if explained.suspect is not None:
        return _suspicion(explained.suspect)
    most = explained.layers[:3]
    listed = ", ".join(f"{each.name} {_share(each, explained)}" for each in most)
    return f"{listed} of the model's joules"


def _window(result: Result, width: int) -> Iterator[str]:
    explained = result.explained
    assert explained is not None
    place = ""
    if explained.share is not None:
        place = f", {figures.used(explained.share)} of its loop"
    elif explained.within is not None:
        place = f", within {explained.within}"
    mark = "~" if figures.estimated(result) else ""
    yield f"  {result.name}: {mark}{format_energy(result.joules)} per call{place}"
    if explained.why is not None:
        yield from hanging(_INDENT, f"no layers: {explained.why}", width)
        return
    yield from hanging(_INDENT, _summary(explained), width)
    yield from _table(explained, width)
    if explained.suspect is not None:
        yield from hanging(_INDENT, f"look at {_suspicion(explained.suspect)}", width)


def _summary(explained: Explanation) -> str:
    """Return how much of the call the layers explain, and how well they add up."""
    passes = "forward and backward" if explained.backward else "forward"
    text = (
        f"the models, replayed {passes}, use {figures.used(explained.of_call)} of the call; their "
        f"layers, replayed one by one, add up to {figures.used(explained.additivity)} of that"
    )
    return f"{text}. UNRELIABLE: {explained.doubt}" if explained.doubt else text


def _table(explained: Explanation, width: int) -> Iterator[str]:
    listed, rest = explained.layers[:_MOST_LISTED], explained.layers[_MOST_LISTED:]
    left = max(width - _REST, 0)
    known, names = tuple(each.name for each in listed), max(cells(each.name) for each in listed)
    kinds = min(_KIND, max(len(each.kind) for each in listed), max(left - names, left // 3))
    names = min(names, left - kinds)
    rows = [
        (
            elided(known, names)[each.name],
            elide(each.kind, kinds),
            format_energy(each.joules),
            _share(each, explained),
            _against(each),
        )
        for each in listed
    ]
    if rest:
        joules = sum(each.joules for each in rest)
        share = figures.used(joules / explained.whole_j)
        rows.append((f"{len(rest)} more", "", format_energy(joules), share, ""))
    widths = column_widths(rows)
    for row in rows:
        yield _INDENT + aligned(row, widths, right=(2, 3))


def _against(layer: Layer) -> str:
    """Return the change over the baseline, or the ratio to similar layers."""
    if layer.change is not None:
        return format_percent(layer.change)
    return "" if layer.of_kind is None else f"{layer.of_kind:.1f} x similar"


def _suspicion(layer: Layer) -> str:
    if layer.baseline_j is not None and layer.change is not None:
        before, now = format_energy(layer.baseline_j), format_energy(layer.joules)
        return f"{layer.name}, which grew most: {format_percent(layer.change)} ({before} -> {now})"
    return f"{layer.name}: {layer.of_kind or 0:.1f} times as much as similar layers"


def _share(layer: Layer, explained: Explanation) -> str:
    return figures.used(layer.joules / explained.whole_j)
