"""The header of a run, and the closing line that counts its verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import Source
from pytest_greenops.model.result import Policy, Result
from pytest_greenops.model.units import counted, format_percent
from pytest_greenops.model.verdict import COMPARED, UNPROVEN, Outcome
from pytest_greenops.model.work_verdict import WorkOutcome
from pytest_greenops.report import figures, interleaved_text
from pytest_greenops.report.drawing import cells, hanging
from pytest_greenops.report.reasons import ESTIMATE_BAND

_VERB = {"fail": "fails", "warn": "warns"}
_PREFIX = "energy: "
#: Verdicts that the closing line counts even if there are none.
_ALWAYS = (Outcome.PASSED, Outcome.REGRESSED, Outcome.INCONCLUSIVE)
#: How important their counts are in the closing line.
_WEIGHTS = {
    Outcome.IMPROVED: 9,
    Outcome.PASSED: 11,
    Outcome.INCONCLUSIVE: 12,
    Outcome.OVER_BUDGET: 13,
    Outcome.REGRESSED: 14,
}


class SensorLine(NamedTuple):
    """A sensor of this run: its name, source, method and domains, and notes for the reader."""

    name: str
    source: Source
    method: str
    domains: Sequence[str]
    notes: Sequence[str] = ()


def header(
    sensors: Sequence[SensorLine],
    unreadable: Mapping[str, SensorUnavailable],
    machine: str,
    saved_tests: int,
    policy: Policy,
) -> Iterator[str]:
    """Yield the sensors, the baselines and the rules of a run.

    `machine` is the folder of this machine's baselines, which has `saved_tests` tests.
    """
    if policy.count_only:
        yield from _counting(policy)
        return
    sensed = [sensor for sensor in sensors if sensor.source == "sensed"]
    if sensed:
        yield f"energy: sensed by {', '.join(map(_sensor, sensed))}"
    for sensor in sensors:
        if sensor.source == "estimated":
            yield (
                f"energy: ESTIMATED, not sensed, {ESTIMATE_BAND}: "
                f"{', '.join(sensor.domains)} from {sensor.method}"
            )
        yield from (f"energy: {sensor.name}: {note}" for note in sensor.notes)
    if not sensors:
        yield "energy: NOTHING CAN BE MEASURED here: no sensor can be read"
    yield from (f"energy: {name} cannot be read: {why}" for name, why in unreadable.items())
    yield f"energy: {_baselines(policy.baselines, machine, saved_tests)}"
    if policy.ab is not None:
        screened = "; stored baselines are screened first" if saved_tests else ""
        yield f"energy: compares with {policy.ab}, in turns on this machine{screened}"
    yield f"energy: {_rules(policy, bool(sensors) and not sensed)}"
    if policy.carbon is not None:
        yield f"energy: CO2e at {figures.factor(policy.carbon)}"
    if policy.saving is not None:
        yield f"energy: {_saving(policy.saving)}"


def _counting(policy: Policy) -> Iterator[str]:
    """Yield what a run compares that counts work and measures no joules."""
    yield "energy: counts the work of torch, and measures no joules"
    folder = f"{policy.baselines.rstrip('/')}/work"
    yield f"energy: compares with {'the work in ' + folder if policy.ab is None else policy.ab}"
    strict = "; strict: a test that cannot be judged fails" if policy.strict else ""
    yield f"energy: more than +0.5 % work {_VERB[policy.action]}{strict}"
    if policy.saving is not None:
        yield f"energy: {_saving(policy.saving, 'the work of passed tests')}"


def rows(line: str, width: int) -> Iterator[str]:
    """Yield a line `energy: …` in rows of a terminal; the command of a fix has a row of its own.

    A path, a node id or a command, which users copy, may be wider.
    """
    text, fix, command = line.removeprefix(_PREFIX).partition("; fix: ")
    yield from hanging(_PREFIX, f"{text}; fix:" if fix else text, width, whole=True)
    if fix:
        yield " " * (len(_PREFIX) + 2) + command


class _Count(NamedTuple):
    """A part of the closing line.

    place   the measurements, the verdicts, or what follows them
    weight  the part with the least weight is the first to leave a line that is too long
    rare    it says that there is none
    """

    text: str
    place: int
    weight: int
    rare: bool = False


def closing_line(results: Sequence[Result], failed: str = "") -> str:
    """Return the line that counts measurements by their joules, and verdicts.

    `failed` is why the run fails although its tests pass.
    A drop in quality counts as regressed, even if its joules could not be compared.
    """
    return _line(list(_counts(results, failed)))


def closing_lines(results: Sequence[Result], width: int, failed: str = "") -> Iterator[str]:
    """Yield the closing line in one row of a terminal, below rows with what does not fit.

    A row that is too long first loses what has a count of 0; then, the least important part first,
    what the rows above it have. Regressions are always in the last row.
    """
    every = list(_counts(results, failed))
    kept = every if cells(_line(every)) <= width else [each for each in every if not each.rare]
    shown = list(kept)
    while cells(_line(kept)) > width and kept[1:]:
        kept.remove(min(kept, key=lambda each: each.weight))
    row = ""
    for text in (each.text for each in shown if each not in kept):
        if row and cells(f"{row}; {text}") > width:
            yield row
            row = ""
        row = f"{row}; {text}" if row else f"{_PREFIX}{text}"
    if row:
        yield row
    yield _line(kept)


def _line(counts: Sequence[_Count]) -> str:
    measured, verdicts, more = ([each.text for each in counts if each.place == n] for n in range(3))
    head = ": ".join(filter(None, (", ".join(measured), ", ".join(verdicts))))
    return f"{_PREFIX}{'; '.join([head, *more])}"


def _counts(results: Sequence[Result], failed: str) -> Iterator[_Count]:
    """Yield the parts of the closing line in their order."""
    of = {outcome: [r for r in results if r.verdict.outcome is outcome] for outcome in COMPARED}
    unproven = {each: sum(r.verdict.energy is each for r in results) for each in UNPROVEN}
    alone = any(result.verdict.alone for result in results)
    done = "counted" if alone else "measured"
    compared = sum(result.verdict.energy in COMPARED for result in results)
    missing = unproven[Outcome.NOT_MEASURED]
    yield _Count(f"{len(results) - missing} {done}", 0, 8)
    yield _Count(f"{compared} compared", 0, 10)
    if not any(of.values()):
        yield _Count("nothing was gated", 1, 14)
    for outcome in COMPARED if any(of.values()) else ():
        if text := _verdicts(outcome, of[outcome]):
            yield _Count(text, 1, _WEIGHTS[outcome], text == f"0 {Outcome.INCONCLUSIVE.value}")
    for outcome, weight in ((Outcome.NO_BASELINE, 7), (Outcome.NOT_COMPARABLE, 6)):
        yield _Count(f"{unproven[outcome]} {outcome.value}", 2, weight, not unproven[outcome])
    further = (
        f"{missing} not {done}" if missing else "",
        "" if alone else _work(results),
        _saved(results, alone),
        interleaved_text.counts(results),
        f"exit status 1: --energy-strict is on, and {failed}" if failed else "",
    )
    for number, text in enumerate(further):
        if text:
            yield _Count(text, 2, 5 - number)


def started_anew(result: Result, sessions: int) -> str:
    """Return the line for a saved result that replaced the sessions of its baseline.

    `sessions` is how many there were.
    """
    change, outcome = result.verdict.change, result.verdict.energy
    before = f"{figures.energy(change.baseline_j, result.unit)}, " if change else ""
    now, new = figures.energy(result.judged_j, result.unit), len(result.sessions)
    subject = f"{result.test.node_id}{figures.label(result)}"
    text = (
        f"baseline started anew: {subject}: {before}{counted(sessions, 'session')} -> {now}, "
        f"{counted(new, 'session')} (provisional)"
    )
    if change is None or outcome not in (Outcome.REGRESSED, Outcome.IMPROVED):
        return f"{text}: {result.verdict.cause or 'other counters, conditions or units of work'}"
    text = f"{text}: {format_percent(change.relative)} (95 % CI {figures.change_span(change)})"
    if result.verdict.confirmed is not None or result.fresh:
        return f"{text}, confirmed by a fresh process"
    return f"{text}, in one process: if this is noise, restore the file with git and save again"


def _verdicts(outcome: Outcome, results: Sequence[Result]) -> str:
    if not results and outcome not in _ALWAYS:
        return ""
    red = [result for result in results if result.verdict.red]
    accepted = sum(result.accepted for result in red)
    warned = sum(result.verdict.action == "warn" and not result.accepted for result in red)
    worse = sum(bool(r.verdict.drops and r.verdict.of_joules) for r in red)
    more = sum(r.verdict.more_work is not None for r in red)
    marks = [
        mark if number == len(results) else f"{number} {mark}"
        for number, mark in (
            (worse, "quality"),
            (more, "work"),
            (warned, "warned"),
            (accepted, "accepted"),
        )
        if number
    ]
    return f"{len(results)} {outcome.value}" + (f" ({', '.join(marks)})" if marks else "")


def _work(results: Sequence[Result]) -> str:
    """Return how many measurements had their work counted and compared: `work: 3 same, 1 more`."""
    found = Counter(result.verdict.work.outcome for result in results if result.verdict.work)
    words = [f"{found[outcome]} {word}" for outcome, word in _WORK.items() if found[outcome]]
    return f"work: {', '.join(words)}" if words else ""


def _saved(results: Sequence[Result], alone: bool) -> str:
    """Return how many baselines were saved: `3 baselines saved, and the work of 2`."""
    saved, work = (
        sum(result.saved for result in results),
        sum(result.work_saved for result in results),
    )
    if alone or not saved:
        return f"work of {counted(work, 'measurement')} saved" if work else ""
    return f"{counted(saved, 'baseline')} saved{f', and the work of {work}' if work else ''}"


_WORK = {
    WorkOutcome.SAME: "same",
    WorkOutcome.CHANGED: "changed",
    WorkOutcome.LESS: "less",
    WorkOutcome.MORE: "more",
    WorkOutcome.OVER_LIMIT: "over a limit",
    WorkOutcome.NO_BASELINE: "without a baseline",
    WorkOutcome.NOT_COMPARABLE: "not comparable",
    WorkOutcome.NOT_COUNTED: "not counted",
}


def _sensor(sensor: SensorLine) -> str:
    return f"{sensor.name} ({', '.join(sensor.domains)})"


def _baselines(folder: str, machine: str, saved_tests: int) -> str:
    place = f"{folder.rstrip('/')}/{machine}"
    if not saved_tests:
        return f"no baseline yet in {place}"
    return f"baselines of {counted(saved_tests, 'test')} in {place}"


def _rules(policy: Policy, all_estimated: bool) -> str:
    limit = figures.margin(policy.max_increase)
    action = policy.estimates if all_estimated else policy.action
    text = f"an increase over {limit} {_VERB[action]}"
    if all_estimated:
        text += " (estimates)"
    elif policy.estimates != policy.action:
        text += f", or {_VERB[policy.estimates]} if estimated"
    return f"{text}; strict: a test that cannot be judged fails" if policy.strict else text


def _saving(saving: str, what: str = "the results of passed tests") -> str:
    if "new" in saving:
        return "saving baselines for tests without one (--energy-save-new)"
    return f"saving {what} as baselines (--energy-save)"
