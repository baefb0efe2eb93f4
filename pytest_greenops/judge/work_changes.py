"""What changed between two tables of counted work, in words and in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pytest_greenops.judge.weights import weight, weighted
from pytest_greenops.judge.work_places import natural, parts, place
from pytest_greenops.model.counted import Amount, Counted, Operator
from pytest_greenops.model.units import format_different, format_flop, format_memory, format_number
from pytest_greenops.model.work_verdict import WorkChange, WorkDifference

NOTHING = Amount()
#: Operators that only training needs: where they are new, all else follows from them.
_TELLING = ("dropout", "bernoulli")
#: The least weight of an operator that replaces another, as a share of the other's.
_ALIKE = 0.2
#: Calls are named before views if their change has at least this share of the views' weight.
_CALLS = 0.05
#: Peak memory is named first if it changed by more than this, and the weighted sum by less.
_MUCH, _LITTLE = 0.1, 0.02

#: A difference has at most this many operators, and as many modules.
_ROWS = 25

Table = Mapping[Operator, Amount]


class Step(NamedTuple):
    """The change of an operator, or of two if other dtypes or another device took its calls over.

    before, after  the operator; they differ where one took over calls of the other
    old, new       what it did; of two operators, what one does less and the other more
    weighted       change of the weighted sum
    """

    before: Operator
    after: Operator
    old: Amount
    new: Amount
    weighted: float

    @property
    def text(self) -> str:
        """`aten.mm float32 28 -> 29 calls, +537 MFLOP`, `aten.mm float32 -> float64: 8 calls`."""
        what = self._what
        return f"{what}{':' if ' -> ' in what else ''} {counts_text(self.old, self.new)}"

    @property
    def _what(self) -> str:
        before, after = self.before, self.after
        if before == after:
            return str(before)
        if before.device == after.device:
            return str(before._replace(dtypes=f"{before.dtypes} -> {after.dtypes}"))
        moved = " ".join((after.dtypes, "on", after.device))
        return f"{before.name} {before.dtypes} on {before.device} -> {moved}"


def counts_text(old: Amount, new: Amount) -> str:
    """Return how calls and amounts changed: `28 -> 29 calls, +537 MFLOP`."""
    views = not (old.calls or new.calls)
    then, now = (old.views, new.views) if views else (old.calls, new.calls)
    thing = f"{'view' if views else 'call'}{'' if now == 1 else 's'}"
    counted = f"{now:,} {thing}" if then == now else f"{then:,} -> {now:,} {thing}"
    return ", ".join([counted, *_amounts(old, new)])


def _amounts(old: Amount, new: Amount) -> Iterator[str]:
    """Yield the change that says most: FLOPs, else bytes, else elements."""
    if new.flop != old.flop:
        yield format_flop(new.flop - old.flop, signed=True)
    elif new.moved != old.moved:
        yield format_memory(new.moved - old.moved, signed=True)
    elif new.read != old.read:
        yield f"{format_memory(new.read - old.read, signed=True)} read"
    elif new.elements != old.elements:
        yield f"{format_number(new.elements - old.elements, 6, '+')} elements"


def steps(now: Counted, before: Counted) -> list[Step]:
    """Return what operators changed, the largest change of the weighted sum first."""
    by_name: dict[str, list[Operator]] = {}
    for operator in sorted(now.operators.keys() | before.operators.keys()):
        if now.operators.get(operator, NOTHING) != before.operators.get(operator, NOTHING):
            by_name.setdefault(operator.name, []).append(operator)
    found = [
        step
        for changed in by_name.values()
        for step in _steps_of(changed, now.operators, before.operators)
    ]
    return sorted(found, key=lambda step: (-abs(step.weighted), step.text))


def _steps_of(changed: Sequence[Operator], now: Table, before: Table) -> Iterator[Step]:
    """Yield the changes of operators of one name, paired where one took over another's calls."""
    left = list(changed)
    for gone in changed:
        for came in changed:
            if gone in left and came in left and _took_over(came, gone, now, before):
                left.remove(gone)
                left.remove(came)
                old = _less(before.get(gone, NOTHING), now.get(gone, NOTHING))
                new = _less(now.get(came, NOTHING), before.get(came, NOTHING))
                change = _weighted(gone, now, before) + _weighted(came, now, before)
                yield Step(gone, came, old, new, change)
    for operator in left:
        old, new = before.get(operator, NOTHING), now.get(operator, NOTHING)
        yield Step(operator, operator, old, new, _weighted(operator, now, before))


def _took_over(came: Operator, gone: Operator, now: Table, before: Table) -> bool:
    """Return whether one operator has about as many calls more as the other has less."""
    less = _times(before, gone) - _times(now, gone)
    more = _times(now, came) - _times(before, came)
    converts = any("->" in part for each in (came, gone) for part in (each.dtypes, each.device))
    return less > 0 and more > 0 and 2 * min(less, more) >= max(less, more) and not converts


def _times(table: Table, operator: Operator) -> int:
    amount = table.get(operator, NOTHING)
    return amount.calls + amount.views


def _weighted(operator: Operator, now: Table, before: Table) -> float:
    new, old = now.get(operator, NOTHING), before.get(operator, NOTHING)
    return weight(operator, new) - weight(operator, old)


def _less(amount: Amount, other: Amount) -> Amount:
    return Amount(*(a - b for a, b in zip(amount.counts, other.counts, strict=True)))


def relative_change(now: Counted, before: Counted) -> float | None:
    """Return the change of the weighted sum as a share; None over a sum of zero."""
    then = weighted(before)
    return (weighted(now) - then) / then if then else None


def memory_text(now: Counted, before: Counted) -> str | None:
    """Return how peak memory changed, `peak memory 12 MB -> 70 MB`, or None.

    Nothing follows from it where it differs between calls of the same work.
    """
    varies = now.coverage.peak_varies or before.coverage.peak_varies
    if varies or now.peak_bytes == before.peak_bytes:
        return None
    then, new = format_different(format_memory, before.peak_bytes, now.peak_bytes)
    return f"peak memory {then} -> {new}"


def difference(now: Counted, before: Counted) -> WorkDifference:
    """Return both sides of each operator and module that changed."""
    operators, modules = _changed_operators(now, before), _changed_modules(now, before)
    return WorkDifference(
        before.totals,
        tuple(operators[:_ROWS]),
        tuple(modules[:_ROWS]),
        max(len(operators) - _ROWS, 0),
        max(len(modules) - _ROWS, 0),
    )


def _changed_operators(now: Counted, before: Counted) -> list[WorkChange]:
    whole, found = weighted(before), []
    for operator in now.operators.keys() | before.operators.keys():
        old, new = (side.operators.get(operator, NOTHING) for side in (before, now))
        if old != new:
            change = _weighted(operator, now.operators, before.operators)
            found.append((change, WorkChange(str(operator), old, new, _of(change, whole))))
    return [row for _, row in sorted(found, key=lambda each: (-abs(each[0]), each[1].name))]


def _changed_modules(now: Counted, before: Counted) -> list[WorkChange]:
    """Return the modules that changed; an older table does not know their weighted sums."""
    whole, known = weighted(before), bool(now.weighted and before.weighted)
    found = []
    for part in parts(now, before):
        if part.old != part.new:
            exact = now.weighted.get(part.path, 0) - before.weighted.get(part.path, 0)
            change = exact if known else part.weighted
            share = _of(change, whole) if known else None
            found.append((change, WorkChange(part.path, part.old, part.new, share)))
    found.sort(key=lambda each: (-abs(each[0]), natural(each[1].name)))
    return [row for _, row in found]


def _of(change: float, whole: float) -> float | None:
    return change / whole if whole else None


def largest_change(now: Counted, before: Counted) -> str | None:
    """Return what a reviewer would name first, or None if the work is the same.

    That is the operator whose weighted work changed most in the direction of the whole, or peak
    memory if little else changed, and the modules where it changed.
    """
    found, memory = steps(now, before), memory_text(now, before)
    if not found:
        return memory
    relative = relative_change(now, before)
    first = _first(found, relative)
    where = place(now, before, first.old, first.new, first.weighted)
    words = f"{first.text}{_replaced(first, found)}{where}"
    share = (now.peak_bytes - before.peak_bytes) / max(before.peak_bytes, 1)
    if memory and abs(share) > _MUCH and relative is not None and abs(relative) < _LITTLE:
        return f"{memory}; {words}"
    return words


def _first(found: Sequence[Step], relative: float | None) -> Step:
    """Return the change that explains the change of the whole."""
    more = relative is None or relative >= 0
    telling = [step for step in found if _is_new(step) and _is_telling(step.after)]
    if more and telling:
        return telling[0]
    same_way = [step for step in found if relative and (step.weighted > 0) == more] or found
    calls = [step for step in same_way if not _views(step)]
    # Views follow from what computes; alone, they are all that is known.
    enough = calls and abs(calls[0].weighted) >= _CALLS * abs(same_way[0].weighted)
    return calls[0] if enough else same_way[0]


def _is_telling(operator: Operator) -> bool:
    return any(word in operator.name and "backward" not in operator.name for word in _TELLING)


def _is_new(step: Step) -> bool:
    return step.before == step.after and step.old == NOTHING


def _is_gone(step: Step) -> bool:
    return step.before == step.after and step.new == NOTHING


def _replaced(step: Step, found: Sequence[Step]) -> str:
    """Return which operator a new one stands for, or which one stands for one that is gone."""
    if _is_telling(step.after):
        return ""
    if _is_new(step):
        others, words = list(filter(_is_gone, found)), "in place of"
    elif _is_gone(step):
        others, words = list(filter(_is_new, found)), "replaced by"
    else:
        return ""
    for other in others:
        if _views(other) == _views(step) and abs(other.weighted) >= _ALIKE * abs(step.weighted):
            return f", {words} {other.before.name}"
    return ""


def _views(step: Step) -> bool:
    return bool(step.old.views or step.new.views)
