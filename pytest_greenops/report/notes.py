"""Notes below the table: one for each verdict that needs attention, or one for a group."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from pytest_greenops.model.advised import Command
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.measurement import Check
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import counted, format_percent
from pytest_greenops.model.verdict import RED, CauseKind, Outcome
from pytest_greenops.report import figures, interleaved_text, work_text
from pytest_greenops.report import quality_text as quality
from pytest_greenops.report.advice import Advice, again
from pytest_greenops.report.costliest import costliest
from pytest_greenops.report.reasons import (
    ESTIMATE_BAND,
    explain,
    finding,
    is_provisional,
    quality_not_judged,
    verdict_word,
    warned,
)

#: A remark names at most this many measurements.
_MOST_NAMED = 3
#: With this adjusted probability or more, a regression may be due to many comparisons.
SIGNIFICANT = 0.05
#: Verdicts that many tests have for the same reason: one note for all of them.
_SHARED = (Outcome.NOT_COMPARABLE, Outcome.NOT_MEASURED, Outcome.NO_BASELINE)
#: Verdicts whose reason starts with the verdict.
_WORDED = (Outcome.INCONCLUSIVE, Outcome.NOT_COMPARABLE, Outcome.NOT_MEASURED)
#: Of all that is estimated.
ESTIMATED = Advice(f"~ is estimated, not sensed: {ESTIMATE_BAND} on the absolute figure.")


class Note(NamedTuple):
    """A verdict, its test, the reason and the next step; `brief` is the reason in a few words.

    red    a red result, whose details follow the reason
    steps  the red results of its test, if it is the last of them: their next steps follow
    """

    word: str
    subject: str
    advice: Advice
    brief: str
    outcome: Outcome
    warned: bool = False
    red: Result | None = None
    steps: Sequence[Result] = ()


class Sentences(NamedTuple):
    """The sentences below a table, for a run or for a comparison of two files.

    again        returns the command that measures a test again, if it makes sense
    provisional  describes passed tests with few sessions, and the detected increase
    """

    explain: Callable[[Result], Advice]
    again: Callable[[Result], Command | None]
    provisional: Callable[[int, float], Advice]
    quality: Callable[[Sequence[Result]], Iterator[Advice]]


def _add_a_session(count: int, smallest: float) -> Advice:
    return Advice(
        f"{count} passed provisionally: only increases of at least {format_percent(smallest)} are "
        "detected. Add sessions of other hours",
        Command("save"),
    )


def _of_quality(results: Sequence[Result]) -> Iterator[Advice]:
    """Yield limits of quality that could not be judged, and the fronts of quality and joules."""
    yield from unjudged_quality(results)
    yield from map(Advice, quality.fronts(results))


def unjudged_quality(results: Sequence[Result]) -> Iterator[Advice]:
    """Yield limits of quality that could not be judged."""
    for result in results:
        noted = result.saved or result.verdict.outcome is Outcome.NO_BASELINE
        if not noted and (why := quality_not_judged(result)):
            yield Advice(f"{figures.subject(result)}: {why.text}", why.command)


OF_A_RUN = Sentences(explain, again, _add_a_session, _of_quality)


def notes(
    results: Sequence[Result],
    sentences: Sentences = OF_A_RUN,
    on_screen: Collection[TestKey] = (),
) -> Iterator[Note]:
    """Yield failures first, then warnings, then what could not be judged.

    on_screen  tests whose failures are on the screen already: nothing is said twice
    """
    results = [
        r for r in results if r.test not in on_screen or not (r.verdict.red or r.verdict.unproven)
    ]
    red = [result for result in results if result.verdict.outcome in RED]
    red.sort(key=lambda result: result.verdict.action != "fail")
    for number, result in enumerate(red):
        of_test = [each for each in red[: number + 1] if each.test == result.test]
        last = all(each.test != result.test for each in red[number + 1 :])
        yield _note(result, sentences, of_test if last else ())
    for result in results:
        if result.verdict.outcome is Outcome.INCONCLUSIVE and not _of_the_machine(result):
            yield _note(result, sentences)
    for outcome in (Outcome.INCONCLUSIVE, *_SHARED):
        alike: dict[str | None, list[Result]] = {}
        for result in results:
            noted = outcome is Outcome.INCONCLUSIVE and not _of_the_machine(result)
            if result.verdict.outcome is outcome and not result.saved and not noted:
                alike.setdefault(result.verdict.cause, []).append(result)
        for group in alike.values():
            yield _shared(group, sentences) if group[1:] else _note(group[0], sentences)


def _of_the_machine(result: Result) -> bool:
    """Return whether the cause applies to the whole run."""
    return result.verdict.cause_kind is CauseKind.CONTROL


def remarks(results: Sequence[Result], sentences: Sentences = OF_A_RUN) -> Iterator[Advice]:
    """Yield what applies to many results and needs no immediate action."""
    if any(figures.estimated(r) and figures.measured(r) for r in results):
        yield ESTIMATED
    young = [r.verdict.change for r in results if is_provisional(r) and not r.saved]
    smallest = [change.smallest for change in young if change]
    if smallest:
        yield sentences.provisional(len(smallest), max(smallest))
    first = [r.verdict.detects for r in results if r.saved and r.verdict.detects is not None]
    if first:
        yield Advice(
            f"{counted(len(first), 'first session')} saved: over one, increases of at least "
            f"{format_percent(max(first))} are detected. Add sessions of two other hours to detect "
            "smaller ones."
        )
    yield from _multiplicity(results)
    yield from _creep(results)
    yield from _failed_checks(results, sentences)
    yield from _unjudged(results)
    yield from _of_pairs(results)
    yield from sentences.quality(results)
    yield from costliest(results)


def _multiplicity(results: Sequence[Result]) -> Iterator[Advice]:
    """Yield which regressions remain significant, given the number of comparisons."""
    changes = [
        (r, r.verdict.change)
        for r in results
        if r.verdict.energy is Outcome.REGRESSED and not interleaved_text.deciding(r.verdict)
    ]
    known = [(r, c) for r, c in changes if c is not None and c.p_adjusted is not None]
    compared = sum(r.verdict.change is not None for r in results)
    if not known or compared == 1:
        return
    worst = sorted(known, key=lambda pair: pair[1].p_value or 0.0)
    named = "; ".join(f"{figures.subject(r)} {figures.chances(c)}" for r, c in worst[:_MOST_NAMED])
    more = f"; and {len(worst) - _MOST_NAMED} more" if len(worst) > _MOST_NAMED else ""
    beyond = sum((c.p_adjusted or 0.0) < SIGNIFICANT for _, c in known)
    yield Advice(
        f"{beyond} of {counted(len(known), 'regression')} significant among {compared} "
        f"comparisons (Holm, 5 %): {named}{more}."
    )


def _creep(results: Sequence[Result]) -> Iterator[Advice]:
    """Yield small accepted steps that add up to more than a margin or a limit of quality."""
    crept = [
        (change.since_anchor or 0.0, figures.subject(result), result.test.node_id)
        for result in results
        if (change := result.verdict.change) and (change.since_anchor or 0.0) > change.margin
        if result.verdict.outcome in (Outcome.PASSED, Outcome.INCONCLUSIVE)
        if result.verdict.cause_kind is not CauseKind.NOT_CONFIRMED
    ]
    yield from _crept("Energy crept up", crept)
    lost = [
        (each.since_anchor, f"{figures.subject(result)} {each.name}", result.test.node_id)
        for result in results
        for each in result.verdict.qualities
        if each.since_anchor is not None and each.since_anchor < -each.limit and not each.exceeded
    ]
    yield from _crept("Quality crept down", lost)


def _crept(verb: str, changes: Sequence[tuple[float, str, str]]) -> Iterator[Advice]:
    """Yield a line for changes, each with its subject and the node id of its test.

    The command names the tests of the line: what has crept less in others still adds up.
    """
    most = sorted(changes, key=lambda each: -abs(each[0]))[:_MOST_NAMED]
    named = ", ".join(f"{name} {format_percent(share)}" for share, name, _ in most)
    left = len(changes) - len(most)
    if most:
        more = f", and {left} more" if left else ""
        yield Advice(
            f"{verb} in small accepted steps: {named}{more}. Acknowledge it",
            Command("acknowledge", options=tuple(dict.fromkeys(test for *_, test in most))),
        )


def _failed_checks(results: Sequence[Result], sentences: Sentences) -> Iterator[Advice]:
    """Yield a line for each failed self-check that no note mentions."""
    found: dict[str, list[Check]] = {}
    for result in results:
        for check in {check.name: check for check in reversed(result.checks)}.values():
            if not _mentioned(result, check, sentences):
                found.setdefault(check.name, []).append(check)
    for name, checks in found.items():
        worst = next((check for check in checks if check.untrusted), checks[0])
        count = counted(len(checks), "measurement")
        yield Advice(f"{count}: {name} ({worst.finding}); {worst.done}")


def _unjudged(results: Sequence[Result]) -> Iterator[Advice]:
    """Yield each limit that could not be judged, with the tests that have it."""
    found: dict[str, list[str]] = {}
    for result in results:
        if result.verdict.unjudged is not None:
            found.setdefault(result.verdict.unjudged, []).append(figures.subject(result))
    for why, names in found.items():
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        yield Advice(f"{', '.join(names[:_MOST_NAMED])}{more}: {why}.")


def _of_pairs(results: Sequence[Result]) -> Iterator[Advice]:
    """Yield what was unusual in A/B comparisons that no failure section describes."""
    found: dict[str, list[str]] = {}
    for result in results:
        ab = result.verdict.interleaved
        below = result.verdict.red and not result.accepted  # its facts are in its note or section
        for note in ab.notes if ab and not below else ():
            found.setdefault(note, []).append(figures.subject(result))
    for note, names in found.items():
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        yield Advice(f"A/B of {', '.join(names[:_MOST_NAMED])}{more}: {note}.")


def _mentioned(result: Result, check: Check, sentences: Sentences) -> bool:
    """Return whether a failure section or a note mentions the finding."""
    outcome = result.verdict.outcome
    noted = outcome is Outcome.INCONCLUSIVE or (outcome in _SHARED and not result.saved)
    failed = result.verdict.red and result.verdict.action == "fail" and not result.accepted
    return failed or (noted and check.finding in sentences.explain(result).text)


def _note(result: Result, sentences: Sentences, steps: Sequence[Result] = ()) -> Note:
    word, subject = verdict_word(result), f"{result.test.node_id}{figures.label(result)}"
    note = Note(word, subject, Advice(""), _brief(result), result.verdict.outcome, warned(result))
    if result.verdict.red and not result.accepted and sentences.again(result):
        return note._replace(advice=Advice(finding(result)), red=result, steps=steps)
    return note._replace(advice=_without_word(result, _runnable(result, sentences)))


def _runnable(result: Result, sentences: Sentences) -> Advice:
    """Return the reason with a command if possible: it contains the full name of the test."""
    advice, command = sentences.explain(result), sentences.again(result)
    nothing = result.verdict.cause_kind in (CauseKind.NOTHING_MEASURED, CauseKind.COUNTED_ONLY)
    if advice.command or result.saved or result.not_saved or nothing or command is None:
        return advice
    return Advice(f"{advice.text}; try again", command)


def _without_word(result: Result, advice: Advice) -> Advice:
    """Return the reason without the verdict, which is in the line above."""
    if result.verdict.outcome not in _WORDED:
        return advice
    word = verdict_word(result) if result.verdict.alone else result.verdict.outcome.value
    text = advice.text.removeprefix(word).lstrip(": ")
    return Advice(text, advice.command)


def _shared(group: Sequence[Result], sentences: Sentences) -> Note:
    advice = _without_word(group[0], sentences.explain(group[0]))
    command = advice.command
    if isinstance(command, Command):
        command = command._replace(test=None)
    word, outcome = verdict_word(group[0]).lstrip("~"), group[0].verdict.outcome
    subject = f"{len(group)} measurements"
    return Note(word, subject, Advice(advice.text, command), _brief(group[0]), outcome)


def _brief(result: Result) -> str:
    verdict, limit = result.verdict, figures.tightest(result)
    if work := verdict.more_work:
        return work_text.cell(work)
    if verdict.of_joules is not None:
        drop = verdict.drops[0]
        return f"{drop.name} {quality.moved(drop)}, limit {quality.limit(drop)}"
    if verdict.outcome is Outcome.OVER_BUDGET and limit is not None:
        budget = figures.of_limit(limit, limit.limit)
        return f"{figures.used(limit.used)} of {budget}"
    if verdict.cause and verdict.outcome in _WORDED:  # a change that is not judged has no limit
        return verdict.cause
    if shift := interleaved_text.shift_of(verdict):
        by = "A/B " if shift.ab else ""
        return f"{by}{format_percent(shift.relative)}, limit {figures.margin(shift.margin)}"
    if verdict.outcome is Outcome.NO_BASELINE and not verdict.interleaved:
        return result.not_saved or "accept it with --energy-save"
    return verdict.cause or ""
