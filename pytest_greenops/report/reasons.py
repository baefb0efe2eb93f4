"""Why a verdict is what it is, and what to do about it: one sentence for each outcome."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pytest_greenops.model.measurement import Check, CheckName
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import format_percent
from pytest_greenops.model.verdict import UNPROVEN, CauseKind, Change, Limit, Outcome
from pytest_greenops.report import figures
from pytest_greenops.report import quality_text as quality

ESTIMATE_BAND = "±50 %"
#: What to do before measuring again, by the self-check that forbade a verdict.
_MENDS = {
    "contention": "stop what else runs on the machine",
    "drift": "let the machine settle",
    "too short": "make one call longer",
}


class Advice(NamedTuple):
    """A sentence, and the shell command to run next, if one helps."""

    text: str
    command: str | None = None

    def __str__(self) -> str:
        return f"{self.text}: {self.command}" if self.command else self.text


def verdict_word(result: Result) -> str:
    """The verdict in a word or two: `passed (provisional)`, `~regressed (warned)` of estimates."""
    of_joules = figures.measured(result) and not result.verdict.of_joules
    mark = "~" if figures.estimated(result) and of_joules else ""
    flag = _flag(result)
    return f"{mark}{result.verdict.outcome.value}{f' ({flag})' if flag else ''}"


def reason(result: Result) -> str:
    """Why the verdict is what it is, and what to do next, in one line."""
    return str(explain(result))


def failure(result: Result) -> str:
    """The message of the exception that fails the test, in one line."""
    return reason(result) if result.verdict.red else unproven(result)


def unproven(result: Result) -> str:
    """The same where only `--energy-strict` fails it: what could not be shown, and why."""
    energy = result.verdict.energy
    why = _REASONS[energy](result) if energy in UNPROVEN else unheld(result)
    return f"{result.name} could not be judged, and --energy-strict is on: {why}"


def explain(result: Result) -> Advice:
    """The reason, with its command apart."""
    return _REASONS[result.verdict.outcome](result)


def unheld(result: Result) -> Advice | None:
    """Why a drop of its quality could not be judged, where it is limited."""
    why = quality.unheld(result)
    refused = any(each.broken for each in result.verdict.qualities)
    return Advice(why, None if refused else save(result)) if why else None


def node(result: Result) -> str:
    """The node id of the result's test, quoted for a shell where that is needed."""
    return shlex.quote(result.test.node_id)


def save(result: Result) -> str:
    """The command that accepts what this test uses now."""
    return f"pytest --energy-save {node(result)}"


def again(result: Result) -> str:
    """The command that measures this test once more."""
    return f"pytest --energy {node(result)}"


def sessions(count: int, which: str = "") -> str:
    """`'1 baseline session'`, `'3 more baseline sessions'`."""
    return f"{count} {which}baseline session{'' if count == 1 else 's'}"


def failed_in_repetition(number: int) -> str:
    """What stands under a test that failed for its own reason, but not the first time."""
    return (
        f"it failed in repetition {number} of its measurement, not in the first: what it works on "
        "changes from one repetition to the next. Make it anew each time: "
        "energy.pedantic(function, setup=make_it), or measure once: max_rounds=1"
    )


def warned(result: Result) -> bool:
    """Return whether a red verdict only warns."""
    verdict = result.verdict
    return verdict.red and verdict.action == "warn" and not result.saved


def _flag(result: Result) -> str:
    verdict = result.verdict
    if result.saved:
        return "saved"
    if warned(result):
        return "warned"
    provisional = verdict.change is not None and verdict.change.provisional
    return "provisional" if provisional and verdict.outcome is Outcome.PASSED else ""


def _figure(result: Result, text: str) -> str:
    marks = [] if result.domain == "total" else [result.domain]
    marks += [f"estimated, {ESTIMATE_BAND}"] if figures.estimated(result) else []
    return f"{text} ({', '.join(marks)})" if marks else text


def _regressed(result: Result) -> Advice:
    change, kept = result.verdict.change, ""
    if result.verdict.drops:
        if result.verdict.energy is not Outcome.REGRESSED:
            return _worse(result, quality.kept(result))
        kept = f" and {quality.kept(result)}"
    now = _figure(result, figures.energy(result.judged_j, result.unit))
    if change is None:
        return _accept(result, f"{result.name} used {now}{kept}")
    return _accept(
        result,
        f"{result.name} used {now}, "
        f"baseline {figures.energy(change.baseline_j, result.unit)} "
        f"({format_percent(change.relative)}{_without_shift(change)}, "
        f"95 % CI {figures.change_span(change)}, "
        f"limit {figures.margin(change.margin)}){kept}",
    )


def _worse(result: Result, kept: str) -> Advice:
    """A drop of quality whose joules did not regress; what has none to save cannot be accepted."""
    if result.verdict.energy is Outcome.NOT_MEASURED:
        return Advice(f"{result.name} {kept}. It can be accepted once its energy is measured")
    return _accept(result, f"{result.name} {kept}")


def _without_shift(change: Change) -> str:
    return "" if change.taken_out is None else f" without {figures.machine_shift(change)}"


def _accept(result: Result, text: str) -> Advice:
    if result.saved:
        return Advice(f"{text}. This run accepted it as the baseline")
    if any(drop.broken for drop in result.verdict.drops):
        return Advice(f"{text}. It cannot be accepted: a quality has to be a finite number")
    return Advice(f"{text}. Accept it", save(result))


def _over_budget(result: Result) -> Advice:
    limit = figures.tightest(result)
    if limit is None:
        return Advice(f"{result.name} is over its budget")
    verb = figures.QUANTITIES[limit.quantity][1]
    interval = "" if limit.low == limit.high else f" (95 % CI {figures.limit_span(limit)})"
    return Advice(
        f"{result.name} {verb} "
        f"{_figure(result, figures.of_limit(limit, limit.value))}, "
        f"budget {figures.of_limit(limit, limit.limit)}{interval}: "
        f"{figures.used(limit.used)} of it. "
        f"Raise it if that is meant: energy_budget({raised(limit)})"
    )


def _passed(result: Result) -> Advice:
    change = result.verdict.change
    text = "; ".join(_grounds(result)) or "within its limits"
    if change is None or result.saved or not change.provisional:
        return Advice(text)
    return Advice(
        f"{text}; provisional: with {sessions(change.sessions)} only an increase from "
        f"{format_percent(change.smallest)} on can be found; add a session",
        save(result),
    )


def _improved(result: Result) -> Advice:
    text = "; ".join(_grounds(result)) or "less than the baseline"
    if result.saved:
        return Advice(f"{text}; this run accepted it as the baseline")
    return Advice(f"{text}; keep the gain", save(result))


def _grounds(result: Result) -> Iterator[str]:
    change = result.verdict.change
    if change is not None:
        yield figures.against_baseline(change)
        if change.since_anchor is not None and change.since_anchor > change.margin:
            yield f"{format_percent(change.since_anchor)} since the first accepted level"
    for limit in result.verdict.limits:
        budget = figures.of_limit(limit, limit.limit)
        yield f"{figures.used(limit.used)} of the budget of {budget}"


def _inconclusive(result: Result) -> Advice:
    verdict = result.verdict
    if verdict.cause_kind is CauseKind.NOT_CONFIRMED:
        margin = figures.margin(verdict.change.margin) if verdict.change else ""
        limit = f", limit {margin}" if margin and not verdict.limits else ""
        return Advice(
            f"can't tell: {verdict.cause}{limit}; quieten the machine, then", again(result)
        )
    text = f"can't tell: {', '.join(_doubts(result)) or 'the rounds do not agree'}"
    if verdict.needs_rounds is not None:
        command = f"pytest --energy --energy-min-rounds={verdict.needs_rounds} {node(result)}"
        return Advice(f"{text}; about {verdict.needs_rounds} rounds would decide", command)
    if verdict.needs_processes is not None:
        command = f"pytest --energy --energy-sessions={verdict.needs_processes} {node(result)}"
        return Advice(f"{text}; about {verdict.needs_processes} processes would decide", command)
    if verdict.needs_sessions is not None:
        more = sessions(verdict.needs_sessions, "more ")
        return Advice(f"{text}; {more} would decide; at the accepted commit", save(result))
    untrusted = _untrusted(result)
    if untrusted and untrusted.name == "control":
        return Advice(
            f"{text}; look what else changed, or accept the machine as it is", save(result)
        )
    if verdict.cause_kind is CauseKind.POWER_CAP:
        return Advice(f"{text}; if the work is meant to use so much, accept it", save(result))
    if _near_limits(result) and untrusted is None:
        if verdict.change is None or verdict.change.provisional:
            return Advice(
                f"{text}; raise it, or save sessions, which tell its spread", save(result)
            )
        return Advice(f"{text}; raise it, or use less", again(result))
    mend = _MENDS.get(untrusted.name if untrusted else "", "quieten the machine")
    if verdict.change is not None and untrusted is None:
        mend = f"only {format_percent(verdict.change.smallest)} or more could be found; {mend}"
    return Advice(f"{text}; {mend}, then", again(result))


def _doubts(result: Result) -> Iterator[str]:
    verdict, untrusted = result.verdict, _untrusted(result)
    near = _near_limits(result)
    for limit in near:
        yield (
            f"{figures.of_limit(limit, limit.value)} "
            f"(95 % CI {figures.limit_span(limit)}) "
            f"against a budget of {figures.of_limit(limit, limit.limit)}"
        )
    if verdict.change is not None and not near:
        yield figures.against_baseline(verdict.change)
    if verdict.cause and (untrusted or not near):
        yield verdict.cause


def _near_limits(result: Result) -> list[Limit]:
    """The absolute limits that lie within the interval of their value."""
    return [limit for limit in result.verdict.limits if limit.low <= limit.limit < limit.high]


def _untrusted(result: Result) -> Check | None:
    return next((check for check in result.checks if check.untrusted), None)


def _no_baseline(result: Result) -> Advice:
    if result.saved:
        return Advice("there was no baseline on this machine; this run saved one")
    if result.not_saved:
        return Advice(f"no baseline on this machine; not saved: {result.not_saved}")
    return Advice(f"no baseline on this machine{_because(result)}; accept one", save(result))


def _not_comparable(result: Result) -> Advice:
    text = f"not comparable{_because(result)}"
    if any(check.name is CheckName.INSTRUMENTED for check in result.checks):
        return Advice(f"{text}; measure without it", again(result))
    if result.saved:
        return Advice(f"{text}; this run saved a new baseline")
    if result.not_saved:
        return Advice(f"{text}; not saved: {result.not_saved}")
    return Advice(f"{text}; accept what it uses here", save(result))


def _not_measured(result: Result) -> Advice:
    return Advice(f"not measured: {result.verdict.cause or 'no sensor could be read'}")


def _because(result: Result) -> str:
    cause = (result.verdict.cause or "").strip()
    if cause.startswith("(") and cause.endswith(")"):
        cause = cause[1:-1]
    return f" ({cause})" if cause else ""


_REASONS: dict[Outcome, Callable[[Result], Advice]] = {
    Outcome.PASSED: _passed,
    Outcome.IMPROVED: _improved,
    Outcome.REGRESSED: _regressed,
    Outcome.OVER_BUDGET: _over_budget,
    Outcome.INCONCLUSIVE: _inconclusive,
    Outcome.NO_BASELINE: _no_baseline,
    Outcome.NOT_COMPARABLE: _not_comparable,
    Outcome.NOT_MEASURED: _not_measured,
}


def raised(limit: Limit) -> str:
    """The argument of the marker that would let this value pass: `'max_power="390 W"'`."""
    if limit.quantity == "power":
        return f'max_power="{_written(limit.high, "W")}"'
    if limit.quantity == "carbon":
        return f'max_carbon="{_written(limit.high, "g")}"'
    per = "" if limit.unit == "call" else f', per="{limit.unit}"'
    return f'"{_written(limit.high, "J")}"{per}'


def _written(value: float, unit: str) -> str:
    """A value that the marker can read, rounded up to two digits: `3.19` -> `'3.2 J'`."""
    factor, prefix = next(((f, p) for f, p in ((1e3, "k"), (1.0, "")) if value >= f), (1e-3, "m"))
    scaled = value / factor
    step = 10.0 ** (math.floor(math.log10(scaled)) - 1) if scaled > 0 else 1.0
    return f"{math.ceil(scaled / step - 1e-9) * step:.6g} {prefix}{unit}"
