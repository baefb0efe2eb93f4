"""The page as values: the verdicts first, then every measurement, then what else is known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pytest_greenops.model.advised import PLAIN, Caller
from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.result import Result, Results
from pytest_greenops.model.units import counted, significant
from pytest_greenops.report import closing, figures, notes, quality_text
from pytest_greenops.report.advice import Advice
from pytest_greenops.report.entry import (
    Count,
    Entry,
    Text,
    command,
    counts_of,
    entries,
    gravity,
    headline_of,
    sentence,
)
from pytest_greenops.report.html.chart_data import charts_of, front_data, parts_of, plain_tables
from pytest_greenops.report.html.correlations import Matrix, matrices
from pytest_greenops.report.html.plain_table import PlainTable

#: This many failures, and as many notes, stand above and below the table; the table has all.
_MOST = 25


class Region(NamedTuple):
    """The carbon intensity of a region, and the region's name."""

    factor: CarbonFactor
    name: str


class Note(NamedTuple):
    """A sentence about some measurements; `command` is what to do next."""

    word: str
    subject: Text
    text: str
    command: Text | None


class Page(NamedTuple):
    """Everything on the page.

    headline  what a reader must know first, in one sentence
    closing   the closing line of the run
    failures  measurements that fail their test, or would if their action were not to warn
    omitted   number of failures and notes that only the table has
    plain     of each entry, what its charts show without scripts
    data      for the scripts: regions, and what each test's charts show
    beside    the same tests on several machines, if it is a page of several
    """

    title: str
    headline: str
    closing: str
    created: str
    version: str
    machine: str
    counts: tuple[Count, ...]
    failures: tuple[Entry, ...]
    omitted: tuple[int, int]
    entries: tuple[Entry, ...]
    plain: tuple[tuple[PlainTable, ...], ...]
    notes: tuple[Note, ...]
    matrices: tuple[Matrix, ...]
    fronts: tuple[dict[str, Any], ...]
    columns: tuple[str, ...]
    run: tuple[tuple[str, Mapping[str, str]], ...]
    regions: tuple[Region, ...]
    estimated: bool
    has_gpu: bool
    measured: bool
    data: dict[str, Any]
    beside: PlainTable | None = None


def page_of(document: Results, regions: Sequence[Region] = (), caller: Caller = PLAIN) -> Page:
    """Return the page of a run; `regions` are what the controls of what-if offer."""
    results = sorted(document.results, key=gravity)
    all_entries = entries(results, document.policy, caller)
    red = sorted((e for e in all_entries if e.failing or e.red), key=lambda e: not e.failing)
    said = list(_notes(document.results, caller))
    fronts = tuple(front_data(*found) for found in quality_text.found_fronts(document.results))
    measured = [result for result in results if figures.measured(result)]
    headline = headline_of(results, all_entries)
    machine, parts = document.environment.machine, parts_of(len(results))
    return Page(
        title=f"{headline} – energy report",
        headline=headline,
        closing=sentence(closing.closing_line(results).removeprefix("energy: ")),
        created=sentence(document.created_at[:19].replace("T", " ")),
        version=sentence(document.version),
        machine=sentence(", ".join(_machine(machine))),
        counts=tuple(counts_of(results)),
        failures=tuple(red[:_MOST]),
        omitted=(max(len(red) - _MOST, 0), max(len(said) - _MOST, 0)),
        entries=all_entries,
        plain=tuple(tuple(plain_tables(result)) for result in results),
        notes=tuple(said[:_MOST]),
        matrices=tuple(matrices(document.results))[:_MOST],
        fronts=fronts[:_MOST],
        columns=("verdict", "test", "energy" if measured else "work", "change", "of the limit"),
        run=tuple(_run(document)),
        regions=tuple(regions),
        estimated=any(map(figures.estimated, measured)),
        has_gpu=any("gpu" in figures.counted_kinds(result) for result in measured),
        measured=bool(measured),
        data={
            "tests": [
                {"keys": significant(e.keys), "text": _searched(e), **charts_of(r, parts)}
                for e, r in zip(all_entries, results, strict=True)
            ],
            "windows": _windows(results),
            "fronts": fronts[:_MOST],
            "regions": [
                [each.factor.region, each.factor.grams_per_kwh, figures.factor(each.factor)]
                for each in regions
            ],
        },
    )


def _searched(entry: Entry) -> str:
    """Return what the filter finds a test by: its full name, its verdict, what its figures are."""
    return " ".join((entry.node.full, entry.name.full, entry.word, *entry.tags)).lower()


def _machine(facts: Mapping[str, str]) -> Iterator[str]:
    if facts.get("cpu"):
        yield facts["cpu"]
    if facts.get("cores"):
        cores = facts["cores"]
        yield counted(int(cores), "core") if cores.isdecimal() and len(cores) < 10 else cores
    if facts.get("gpu"):
        yield facts["gpu"]
    if facts.get("sensors"):
        yield f"sensors: {facts['sensors']}"


def _notes(results: Sequence[Result], caller: Caller) -> Iterator[Note]:
    """Yield the sentences that the terminal prints below its table.

    Not those about failures, estimates and Pareto fronts, which have places of their own.
    """
    sentences = notes.OF_A_RUN._replace(quality=notes.unjudged_quality)
    for note in notes.notes(results):
        if note.red is None:
            yield _note(note.word, note.subject, note.advice, caller)
    for advice in notes.remarks(results, sentences):
        if advice is not notes.ESTIMATED:
            yield _note("", "", advice, caller)


def _note(word: str, subject: str, advice: Advice, caller: Caller) -> Note:
    offered = caller.offer(advice.command)
    text = sentence(advice.text + (":" if offered else ""))
    return Note(
        word.removeprefix("~"), Text.of(subject), text, command(offered) if offered else None
    )


def _windows(results: Sequence[Result]) -> list[list[int]]:
    """Return the places of measured results whose test has several: its named windows."""
    by_test: dict[object, list[int]] = {}
    for place, result in enumerate(results):
        if figures.measured(result):
            by_test.setdefault(result.test, []).append(place)
    return [places for places in by_test.values() if len(places) > 1]


def _run(document: Results) -> Iterator[tuple[str, Mapping[str, str]]]:
    policy = document.policy
    facts = {
        "baselines": policy.baselines,
        "limit": figures.margin(policy.max_increase),
        "a regression": f"{policy.action}s",
        "if estimated": f"{policy.estimates}s",
        "a test that cannot be judged": "fails" if policy.strict else "does not fail",
    }
    if policy.ab is not None:
        facts["compared with"] = policy.ab
    if policy.saving is not None:
        facts["saved"] = policy.saving
    if policy.carbon is not None and math.isfinite(policy.carbon.grams_per_kwh):
        facts["CO2e"] = figures.factor(policy.carbon)
    yield "Rules", _shown(facts)
    environment = document.environment
    for title, known in (
        ("Machine", environment.machine),
        ("Conditions", environment.conditions),
        ("Recorded, not compared", environment.recorded),
    ):
        if known:
            yield title, _shown(known)


def _shown(facts: Mapping[str, str]) -> Mapping[str, str]:
    return {sentence(name): sentence(value) for name, value in sorted(facts.items())}
