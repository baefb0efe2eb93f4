"""What is said of a red test: what, why, how sure, and the commands to go on with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_greenops.model.advised import PLAIN, Caller, Command
from pytest_greenops.model.result import Result, why_not_a_baseline
from pytest_greenops.model.units import counted, format_percent
from pytest_greenops.model.verdict import RED, Outcome, Verdict
from pytest_greenops.report import figures, interleaved_text, reasons, work_text
from pytest_greenops.report.advice import Advice, again, save
from pytest_greenops.report.drawing import elide, hanging, visible
from pytest_greenops.report.layer_table import in_brief

_LABEL = 16
#: At most this many domains are listed, those that grew most.
_MOST_DOMAINS = 4


def failure_sections(
    results: Sequence[Result],
    said: str = "",
    caller: Caller = PLAIN,
    say: Callable[[str], str] = visible,
) -> Iterator[tuple[str, list[str]]]:
    """Yield a title with lines for each result of a test that is red or unproven.

    `said` is the message above: what it says is not said again. The commands are in the last
    section, once. Lines have at most `caller.width` characters; only commands may be longer.
    `say` makes texts of names fit for the screen.
    """
    listed = [r for r in results if r.verdict.red or r.verdict.unproven]
    for result in listed:
        name = elide(say(result.name), caller.width // 2, say("…"))
        title = "energy" if result.name == "call" else f"energy of {name}"
        lines: list[str] = []
        if reasons.failure(result).line(caller) != said:
            text = say(reasons.finding(result))
            lines += hanging(f"{'what':<{_LABEL}}", text, caller.width)
        lines += fact_lines(result, caller.width, say)
        if result is listed[-1]:
            lines += map(say, command_lines(listed, caller))
        if lines:
            yield title, lines


def fact_lines(result: Result, width: int, say: Callable[[str], str] = visible) -> Iterator[str]:
    """Yield labelled lines: why a test is red, how sure that is, and what disturbed it."""
    before = ""
    for label, text in facts(result):
        yield from hanging(f"{'' if label == before else label:<{_LABEL}}", say(text), width)
        before = label


def command_lines(results: Sequence[Result], caller: Caller) -> Iterator[str]:
    """Yield the next steps for measurements of one test, each once: labelled commands."""
    steps = dict.fromkeys(step for result in results for step in next_steps(result))
    for label, command in sorted(filter(lambda step: caller.can_run(step[1]), steps), key=_place):
        yield f"{label:<{_LABEL}}{caller.shell(command)}"


#: The next steps, in their order.
_ORDER = (
    *("find the cause", "find the commit", "decide it", "try again"),
    *("accept it", "allow it", "raise it"),
)


def _place(step: tuple[str, Command | str]) -> int:
    """Return the place of a next step among the others."""
    return _ORDER.index(step[0])


def next_steps(result: Result) -> Iterator[tuple[str, Command | str]]:
    """Yield what to do about a result that is red or unproven."""
    verdict, advice = result.verdict, reasons.failure(result)
    if not verdict.red:
        yield from _proofs(result, advice)
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


def _proofs(result: Result, advice: Advice) -> Iterator[tuple[str, Command | str]]:
    """Yield what decides an open result, measures it again, and accepts what it measured."""
    decides = advice.command
    at_another_commit = result.verdict.needs_sessions is not None
    if isinstance(decides, Command) and (decides.options or at_another_commit):
        yield "decide it", decides
    yield "try again", again(result)
    if isinstance(decides, Command) and decides.aim == "save":
        yield "accept it", decides
    elif result.verdict.interleaved is None and why_not_a_baseline(result) is None:
        yield "accept it", save(result)


def facts(result: Result) -> Iterator[tuple[str, str]]:
    """Yield what neither the message nor the table says: a label with its text."""
    verdict = result.verdict
    if verdict.red and (why := "; ".join(_causes(result))):
        yield "why", why
    if verdict.work is not None and verdict.red:
        yield from (("work", line) for line in work_text.facts(result))
    if verdict.of_joules is not None and not verdict.alone:
        yield "its energy", _energy_alone(verdict, verdict.of_joules)
    elif verdict.red and (sure := "; ".join(_evidence(result))):
        yield "how sure", sure
    if verdict.energy in RED and (since := "; ".join(_since(result))):
        yield "since", since
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
    fewer = change.occasions is not None and change.occasions < change.sessions
    hours = f" of {counted(change.occasions or 0, 'hour')}" if fewer else ""
    provisional = " (provisional)" if change.provisional else ""
    yield f"{counted(change.sessions, 'baseline session')}{hours}{provisional}"


def _lowest_to_highest(result: Result) -> str:
    values = figures.round_values(result)
    return figures.span(min(values), max(values), lambda j: figures.energy(j, result.unit))


def _causes(result: Result) -> Iterator[str]:
    """Yield why a test is red: by operator, by layer, by domain, or that nothing shows it."""
    verdict, explained = result.verdict, result.explained
    if verdict.more_work is not None and verdict.more_work.largest:  # which the message has
        return
    done = "counted" if verdict.alone else "measured"
    yield from list(_shown_causes(result)) or [f"what was {done} does not show it"]
    if explained is not None and not explained.layers:
        yield f"no layers: {explained.why}"


def _shown_causes(result: Result) -> Iterator[str]:
    """Yield what the layers, the counted work and the domains show."""
    verdict, explained = result.verdict, result.explained
    work = result.work if verdict.more_work is None else None
    if explained is not None and explained.layers:
        yield in_brief(explained)
    if verdict.work and work and (said := work_text.annotation(verdict.work, work.coverage)):
        yield said
    if verdict.energy not in RED or figures.estimated(result):  # whose shares are constants
        return
    domains = figures.shares(result)
    grown = any(each.before is not None for each in domains)
    if interleaved_text.deciding(verdict):  # what the stored baseline shows is another change
        return
    if domains[1:] and (grown or verdict.energy is Outcome.OVER_BUDGET):
        yield _by_domain(domains)


def _by_domain(domains: Sequence[figures.Share]) -> str:
    """Return `'by domain: gpu 62 % (+80 %), cpu 38 % (+1.0 %)'`: shares now, and the change."""
    shown, more = domains[:_MOST_DOMAINS], len(domains) - _MOST_DOMAINS
    texts = [f"{each.name} {figures.used(each.share)}{_grown(each)}" for each in shown]
    return f"by domain: {', '.join(texts)}" + (f", {more} more" if more > 0 else "")


def _grown(domain: figures.Share) -> str:
    if domain.before is None:
        return ""
    if not domain.before:
        return " (0 J before)" if domain.now else ""
    return f" ({format_percent(domain.now / domain.before - 1)})"


def _since(result: Result) -> Iterator[str]:
    """Yield since when the joules grew; a comparison with a ref says that itself."""
    change = result.verdict.change
    if change is None or interleaved_text.deciding(result.verdict):
        return
    if change.accepted_at is not None:
        at = f" at {change.commit[:10]}" if change.commit else ""
        yield f"the last baseline session, {change.accepted_at[:10]}{at}"
    if abs(change.since_anchor or 0.0) > change.margin:
        yield f"the baseline moved {format_percent(change.since_anchor or 0.0)} in accepted steps"
