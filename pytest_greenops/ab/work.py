"""What the two sides have shown of one test: its measuring loops, and the pairs of each name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pytest_greenops.judge.pair_confirmation import Decision, decide
from pytest_greenops.judge.stats import trimmed_mean
from pytest_greenops.measure.commanded import Loop, Slice
from pytest_greenops.measure.self_checks import edge_error, edge_limit
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.interleaved import Pair
from pytest_greenops.model.measurement import Check, Domain, Measurement, joules_per_unit
from pytest_greenops.run.against_ref import Compared
from pytest_greenops.system import SYSTEM

#: A pair lasts about this long on either side, in slices of at least `SLICE_S`: so short that the
#: phases of a shared machine (other virtual machines, clock rates) are the same on both sides.
PAIR_S, SLICE_S, MOST_SLICES = 0.1, 0.01, 10
#: A slice of a counter that is sensed lasts this long at least, and as long as its edges need.
SENSED_S = 0.02
#: By how much slices are longer than the counter needs: later ones may run faster.
SPARE = 1.2
#: By how much one step of the calibration may multiply the calls.
GROWTH = 100
#: After a start a side works for `WARM_UP_S` before its first pair, and makes this many calls
#: unless they take `MOST_WARM_UP_S`: until caches are filled and pages of a fork are its own.
WARM_UP_S, WARM_UP_CALLS, MOST_WARM_UP_S = 0.1, 5, 0.5


class Limits(NamedTuple):
    """How long a comparison may take.

    most_s      how long all starts may take
    raised_by   what allows more: `the marker's max_time`; None is the option
    patience_s  how long a side may take to answer
    until_ns    no start begins that would end later
    ends_ns     when the test has to end, whatever a side does
    """

    most_s: float
    raised_by: str | None
    patience_s: float
    until_ns: float
    ends_ns: float

    @classmethod
    def from_now(
        cls,
        most_s: float,
        patience_s: float,
        left_s: float = math.inf,
        raised_by: str | None = None,
    ) -> Limits:
        """Return the limits of a comparison that begins now, in a test that has `left_s` left."""
        now_ns = SYSTEM.monotonic_ns()
        return cls(most_s, raised_by, patience_s, now_ns + most_s * 1e9, now_ns + left_s * 1e9)

    @property
    def answer_s(self) -> float:
        """How long a side may take to answer now."""
        left_s = (self.ends_ns - SYSTEM.monotonic_ns()) * 1e-9
        return max(0.0, min(self.patience_s, left_s))

    @property
    def left_s(self) -> float:
        """How much of the time is left."""
        return max(0.0, (self.until_ns - SYSTEM.monotonic_ns()) * 1e-9)


class NotJudged(GreenopsError):
    """Nothing can be compared; the message says why, `fix` with which options it could."""

    def __init__(self, why: str, fix: tuple[str, ...] = ()) -> None:
        super().__init__(why)
        self.fix = fix


class MadePair(NamedTuple):
    """A pair as logarithms: candidate over ref, and the joules of a unit of work on either side.

    candidate_first  whether the candidate's first window came first
    windows          windows of either side
    """

    ratio: float
    candidate_j: float
    ref_j: float
    candidate_first: bool
    windows: int


class NamePairs:
    """The pairs of one name.

    processes  for each pair of processes its starts, and for each start its pairs
    """

    def __init__(self, of: Compared) -> None:
        self.of = of
        self.processes: list[list[list[MadePair]]] = [[]]

    def begin(self, afresh: bool) -> None:
        """Begin a start, of new processes or of those before."""
        if afresh:
            self.processes.append([])
        self.processes[-1].append([])

    def add(self, pair: MadePair) -> None:
        """Add a pair to this start."""
        if not self.processes[-1]:
            self.begin(False)
        self.processes[-1][-1].append(pair)

    def joules(self, slice_: Slice, loop: Loop) -> float:
        """Return the joules of a unit of work in one slice; raises `NotJudged`."""
        of, round_ = self.of, slice_.rounds.get(self.of.name)
        if round_ is None:
            raise NotJudged(f"{of.name} is not measured there")
        if of.unit != "call" and of.unit not in round_.units:
            raise NotJudged(f"the test does not count the unit {of.unit} there")
        names = _selected(loop, of.domain)
        if not names or not names <= round_.energy_uj.keys():
            raise NotJudged(f"no sensor reads {of.domain} there")
        joules = joules_per_unit([round_], sorted(names), of.unit)[0]
        if joules <= 0:
            raise NotJudged(f"{of.domain} did not move in a window: make one call longer")
        return joules

    @property
    def known(self) -> list[list[list[MadePair]]]:
        """The pairs of each pair of processes that has any, without starts that have none."""
        found = [[start for start in starts if start] for starts in self.processes]
        return [starts for starts in found if starts]

    @property
    def number(self) -> int:
        """The number of pairs."""
        return sum(len(start) for starts in self.known for start in starts)

    def decision(self, processes_differ: bool) -> Decision:
        """Return what the pairs show, of which there is at least one.

        processes_differ  each start has processes of its own, so that no others need confirm it
        """
        known = [[[made.ratio for made in start] for start in starts] for starts in self.known]
        if processes_differ:
            return decide([[start for starts in known for start in starts]], self.of.margin, 1)
        return decide(known, self.of.margin)

    def every_pair(self, processes_differ: bool) -> tuple[Pair, ...]:
        """Return all pairs in the order in which they were made, and which of them count."""
        counted = self.decision(processes_differ).processes
        starts = ((place, start) for place, starts in enumerate(self.known) for start in starts)
        return tuple(
            Pair(
                candidate_j=math.exp(made.candidate_j),
                ref_j=math.exp(made.ref_j),
                relative=math.expm1(made.ratio),
                first="candidate" if made.candidate_first else "ref",
                windows=made.windows,
                start=number,
                process=number if processes_differ else place + 1,
                counts=processes_differ or place in counted,
            )
            for number, (place, start) in enumerate(starts, 1)
            for made in start
        )

    @property
    def level_j(self) -> float | None:
        """The joules of a unit of work in the ref, or None before the first pair."""
        made = [pair.ref_j for starts in self.known for start in starts for pair in start]
        return math.exp(trimmed_mean(made)) if made else None


class SeveralThreads(GreenopsError):
    """The work has several threads, although one would show its energy better."""


@dataclass
class LoopState:
    """One measuring loop of the test, over all starts.

    iterations  calls in a slice; 0 until they are calibrated
    slices      slices of each side in a pair
    left        whether the test measures by itself inside of it
    """

    loop: Loop
    pairs: dict[str, NamePairs] = field(default_factory=dict)
    iterations: int = 0
    slices: int = 1
    left: bool = False

    @property
    def most_slices(self) -> int:
        """The most slices of a pair: one where each window waits for its edges."""
        return 1 if self.loop.once or self.loop.edged else MOST_SLICES

    @property
    def estimated(self) -> bool:
        """Whether all judged counters are estimates, which are exact in any window."""
        return bool(self.pairs) and all(
            _selected(self.loop, each.of.domain) <= set(self.loop.estimated)
            for each in self.pairs.values()
        )

    def doubt(self, domain: str, checks: tuple[Check, ...]) -> Check | None:
        """Return the first of some self-checks that forbids a verdict on a domain, if any."""
        loop = self.loop
        of_loop = Measurement("", loop.domains, (), loop.sensors, loop.estimated, checks)
        return of_loop.untrusted(domain)

    def know(self, slice_: Slice, compared: Mapping[str, Compared]) -> None:
        """Note which names this loop measures."""
        for name in slice_.rounds.keys() & compared.keys():
            self.pairs.setdefault(name, NamePairs(compared[name]))

    def growth(self, slices: Sequence[Slice]) -> float:
        """Return by how much the calls of a slice must be multiplied; at most 1 if enough."""
        least_s = SLICE_S if self.estimated else SENSED_S
        return max(self._wanted(slice_, least_s) for slice_ in slices)

    def calibrated(self, iterations: int, slices: Sequence[Slice]) -> None:
        """Keep the calls of a slice, and how many slices make a pair."""
        self.iterations = iterations
        longest_s = max(slice_.seconds for slice_ in slices)
        least_s = PAIR_S if self.estimated else SENSED_S * MOST_SLICES
        of_time = round(least_s / longest_s) if longest_s > 0 else 1
        of_edges = math.ceil(max(self._edges(slice_) for slice_ in slices) ** 2)
        self.slices = min(self.most_slices, max(1, of_time, of_edges))

    def _wanted(self, slice_: Slice, least_s: float) -> float:
        edges = self._edges(slice_) / math.sqrt(self.most_slices)  # those of slices partly cancel
        windows = max((round_.windows for round_ in slice_.rounds.values()), default=1)
        edges = edges**2 if windows > 1 else edges
        return min(GROWTH, max(edges, least_s / max(slice_.seconds, 1e-9)))

    def _edges(self, slice_: Slice) -> float:
        """Return the error at the edges of a slice over what is allowed; at most 1 if enough."""
        errors = [0.0]
        for name, pairs in self.pairs.items():
            round_, of = slice_.rounds.get(name), pairs.of
            if round_ is not None:
                error = edge_error(round_, list(self._domains(of.domain)))
                errors.append(min(SPARE * error / edge_limit(of.margin), GROWTH))
        return max(errors)

    def _domains(self, judged: str) -> Iterator[Domain]:
        names = _selected(self.loop, judged)
        return (domain for domain in self.loop.domains if domain.name in names)


def _selected(loop: Loop, domain: str) -> set[str]:
    return set(Measurement("", loop.domains, (), loop.sensors).selected(domain))


def unlike(one: Loop, other: Loop) -> str | None:
    """Return how two loops differ so that they cannot be compared, or None."""
    if one.sensors != other.sensors or one.domains != other.domains:
        return f"its sensors are {', '.join(sorted(set(other.sensors.values())))}"
    if (one.once, one.iterations) != (other.once, other.iterations):
        return "it sets other rounds or iterations"
    return None
