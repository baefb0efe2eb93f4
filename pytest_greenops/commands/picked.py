"""Results of a file by parts of their names, and what questions take from them."""

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

#: How many tests are named where a part of a name fits several, or none.
_NAMED = 5


def energies(texts: Sequence[str]) -> list[Energy]:
    """Each as `energy` reads it; raises `InsightError` for calls of unlike domains too."""
    found = [energy(text) for text in texts]
    sources = {each.source.domain: each.source for each in found if each.source}
    if len(sources) > 1:
        a, b, *_ = sources.values()
        raise InsightError(
            f"{a.name} in {a.file} is of {a.domain}, {b.name} in {b.file} of {b.domain}; take "
            "energies of one domain"
        )
    return found


def energy(text: str) -> Energy:
    """A quantity such as `'2 kJ'`, or a call of the one test that `RESULTS.json::TEST` names.

    Raises `UnitError` for what is neither, and `ResultsError` that names the tests that there are
    where none or several have such a name.
    """
    path, marked, part = text.partition("::")
    if not marked:
        return Energy(parse_energy(text))
    found = chosen(Path(path), part)
    if len(found) > 1:
        raise ResultsError(f"{path}: {len(found)} tests are named like {part}: {_listed(found)}")
    [only] = found
    source = Source(path, name_of(only), only.domain, figures.estimated(only))
    return Energy(only.joules, source)


def chosen(path: Path, part: str | None) -> list[Result]:
    """The measured results whose name it is, else those whose name holds it; at least one.

    Raises `ResultsError` that names the tests that there are where none is.
    """
    results = results_file.read(path).results
    part = part or ""
    exact = [r for r in results if part in (name_of(r), r.test.node_id, r.test.name)]
    found = exact or [r for r in results if part in name_of(r)]
    measured = [result for result in found if figures.measured(result)]
    if not measured:
        why = f"{part} was not measured" if found else f"no test is named like {part}"
        raise ResultsError(
            f"{path}: {why if part else 'no test was measured'}; there are: {_listed(results)}"
        )
    return measured


def name_of(result: Result) -> str:
    """The id of the test, and the name of the measurement where it has one of its own."""
    return result.test.node_id + ("" if result.name == "call" else f"::{result.name}")


def by_kind_j(result: Result) -> dict[str, float]:
    """Joules of a call by kind of domain, over the domain that was judged.

    Raises `ResultsError` for a result that does not hold them.
    """
    names = result.provenance.sensors
    if missing := names.keys() - result.by_domain.keys():
        raise ResultsError(
            f"{name_of(result)}: damaged (no joules of {min(missing)}); run it again"
        )
    return by_kind({name: result.by_domain[name] for name in names}, result.domains)


def epochs_j(result: Result) -> tuple[float, ...]:
    """Joules of each round of the first session, over the domain that was judged.

    Raises `ResultsError` where a round is no epoch, and where others came before the first.
    """
    mend = "measure with energy.pedantic(epoch, rounds=8, warmup_rounds=0, iterations=1)"
    if any(round_.iterations != 1 for round_ in result.rounds):
        raise ResultsError(
            f"{name_of(result)}: a round holds several calls, so none of them is an epoch; {mend}"
        )
    if result.uncounted and (before := result.uncounted.before):
        raise ResultsError(
            f"{name_of(result)}: {counted(before, 'epoch')} came before the first round that is "
            f"kept, so the start-up is not known; {mend}; measured so already, something else "
            "spoilt them: measure again"
        )
    return joules_per_unit(result.rounds, tuple(result.provenance.sensors), "call")


def _listed(results: Sequence[Result]) -> str:
    more = len(results) - _NAMED
    listed = ", ".join(name_of(result) for result in results[:_NAMED]) or "none"
    return f"{listed} and {more} more" if more > 0 else listed
