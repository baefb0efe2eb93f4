"""What is said of a red test: what, how sure, where, and the commands to go on with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_greenops.model.advised import PLAIN, Caller, Command
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import counted, format_percent
from pytest_greenops.model.verdict import RED, Outcome, Verdict
from pytest_greenops.report import figures, interleaved_text, reasons, work_text
from pytest_greenops.report.advice import again
from pytest_greenops.report.drawing import hanging
from pytest_greenops.report.layer_table import in_brief

_LABEL = 16


def failure_sections(
    results: Sequence[Result],
    said: str = "",
    caller: Caller = PLAIN,
) -> Iterator[tuple[str, list[str]]]:
    """Yield a title with lines for each result of a test that is red or unproven.

    `said` is the message above: what it says is not said again. The commands are in the last
    section, once. Lines have at most `caller.width` characters; only commands may be longer.
    """
    listed = [r for r in results if r.verdict.red or r.verdict.unproven]
    for result in listed:
        title = "energy" if result.name == "call" else f"energy of {result.name}"
        what = reasons.failure(result).line(caller) != said
        lines = list(_labelled(result, what, caller.width))
        if result is listed[-1]:
            lines += command_lines(listed, caller)
        if lines:
            yield title, lines


def _labelled(result: Result, what: bool, width: int) -> Iterator[str]:
    if what:
        yield from hanging(f"{'what':<{_LABEL}}", reasons.finding(result), width)
    yield from fact_lines(result, width)


def fact_lines(result: Result, width: int) -> Iterator[str]:
    """Yield labelled lines: how sure a verdict is, where the energy goes, and what disturbed it."""
    for label, text in facts(result):
        yield from hanging(f"{label:<{_LABEL}}", text, width)


def command_lines(results: Sequence[Result], caller: Caller) -> Iterator[str]:
    """Yield the next steps for measurements of one test, each once: labelled commands."""
    steps = dict.fromkeys(step for result in results for step in next_steps(result))
    for label, command in sorted(steps, key=lambda step: _ORDER.index(step[0])):
        yield f"{label:<{_LABEL}}{caller.shell(command)}"


#: The next steps, in their order.
_ORDER = (
    *("find the cause", "find the commit", "next", "try again"),
    *("accept it", "allow it", "raise it"),
)


def next_steps(result: Result) -> Iterator[tuple[str, Command | str]]:
    """Yield what to do about a result that is red or unproven."""
    verdict, advice = result.verdict, reasons.failure(result)
    if not verdict.red:
        if advice.command:
            yield "next", advice.command
        return
    if result.explained is None and verdict.energy in RED and not verdict.alone:
        yield "find the cause", Command("explain", result.test.node_id)
    if commit := interleaved_text.bisected(result):
        yield "find the commit", commit
    yield "try again", again(result)
    if isinstance(advice.command, Command):
        yield "accept it", advice.command
    ab = interleaved_text.deciding(verdict)
    if (work := verdict.more_work) and work.against:
        yield "allow it", advice.command or ""
    elif ab is not None and verdict.energy is Outcome.REGRESSED:
        yield "allow it", f"energy_budget({interleaved_text.allowed(ab)})"
    elif isinstance(advice.command, str):
        yield "raise it", advice.command


def facts(result: Result) -> Iterator[tuple[str, str]]:
    """Yield what neither the message nor the table says: a label with its text."""
    verdict = result.verdict
    if verdict.work is not None and verdict.red:
        yield from (("work", line) for line in work_text.facts(result))
    if verdict.of_joules is not None and not verdict.alone:
        yield "its energy", _energy_alone(verdict, verdict.of_joules)
    elif verdict.red and (sure := "; ".join(_evidence(result))):
        yield "how sure", sure
    if verdict.energy in RED and (where := "; ".join(_place(result))):
        yield "where", where
    unlimited = result.quality.keys() - {each.name for each in verdict.qualities}
    if unlimited:
        values = (f"{name} {result.quality[name]:g}" for name in sorted(unlimited))
        yield "quality", ", ".join(values)
    if (ab := verdict.interleaved) is not None:
        if interleaved_text.deciding(verdict) is None and verdict.red:
            yield "A/B", interleaved_text.not_deciding(ab)
        yield from (("A/B", note) for note in ab.notes)
        alone = verdict.change is None and verdict.energy is Outcome.REGRESSED
        if alone and (merged := interleaved_text.merged(ab)):
            yield "if intended", merged
    said = reasons.finding(result)
    for check in result.checks:
        found = "" if check.finding in said else f"{check.finding}; "
        yield "check", f"{check.name}: {found}{check.done}"


def _energy_alone(verdict: Verdict, of_joules: Outcome) -> str:
    """Return the verdict on the joules, if a drop in quality is more important."""
    compared = figures.against_baseline(verdict.change) if verdict.change else ""
    if ab := interleaved_text.deciding(verdict):
        compared = interleaved_text.within(ab)
    why = verdict.cause or compared
    return f"{of_joules.value}{f': {why}' if why else ''}"


def _evidence(result: Result) -> Iterator[str]:
    """Yield how unlikely the change is without a cause, and what it was compared with."""
    change, confirmed = result.verdict.change, result.verdict.confirmed
    over, ab = (
        result.verdict.energy is Outcome.OVER_BUDGET,
        interleaved_text.deciding(result.verdict),
    )
    if ab is not None and not over:
        yield from interleaved_text.evidence(result.verdict, ab)
        return
    if change is None or over:
        if figures.measured(result):
            yield f"{figures.tally(result)} of {_lowest_to_highest(result)}"
        return
    if change.p_value is not None:
        yield figures.chance(change)
    if confirmed is not None:
        yield f"fresh process {format_percent(confirmed)}"
    hours = "" if change.occasions is None else f": {counted(change.occasions, 'occasion')}"
    provisional = f" (provisional{hours})" if change.provisional else ""
    yield f"{counted(change.sessions, 'baseline session')}{provisional}"


def _lowest_to_highest(result: Result) -> str:
    values = figures.round_values(result)
    return figures.span(min(values), max(values), lambda j: figures.energy(j, result.unit))


def _place(result: Result) -> Iterator[str]:
    """Yield where the joules go, by layer or else by domain, and since when they grew."""
    explained, change = result.explained, result.verdict.change
    if interleaved_text.deciding(result.verdict):  # what the stored baseline says is another change
        change = None
    if explained is not None:
        yield in_brief(explained) if explained.layers else f"no layers: {explained.why}"
    kinds = figures.counted_kinds(result)
    if len(kinds) > 1 and not figures.estimated(result):  # of an estimate they are constants
        grown = figures.kinds_changed(result) if change else {}
        total = sum(kinds.values())
        shares = {kind: figures.used(joules / (total or 1.0)) for kind, joules in kinds.items()}
        yield ", ".join(
            f"{kind} {share}" + (f" ({format_percent(grown[kind])})" if kind in grown else "")
            for kind, share in shares.items()
        )
    if change is not None and change.accepted_at is not None:
        day = change.accepted_at[:10]
        yield f"since {change.commit[:10]} ({day})" if change.commit else f"since {day}"
    if change is not None and abs(change.since_anchor or 0.0) > change.margin:
        yield f"the baseline moved {format_percent(change.since_anchor or 0.0)} in accepted steps"
