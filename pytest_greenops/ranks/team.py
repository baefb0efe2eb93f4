"""One rank of a job: what its run decides, measures and ends together with the others."""

from __future__ import annotations

import hashlib
import itertools
import os
import platform
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from msgspec.structs import replace

from pytest_greenops.model import errors
from pytest_greenops.model.counted import Counted
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.errors import EnergyFailure, OptionError, RanksApart
from pytest_greenops.ranks.alone import Alone
from pytest_greenops.ranks.counted_sum import WorkOfRank, counted_of_ranks, sendable
from pytest_greenops.ranks.job import Job
from pytest_greenops.ranks.joint_instruments import Hosts, JointInstruments
from pytest_greenops.ranks.lockstep import FollowingMeter, LeadingMeter
from pytest_greenops.ranks.peers import LOOK_S, Peers
from pytest_greenops.sensors import process_tree
from pytest_greenops.sensors.instruments import Instruments
from pytest_greenops.system import before_tests

T = TypeVar("T")
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PROCESSES = Path("/proc/self/ns/pid")
#: How often this process has joined a job: each time has keys of its own.
_JOINED = itertools.count()
#: What does not differ because a host is another one.
_OF_RANK = ("sensors", "domains", "estimate", "affinity")


class _Hello(NamedTuple):
    """Where a rank runs.

    host       what all ranks on a machine share, and no other
    processes  whose ids mean the same as its own
    """

    host: str
    processes: str
    process: int


class _Failure(NamedTuple):
    """The failure that rank 0 found: the name of its class, and its message."""

    kind: str
    message: str


class Team(Alone):
    """One rank of a job."""

    several = True

    def __init__(self, job: Job, peers: Peers) -> None:
        """Find out which ranks share a host; raise `OptionError` if one does not come."""
        self._job, self._peers = job, peers
        self.follows = not peers.leads
        peers.enter("start")
        try:
            hello = _hello()
            all_ = peers.gather("hello", hello, _Hello) or []
            found = peers.share("hosts", lambda: _hosts(all_), tuple[Hosts, list[_Hello]])
        except RanksApart as apart:
            raise OptionError(
                f"the {job.size} ranks of this job ({job.launcher}) do not meet: {apart}; start "
                "pytest --energy in every rank, or unset WORLD_SIZE to measure this process alone"
            ) from None
        self._hosts, hellos = found
        self.reads = self._hosts.reads(job.rank)
        self.work_facts = {"ranks": str(job.size)}
        if self.reads:
            process_tree.adopt(
                other.process
                for other in hellos
                if other.host == hello.host
                and other.processes == hello.processes
                and other.process != hello.process
            )
        kind: Any = FollowingMeter if self.follows else LeadingMeter
        self.meter = partial(kind, peers=peers)
        self._entered: dict[str, int] = {}

    def quietly(self, measure: Callable[[], T]) -> T:
        """Measure while no rank works."""
        self._meet("still")
        found = measure()
        self._meet("stir")
        return found

    def joined(self, instruments: Instruments) -> Instruments:
        """Return the sensors of all ranks as one."""
        with self._starting():
            return JointInstruments(instruments, self._peers, self._hosts)

    def environment(self, environment: Environment) -> Environment:
        """Return the machine of rank 0, and how many ranks and hosts there are.

        Hosts of another kind are a fact, too: the joules of such a job are others.
        """
        own = environment.machine if self.reads else {}
        with self._starting():
            ranks = self._peers.gather("machine", own, dict[str, str]) or []
            facts = self._facts(ranks) if ranks else {}
            joint = replace(environment, machine={**environment.machine, **facts})
            return self._peers.share("environment", lambda: joint, Environment)

    def _facts(self, ranks: list[dict[str, str]]) -> dict[str, str]:
        facts = {"ranks": str(self._job.size), "hosts": str(self._hosts.number)}
        kinds = [
            "\n".join(f"{k}={v}" for k, v in sorted(each.items()) if k not in _OF_RANK)
            for each in ranks
            if each
        ]
        if others := sorted({kind for kind in kinds if kind != kinds[0]}):
            facts["other hosts"] = hashlib.sha256("\n\n".join(others).encode()).hexdigest()[:8]
        return facts

    def same(self, at: str, value: float) -> float:
        """Return a number of rank 0, by which all ranks decide alike; raises `RanksApart`."""
        return self._peers.share(at, lambda: value, float)

    def counted(self, work: Mapping[str, Counted | str | None]) -> dict[str, Counted | str | None]:
        """Return the counted work of all ranks to each of them; raises `RanksApart`."""
        ranks = self._peers.gather("work", sendable(work), dict[str, WorkOfRank]) or []
        of_all = self._peers.share(
            "work of all", lambda: sendable(counted_of_ranks(work, ranks)), dict[str, WorkOfRank]
        )
        return {name: of_all[name].counted if name in of_all else None for name in work}

    def announce(self, tests: Collection[str]) -> None:
        """Say which tests this rank has; raise `OptionError` if another has them in other order."""
        own = list(tests)
        with self._starting():
            ranks = self._peers.gather("tests", own, list[str]) or []
            if wrong := self._peers.share("order", lambda: _other_order(ranks), str | None):
                raise OptionError(wrong)
        self._peers.close()
        self._peers.announce(own)

    def enter(self, test: str) -> None:
        """Begin a test, which may run again."""
        number = self._entered[test] = self._entered.get(test, 0) + 1
        self._peers.enter(f"{test}#{number}", test)

    def leave(self) -> None:
        """End a test; the others do not wait for this rank in it any more."""
        self._peers.leave("its test failed, was skipped, or measured less")

    def conclude(self, enforce: Callable[[], None]) -> bool:
        """Fail a test that all ranks have passed if its energy fails it, in every rank.

        Return whether it passed in all ranks. Where the ranks are apart, rank 0 judges alone that
        nothing was measured.
        """
        __tracebackhide__ = True
        if self._peers.apart is not None:
            if not self.follows:
                enforce()
            return True
        failure: EnergyFailure | None = None
        if not self.follows:
            try:
                enforce()
            except EnergyFailure as raised:
                failure = raised
        try:
            found = self._peers.share("verdict", lambda: _described(failure), _Failure | None)
        except RanksApart:
            return False
        self._peers.close()
        if failure is not None:
            raise failure
        if found is not None:
            raise getattr(errors, found.kind)(found.message)
        return True

    def end(self) -> None:
        """Say that no further test begins here."""
        self._peers.end("its run has ended")

    def finish(self) -> None:
        """Wait until rank 0 has written everything."""
        with suppress(RanksApart):
            self._peers.finish()

    def _meet(self, at: str) -> None:
        with self._starting():
            self._peers.share(at, lambda: None, None)

    def _starting(self) -> _Starting:
        return _Starting()


class _Starting:
    """A context before the first test, in which ranks that are apart are an error of the run."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _: object, error: BaseException | None, trace: object) -> None:
        """Raise `OptionError` for `RanksApart`."""
        if isinstance(error, RanksApart):
            raise OptionError(f"the ranks of this job cannot start: {error}") from None


def _other_order(ranks: list[list[str]]) -> str | None:
    """Return which rank runs tests that all ranks have in another order than rank 0, or None."""
    shared = set(ranks[0]).intersection(*ranks[1:])
    orders = [[test for test in tests if test in shared] for tests in ranks]
    for rank, order in enumerate(orders):
        if order != orders[0]:
            return (
                f"rank {rank} runs the same tests in another order than rank 0: they would wait "
                "for each other; give all ranks one order, such as -p no:randomly"
            )
    return None


def _described(failure: EnergyFailure | None) -> _Failure | None:
    return None if failure is None else _Failure(type(failure).__name__, str(failure))


@before_tests
def _hello() -> _Hello:
    """Return where this rank runs: the boot of its host, or else the name, identifies the host."""
    host, processes = platform.node(), ""
    with suppress(OSError):
        host = _BOOT.read_text().strip() or host
    with suppress(OSError):
        processes = os.readlink(_PROCESSES)
    return _Hello(host, processes, os.getpid())


def _hosts(ranks: list[_Hello]) -> tuple[Hosts, list[_Hello]]:
    names = list(dict.fromkeys(rank.host for rank in ranks))
    return Hosts(tuple(names.index(rank.host) for rank in ranks)), ranks


@before_tests
def join_job(job: Job, wait_s: float) -> Team:
    """Meet the other ranks of a job; raise `OptionError` where that is not possible."""
    try:
        import torch.distributed as distributed
    except ImportError:
        raise OptionError(
            f"a job of {job.size} ranks ({job.launcher}) is measured over torch.distributed, and "
            "torch is not installed: pip install torch"
        ) from None
    if not distributed.is_available():
        raise OptionError(
            "this torch was built without torch.distributed, over which the ranks of a job meet"
        )
    try:
        limit = timedelta(seconds=wait_s)
        found = distributed.rendezvous("env://", job.rank, job.size, timeout=limit)
        store, _, _ = next(found)
    except (RuntimeError, ValueError) as error:
        first = next(iter(str(error).splitlines()), "")
        raise OptionError(
            f"rank {job.rank} of {job.size} ({job.launcher}) does not reach the others at "
            f"MASTER_ADDR and MASTER_PORT within {wait_s:g} s: {first[:200]}"
        ) from None
    own = distributed.PrefixStore(f"pytest-greenops/{job.started}/{next(_JOINED)}", store)
    return Team(job, Peers(own, job.rank, job.size, wait_s, timedelta(seconds=LOOK_S)))
