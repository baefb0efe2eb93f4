"""What pytest on a node says while it runs: one line of JSON for each event.

A node is another machine: the reader converts each line to one of these types, and refuses others.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.result import Origin, Result, Results
from pytest_greenops.report.document import without_unknown

Outcome: TypeAlias = Literal["passed", "failed", "skipped", "error"]


class NodeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a run of pytest on a node is asked for.

    events  the file for its events
    parent  the process that ends the run when it ends
    folder  the copy of the project, removed with that process
    done    node ids of the tests that do not run again
    origin  the code that the caller ships: its commit and branch
    """

    events: str
    parent: int
    folder: str
    done: tuple[str, ...] = ()
    origin: Origin | None = None


class Collected(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="collected"):
    """The machine, the rules and the tests of a run, before the first test.

    results    a document without results
    tests      node ids, without those that were done
    baselines  how many baselines of its machine the node can read
    json       the file of `--energy-json` from the root directory, as `html` of `--energy-html`
    """

    results: Results
    tests: tuple[str, ...]
    baselines: int
    json: str | None = None
    html: str | None = None


class Ended(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="ended"):
    """A test has ended.

    seconds  of its set-up, call and teardown
    text     why it failed
    files    the baselines that it saved, by their path in the folder of baselines
    """

    node_id: str
    outcome: Outcome
    seconds: float
    results: tuple[Result, ...] = ()
    text: str = ""
    files: dict[str, str] = {}


class Finished(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="finished"):
    """The run has ended, with pytest's exit status.

    lines       what its summary says beside the results: what was not saved and why, problems
    why_failed  why `--energy-strict` fails the run, although its tests pass
    """

    status: int
    results: Results
    lines: tuple[str, ...] = ()
    why_failed: str = ""


Event: TypeAlias = Collected | Ended | Finished


def to_line(event: Event) -> bytes:
    """Return an event as a line."""
    return msgspec.json.encode(without_unknown(msgspec.to_builtins(event))) + b"\n"


def from_line(line: bytes) -> Event:
    """Return the event of a line; raise `GreenopsError` for any other line."""
    try:
        event: Event = msgspec.json.decode(line, type=Event)
    except (ValueError, RecursionError) as error:
        raise GreenopsError(f"sent what is no event of pytest-greenops ({error})") from None
    return event
