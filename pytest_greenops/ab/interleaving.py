"""Starts of a test on two sides: both at once, in turns, or one side after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from pytest_greenops.ab.messages import Ended
from pytest_greenops.ab.pair_maker import PairMaker
from pytest_greenops.ab.side import LoopLeft, Side, SideFailure
from pytest_greenops.ab.work import Limits, LoopState, NamePairs, NotJudged, unlike
from pytest_greenops.measure.commanded import Loop, Order, Slice
from pytest_greenops.measure.observer import Load
from pytest_greenops.model.measurement import Check, CheckName
from pytest_greenops.run.against_ref import Compared
from pytest_greenops.system import SYSTEM

#: A start has this many pairs at most: more show the same start again.
MOST_PAIRS_OF_A_START = 4
#: Starts of both sides may take this many times as long as their pairs.
START_SHARE = 1.0

#: How many more pairs each name may need of the processes that run.
Wanted = Callable[[], Mapping[str, int]]


class Interleaving:
    """Starts a test on both sides as often as it is asked to, and has them make pairs.

    loops   what each measuring loop has shown
    maker   makes the pairs
    checks  the self-checks that failed, by the name that was measured, then by side and check
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
    ) -> None:
        """Prepare to compare a candidate and a ref.

        node     the test, by path from the top of the tree and names
        in_turn  end each side before the other starts
        """
        self.loops: list[LoopState] = []
        self.checks: dict[str, dict[tuple[str, CheckName], Check]] = {}
        self.maker = PairMaker(sides, compared, load, limits)
        self._sides = sides
        self._node = node
        self._limits = limits
        self._in_turn = in_turn
        self._start_s = self._pair_s = 0.0

    @property
    def pairs(self) -> list[NamePairs]:
        """The pairs of every name that is known so far."""
        return [pairs for loop in self.loops for pairs in loop.pairs.values()]

    @property
    def late(self) -> bool:
        """Whether another start would end after the limit."""
        return self._start_s + self._pair_s > self._limits.left_s

    def start(self, wanted: Wanted, afresh: bool = False) -> None:
        """Start the test once on both sides, and make pairs.

        afresh  end the processes first, and start new ones

        Raises `NotJudged` if the sides cannot be compared, and `SideFailure`.
        """
        for pairs in self.pairs:
            pairs.begin(afresh)
        for side in self._sides if afresh else ():
            side.renew()
        for side in () if self._in_turn else self._sides:
            side.warm()  # both at once
        self.maker.begin()
        began_ns = SYSTEM.monotonic_ns()
        if self._in_turn:
            self._one_after_the_other()
            self._start_s = _since_s(began_ns)
        else:
            self._together(wanted, began_ns)

    def _together(self, wanted: Wanted, began_ns: int) -> None:
        for side in self.maker.shuffled():
            side.start(self._node, self._limits.answer_s)
        number = 0
        while True:
            candidate, ref = (self._event(side) for side in self._sides)
            if isinstance(candidate, Ended) and isinstance(ref, Ended):
                return
            if isinstance(candidate, Ended) or isinstance(ref, Ended):
                which = self._sides[isinstance(ref, Ended)]
                raise NotJudged(f"the test measures less in {which.name}")
            self._check(self._sides[0], candidate, candidate)
            loop = self._loop(number, self._check(self._sides[1], ref, candidate))
            try:
                self._work(loop, wanted, began_ns)
            except LoopLeft:
                self._leave(loop)
            else:
                for side in self._sides:
                    side.leave_loop()
            number += 1

    def _leave(self, loop: LoopState) -> None:
        """Have both sides go on to the loop that the test has inside of another one."""
        loop.left = True
        for side in self._sides:
            if not side.left_loop:
                with suppress(LoopLeft):
                    side.work(Order(1), self._limits.answer_s)
                    raise NotJudged(f"the test measures in another way in {side.name}")

    def _work(self, loop: LoopState, wanted: Wanted, began_ns: int) -> None:
        """Make the pairs of one loop at this start, if any are wanted."""
        if loop.iterations and not self._is_open(loop, wanted()):
            self.maker.pass_by(loop)
            return
        if loop.loop.once:
            self.maker.once(loop)
            return
        self.maker.warm_up(loop, self._sides)
        if loop is next(each for each in self.loops if not each.left):
            self._start_s = _since_s(began_ns)
        made = 0
        while made < self._pairs_of_a_start() and self._is_open(loop, wanted()):
            began_pair_ns = SYSTEM.monotonic_ns()
            self.maker.pair(loop)
            self._pair_s, made = _since_s(began_pair_ns), made + 1
            if self._pair_s > self._limits.left_s:
                return

    def _is_open(self, loop: LoopState, wanted: Mapping[str, int]) -> bool:
        return any(wanted.get(name, 0) > 0 for name in loop.pairs)

    def _pairs_of_a_start(self) -> int:
        """Return how many pairs a start is worth: more where starts are expensive."""
        if not self._pair_s:
            return 1
        worth = round(self._start_s / (START_SHARE * self._pair_s))
        return min(MOST_PAIRS_OF_A_START, max(1, worth))

    def _one_after_the_other(self) -> None:
        """Make the halves of one pair at a start, on one side and then on the other."""
        halves: dict[Side, list[list[Slice]]] = {}
        order = self.maker.shuffled()
        for side in order:
            halves[side] = self._half(side)
        candidate, ref = (halves[side] for side in self._sides)
        if not len(candidate) == len(ref) == len(self.loops):
            raise NotJudged(f"the test has other measuring loops in {self._sides[1].name}")
        for loop, mine, theirs in zip(self.loops, candidate, ref, strict=True):
            if bool(mine) != bool(theirs):
                raise NotJudged(f"the test measures in another way in {self._sides[1].name}")
            if mine:
                candidate_first = order[0] is self._sides[0]
                self.maker.keep(loop, list(zip(mine, theirs, strict=True)), candidate_first)

    def _half(self, side: Side) -> list[list[Slice]]:
        """Return the slices of each loop, on one side."""
        side.start(self._node, self._limits.answer_s)
        made: list[list[Slice]] = []
        while not isinstance(event := self._event(side), Ended):
            known = self.loops[len(made)].loop if len(made) < len(self.loops) else event
            loop = self._loop(len(made), self._check(side, event, known))
            try:
                made.append(self.maker.half(loop, side, MOST_PAIRS_OF_A_START))
                side.leave_loop()
            except LoopLeft:
                loop.left = True
                made.append([])
        return made

    def _event(self, side: Side) -> Loop | Ended:
        """Wait for the next loop of a side; raise `SideFailure` if its test failed."""
        event = side.event(self._limits.answer_s)
        if isinstance(event, Ended):
            if event.failure:
                raise SideFailure(side.name, event.failure)
            for module, path in event.foreign.items():
                raise NotJudged(f"{module} was imported from {path}, not from {side.name}")
            for name, checks in event.checks.items():
                known = self.checks.setdefault(name, {})
                known |= {(side.name, check.name): check for check in checks}
        return event

    def _check(self, side: Side, loop: Loop, other: Loop) -> Loop:
        """Return the loop of a side, if it can be compared with another."""
        if loop.instrumented:
            raise NotJudged(f"{loop.instrumented} in {side.name}")
        if why := unlike(other, loop):
            raise NotJudged(f"in {side.name} {why}")
        return loop

    def _loop(self, number: int, loop: Loop) -> LoopState:
        if number == len(self.loops):
            self.loops.append(LoopState(loop))
        return self.loops[number]


def _since_s(began_ns: int) -> float:
    return (SYSTEM.monotonic_ns() - began_ns) * 1e-9
