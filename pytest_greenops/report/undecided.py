"""Why a result is inconclusive, and what would decide it."""

from __future__ import annotations

from pytest_greenops.model.measurement import Check, CheckName
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import format_percent
from pytest_greenops.model.verdict import CauseKind, Change, Limit
from pytest_greenops.report import figures, interleaved_text
from pytest_greenops.report.advice import Advice, again, save, sessions

#: What to do before measuring again, by the self-check that failed.
_FIXES = {
    CheckName.CONTENTION: "stop other processes",
    CheckName.DRIFT: "let the machine reach a stable temperature",
    CheckName.TOO_SHORT: "make one call longer",
}

_QUIET = "reduce the load on the machine"


def inconclusive(result: Result) -> Advice:
    """Return the reason of an inconclusive result, and the next step."""
    verdict, untrusted = result.verdict, _untrusted(result)
    text, ab = doubt(result), verdict.interleaved
    if ab is not None and interleaved_text.deciding(verdict) and not _near_limits(result):
        more = "" if verdict.cause else interleaved_text.detected(ab)
        if ab.fix:
            return Advice(f"{text}; allow more", again(result, *ab.fix))
        return Advice(f"{text}{more}; {_QUIET}, then measure again", again(result))
    if ab is not None and not (ab.cause and ab.cause in text):
        text = f"{text}; A/B: {interleaved_text.not_deciding(ab)}"
    if verdict.cause_kind is CauseKind.NOT_CONFIRMED:
        return Advice(f"{text}; {_QUIET}, then measure again", again(result))
    if verdict.needs_rounds is not None:
        command = again(result, f"--energy-min-rounds={verdict.needs_rounds}")
        return Advice(f"{text}; about {verdict.needs_rounds} rounds would decide", command)
    if verdict.needs_processes is not None:
        command = again(result, f"--energy-sessions={verdict.needs_processes}")
        return Advice(f"{text}; about {verdict.needs_processes} processes would decide", command)
    if verdict.needs_sessions is not None:
        more = sessions(verdict.needs_sessions, "more ")
        text = f"{text}; {more} of other hours would decide; at the accepted commit, run"
        return Advice(text, save(result))
    if untrusted and untrusted.name is CheckName.CONTROL:
        text = f"{text}; check what else changed, or accept the machine as it is"
        return Advice(text, save(result))
    if verdict.cause_kind is CauseKind.CONTROL:
        return Advice(f"{text}; add sessions of other hours, or measure later", again(result))
    if verdict.cause_kind is CauseKind.POWER_CAP:
        return Advice(f"{text}; if the work is meant to use this much, accept it", save(result))
    if _near_limits(result) and untrusted is None:
        if verdict.change is None or verdict.change.provisional:
            text = f"{text}; raise the budget, or save sessions to estimate the spread"
            return Advice(text, save(result))
        return Advice(f"{text}; raise the budget, or reduce the energy and measure", again(result))
    fix = _FIXES.get(untrusted.name, _QUIET) if untrusted else _QUIET
    if verdict.change is not None and untrusted is None:
        text += _held(verdict.change)
    return Advice(f"{text}; {fix}, then measure again", again(result))


def _held(change: Change) -> str:
    """Return which increases a measurement detects, and the margin that it can hold."""
    smallest = format_percent(change.smallest)
    if not change.spread:
        return f"; this measurement detects increases of at least {smallest}"
    spread = format_percent(change.spread, signed=False)
    margin = figures.written_margin(change.smallest)
    return (
        f"; sessions here differ by {spread}, so increases of at least {smallest} are detected: "
        f'allow them by max_increase="{margin}"'
    )


def doubt(result: Result) -> str:
    """Return why a result is inconclusive: `'inconclusive because +3.1 % (…) is too …'`."""
    verdict, near = result.verdict, _near_limits(result)
    if verdict.cause_kind is CauseKind.NOT_CONFIRMED:
        margin = figures.margin(verdict.change.margin) if verdict.change else ""
        limit = f", limit {margin}" if margin and not verdict.limits else ""
        return f"inconclusive because it is {verdict.cause}{limit}"
    measured = []
    for each in near:
        value = f"{figures.of_limit(each, each.value)} (95 % CI {figures.limit_span(each)})"
        measured.append((value, f"budget of {figures.of_limit(each, each.limit)}"))
    if (ab := interleaved_text.deciding(verdict)) and not near:
        measured.append((interleaved_text.uncertain(ab), f"limit of {figures.margin(ab.margin)}"))
    elif verdict.change is not None and not near:
        limit = f"limit of {figures.margin(verdict.change.margin)}"
        measured.append((figures.measured_change(verdict.change), limit))
    if verdict.cause and (_untrusted(result) or not near):
        cause = {
            CauseKind.SELF_CHECK: f"a self-check failed ({verdict.cause})",
            CauseKind.CONTROL: f"a self-check failed ({verdict.cause})",
            CauseKind.REF: verdict.cause,
            CauseKind.POWER_CAP: f"a power limit applied on one side only, {verdict.cause}",
        }.get(verdict.cause_kind or CauseKind.DIFFERENCES, f"of {verdict.cause}")
        against = [f"measured {value} against a {limit}" for value, limit in measured]
        return "; ".join([f"inconclusive because {cause}", *against])
    uncertain = [f"{value} is too uncertain for a {limit}" for value, limit in measured]
    return f"inconclusive because {' and '.join(uncertain) or 'the rounds differ too much'}"


def _near_limits(result: Result) -> list[Limit]:
    """Return the absolute limits that lie within the interval of their value."""
    return [limit for limit in result.verdict.limits if limit.low <= limit.limit < limit.high]


def _untrusted(result: Result) -> Check | None:
    return next((check for check in result.checks if check.untrusted), None)
