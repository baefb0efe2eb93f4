"""Where the joules go: by named window, and by layer of the models that were called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.explanation import Explanation, Layer
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import format_energy, format_percent
from pytest_greenops.report import figures
from pytest_greenops.report.drawing import cells, elide, wrapped

#: So many layers are told by name; the others together.
_MOST_TOLD = 8
#: The widest that the class of a layer is told, and what all but name and class take of a line.
_KIND, _REST = 18, 40


def where_joules_go(
    results: Sequence[Result], width: int, say: Callable[[str], str] = str
) -> Iterator[str]:
    """For each test its named windows, and the layers of each; nothing of what was not asked."""
    by_test: dict[TestKey, list[Result]] = {}
    for result in results:
        if result.explained is not None and figures.measured(result):
            by_test.setdefault(result.test, []).append(result)
    for test, windows in by_test.items():
        yield ""
        yield elide(say(f"where the joules go: {test.node_id}"), width, say("…"))
        yield from (say(line) for result in windows for line in _window(result, width))


def failed_while_explained() -> str:
    """What stands under a test that failed in the call that was added to explain it."""
    return (
        "it failed in the call that --energy-explain adds to its measurement: give it what one "
        "call more takes, or leave the option out"
    )


def in_brief(explained: Explanation) -> str:
    """The layer to look at, or those that take most, in one sentence."""
    if explained.doubt:
        return f"not to be trusted: {explained.doubt}"
    if explained.suspect is not None:
        return _suspicion(explained.suspect)
    most = explained.layers[:3]
    told = ", ".join(f"{each.name} {_share(each, explained)}" for each in most)
    return f"{told} of the model's joules"


def _window(result: Result, width: int) -> Iterator[str]:
    explained = result.explained
    assert explained is not None
    place = ""
    if explained.share is not None:
        place = f", {figures.used(explained.share)} of its loop"
    elif explained.within is not None:
        place = f", within {explained.within}"
    yield f"  {result.name}: {_mark(result)}{format_energy(result.joules)} a call{place}"
    if explained.why is not None:
        yield from _indented(f"not by layer: {explained.why}", width)
        return
    yield from _indented(_account(explained), width)
    yield from _table(explained, width)
    if explained.suspect is not None:
        yield from _indented(f"look at {_suspicion(explained.suspect)}", width)


def _account(explained: Explanation) -> str:
    """How much of the call the layers explain, and how well they add up."""
    passes = "forward and backward" if explained.backward else "forward"
    text = (
        f"its models, replayed {passes}, take {figures.used(explained.of_call)} of it; their "
        f"parts, each replayed alone, add up to {figures.used(explained.additivity)} of them"
    )
    return f"{text}. NOT to be trusted: {explained.doubt}" if explained.doubt else text


def _table(explained: Explanation, width: int) -> Iterator[str]:
    told, rest = explained.layers[:_MOST_TOLD], explained.layers[_MOST_TOLD:]
    kinds = min(_KIND, max(len(each.kind) for each in told))
    names = min(max(cells(each.name) for each in told), width - kinds - _REST)
    for each in told:
        against = _against(each)
        yield (
            f"    {_tail(each.name, names):<{names}}  {elide(each.kind, kinds):<{kinds}}  "
            f"{format_energy(each.joules):>8}  {_share(each, explained):>5}  {against}"
        ).rstrip()
    if rest:
        joules = sum(each.joules for each in rest)
        label = f"{len(rest)} more"
        yield (
            f"    {label:<{names + kinds + 2}}  {format_energy(joules):>8}  "
            f"{figures.used(joules / explained.whole_j):>5}"
        )


def _tail(name: str, width: int) -> str:
    """The end of a name, which tells layers apart."""
    return name if cells(name) <= width else f"…{name[len(name) - width + 1 :]}"


def _against(layer: Layer) -> str:
    """Its change over the baseline, or how it stands among its kind."""
    if layer.change is not None:
        return format_percent(layer.change)
    return "" if layer.of_kind is None else f"{layer.of_kind:.1f} x its like"


def _suspicion(layer: Layer) -> str:
    if layer.baseline_j is not None and layer.change is not None:
        before, now = format_energy(layer.baseline_j), format_energy(layer.joules)
        return f"{layer.name}, which grew most: {format_percent(layer.change)} ({before} -> {now})"
    return f"{layer.name}: {layer.of_kind or 0:.1f} times what the others like it use"


def _share(layer: Layer, explained: Explanation) -> str:
    return figures.used(layer.joules / explained.whole_j)


def _mark(result: Result) -> str:
    return "~" if figures.estimated(result) else ""


def _indented(text: str, width: int) -> Iterator[str]:
    return (f"    {line}" for line in wrapped(text, width - 4))
