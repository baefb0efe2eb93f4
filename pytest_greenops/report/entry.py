"""A measurement in a report: its row, and what is below it; texts are cut, not yet escaped."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pytest_greenops.model.advised import Caller, Command
from pytest_greenops.model.result import Policy, Result
from pytest_greenops.model.units import counted
from pytest_greenops.model.verdict import Outcome
from pytest_greenops.report import figures, interleaved_text, reasons, result_table, section
from pytest_greenops.report.drawing import elide, visible
from pytest_greenops.report.result_table import Gauge, Part

#: The most characters of a name, a sentence and a command that the page shows.
_NAME, _SENTENCE, _COMMAND = 120, 900, 600
#: What comes first when the table is sorted by verdict.
ORDER = (
    *(Outcome.REGRESSED, Outcome.OVER_BUDGET, Outcome.INCONCLUSIVE, Outcome.NOT_COMPARABLE),
    *(Outcome.NOT_MEASURED, Outcome.NO_BASELINE, Outcome.IMPROVED, Outcome.PASSED),
)
#: A drawing of rounds in a row has at most this many points.
_POINTS = 40
_WIDTH, _HEIGHT = 120, 22
#: A cell of a document that has no value.
NONE = "–"


class Count(NamedTuple):
    """How many measurements have a verdict."""

    outcome: str
    number: int

    @property
    def slug(self) -> str:
        """The verdict as a class of the style sheet."""
        return self.outcome.replace(" ", "-")


class Text(NamedTuple):
    """A text as it is shown, and in full."""

    shown: str
    full: str

    @classmethod
    def of(cls, text: str, most: int = _NAME) -> Text:
        """Return a text with its control characters escaped, cut in the middle."""
        full = visible(text)
        return cls(elide(full, most), full)

    @property
    def cut(self) -> bool:
        """Whether something is missing in what is shown."""
        return self.shown != self.full


class Step(NamedTuple):
    """What to do next: `accept it`, and the command or marker argument."""

    label: str
    command: Text


class Rounds(NamedTuple):
    """A small drawing of all rounds, or runs: points of a line, and what it shows in words."""

    points: str
    words: str


class Entry(NamedTuple):
    """A measurement of a test.

    anchor   its id on the page, the same in every report
    node     the node id of its test
    name     of test and measurement, without the module
    word     the verdict: `regressed (warned)`
    outcome  the verdict for programs: `over budget`
    tags     what its figures are: `estimated ±50 %`, `A/B`
    energy, change  an upper and a lower line
    gauge    the used share of the limit
    reason   the verdict in a sentence
    facts    labelled sentences: why, how sure, counted work
    parts    further figures: domains, units, carbon, counted work
    steps    what to do next
    keys     what the columns are sorted by: verdict, name, joules, change, share of the limit
    """

    anchor: str
    node: Text
    module: Text
    name: Text
    word: str
    outcome: str
    failing: bool
    red: bool
    tags: tuple[str, ...]
    energy: tuple[str, str]
    change: tuple[str, str]
    gauge: Gauge | None
    rounds: Rounds | None
    reason: str
    facts: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]
    steps: tuple[Step, ...]
    keys: tuple[str | float | None, ...]

    @property
    def slug(self) -> str:
        """The verdict as a class of the style sheet."""
        return self.outcome.replace(" ", "-")


def entries(results: Sequence[Result], policy: Policy, caller: Caller) -> tuple[Entry, ...]:
    """Return all measurements in their order; ids are unique."""
    taken: set[str] = set()
    made = []
    for result in results:
        entry = _entry(result, _fails(result, policy), caller)
        anchor, number = entry.anchor, 2
        while anchor in taken:
            anchor, number = f"{entry.anchor}-{number}", number + 1
        taken.add(anchor)
        made.append(entry._replace(anchor=anchor))
    return tuple(made)


def headline_of(results: Sequence[Result], of: Sequence[Entry]) -> str:
    """Return what happened: `2 of 14 tests failed by their energy`."""
    tests = len({result.test for result in results})
    failed = len({r.test for r, e in zip(results, of, strict=True) if e.failing})
    warned = len({r.test for r, e in zip(results, of, strict=True) if e.red and not e.failing})
    alone = any(result.verdict.alone for result in results)
    check = "check of counted work" if alone else "energy check"
    if not results or all(r.verdict.outcome is Outcome.NOT_MEASURED for r in results):
        why = "no energy test ran" if not results else f"none of {counted(tests, 'test')}"
        return f"Nothing was {'counted' if alone else 'measured'}: {why}"
    if failed:
        return f"{failed} of {counted(tests, 'test')} failed the {check}"
    if warned:
        return f"{warned} of {counted(tests, 'test')} would fail the {check}, and only warned"
    decided = sum(r.verdict.outcome in (Outcome.PASSED, Outcome.IMPROVED) for r in results)
    if not decided:
        return f"No verdict was reached on {counted(tests, 'test')}"
    if left := len(results) - decided:
        return f"No test failed the {check}; {counted(left, 'measurement')} could not be judged"
    within = "The test is within its limits"
    return within if tests == 1 else f"All {tests} tests are within their limits"


def counts_of(results: Sequence[Result]) -> Iterator[Count]:
    """Yield how many measurements have each verdict, the gravest first."""
    found = Counter(result.verdict.outcome for result in results)
    yield from (Count(each.value, found[each]) for each in ORDER if found[each])


def gravity(result: Result) -> float:
    """Return the place of a verdict: the gravest first, what only warns after what fails."""
    verdict = result.verdict
    return ORDER.index(verdict.outcome) + 0.5 * (verdict.red and verdict.action != "fail")


def anchor_of(result: Result) -> str:
    """Return the id of a measurement on the page: `t-test-parse-8-1f2e3d4c5b`.

    It is made of the node id and the name of the measurement.
    """
    return anchor(figures.subject(result), (result.test.node_id, result.name))


def anchor(name: str, known: Sequence[str]) -> str:
    """Return an id that is safe in a URL: words of a name, and a digest of what is known."""
    whole = "\0".join(known).encode("utf-8", "backslashreplace")
    digest = hashlib.sha256(whole).hexdigest()[:10]
    words = re.sub(r"[^a-z0-9]+", "-", name[:200].lower()).strip("-")
    return "-".join(filter(None, ("t", words[:40].strip("-"), digest)))


def course(values: Sequence[float]) -> str:
    """Return values as points of a line.

    It is at least 5 % of the lowest value high, so noise stays flat.
    """
    step = max(1, -(-len(values) // _POINTS))
    shown = values[::step]
    low = min(values)
    height = max(max(values) - low, abs(low) * 0.05) or 1.0
    between = _WIDTH / max(len(shown) - 1, 1)
    return " ".join(
        f"{number * between:.0f},{_HEIGHT - 2 - (value - low) / height * (_HEIGHT - 4):.1f}"
        for number, value in enumerate(shown)
    )


def sentence(text: str) -> str:
    """Return a sentence that a page can show, cut if a name in it is very long."""
    return elide(visible(text), _SENTENCE)


def command(text: str) -> Text:
    """Return a command to copy."""
    return Text.of(text, _COMMAND)


def _fails(result: Result, policy: Policy) -> bool:
    """Return whether a result fails its test: not a regression in a run that saves."""
    verdict = result.verdict
    if result.accepted or result.saved:
        return False
    if not verdict.red:
        return policy.strict and verdict.unproven
    saves = policy.saving == "all" and verdict.outcome is Outcome.REGRESSED
    return verdict.action == "fail" and not saves


def _entry(result: Result, failing: bool, caller: Caller) -> Entry:
    row, verdict = result_table.row(result), result.verdict
    red, advice = verdict.red and not result.accepted, reasons.explain(result)
    return Entry(
        anchor=anchor_of(result),
        node=Text.of(result.test.node_id),
        module=Text.of(result.test.module),
        name=Text.of(figures.subject(result)),
        word=reasons.verdict_word(result).removeprefix("~"),
        outcome=verdict.outcome.value,
        failing=failing,
        red=red,
        tags=tuple(_tags(result)),
        energy=(_figure(row.energy[0]), sentence(row.energy[1])),
        change=(_figure(row.change[0]), row.change[1]),
        gauge=row.gauge and row.gauge._replace(limit=sentence(row.gauge.limit)),
        rounds=_rounds(row.rounds, result) if row.rounds else None,
        reason=sentence(reasons.finding(result) if red or failing else advice.text),
        facts=tuple((label, sentence(text)) for label, text in section.facts(result)),
        parts=tuple(
            Part(sentence(part.name), _figure(part.energy)) for part in result_table.parts(result)
        ),
        steps=tuple(_steps(result, caller)),
        keys=_keys(result, row.gauge),
    )


def _figure(text: str) -> str:
    """Return a cell of the terminal's table as one of a document."""
    return NONE if text == result_table.NOTHING else sentence(text.replace("  ", " · "))


def _tags(result: Result) -> Iterator[str]:
    if figures.estimated(result) and figures.measured(result):
        yield f"estimated {reasons.ESTIMATE_BAND}"
    if interleaved_text.deciding(result.verdict):
        yield "A/B"
    if result.verdict.alone:
        yield "counted work"
    elif reasons.is_provisional(result) and "provisional" not in reasons.verdict_word(result):
        yield "provisional"


def _steps(result: Result, caller: Caller) -> Iterator[Step]:
    if result.verdict.red and not result.accepted:
        steps: list[tuple[str, Command | str]] = list(section.next_steps(result))
    else:
        advised = reasons.explain(result).command
        steps = [("next", advised)] if advised else []
    for label, advised in steps:
        if offered := caller.offer(advised):
            yield Step(label, command(offered))


def _rounds(values: Sequence[float], result: Result) -> Rounds:
    def form(joules: float) -> str:
        return figures.energy(joules, result.unit)

    span = figures.span(min(values), max(values), form)
    return Rounds(course(values), sentence(f"{figures.tally(result)}, {span}"))


def _keys(result: Result, gauge: Gauge | None) -> tuple[str | float | None, ...]:
    shift, alone = interleaved_text.shift_of(result.verdict), result.verdict.alone
    relative = shift.relative if shift else alone.relative if alone else None
    known = result.joules if figures.measured(result) else None
    share = gauge.share if gauge else None
    return gravity(result), visible(figures.subject(result)).lower(), known, relative, share
