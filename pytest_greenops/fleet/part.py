"""What one run of the suite on a kind of machine has given so far, on one node or several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from pytest_greenops.baselines.unite import unite_results
from pytest_greenops.fleet.cluster import Node
from pytest_greenops.fleet.node_events import Collected, Ended, Event, Finished
from pytest_greenops.judge.summary import adjusted
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.result import Results

#: pytest's exit statuses, the worst first: an internal error, a usage error, an interrupt, no
#: tests, failed tests. Others are of a process that did not end by itself, and worse.
_WORST_FIRST = (3, 4, 2, 5, 1, 0)
PASSED, FAILED, INTERRUPTED, CRASHED, NO_TESTS = 0, 1, 2, 3, 5


def worst(statuses: Sequence[int]) -> int:
    """Return the worst of pytest's exit statuses; any unknown one counts as an internal error."""
    known = [status if status in _WORST_FIRST else CRASHED for status in statuses]
    return min(known, key=_WORST_FIRST.index, default=PASSED)


class Kind(NamedTuple):
    """Machines with the same fingerprint.

    slug       their folder of baselines, which ends in the fingerprint
    collected  what one of them collected
    """

    slug: str
    nodes: tuple[Node, ...]
    collected: Collected


@dataclass
class Visit:
    """What one node has given: the header of its results, its tests, and its end if it came."""

    node: Node
    collected: Collected
    ended: list[Ended] = field(default_factory=list)
    finished: Finished | None = None

    @property
    def results(self) -> Results:
        """All results of this node: those of the end, or of the tests that were reported."""
        if self.finished is not None:
            return self.finished.results
        found = [result for ended in self.ended for result in ended.results]
        return replace(self.collected.results, results=adjusted(found))


@dataclass
class Part:
    """One run of the suite on a kind of machine.

    number   counts the runs on this kind, from 1
    visits   the nodes that ran tests, in turn
    problem  why the run is not complete, if it is not
    crashed  exit codes of pytest where it ended without its report
    printed  the end of what pytest printed, where it ended by itself
    """

    kind: Kind
    number: int
    visits: list[Visit] = field(default_factory=list)
    problem: str | None = None
    crashed: list[int] = field(default_factory=list)
    printed: str = ""

    def add(self, node: Node, event: Event) -> None:
        """Keep an event; raise `GreenopsError` for one that does not fit this run."""
        if isinstance(event, Collected):
            there = event.results.environment.slug
            if there != self.kind.slug:
                raise GreenopsError(f"is another machine now ({there}) than before")
            self.visits.append(Visit(node, event))
            return
        if not self.visits or self.visits[-1].node != node:
            raise GreenopsError("reports a test before its machine")
        visit = self.visits[-1]
        if isinstance(event, Finished):
            if event.results.environment.slug != self.kind.slug:
                raise GreenopsError("reports results of another machine")
            visit.finished = event
        else:
            visit.ended.append(event)

    @property
    def done(self) -> dict[str, Ended]:
        """The tests that have ended, by node id."""
        return {ended.node_id: ended for visit in self.visits for ended in visit.ended}

    @property
    def tests(self) -> tuple[str, ...]:
        """The node ids of all tests of the run."""
        return self.kind.collected.tests

    @property
    def missing(self) -> list[str]:
        """The tests that no node has done, unless a whole run left them out, as after `-x`."""
        whole = any(visit.finished for visit in self.visits)
        return [] if whole else [test for test in self.tests if test not in self.done]

    @property
    def failed(self) -> int:
        """How many tests failed, or had an error in a fixture."""
        return sum(ended.outcome in ("failed", "error") for ended in self.done.values())

    @property
    def lines(self) -> list[str]:
        """What the summaries of pytest said beside the results."""
        return [line for each in self._finished for line in each.lines]

    @property
    def why_failed(self) -> str:
        """Why `--energy-strict` fails the run, although its tests pass."""
        return "; ".join(each.why_failed for each in self._finished if each.why_failed)

    @property
    def explained(self) -> bool:
        """Whether the tests, or that there are none, explain pytest's exit status."""
        by_tests = bool(self.failed or self.why_failed)
        fine = (PASSED, NO_TESTS, FAILED) if by_tests else (PASSED, NO_TESTS)
        return all(each.status in fine for each in self._finished)

    @property
    def _finished(self) -> list[Finished]:
        return [visit.finished for visit in self.visits if visit.finished]

    @property
    def status(self) -> int:
        """pytest's exit status, the worst of what the nodes gave; 1 if tests are missing."""
        given = [each.status for each in self._finished]
        if len(self.visits) > 1:  # one whose tests were all done before has none left
            given = [status for status in given if status != NO_TESTS]
        incomplete = self.problem is not None or bool(self.missing)
        return worst([*given, *self.crashed, FAILED if self.failed or incomplete else PASSED])

    @property
    def results(self) -> Results | None:
        """All results of this run, or None if none began."""
        shards = [(visit.node.name, visit.results) for visit in self.visits]
        return unite_results(shards).results if shards else None

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield the path and the text of each saved baseline."""
        for visit in self.visits:
            for ended in visit.ended:
                yield from ended.files.items()
