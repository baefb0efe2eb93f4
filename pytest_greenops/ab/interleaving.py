"""Two sides work in turns: starts, warm-up, calibration, and pairs in random order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from pytest_greenops.ab.messages import Ended
from pytest_greenops.ab.side import Side, SideFailure
from pytest_greenops.ab.work import (
    MOST_WARM_UP_S,
    WARM_UP_CALLS,
    WARM_UP_S,
    LoopState,
    NamePairs,
    NotJudged,
    unlike,
)
from pytest_greenops.judge.stats import logs, trimmed_mean
from pytest_greenops.measure.commanded import Loop, Order, Slice
from pytest_greenops.measure.observer import Load
from pytest_greenops.measure.redo_policy import REDOS
from pytest_greenops.measure.self_checks import contended
from pytest_greenops.run.against_ref import Compared
from pytest_greenops.sensors.clock import SYSTEM_CLOCK, Clock
from pytest_greenops.system import SYSTEM

T = TypeVar("T")
#: A start has this many pairs at most: more show the same start again.
MOST_PAIRS_OF_A_START = 4
#: Starts of both sides may take this many times as long as their pairs.
START_SHARE = 2.0
#: An idle side counts as busy if it uses this share of a CPU beyond what it takes to answer.
IDLE_SHARE, ANSWER_S = 0.05, 0.001


class Limits(NamedTuple):
    """How long a comparison may take.

    until_ns  no start begins that would end later
    answer_s  how long a side may take to answer
    """

    until_ns: float
    answer_s: float


class Interleaving:
    """Starts a test on both sides and lets them work in turns, until `decided`.

    loops    what each measuring loop has shown
    notes    what was done beyond the usual
    busy     the largest share of a CPU that an idle side used while the other side worked
    several_threads  whether the work has more than one, so that it is not kept on one CPU
    spoilt   pairs that were kept although other processes ran
    """

    def __init__(
        self,
        sides: tuple[Side, Side],
        node: str,
        compared: Mapping[str, Compared],
        load: Load,
        limits: Limits,
        *,
        in_turn: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Prepare to compare a candidate and a ref.

        node     the test, by path from the top of the tree and names
        in_turn  end each side before the other starts
        """
        self.loops: list[LoopState] = []
        self.several_threads = False
        self.busy = 0.0
        self.spoilt = 0
        self._sides = sides
        self._node = node
        self._compared = compared
        self._load = load
        self._limits = limits
        self._clock = clock
        self._in_turn = in_turn
        self._random = SYSTEM.new_random()
        self._settle = False
        self._cpu: int | None = None
        self._redos = REDOS
        self._start_s = self._pair_s = 0.0

    @property
    def pairs(self) -> list[NamePairs]:
        """The pairs of every name that is known so far."""
        return [pairs for loop in self.loops for pairs in loop.pairs.values()]

    @property
    def late(self) -> bool:
        """Whether another start would end after the limit."""
        next_ns = (self._start_s + self._pair_s) * 1e9
        return self._clock.now_ns() + next_ns > self._limits.until_ns

    def start(self, wanted: Callable[[], Mapping[str, int]], afresh: bool = False) -> None:
        """Start the test once on both sides, and make pairs.

        wanted  returns how many more pairs each name needs, at most, now
        afresh  end the processes first, and start new ones

        Raises `NotJudged` if the sides cannot be compared, and `SideFailure`.
        """
        self._cpu = self._choose_cpu()
        for pairs in self.pairs:
            pairs.begin(afresh)
        if afresh:
            for side in self._sides:
                side.renew()
        if self._in_turn:
            self._one_after_the_other()
        else:
            self._together(wanted)

    # --- both sides at once ------------------------------------------------------------------

    def _together(self, wanted: Callable[[], Mapping[str, int]]) -> None:
        began_ns = self._clock.now_ns()
        for side in self._shuffled():
            self._named(side, lambda each: each.start(self._node, self._limits.answer_s))
        number = 0
        while True:
            candidate, ref = (self._event(side) for side in self._sides)
            if isinstance(candidate, Ended) and isinstance(ref, Ended):
                return
            if isinstance(candidate, Ended) or isinstance(ref, Ended):
                which = self._sides[isinstance(ref, Ended)]
                raise NotJudged(f"the test measures less in {which.name}")
            loop = self._loop(number, candidate, ref)
            self._pairs(loop, wanted, began_ns if number == 0 else None)
            for side in self._sides:
                self._named(side, lambda each: each.leave_loop())
            number += 1

    def _loop(self, number: int, candidate: Loop, ref: Loop) -> LoopState:
        for side, loop in zip(self._sides, (candidate, ref), strict=True):
            if loop.instrumented:
                raise NotJudged(f"{loop.instrumented} in {side.name}")
        if why := unlike(candidate, ref):
            raise NotJudged(f"in {self._sides[1].name} {why}")
        if number == len(self.loops):
            self.loops.append(LoopState(candidate))
        return self.loops[number]

    def _pairs(
        self, loop: LoopState, wanted: Callable[[], Mapping[str, int]], began_ns: float | None
    ) -> None:
        """Warm up, calibrate if need be, and make the pairs of one loop."""
        known = loop.iterations > 0
        if known and not self._open(loop, wanted()):
            for side in self._sides:  # its value is needed, its energy is not
                self._work(side, Order(loop.loop.iterations or 1))
            return
        if loop.loop.once:
            self._once(loop)
            return
        self._warm_up(loop, self._sides)
        if began_ns is not None:
            self._start_s = (self._clock.now_ns() - began_ns) * 1e-9
        made = 0
        while made < self._pairs_of_a_start(loop) and self._open(loop, wanted()):
            began_pair_ns = self._clock.now_ns()
            self._pair(loop)
            self._pair_s = (self._clock.now_ns() - began_pair_ns) * 1e-9
            made += 1

    def _open(self, loop: LoopState, wanted: Mapping[str, int]) -> bool:
        return any(wanted.get(name, 0) > 0 for name in loop.pairs)

    def _pairs_of_a_start(self, loop: LoopState) -> int:
        """Return how many pairs a start is worth: more where starts are expensive."""
        if not self._pair_s:
            return 1
        worth = round(self._start_s / (START_SHARE * self._pair_s))
        return min(MOST_PAIRS_OF_A_START, max(1, worth))

    def _once(self, loop: LoopState) -> None:
        """Make the only window of each side, after the warm-up that the test asks for."""
        for _ in range(loop.loop.warmup or 0):
            for side in self._sides:
                self._work(side, Order(1))
        first = not loop.iterations
        loop.iterations = loop.loop.iterations or 1
        made = {}
        for side in self._shuffled():
            made[side] = self._work(side, Order(loop.iterations, settle=self._settle))
            if first:
                self._know(loop, made[side])
        self._keep(loop, [made[side] for side in self._sides])

    def _warm_up(self, loop: LoopState, sides: Sequence[Side]) -> None:
        """Let the sides work until they are warm, and calibrate the calls of a slice."""
        fixed = loop.loop.iterations
        trips = 1 if loop.loop.warmup is None else loop.loop.warmup
        done: list[Slice] = []
        for _ in range(max(trips, 0 if loop.iterations else 1)):
            done = [self._work(side, Order(fixed or 1, settle=self._settle)) for side in sides]
        spent_s = max((each.seconds for each in done), default=0.0)
        if not loop.iterations:
            self._calibrate(loop, sides, done)
        if self._cpu is not None and not all(each.alone for each in done):
            self._cpu, self.several_threads = None, True  # or processes
        calls = 1
        while loop.loop.warmup is None and not _warm(spent_s, calls):
            done = [self._work(side, self._order(loop)) for side in sides]
            spent_s += max(each.seconds for each in done)
            calls += loop.iterations

    def _calibrate(self, loop: LoopState, sides: Sequence[Side], done: list[Slice]) -> None:
        iterations = loop.loop.iterations or 1
        for slice_ in done:
            self._know(loop, slice_)
        while not loop.loop.iterations:
            longest_s = max(slice_.seconds for slice_ in done)
            growth = min(loop.growth(done), self._left_s() / max(longest_s, 1e-9) / 20)
            if growth <= 1:
                break
            iterations = max(iterations + 1, round(iterations * growth))
            done = [self._work(side, Order(iterations, settle=self._settle)) for side in sides]
        loop.calibrated(iterations, done)

    def _know(self, loop: LoopState, slice_: Slice) -> None:
        if slice_.void:
            raise NotJudged(slice_.void)
        loop.know(slice_, self._compared)

    def _pair(self, loop: LoopState) -> None:
        """Make one pair: again while other processes spoil a sensed one and redos are left."""
        while True:
            self._load.start()
            made = self._slices(loop)
            spoilt = contended(self._load.stop()) and not loop.estimated
            if spoilt and self._redos:
                self._redos -= 1
                continue
            break
        if spoilt:
            self.spoilt += 1
        else:
            self._redos = REDOS
        self._keep(loop, *made)

    def _slices(self, loop: LoopState) -> list[list[Slice]]:
        """Return the slices of a pair: of two, one begins with either side."""
        made, order = [], self._shuffled()
        for number in range(loop.slices):
            order = order[::-1] if number % 2 else self._shuffled()
            done = {side: self._work(side, self._order(loop)) for side in order}
            made.append([done[side] for side in self._sides])
        self._watch_idle(made)
        return made

    def _watch_idle(self, made: Sequence[Sequence[Slice]]) -> None:
        """Wait for quiet from now on if a side used CPU time while it was idle; note it if it does.

        The first slice of each side follows something else than a slice.
        """
        later = [slice_ for slices in made[1:] for slice_ in slices]
        worked_s = sum(slice_.seconds for slice_ in later)
        idle_s = sum(max(0.0, slice_.idle_s - ANSWER_S) for slice_ in later)
        if worked_s > 0 and idle_s > IDLE_SHARE * worked_s:
            if self._settle:
                self.busy = max(self.busy, idle_s / worked_s)
            self._settle = True

    def _keep(self, loop: LoopState, *made: Sequence[Slice]) -> None:
        """Keep a pair: the trimmed mean, over its slices, of candidate over ref in logarithms."""
        for slices in made:
            if why := next((slice_.void for slice_ in slices if slice_.void), None):
                raise NotJudged(why)
        for pairs in loop.pairs.values():
            candidate, ref = (
                logs(pairs.joules(slices[place], loop.loop) for slices in made) for place in (0, 1)
            )
            ratios = [c - r for c, r in zip(candidate, ref, strict=True)]
            pairs.add(trimmed_mean(ratios), trimmed_mean(ref))

    # --- one side after the other ------------------------------------------------------------

    def _one_after_the_other(self) -> None:
        """Make the halves of a start's pairs on one side, then on the other."""
        halves: dict[Side, list[list[list[Slice]]]] = {}
        for side in self._shuffled():
            halves[side] = self._half(side)
            side.end()
        candidate, ref = (halves[side] for side in self._sides)
        if len(candidate) != len(ref):
            raise NotJudged(f"the test has other measuring loops in {self._sides[1].name}")
        for loop, both in zip(self.loops, zip(candidate, ref, strict=True), strict=True):
            for mine, theirs in zip(*both, strict=False):
                self._keep(loop, *map(list, zip(mine, theirs, strict=True)))

    def _half(self, side: Side) -> list[list[list[Slice]]]:
        """Return the slices of each pair of each loop, on one side."""
        self._named(side, lambda each: each.start(self._node, self._limits.answer_s))
        made: list[list[list[Slice]]] = []
        while not isinstance(event := self._event(side), Ended):
            if len(made) == len(self.loops):
                self.loops.append(LoopState(event))
            loop = self.loops[len(made)]
            if event.instrumented or (why := unlike(loop.loop, event)):
                raise NotJudged(event.instrumented or f"in {side.name} {why}")
            self._warm_up(loop, [side])
            pairs = 1 if loop.loop.once else MOST_PAIRS_OF_A_START
            slices = range(loop.slices)
            made.append(
                [[self._work(side, self._order(loop)) for _ in slices] for _ in range(pairs)]
            )
            self._named(side, lambda each: each.leave_loop())
        return made

    # --- what both ways share ----------------------------------------------------------------

    def _event(self, side: Side) -> Loop | Ended:
        """Wait for the next loop of a side; raise `SideFailure` if its test failed."""
        event = self._named(side, lambda each: each.event(self._limits.answer_s))
        if isinstance(event, Ended):
            if event.failure:
                raise SideFailure(f"in {side.name}, {event.failure}")
            for package, path in event.foreign.items():
                raise NotJudged(f"{package} was imported from {path}, not from {side.name}")
        return event

    def _work(self, side: Side, order: Order) -> Slice:
        return self._named(side, lambda each: each.work(order, self._limits.answer_s))

    def _order(self, loop: LoopState) -> Order:
        return Order(loop.iterations, self._cpu, self._settle)

    def _named(self, side: Side, use: Callable[[Side], T]) -> T:
        """Use a side, and name it if it fails."""
        try:
            return use(side)
        except SideFailure as failure:
            raise SideFailure(f"in {side.name}, {failure}") from None

    def _shuffled(self) -> list[Side]:
        return self._random.sample(self._sides, 2)

    def _choose_cpu(self) -> int | None:
        """Return a CPU for both sides, or None where the system does not let one choose."""
        if SYSTEM.affinity is None or SYSTEM.set_affinity is None:
            return None
        cpu: int = self._random.choice(sorted(SYSTEM.affinity(0)))
        return cpu

    def _left_s(self) -> float:
        return max(0.0, (self._limits.until_ns - self._clock.now_ns()) * 1e-9)


def _warm(spent_s: float, calls: int) -> bool:
    return spent_s >= WARM_UP_S and (calls >= WARM_UP_CALLS or spent_s >= MOST_WARM_UP_S)
