"""The reason of each verdict, and what to do next."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from pytest_greenops.model.advised import PLAIN, Caller, Command
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.measurement import CheckName
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import counted, format_percent
from pytest_greenops.model.verdict import UNPROVEN, CauseKind, Change, Limit, Outcome
from pytest_greenops.model.work_verdict import WorkVerdict
from pytest_greenops.report import figures, interleaved_text, work_text
from pytest_greenops.report import quality_text as quality
from pytest_greenops.report.advice import Advice, again, save, sessions
from pytest_greenops.report.drawing import elide
from pytest_greenops.report.undecided import inconclusive

ESTIMATE_BAND = "±50 %"
#: The most columns of the name of a measurement in a sentence.
_LONGEST_NAME = 60


def verdict_word(result: Result) -> str:
    """Return the verdict: `passed (provisional)`, or `~regressed (warned)` for an estimate."""
    of_joules = figures.measured(result) and not result.verdict.of_joules
    mark = "~" if figures.estimated(result) and of_joules else ""
    flag, word = _flag(result), result.verdict.outcome.value
    if result.verdict.alone and result.verdict.outcome is Outcome.NOT_MEASURED:
        word = "not counted"
    return f"{mark}{word}{f' ({flag})' if flag else ''}"


def reason(result: Result, caller: Caller = PLAIN) -> str:
    """Return the reason and the next step in one line."""
    return explain(result).line(caller)


def failure(result: Result) -> Advice:
    """Return the message of the exception that fails the test, in one line."""
    return explain(result) if result.verdict.red else unproven(result)


def unproven(result: Result) -> Advice:
    """Return the message if only `--energy-strict` fails the test."""
    energy = result.verdict.energy
    other = quality_not_judged(result) or Advice(result.verdict.unjudged or "its limits")
    text, command = _REASONS[energy](result) if energy in UNPROVEN else other
    text = f"{_name(result)} could not be judged, and --energy-strict is on: {text}"
    return Advice(text, command)


def work_increased(test: TestKey, name: str, verdict: WorkVerdict) -> Advice:
    """Return the message of the exception that fails a test for its counted work, in one line."""
    exceeded = [limit for limit in verdict.limits if limit.exceeded]
    if exceeded:
        text = " and ".join(map(work_text.over_limit, exceeded))
        raised_to = ", ".join(map(work_text.raised, exceeded))
        text = f"{name} {text}{work_text.compared(verdict)}. If this is intended, raise it"
        return Advice(text, f"energy_budget({raised_to})")
    text = f"{name} {work_text.increase(verdict)}"
    if verdict.against is not None:
        allowed = f"energy_budget({work_text.allowed(verdict)})"
        return Advice(f"{text}. If this is intended, merge it or allow it", allowed)
    return Advice(f"{text}. Accept it", Command("save", test.node_id))


def finding(result: Result) -> str:
    """Return what a failure says, without the next step if that is to accept it."""
    text, command = failure(result)
    return text.rpartition(". ")[0] if result.verdict.red and command else text


def explain(result: Result) -> Advice:
    """Return the reason, and the next step as a command."""
    if work := result.verdict.more_work:
        advice = work_increased(result.test, _name(result), work)
        accepted = advice.text.replace(". Accept it", ". This run accepted it")
        return Advice(accepted) if result.accepted else advice
    return _REASONS[result.verdict.outcome](result)


def quality_not_judged(result: Result) -> Advice | None:
    """Return why a limited quality could not be judged, or None."""
    why = quality.not_judged(result)
    refused = any(each.broken for each in result.verdict.qualities)
    return Advice(why, None if refused else save(result)) if why else None


def shown_once(calls: int) -> str:
    """Return the note for a test whose output, log and warnings are those of one repetition."""
    return (
        f"the measurement ran the work {calls:,} times; output, log, warnings and subtests are "
        "of one repetition"
    )


def tests_shown_once(tests: int, calls: int) -> str:
    """Return the line that counts such tests, of which one ran its work `calls` times."""
    their = "1 test, which ran its" if tests == 1 else f"{tests} tests, which ran their"
    upto = "" if tests == 1 else "up to "
    return f"one repetition's output is shown of {their} work {upto}{calls:,} times"


def failed_in_repetition(number: int) -> str:
    """Return the note for a test that failed by itself, but not in its first repetition."""
    return (
        f"the test failed in repetition {number} of its measurement, not in the first: its data "
        "changed between repetitions. Create the data for each repetition: "
        "energy.pedantic(function, setup=make_data), or measure once: max_rounds=1"
    )


def warned(result: Result) -> bool:
    """Return whether a red verdict only warns."""
    verdict = result.verdict
    return verdict.red and verdict.action == "warn" and not result.accepted


def _flag(result: Result) -> str:
    if result.accepted:
        return "saved"
    if warned(result):
        return "warned"
    if result.verdict.cause_kind is CauseKind.SAME_WORK:
        return "same work"
    return "provisional" if is_provisional(result) else ""


def is_provisional(result: Result) -> bool:
    """Return whether a verdict rests on a young baseline alone: not on an A/B comparison."""
    verdict = result.verdict
    young = verdict.change is not None and verdict.change.provisional
    return young and verdict.outcome is Outcome.PASSED and not interleaved_text.deciding(verdict)


def _name(result: Result) -> str:
    return elide(result.name, _LONGEST_NAME)


def _figure(result: Result, text: str) -> str:
    marks = [] if result.domain == "total" else [result.domain]
    marks += [f"estimated, {ESTIMATE_BAND}"] if figures.estimated(result) else []
    return f"{text} ({', '.join(marks)})" if marks else text


def _regressed(result: Result) -> Advice:
    change, dropped = result.verdict.change, ""
    if result.verdict.drops:
        if result.verdict.energy is not Outcome.REGRESSED:
            return _worse(result, quality.drops(result))
        dropped = f" and {quality.drops(result)}"
    if ab := interleaved_text.deciding(result.verdict):
        now, against = interleaved_text.regression(result, ab)
        return _accept(result, f"{_name(result)} used {_figure(result, now)}{against}{dropped}")
    now = _figure(result, figures.energy(result.judged_j, result.unit))
    if change is None:
        return _accept(result, f"{_name(result)} used {now}{dropped}")
    return _accept(
        result,
        f"{_name(result)} used {now}, "
        f"baseline {figures.energy(change.baseline_j, result.unit)} "
        f"({format_percent(change.relative)}{_correction(change)}, "
        f"95 % CI {figures.change_span(change)}, "
        f"limit {figures.margin(change.margin)}){dropped}",
    )


def _worse(result: Result, dropped: str) -> Advice:
    """Return the reason of a drop in quality without a regression of the joules."""
    if result.verdict.energy is Outcome.NOT_MEASURED:
        return Advice(f"{_name(result)} {dropped}. It can be accepted once its energy is measured")
    return _accept(result, f"{_name(result)} {dropped}")


def _correction(change: Change) -> str:
    return "" if change.taken_out is None else f", corrected for {figures.machine_shift(change)}"


def _accept(result: Result, text: str) -> Advice:
    if result.saved:
        return Advice(f"{text}. This run accepted it as the baseline")
    if any(drop.broken for drop in result.verdict.drops):
        return Advice(f"{text}. It cannot be accepted: a quality must be a finite number")
    ab = interleaved_text.deciding(result.verdict)
    if ab and result.verdict.change is None and not result.verdict.drops:
        text = f"{text}. If this is intended, merge it or allow it"
        return Advice(text, f"energy_budget({interleaved_text.allowed(ab)})")
    return Advice(f"{text}. Accept it", save(result))


def _over_budget(result: Result) -> Advice:
    limit = figures.tightest(result)
    if limit is None:
        return Advice(f"{_name(result)} exceeds its budget")
    verb = figures.QUANTITIES[limit.quantity][1]
    interval = "" if limit.low == limit.high else f" (95 % CI {figures.limit_span(limit)})"
    return Advice(
        f"{_name(result)} {verb} "
        f"{_figure(result, figures.of_limit(limit, limit.value))}, "
        f"budget {figures.of_limit(limit, limit.limit)}{interval}: "
        f"{figures.used(limit.used)} of the budget. If this is intended, raise it",
        f"energy_budget({raised(limit)})",
    )


def _passed(result: Result) -> Advice:
    change = result.verdict.change
    text = "; ".join(_grounds(result)) or "within its limits"
    if change is None or result.saved or not is_provisional(result):
        return Advice(text)
    why, fix = provisional(change)
    return Advice(f"{text}; provisional: {why}; {fix}", save(result))


def provisional(change: Change) -> tuple[str, str]:
    """Return why a verdict is provisional, with what is detected, and the fix."""
    detected = f"only increases of at least {format_percent(change.smallest)} are detected"
    hours = change.sessions if change.occasions is None else change.occasions
    if hours >= 3 and change.spread:
        spread = format_percent(change.spread, signed=False)
        return f"sessions differ by {spread}, so {detected}", "add a session"
    if change.sessions > hours:
        together = f"{sessions(change.sessions)} of {counted(hours, 'hour')} count as {hours}"
        return f"{together}, and {detected}", "add one in another hour"
    return f"with {sessions(change.sessions)}, {detected}", "add a session in another hour"


def _improved(result: Result) -> Advice:
    text = "; ".join(_grounds(result)) or "less than the baseline"
    if result.saved:
        return Advice(f"{text}; this run accepted it as the baseline")
    if result.verdict.change is None and not result.verdict.alone:
        return Advice(text)
    return Advice(f"{text}; save the improvement", save(result))


def _grounds(result: Result) -> Iterator[str]:
    change, ab = result.verdict.change, result.verdict.interleaved
    if result.verdict.cause_kind is CauseKind.SAME_WORK:
        yield "the joules are open, but the counted work is the same"
    if result.verdict.alone and result.work is not None:
        yield f"{work_text.cell(result.verdict.alone)}: {work_text.totals(result.work.totals)}"
    deciding = interleaved_text.deciding(result.verdict)
    if deciding is not None:
        yield interleaved_text.within(deciding)
    elif ab is not None:
        yield f"A/B: {interleaved_text.not_deciding(ab)}"
    if change is not None:
        stored = "" if deciding is None else "stored baseline: "
        yield f"{stored}{figures.against_baseline(change)}"
        if change.since_anchor is not None and change.since_anchor > change.margin:
            crept = format_percent(change.since_anchor)
            yield f"the baseline crept up {crept} in small accepted steps"
    for limit in result.verdict.limits:
        budget = figures.of_limit(limit, limit.limit)
        yield f"{figures.used(limit.used)} of the budget of {budget}"


def _no_baseline(result: Result) -> Advice:
    if result.verdict.alone:
        return _no_work_accepted(result)
    if result.saved:
        text = "there was no baseline on this machine; this run saved one"
        if (smallest := result.verdict.detects) is not None:
            text += f"; over it, increases of at least {format_percent(smallest)} are detected"
        return Advice(text)
    if result.not_saved:
        return Advice(f"no baseline on this machine; not saved: {result.not_saved}")
    if result.verdict.interleaved is not None:
        text = f"no baseline{_because(result)}: it is compared once it is merged"
        return Advice(f"{text}; to judge it before, save a baseline", save(result))
    return Advice(f"no baseline on this machine{_because(result)}; save one", save(result))


def _no_work_accepted(result: Result) -> Advice:
    if result.saved:
        return Advice("no work was accepted yet; this run saved it")
    because = f": {result.verdict.cause}" if result.verdict.cause else ""
    return Advice(f"no work is accepted yet{because}; save it", save(result))


def _not_comparable(result: Result) -> Advice:
    text = f"not comparable{_because(result)}"
    if any(check.name is CheckName.INSTRUMENTED for check in result.checks):
        return Advice(f"{text}; measure without it", again(result))
    if result.saved:
        return Advice(f"{text}; this run saved a new baseline")
    if result.not_saved:
        return Advice(f"{text}; not saved: {result.not_saved}")
    if (ab := result.verdict.interleaved) is not None:
        how = "measure with this" if ab.fix else "fix this and measure again"
        return Advice(f"{text}; {how}", again(result, *ab.fix))
    return Advice(f"{text}; save a baseline for these conditions", save(result))


def _not_measured(result: Result) -> Advice:
    if result.verdict.alone:
        return Advice(f"not counted: {result.verdict.cause}")
    return Advice(f"not measured: {result.verdict.cause or 'no sensor could be read'}")


def _because(result: Result) -> str:
    ab = result.verdict.interleaved
    cause = result.verdict.cause or (ab and ab.cause)
    return f" ({cause})" if cause else ""


_REASONS: dict[Outcome, Callable[[Result], Advice]] = {
    Outcome.PASSED: _passed,
    Outcome.IMPROVED: _improved,
    Outcome.REGRESSED: _regressed,
    Outcome.OVER_BUDGET: _over_budget,
    Outcome.INCONCLUSIVE: inconclusive,
    Outcome.NO_BASELINE: _no_baseline,
    Outcome.NOT_COMPARABLE: _not_comparable,
    Outcome.NOT_MEASURED: _not_measured,
}


def raised(limit: Limit) -> str:
    """Return the marker argument with which this value passes: `'max_power="390 W"'`."""
    if limit.quantity == "power":
        return f'max_power="{_written(limit.high, "W")}"'
    if limit.quantity == "carbon":
        return f'max_carbon="{_written(limit.high, "g")}"'
    per = "" if limit.unit == "call" else f', per="{limit.unit}"'
    return f'"{_written(limit.high, "J")}"{per}'


def _written(value: float, unit: str) -> str:
    """Return a value for the marker, rounded up to two digits: `3.19` -> `'3.2 J'`."""
    factor, prefix = next(((f, p) for f, p in ((1e3, "k"), (1.0, "")) if value >= f), (1e-3, "m"))
    scaled = value / factor
    step = 10.0 ** (math.floor(math.log10(scaled)) - 1) if scaled > 0 else 1.0
    return f"{math.ceil(scaled / step - 1e-9) * step:.6g} {prefix}{unit}"
