"""Where the joules and the counted work go: by named window, and by layer of the models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.explanation import Explanation, Layer
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import format_energy, format_percent
from pytest_greenops.model.work_verdict import LayerWork
from pytest_greenops.report import figures, work_layer_text, work_text
from pytest_greenops.report.drawing import aligned, cells, column_widths, elide, elided, hanging

#: At most this many layers are listed by their joules, and more of them by a change of their work;
#: the others are summed up.
_MOST_LISTED, _MORE_CHANGED = 8, 4
#: The longest class name, the least width of a line, and the columns between two cells.
_KIND, _NARROWEST, _GAP = 18, 50, 2
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
        measured = result.explained is not None and figures.measured(result)
        if measured or _layers(result):
            by_test.setdefault(result.test, []).append(result)
    for test, windows in by_test.items():
        what = "joules go" if any(each.explained for each in windows) else "work goes"
        yield ""
        yield elide(say(f"where the {what}: {test.node_id}"), width, say("…"))
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
    explained, work = result.explained, _layers(result)
    if explained is None:
        done = work_text.totals(result.work.totals) if result.work else ""
        yield elide(f"  {result.name}: {done}", width)
        yield from work_layer_text.work_table(work, width)
        return
    place = ""
    if explained.share is not None:
        place = f", {figures.used(explained.share)} of its loop"
    elif explained.within is not None:
        place = f", within {explained.within}"
    mark = "~" if figures.estimated(result) else ""
    yield f"  {result.name}: {mark}{format_energy(result.joules)} per call{place}"
    if explained.why is not None:
        yield from hanging(_INDENT, f"no layers: {explained.why}", width)
        yield from work_layer_text.work_table(work, width)
        return
    yield from hanging(_INDENT, _summary(explained), width)
    yield from _table(explained, {one.name: one for one in work}, width)
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


def _layers(result: Result) -> tuple[LayerWork, ...]:
    return result.verdict.work.layers if result.verdict.work else ()


def _table(explained: Explanation, work: Mapping[str, LayerWork], width: int) -> Iterator[str]:
    """Yield a line for each layer: its joules, their share and change, and its work."""
    listed, others = list(explained.layers[:_MOST_LISTED]), explained.layers[_MOST_LISTED:]
    listed += [each for each in others if _work_changed(work.get(each.name))][:_MORE_CHANGED]
    rest = [each for each in others if each not in listed]
    known, kinds = [each.name for each in listed], [each.kind for each in listed]
    rows = [(format_energy(e.joules), _share(e, explained), _against(e)) for e in listed]
    names = list(known)
    if rest:
        joules = sum(each.joules for each in rest)
        rows.append((format_energy(joules), figures.used(joules / explained.whole_j), ""))
        names.append(f"{len(rest)} more")
    if _work_changed(work.get("")):
        rows.append(("", "", ""))
        names.append("")
    columns = _with_work(rows, [work.get(name) for name in names], max(map(cells, known)), width)
    widths = column_widths(columns)
    left = max(width - len(_INDENT) - sum(widths) - _GAP * (len(widths) + 1), 0)
    kind = min(_KIND, max(map(cells, kinds)), max(left - max(map(cells, known)), left // 3))
    shown = elided(tuple(known), left - kind)
    firsts = [(shown[name], elide(of, kind)) for name, of in zip(known, kinds, strict=True)]
    firsts += [(name or work_layer_text.ELSEWHERE, "") for name in names[len(known) :]]
    lines = [(*first, *row) for first, row in zip(firsts, columns, strict=True)]
    for line in lines:
        yield (_INDENT + aligned(line, column_widths(lines), right=(2, 3))).rstrip()
    yield from work_layer_text.on_one_side(list(work.values()), known, width)


def _work_changed(of: LayerWork | None) -> bool:
    return of is not None and of.before is not None and not of.same


def _with_work(
    rows: Sequence[tuple[str, ...]], work: Sequence[LayerWork | None], name: int, width: int
) -> list[tuple[str, ...]]:
    """Return rows with a cell on the work of each layer, a short one beside long names."""
    if not any(work):
        return list(rows)
    for short in (False, True):
        texts = [work_layer_text.cell(of, short) if of else "" for of in work]
        found = [(*row, text) for row, text in zip(rows, texts, strict=True)]
        if sum(column_widths(found)) + _GAP * 6 + name + _KIND // 2 + len(_INDENT) <= width:
            break
    return found


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
