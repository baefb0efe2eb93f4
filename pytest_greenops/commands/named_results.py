"""Results of a file, chosen by parts of their names, and their energies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_greenops.commands import results_file
from pytest_greenops.model.errors import InsightError, ResultsError
from pytest_greenops.model.measurement import by_kind, joules_per_unit
from pytest_greenops.model.result import Result
from pytest_greenops.model.scenario import Energy, Source
from pytest_greenops.model.units import counted, parse_energy
from pytest_greenops.report import figures

#: An error names at most this many tests.
_NAMED = 5


def energies(texts: Sequence[str]) -> list[Energy]:
    """Parse each text by `energy`; raises `InsightError` if calls have different domains."""
    found = [energy(text) for text in texts]
    sources = {each.source.domain: each.source for each in found if each.source}
    if len(sources) > 1:
        a, b, *_ = sources.values()
        raise InsightError(
            f"{a.name} in {a.file} has domain {a.domain}, {b.name} in {b.file} has {b.domain}; "
            "use energies of the same domain"
        )
    return found


def energy(text: str) -> Energy:
    """Parse a quantity (`'2 kJ'`), or look up a call of the test that `RESULTS.json::TEST` names.

    Raises `UnitError` if the text is neither, and `ResultsError` if no test or several have that
    name.
    """
    path, marked, part = text.partition("::")
    if not marked:
        return Energy(parse_energy(text))
    found = chosen(Path(path), part)
    if len(found) > 1:
        raise ResultsError(f"{path}: {len(found)} tests match {part}: {_listed(found)}")
    [only] = found
    source = Source(path, name_of(only), only.domain, figures.estimated(only))
    return Energy(only.joules, source)


def chosen(path: Path, part: str | None) -> list[Result]:
    """Return the measured results with this name, else that contain it; raise `ResultsError`."""
    results = results_file.read(path).results
    part = part or ""
    exact = [r for r in results if part in (name_of(r), r.test.node_id, r.test.name)]
    found = exact or [r for r in results if part in name_of(r)]
    measured = [result for result in found if figures.measured(result)]
    if not measured:
        why = f"{part} was not measured" if found else f"no test matches {part}"
        raise ResultsError(
            f"{path}: {why if part else 'no test was measured'}; the file has: {_listed(results)}"
        )
    return measured


def name_of(result: Result) -> str:
    """Return the test id, followed by the name of the measurement unless it is `call`."""
    return result.test.node_id + ("" if result.name == "call" else f"::{result.name}")


def by_kind_j(result: Result) -> dict[str, float]:
    """Return the joules of a call by kind, over the judged domain; raise `ResultsError`."""
    names = result.provenance.sensors
    if missing := names.keys() - result.by_domain.keys():
        damage = f"damaged (no joules of {min(missing)}); run it again"
        raise ResultsError(f"{name_of(result)}: {damage}")
    return by_kind({name: result.by_domain[name] for name in names}, result.domains)


def epochs_j(result: Result) -> tuple[float, ...]:
    """Return the joules of each round of the first session, over the judged domain.

    Raises `ResultsError` if a round is not an epoch, or if epochs before the first are missing.
    """
    fix = "measure with energy.pedantic(epoch, rounds=8, warmup_rounds=0, iterations=1)"
    if any(round_.iterations != 1 for round_ in result.rounds):
        why = "a round contains several calls, so it is not an epoch"
        raise ResultsError(f"{name_of(result)}: {why}; {fix}")
    if result.uncounted and (before := result.uncounted.before):
        raise ResultsError(
            f"{name_of(result)}: {counted(before, 'epoch')} before the first round "
            f"{'is' if before == 1 else 'are'} missing, so the start-up is unknown; {fix}; if you "
            "did, the rounds were disturbed: measure again"
        )
    return joules_per_unit(result.rounds, tuple(result.provenance.sensors), "call")


def _listed(results: Sequence[Result]) -> str:
    more = len(results) - _NAMED
    listed = ", ".join(name_of(result) for result in results[:_NAMED]) or "none"
    return f"{listed} and {more} more" if more > 0 else listed
