"""Files that this package stores and reads again: in one place, written anew for each input."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from pytest_greenops.commands import results_file
from pytest_greenops.fleet.gather import bring_baselines, checked_results
from pytest_greenops.fleet.node_events import from_line
from pytest_greenops.history.append import append
from pytest_greenops.history.database import reading
from pytest_greenops.judge.two_files import compare
from pytest_greenops.model.history_url import HistoryUrl
from pytest_greenops.model.result import SCHEMA, FleetResults, Results
from pytest_greenops.report.document import fleet_to_json, properties, to_json
from pytest_greenops.report.html.page_of_kinds import page_of_kinds
from pytest_greenops.report.kinds_table import kinds_lines, letters
from tests.unit.fleet.runs import collected, node, part


@lru_cache
def folder() -> Path:
    """Return a folder that is removed when this process ends."""
    made = Path(tempfile.mkdtemp(prefix="greenops-properties-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def written(data: bytes) -> Path:
    """Return a file with this content."""
    file = folder() / "input"
    file.write_bytes(data)
    return file


def results(data: bytes) -> None:
    """Read results, write them again, and compare them with themselves."""
    found = results_file.read(written(data))
    to_json(found)
    for result in compare(found, found).results:
        properties(result)


def fleet_results(data: bytes) -> None:
    """Read the results of a fleet, write them again, and show them side by side."""
    machines = results_file.read_machines(written(data))
    fleet_to_json(FleetResults(SCHEMA, machines))
    show(dict(zip(letters(len(machines)), machines, strict=True)))


def node_event(data: bytes) -> None:
    """Take an event from a node of a cluster, after what a machine says first."""
    event = from_line(data)
    run = part()
    run.add(node(), collected())
    run.add(node(), event)
    assert run.status in range(6)
    show({label: found for label, (_, found) in zip("A", checked_results([run]), strict=True)})
    list(bring_baselines([run], folder()))


def show(runs: Mapping[str, Results]) -> None:
    """Show the results of several runs in a terminal and on a page; both can be printed."""
    lines = kinds_lines({label: found.results for label, found in runs.items()}, 80, True)
    "\n".join(lines).encode()
    page_of_kinds(runs)


def pending(data: bytes) -> None:
    """Append results to an empty history, as a run does with those that waited."""
    file = folder() / "history.db"
    file.unlink(missing_ok=True)
    found = results_file.read(written(data))
    url = HistoryUrl(f"sqlite:///{file}", folder())
    append(url, [found])
    with reading(url):
        pass
