"""What a run writes beside the reports of its tests: its header, and its file of results."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from pytest_greenops import machine
from pytest_greenops.baselines.whole_file import write_whole
from pytest_greenops.commands import results_file
from pytest_greenops.report import closing
from pytest_greenops.report.document import to_json
from pytest_greenops.report.drawing import shows_blocks
from pytest_greenops.run.run import Run


def shows_unicode() -> bool:
    """Return whether the terminal shows more than ASCII."""
    return shows_blocks(getattr(sys.__stdout__, "encoding", None))


def header(run: Run) -> Iterator[str]:
    """Yield what measures, what it is compared with, and what fails."""
    sensors = []
    for s in run.instruments.sensors:
        domains, notes = [domain.name for domain in s.domains], getattr(s, "notes", ())
        sensors.append(closing.SensorLine(s.name, s.source, s.method, domains, notes))
    problems = ((f.name, f.problem) for f in run.findings)
    unreadable = {name: problem for name, problem in problems if problem and not problem.absent}
    for sensor in run.instruments.sensors:
        unreadable |= getattr(sensor, "left_out", {})
    unreadable |= machine.gaps(run.environment.machine)
    saved = len(run.store.files())
    return closing.header(sensors, unreadable, run.environment.slug, saved, run.policy)


def write_json(run: Run) -> Iterator[str]:
    """Write the file of `--energy-json`, if there is one; yield the problem if that fails."""
    path = run.options.json
    if path is None:
        return
    try:
        write_whole(path, to_json(run.document()))
    except OSError as error:
        yield f"--energy-json {results_file.unwritable(path, error)}"
