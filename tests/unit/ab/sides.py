"""Sides without processes: each start of a test is a script of loops, and orders cost joules."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytest_greenops.ab.messages import Ended, Ready
from pytest_greenops.ab.ref_comparison import RefComparison
from pytest_greenops.ab.side import LoopLeft, SideFailure
from pytest_greenops.ab.work import Limits
from pytest_greenops.measure.commanded import Loop, Order, Slice
from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.measurement import LoadShare, Round
from pytest_greenops.run.against_ref import Compared
from tests.unit.builders import CPU, FakeClock
from tests.unit.measure.lab import FakeLoad

NODE = "tests/test_it.py::test_it"
READY = Ready([NODE], ["tests/test_it.py::test_plain"], {}, {}, None, {})
ENDED = Ended(None, {})
CALL = {"call": Compared("call", "call", "total", 0.05)}
#: What a loop says unless a test says otherwise.
LOOP = Loop((CPU,), {"cpu:0": "fake"}, (), False, None, None, False, None)
ESTIMATED = Loop((CPU,), {"cpu:0": "fake"}, ("cpu:0",), False, None, None, False, None)

#: Returns the joules of a call, by the name of each window.
Joules = Callable[[random.Random], Mapping[str, float]]


def steady(joules: float, spread: float = 0.01, name: str = "call") -> Joules:
    """Return work of some joules a call with a spread."""
    return lambda chance: {name: joules * math.exp(chance.gauss(0.0, spread))}


class FakeSide:
    """A side whose test has these loops, each of which does some work.

    log      what both sides were asked for, in order: `main start`, `main work 5`
    ends     how the test ends, at each start; the last one from then on
    idle_s   CPU time that it uses while the other works
    seconds  duration of a call
    void     why its energy is unknown, in the first `voids` windows
    openmp   whether its threads are those of OpenMP
    leaves   whether the first loop is left for the second as soon as it works
    """

    def __init__(
        self,
        name: str,
        log: list[str],
        *loops: tuple[Loop, Joules],
        ends: Sequence[Ended | SideFailure] = (ENDED,),
        ready: Ready = READY,
        idle_s: float = 0.0,
        seconds: float = 0.01,
        alone: bool = True,
        void: str | None = None,
        voids: float = math.inf,
        leaves: bool = False,
        openmp: bool = False,
        seed: int = 1,
        units: Mapping[str, float] | None = None,
    ) -> None:
        self.name = name
        self.loops = loops
        self.ends = list(ends)
        self.idle_s, self.seconds, self.alone, self.void = idle_s, seconds, alone, void
        self.leaves, self.openmp = leaves, openmp
        self.voids = voids
        self.environ: dict[str, str] = {}
        self.added: dict[str, str] = {}
        self.orders: list[Order] = []
        self.clock = FakeClock()
        self._log = log
        self._ready = ready
        self._chance = random.Random(seed)
        self._units = dict(units or {})
        self._at = len(loops)
        self._left = False

    @property
    def left_loop(self) -> bool:
        """Whether the next loop has begun already."""
        return self._left

    def warm(self) -> None:
        """Do nothing: it is always warm."""

    def ready(self, limit_s: float) -> Ready:
        """Return what was prepared."""
        return self._ready

    def start(self, node: str, limit_s: float) -> None:
        """Begin at the first loop."""
        assert node == NODE
        self._say("start")
        self._at = -1

    def event(self, limit_s: float) -> Loop | Ended:
        """Return the next loop, or how the test ends."""
        self._left = False
        self._at += 1
        if self._at < len(self.loops):
            return self.loops[self._at][0]
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if isinstance(end, SideFailure):
            raise end
        return end

    def work(self, order: Order, limit_s: float) -> Slice:
        """Return what an order used."""
        self._say(f"work {order.iterations}")
        self.orders.append(order)
        if self.leaves and self._at == 0:
            self._left = True
            raise LoopLeft("the test measures by itself")
        seconds = self.seconds * order.iterations
        rounds = {
            name: Round(
                {"cpu:0": round(joules * order.iterations * 1e6)},
                seconds,
                order.iterations,
                1,
                {unit: number * order.iterations for unit, number in self._units.items()},
                {},
                {},
            )
            for name, joules in self.loops[self._at][1](self._chance).items()
        }
        by_one = self.environ.get("OMP_NUM_THREADS") == "1"
        alone = self.alone or (by_one and self.openmp)
        self.voids -= 1
        void = self.void if self.voids >= 0 else None
        return Slice(rounds, void, seconds, self.idle_s, alone)

    def leave_loop(self) -> None:
        """Go on."""
        self._say("leave")

    def finish(self, limit_s: float) -> None:
        """Note that a test was let run to its end."""
        self._say("finish")

    def renew(self, **environ: str) -> None:
        """Note a new process."""
        self._say("renew")
        self.environ |= environ
        self.added |= environ

    def abandon(self) -> None:
        """Note a killed process."""
        self._say("abandon")

    def end(self) -> None:
        """Note an ended process."""
        self._say("end")

    def _say(self, what: str) -> None:
        self._log.append(f"{self.name} {what}")


class Bench:
    """A comparison of two fake sides, whose names are `here` and `main`."""

    def __init__(
        self,
        here: Sequence[tuple[Loop, Joules]],
        main: Sequence[tuple[Loop, Joules]],
        compared: Mapping[str, Compared] = CALL,
        *,
        loads: Sequence[LoadShare] = (),
        of_here: Mapping[str, Any] | None = None,
        of_main: Mapping[str, Any] | None = None,
        until_s: float = 60.0,
        **options: Any,
    ) -> None:
        self.log: list[str] = []
        self.here = FakeSide("here", self.log, *here, **{"seed": 1, **(of_here or {})})
        self.main = FakeSide("main", self.log, *main, **{"seed": 2, **(of_main or {})})
        self.seen: list[Interleaved] = []
        self._comparison = RefComparison(
            (self.here, self.main),
            ("main", "3f2a91c"),
            NODE,
            compared,
            Limits.from_now(until_s, 1.0),
            load=lambda: FakeLoad(*loads),
            progress=self.seen.append,
            **options,
        )

    def run(self) -> dict[str, Interleaved]:
        """Compare."""
        return self._comparison.run()

    def call(self) -> Interleaved:
        """Compare, and return the only result."""
        [only] = self.run().values()
        return only

    def said(self, what: str) -> list[str]:
        """Return the sides that were asked for something, in order."""
        return [each.split()[0] for each in self.log if each.split(maxsplit=1)[1].startswith(what)]
