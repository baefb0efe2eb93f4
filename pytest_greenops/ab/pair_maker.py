"""Pairs of two sides: warm-up, calibration, and short windows in random order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pytest_greenops.ab.side import Side
from pytest_greenops.ab.work import (
    MOST_WARM_UP_S,
    WARM_UP_CALLS,
    WARM_UP_S,
    Limits,
    LoopState,
    MadePair,
    NotJudged,
    SeveralThreads,
)
from pytest_greenops.judge.stats import logs, trimmed_mean
from pytest_greenops.measure.commanded import Order, Slice
from pytest_greenops.measure.observer import Load
from pytest_greenops.measure.redo_policy import REDOS
from pytest_greenops.measure.self_checks import contended
from pytest_greenops.run.against_ref import Compared
from pytest_greenops.system import SYSTEM

#: An idle side counts as busy if it uses this share of a CPU beyond what it takes to answer.
IDLE_SHARE, ANSWER_S = 0.05, 0.001
#: How many threads OpenMP has, and so torch, MKL and OpenBLAS.
THREADS = "OMP_NUM_THREADS"
#: One step of the calibration takes at most this share of the time that is left.
STEP_SHARE = 0.05


class PairMaker:
    """Lets two sides work in turns, in one measuring loop after another.

    busy     the largest share of a CPU that an idle side used while the other side worked
    spoilt   pairs that were kept although other processes ran
    several_threads  whether the work has more than one, so that it is not kept on one CPU
    """

    def __init__(
        self,
        sides: tuple[Side, Side],
        compared: Mapping[str, Compared],
        load: Load,
        limits: Limits,
    ) -> None:
        """Prepare to compare a candidate and a ref."""
        self.busy = 0.0
        self.spoilt = 0
        self.several_threads = False
        self._sides = sides
        self._compared = compared
        self._load = load
        self._limits = limits
        self._random = SYSTEM.new_random()
        self._settle = False
        self._cpu: int | None = None
        self._redos = REDOS

    def begin(self) -> None:
        """Choose a CPU for both sides at a start, where the system lets one choose."""
        if SYSTEM.affinity is not None and SYSTEM.set_affinity is not None:
            self._cpu = self._random.choice(sorted(SYSTEM.affinity(0)))

    def shuffled(self) -> list[Side]:
        """Return the sides in random order."""
        return self._random.sample(self._sides, 2)

    def pass_by(self, loop: LoopState) -> None:
        """Let each side do its work once: its value is needed, its energy is not."""
        for side in self._sides:
            self._work(side, Order(loop.loop.iterations or 1))

    def half(self, loop: LoopState, side: Side, pairs: int) -> list[Slice]:
        """Return the slices of one side for one pair, as long as several: the other half follows.

        What the machine does meanwhile is on one side only, and the same in all slices: so they are
        one observation.
        """
        if loop.loop.once:
            return self._watched(loop, lambda: [self._single(loop, side)])
        self.warm_up(loop, [side])
        slices = range(loop.slices * pairs)
        return self._watched(loop, lambda: [self._work(side, self._order(loop)) for _ in slices])

    def warm_up(self, loop: LoopState, sides: Sequence[Side]) -> None:
        """Let the sides work until they are warm, and calibrate the calls of a slice.

        Raises `SeveralThreads` where joules are estimated from CPU time: threads that wait for each
        other use CPU time too, many times that of the work if others take a CPU from one of them.
        """
        fixed = loop.loop.iterations
        trips = 1 if loop.loop.warmup is None else loop.loop.warmup
        done: list[Slice] = []
        for _ in range(max(trips, 0 if loop.iterations else 1)):
            done = self._each(sides, Order(fixed or 1, settle=self._settle))
        spent_s = max((each.seconds for each in done), default=0.0)
        if not loop.iterations:
            self._calibrate(loop, sides, done)
        if not all(each.alone for each in done):
            if loop.estimated and THREADS not in sides[0].environ:
                raise SeveralThreads("the work has several threads")
            self._cpu, self.several_threads = None, True  # or processes
        calls = 1
        while loop.loop.warmup is None and not _warm(spent_s, calls):
            done = self._each(sides, self._order(loop))
            spent_s += max(each.seconds for each in done)
            calls += loop.iterations

    def _calibrate(self, loop: LoopState, sides: Sequence[Side], done: list[Slice]) -> None:
        iterations = loop.loop.iterations or 1
        for slice_ in done:
            self._know(loop, slice_)
        while not loop.loop.iterations:
            longest_s = max(slice_.seconds for slice_ in done)
            growth = min(loop.growth(done), self._limits.left_s * STEP_SHARE / max(longest_s, 1e-9))
            if growth <= 1:
                break
            iterations = max(iterations + 1, round(iterations * growth))
            done = self._each(sides, Order(iterations, settle=self._settle))
        loop.calibrated(iterations, done)

    def _know(self, loop: LoopState, slice_: Slice) -> None:
        if slice_.void:
            raise NotJudged(slice_.void)
        loop.know(slice_, self._compared)

    def once(self, loop: LoopState) -> None:
        """Make the only window of each side, after the warm-up that the test asks for."""
        order = self.shuffled()
        made = self._watched(loop, lambda: [self._single(loop, side) for side in order])
        candidate_first = order[0] is self._sides[0]
        self.keep(loop, [made if candidate_first else made[::-1]], candidate_first)

    def _single(self, loop: LoopState, side: Side) -> Slice:
        for _ in range(loop.loop.warmup or 0):
            self._work(side, Order(1))
        first = not loop.iterations
        loop.iterations = loop.loop.iterations or 1
        made = self._work(side, Order(loop.iterations, settle=self._settle))
        if first or not loop.pairs:
            self._know(loop, made)
        return made

    def pair(self, loop: LoopState) -> None:
        """Make one pair: again while it is void, or others spoil it, and redos are left."""
        while True:
            self._load.start()
            made, candidate_first = self._slices(loop)
            spoilt = self._is_spoilt(loop)
            void = any(slice_.void for slices in made for slice_ in slices)
            if not (spoilt or void) or not self._redos:
                break
            self._redos -= 1
        if spoilt:
            self.spoilt += 1
        else:
            self._redos = REDOS
        self.keep(loop, made, candidate_first)

    def _watched(self, loop: LoopState, work: Callable[[], list[Slice]]) -> list[Slice]:
        """Work once, and count it as spoilt if other processes are in what was sensed."""
        self._load.start()
        made = work()
        self.spoilt += self._is_spoilt(loop)
        return made

    def _is_spoilt(self, loop: LoopState) -> bool:
        return contended(self._load.stop()) and not loop.estimated

    def _slices(self, loop: LoopState) -> tuple[list[list[Slice]], bool]:
        """Return the slices of a pair, and whether the first began with the candidate.

        Of two, one begins with either side.
        """
        made, orders = [], list[list[Side]]()
        for number in range(loop.slices):
            orders.append(orders[-1][::-1] if number % 2 else self.shuffled())
            done = {side: self._work(side, self._order(loop)) for side in orders[-1]}
            made.append([done[side] for side in self._sides])
        self._watch_idle(made)
        return made, orders[0][0] is self._sides[0]

    def _watch_idle(self, made: Sequence[Sequence[Slice]]) -> None:
        """Wait for quiet from now on if a side used CPU time while it was idle; note it if it does.

        The first slice of each side may follow something else than a slice.
        """
        later = [slice_ for slices in (made[1:] or made) for slice_ in slices]
        worked_s = sum(slice_.seconds for slice_ in later)
        idle_s = sum(max(0.0, slice_.idle_s - ANSWER_S) for slice_ in later)
        if worked_s > 0 and idle_s > IDLE_SHARE * worked_s:
            if self._settle:
                self.busy = max(self.busy, idle_s / worked_s)
            self._settle = True

    def keep(self, loop: LoopState, made: Sequence[Sequence[Slice]], candidate_first: bool) -> None:
        """Keep a pair: the trimmed mean, over its slices, of candidate over ref in logarithms."""
        for slices in made:
            if why := next((slice_.void for slice_ in slices if slice_.void), None):
                raise NotJudged(why)
        for pairs in loop.pairs.values():
            candidate, ref = (
                logs(pairs.joules(slices[place], loop.loop) for slices in made) for place in (0, 1)
            )
            ratios = [c - r for c, r in zip(candidate, ref, strict=True)]
            ratio, candidate_j, ref_j = map(trimmed_mean, (ratios, candidate, ref))
            pairs.add(MadePair(ratio, candidate_j, ref_j, candidate_first, len(made)))

    def _each(self, sides: Sequence[Side], order: Order) -> list[Slice]:
        """Let sides work in random order; return their slices in the given order."""
        turns = self._random.sample(sides, len(sides))
        done = {side: self._work(side, order) for side in turns}
        return [done[side] for side in sides]

    def _work(self, side: Side, order: Order) -> Slice:
        return side.work(order, self._limits.answer_s)

    def _order(self, loop: LoopState) -> Order:
        return Order(loop.iterations, self._cpu, self._settle)


def _warm(spent_s: float, calls: int) -> bool:
    return spent_s >= WARM_UP_S and (calls >= WARM_UP_CALLS or spent_s >= MOST_WARM_UP_S)
