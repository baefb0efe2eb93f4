"""Annotations on the lines of tests, in the form that the log of GitHub Actions obeys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_greenops.model.advised import PLAIN, Caller
from pytest_greenops.model.place import Places, place_of
from pytest_greenops.model.result import Results
from pytest_greenops.report.drawing import elide, visible
from pytest_greenops.report.entry import entries, gravity

#: GitHub shows this many annotations of each kind for a step.
MOST = 10
#: The most characters of a title and of a command.
_TITLE, _COMMAND = 200, 1_000


def annotate(document: Results, places: Places, caller: Caller = PLAIN) -> Iterator[str]:
    """Yield a command of the log for each failure, and for each warning, the gravest first.

    A last line, which is no command, says how many more there are than GitHub shows.
    """
    shown: dict[str, int] = {"error": 0, "warning": 0}
    omitted: dict[str, int] = {"error": 0, "warning": 0}
    results = sorted(document.results, key=gravity)
    for result, entry in zip(results, entries(results, document.policy, caller), strict=True):
        if not (entry.failing or entry.red):
            continue
        kind = "error" if entry.failing else "warning"
        if shown[kind] == MOST:
            omitted[kind] += 1
            continue
        shown[kind] += 1
        place = place_of(result.test, places)
        title = elide(f"{entry.word}: {entry.name.shown}", _TITLE)
        steps = (f"{each.label}: {elide(each.command.full, _COMMAND)}" for each in entry.steps)
        message = "\n".join([entry.reason, *steps])
        where = {"file": place.file, "line": str(place.line), "title": title}
        yield workflow_command(kind, where, message)
    left = [f"{number} {kind}{'s' * (number > 1)}" for kind, number in omitted.items() if number]
    if left:
        yield (
            f"energy: GitHub shows {MOST} errors and {MOST} warnings of a step: "
            f"{' and '.join(left)} more in the job summary"
        )


def workflow_command(kind: str, properties: Mapping[str, str], message: str) -> str:
    """Return a workflow command: `::error file=a.py,line=3::message`, in one line.

    Properties and message are escaped as the toolkit of GitHub Actions does it, and have no other
    control characters.
    """
    written = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{kind} {written}::{_data(message)}"


def _data(text: str) -> str:
    lines = "\n".join(map(visible, text.split("\n")))
    return lines.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(visible(text)).replace(":", "%3A").replace(",", "%2C")
