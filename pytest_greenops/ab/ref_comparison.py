"""The comparison of one test with a git ref: until it is decided, or cannot be."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from msgspec.structs import replace

from pytest_greenops.ab.interleaving import Interleaving
from pytest_greenops.ab.messages import Ready
from pytest_greenops.ab.pair_maker import THREADS
from pytest_greenops.ab.side import Side, SideFailure, SideHangs
from pytest_greenops.ab.work import Limits, LoopState, NamePairs, NotJudged, SeveralThreads
from pytest_greenops.judge.pair_confirmation import Decision
from pytest_greenops.judge.pair_decision import MOST_PAIRS
from pytest_greenops.judge.stats import TRIM
from pytest_greenops.measure.observer import Load
from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.measurement import CheckName
from pytest_greenops.model.outcome import Outcome
from pytest_greenops.model.units import counted, format_percent
from pytest_greenops.run.against_ref import Compared

#: Builds the ref's package in most projects.
BUILD = ("--energy-ab-setup=pip install -e . --no-deps",)
_ONE_THREAD = f"on one thread ({THREADS}=1): threads that wait for each other use CPU time too"
_SEVERAL_THREADS = "the work has several threads or processes, so the sides share no single CPU"
#: The self-checks of a side that are shown: pairs of both sides answer the others, or the windows
#: are made again.
SHOWN = {
    CheckName.BACKGROUND,
    CheckName.CONTENTION,
    CheckName.DISAGREEMENT,
    CheckName.IMPLAUSIBLE,
    CheckName.LOST,
    CheckName.THROTTLED,
    CheckName.WARM_UP,
}
#: An idle side may use this share of the margin while the other's counters run.
IDLE_LIMIT = 1 / 5


class RefComparison:
    """Compares one test of two sides, by the names of its measurements.

    hangs  whether a side did not answer in time
    """

    def __init__(
        self,
        sides: tuple[Side, Side],
        ref: tuple[str, str],
        node: str,
        compared: Mapping[str, Compared],
        limits: Limits,
        *,
        load: Callable[[], Load],
        progress: Callable[[Interleaved], None] = lambda so_far: None,
        in_turn: str | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        """Prepare a comparison.

        sides     the candidate and the ref
        ref       the ref as the user wrote it, and its abbreviated commit
        node      the test, by path from the top of the tree and names
        progress  called after each start with what is known of the first open name
        in_turn   why the sides cannot hold the test at the same time, or None
        notes     what every comparison of this run says
        """
        self.hangs = False
        self._sides = sides
        self._ref = ref
        self._node = node
        self._compared = compared
        self._limits = limits
        self._load = load
        self._progress = progress
        self._in_turn = in_turn
        self._notes = list(notes)
        self._processes_differ = False

    def run(self) -> dict[str, Interleaved]:
        """Compare until each name is decided, has its last pair, or time is over."""
        try:
            interleaving = self._guarded()
        except _Absent as absent:
            return self._none(Outcome.NO_BASELINE, str(absent))
        except (NotJudged, SideFailure) as why:
            self.hangs = isinstance(why, SideHangs)
            return self._none(Outcome.NOT_COMPARABLE, str(why), getattr(why, "fix", ()))
        found = {}
        for loop in interleaving.loops:
            for name, pairs in loop.pairs.items():
                found[name] = self._result(pairs, loop, interleaving)
        missing = self._none(Outcome.NOT_COMPARABLE, "the test measured nothing under this name")
        return {**missing, **found}

    def _guarded(self) -> Interleaving:
        """Compare; no side is left in the middle of something if that is interrupted."""
        try:
            for side in self._sides:
                side.warm()  # both at once
            for side in self._sides:
                self._find(side, side.ready(self._limits.answer_s))
            if any(THREADS in side.added for side in self._sides):
                self._note(_ONE_THREAD)
            return self._interleave()
        except (NotJudged, SideFailure):
            raise
        except BaseException:  # such as a timeout of the test, or Ctrl-C
            for side in self._sides:
                side.abandon()
            raise

    def _find(self, side: Side, ready: Ready) -> None:
        """Check that a side has the test and its own code; raise why not."""
        if ready.one_start:
            self._processes_differ = True
            self._note(f"each start is a process of its own: {ready.one_start}")
        for module in ready.not_built:
            raise NotJudged(f"{module} is not built in {side.name}", fix=BUILD)
        for package, path in ready.foreign.items():
            raise NotJudged(f"{package} was imported from {path}, not from {side.name}")
        node, file = self._node, self._node.partition("::")[0]
        if node in ready.nodes:
            return
        for path, why in ready.failures.items():
            if f"/{file}".endswith(f"/{path}"):
                raise NotJudged(f"{file} cannot be collected in {side.name}: {why}")
        if node in ready.others:
            raise _Absent(f"not an energy test in {side.name}")
        raise _Absent(f"not in {side.name}")

    def _interleave(self) -> Interleaving:
        """Return what the sides have shown; if they disturb each other, each runs alone."""
        if self._in_turn is None:
            try:
                return self._until_decided(in_turn=False)
            except SideHangs:
                raise
            except SideFailure as failure:
                self._in_turn = str(failure)
                try:
                    alone = self._until_decided(in_turn=True)
                except (SideFailure, NotJudged):
                    raise failure from None
                self._note(f"each side ended before the other started: {self._in_turn}")
                return alone
        self._note(f"each side ended before the other started: {self._in_turn}")
        return self._until_decided(in_turn=True)

    def _until_decided(self, in_turn: bool) -> Interleaving:
        """Start the test on both sides until it is decided; no side is left at work."""
        try:
            return self._starts(in_turn)
        except SeveralThreads:
            self._note(_ONE_THREAD)
            for side in self._sides:
                side.finish(self._limits.answer_s)
                side.renew(**{THREADS: "1"})
            return self._until_decided(in_turn)
        except (NotJudged, SideFailure):
            for side in self._sides:
                side.finish(self._limits.answer_s)
            raise

    def _starts(self, in_turn: bool) -> Interleaving:
        interleaving = Interleaving(
            self._sides,
            self._node,
            self._compared,
            self._load(),
            self._limits,
            in_turn=in_turn,
        )
        wanted = partial(self._wanted, interleaving)
        afresh = False
        while True:
            interleaving.start(wanted, afresh)
            decisions = [self._decision(pairs) for pairs in interleaving.pairs if pairs.number]
            for pairs in interleaving.pairs:
                if pairs.number and not self._decision(pairs).over:
                    self._progress(self._so_far(pairs))
            if all(each.over for each in decisions) or interleaving.late:
                return interleaving
            afresh = not any(wanted().values())

    def _wanted(self, interleaving: Interleaving) -> dict[str, int]:
        """Return how many more pairs each name may need of these processes."""
        return {pairs.of.name: self._of_these_processes(pairs) for pairs in interleaving.pairs}

    def _of_these_processes(self, pairs: NamePairs) -> int:
        made = sum(map(len, pairs.processes[-1]))
        if not pairs.number:
            return MOST_PAIRS
        decision = self._decision(pairs)
        return 0 if decision.over or (decision.afresh and made) else max(1, MOST_PAIRS - made)

    def _decision(self, pairs: NamePairs) -> Decision:
        return pairs.decision(self._processes_differ)

    def _so_far(self, pairs: NamePairs) -> Interleaved:
        decision = self._decision(pairs)
        shown, (low, high) = decision.shown, decision.interval
        return self._interleaved(
            pairs.of.margin,
            decision.outcome,
            relative=_share(shown.estimate),
            low=_share(low),
            high=_share(high),
            baseline_j=pairs.level_j,
            smallest=_share(shown.smallest),
            pairs=shown.pairs.count,
            starts=shown.pairs.starts,
            notes=(*self._notes, *_disputes(decision)),
        )

    def _result(self, pairs: NamePairs, loop: LoopState, interleaving: Interleaving) -> Interleaved:
        if not pairs.number:
            none = self._none(Outcome.NOT_COMPARABLE, *self._too_late(0))
            return none[pairs.of.name]
        doubt = self._doubt(pairs, loop, interleaving)
        result = replace(self._so_far(pairs), every_pair=pairs.every_pair(self._processes_differ))
        if result.outcome is Outcome.INCONCLUSIVE:
            result = replace(result, needs_pairs=self._decision(pairs).shown.needs_pairs)
        if not self._decision(pairs).over:
            needed = min(result.needs_pairs or MOST_PAIRS, MOST_PAIRS)
            cause, fix = self._too_late(needed, pairs.number)
            return replace(result, outcome=Outcome.INCONCLUSIVE, cause=cause, fix=fix)
        if doubt and result.outcome is Outcome.PASSED:
            return replace(result, outcome=Outcome.INCONCLUSIVE, cause=doubt)
        return result

    def _too_late(self, needed: int, made: int = 0) -> tuple[str, tuple[str, ...]]:
        """Return that the time was over, and the option that allows enough of it, if one does."""
        limit_s = self._limits.most_s
        minutes = math.ceil(limit_s * max(2.0, 1.2 * needed / max(made, 1)) / 60)
        pairs = f", after {counted(made, 'pair')}" if made else ", before the first pair"
        text = f"the time limit of {limit_s:g} s{pairs}"
        if (raised_by := self._limits.raised_by) is not None:
            return f"{text} (raise {raised_by})", ()
        return text, (f"--energy-max-time={minutes}min",)

    def _doubt(self, pairs: NamePairs, loop: LoopState, interleaving: Interleaving) -> str | None:
        """Return why a test must not pass: counters of the machine count others too.

        What others use is in the windows of either side alike, so that it hides a change and makes
        none: what moved is not doubted.
        """
        if interleaving.maker.busy:
            busy = format_percent(interleaving.maker.busy, signed=False, digits=2)
            self._note(f"an idle side still used CPU time: {busy} of a CPU")
        if interleaving.maker.several_threads:
            self._note(_SEVERAL_THREADS)
        found = interleaving.checks.get(pairs.of.name, {})
        shown = {of: check for of, check in found.items() if check.name in SHOWN}
        for (side, _), check in shown.items():
            self._note(f"in {side}: {check.finding}")
        if doubt := loop.doubt(pairs.of.domain, tuple(shown.values())):
            return doubt.finding
        if loop.estimated:
            return None
        if interleaving.maker.busy > IDLE_LIMIT * pairs.of.margin:
            return "the side that waits still uses CPU time, which the counters include"
        if interleaving.maker.spoilt > TRIM * pairs.number:
            return f"other processes ran during {interleaving.maker.spoilt} of {pairs.number} pairs"
        return None

    def _none(
        self, outcome: Outcome, cause: str, fix: tuple[str, ...] = ()
    ) -> dict[str, Interleaved]:
        known = {"cause": cause, "notes": tuple(self._notes), "fix": fix}
        return {
            name: self._interleaved(of.margin, outcome, **known)
            for name, of in self._compared.items()
        }

    def _interleaved(self, margin: float, outcome: Outcome, **figures: Any) -> Interleaved:
        written, commit = self._ref
        return Interleaved(written, commit, outcome, margin, **figures)

    def _note(self, note: str) -> None:
        if note not in self._notes:
            self._notes.append(note)


def _share(change: float) -> float | None:
    """Return a change in logarithms as a share; None if it is not known."""
    return math.expm1(change) if math.isfinite(change) else None


class _Absent(NotJudged):
    """A side does not have the test."""


def _disputes(decision: Decision) -> Iterator[str]:
    if decision.disputed:
        changes = ", ".join(map(format_percent, decision.disputed))
        yield f"processes of the same code differ: {changes}"
