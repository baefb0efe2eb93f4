"""How the ranks of a job meet: by keys in the store of torch.distributed, with bounded waits.

The ranks meet in places: one for each test, and one before the tests. In a place they meet again
and again. Each rank writes a key that says what it brings; rank 0 waits for all of them and writes
an answer. So the process groups of a test are not involved, and may come and go.

A rank that leaves a place says so in its next key there. If one has left, hangs or has ended, rank
0 answers that the ranks are apart, and nobody waits in that place any more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Protocol, TypeVar

import msgspec

from pytest_greenops.model.errors import RanksApart
from pytest_greenops.system import SYSTEM, System

T = TypeVar("T")
#: How long one look at the store lasts: Ctrl-C waits for it, and so does the news of a rank's end.
LOOK_S = 1.0
#: How much longer a rank waits for rank 0, which may itself wait for another one, than rank 0 does.
_PATIENCE, _SPARE_S = 2.0, 5.0
_NOTHING = msgspec.Raw(msgspec.msgpack.encode(None))


class Store(Protocol):
    """A store of torch.distributed: keys and values that all ranks see."""

    def set(self, key: str, value: Any, /) -> None:
        """Write a value."""

    def get(self, key: str, /) -> bytes:
        """Return the value of a key that is there."""

    def wait(self, keys: list[str], limit: Any, /) -> None:
        """Wait for keys; raise `RuntimeError` after the limit, or if the store is gone."""

    def check(self, keys: list[str], /) -> bool:
        """Return whether keys are there."""

    def delete_key(self, key: str, /) -> bool:
        """Remove a key."""


class _Arrival(msgspec.Struct):
    """What a rank writes: where it is, what it brings, and why it comes no more, if it does not."""

    at: str = ""
    brought: msgspec.Raw = _NOTHING
    left: str | None = None


class _Answer(msgspec.Struct):
    """What rank 0 writes: a value for all, or why the ranks are apart."""

    value: msgspec.Raw = _NOTHING
    apart: str | None = None


class Peers:
    """All ranks of a job, as one of them sees the others.

    apart  why the ranks do not meet in this place any more, or None
    """

    def __init__(
        self,
        store: Store,
        rank: int,
        size: int,
        wait_s: float,
        look: Any = None,
        system: System = SYSTEM,
    ) -> None:
        """Use a store; `look` is how long one look lasts, as the store wants to have it.

        wait_s  how long a rank waits for the others at each meeting
        """
        self.rank, self.size = rank, size
        self.apart: str | None = None
        self._store, self._system, self._look = store, system, look
        self._wait_s = wait_s
        self._place, self._test, self._number = "", "", 0
        self._left = True
        self._lost: str | None = None
        self._tests: dict[int, frozenset[str]] = {}
        self._read: list[str] = []
        self._known: list[str] = []

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which decides, judges and writes."""
        return self.rank == 0

    def announce(self, tests: Collection[str]) -> None:
        """Say which tests this rank has."""
        self._set(f"tests/{self.rank}", list(tests))

    def enter(self, place: str, test: str = "") -> None:
        """Go to a place that every rank goes to once; `test` is the one that it is for."""
        self.leave("it went on")
        self._place, self._test, self._number = place, test, 0
        self._left, self.apart = False, self._lost

    def leave(self, why: str) -> None:
        """Tell the others not to wait in this place, and why: `its test failed`."""
        if self._left:
            return
        self._left = True
        if self.leads:
            said = why if why == self._lost else f"rank 0: {why}"
            self._set(self._key("answer"), _Answer(apart=said))
        else:
            self._set(self._key(self.rank), _Arrival(left=why))
        self.apart = self.apart or f"this rank: {why}"

    def close(self) -> None:
        """Leave this place for good: all ranks have met for the last time in it."""
        self._left = True
        self.apart = self.apart or "the ranks have parted"

    def end(self, why: str) -> None:
        """Say that this rank comes to no further place."""
        self.leave(why)
        self._set(f"ended/{self.rank}", why)

    def finish(self) -> None:
        """Let the ranks end together: a launcher ends all of them when one fails."""
        if self.leads:
            self._set("finished", "")
        else:
            self._await("finished", self._patience_s, lambda: None)

    def gather(self, at: str, brought: object, kind: type[T]) -> list[T] | None:
        """Return to rank 0 what each rank brings, in their order, and None to the others.

        Raises `RanksApart` with the reason.
        """
        arrivals = self._meet(at, brought, lambda: None)[1]
        if arrivals is None:
            return None
        return [msgspec.msgpack.decode(each.brought, type=kind) for each in arrivals]

    def share(self, at: str, value: Callable[[], T], kind: Any) -> T:
        """Return to each rank the value of rank 0, once all are here; raises `RanksApart`."""
        answer, arrivals = self._meet(at, None, value)
        if arrivals is not None:
            mine: T = self._value
            return mine
        shared: T = msgspec.msgpack.decode(answer.value, type=kind)
        return shared

    def _meet(
        self, at: str, brought: object, value: Callable[[], Any]
    ) -> tuple[_Answer, list[_Arrival] | None]:
        if self.apart is not None:
            if not self._left and self._lost is not None:
                self.leave(self._lost)
            raise RanksApart(self.apart)
        arrival = _Arrival(at, msgspec.Raw(msgspec.msgpack.encode(brought)))
        try:
            return self._lead(arrival, value) if self.leads else (self._follow(arrival), None)
        except RanksApart as apart:
            self.apart = str(apart)
            raise
        finally:
            self._number += 1

    def _lead(self, own: _Arrival, value: Callable[[], Any]) -> tuple[_Answer, list[_Arrival]]:
        """Wait for all others, and answer."""
        try:
            arrivals = [own, *(self._arrival(rank, own.at) for rank in range(1, self.size))]
        except RanksApart as apart:
            self._set(self._key("answer"), _Answer(apart=str(apart)))
            raise
        # Who is here has read what was written for the meeting before.
        self._read += self._known
        self._known = [self._key(each) for each in (*range(1, self.size), "answer")]
        self._value = value()
        answer = _Answer(msgspec.Raw(msgspec.msgpack.encode(self._value)))
        self._set(self._key("answer"), answer)
        return answer, arrivals

    def tidy(self) -> None:
        """Remove the keys that everybody has read, where no window is open."""
        read, self._read = self._read, []
        for key in read:
            self._use(self._store.delete_key, key)

    def _arrival(self, rank: int, at: str) -> _Arrival:
        key = self._key(rank)
        raw = self._await(key, self._wait_s, lambda: self._why_gone(rank))
        if raw is None:
            self._lost = (
                f"rank {rank} did not come within {self._wait_s:g} s (energy_rank_wait): it hangs "
                "or has ended"
            )
            raise RanksApart(self._lost)
        arrival = msgspec.msgpack.decode(raw, type=_Arrival)
        if arrival.left is not None:
            raise RanksApart(f"rank {rank}: {arrival.left}")
        if arrival.at != at:
            raise RanksApart(f"rank {rank} is at {arrival.at!r} where rank 0 is at {at!r}")
        return arrival

    def _follow(self, own: _Arrival) -> _Answer:
        """Say that this rank is here, and wait for the answer."""
        self._set(self._key(self.rank), own)
        raw = self._await(self._key("answer"), self._patience_s, lambda: self._why_gone(0))
        if raw is None:
            self._lost = f"rank 0 did not answer within {self._patience_s:g} s: it has ended"
            raise RanksApart(self._lost)
        answer = msgspec.msgpack.decode(raw, type=_Answer)
        if answer.apart is not None:
            raise RanksApart(answer.apart)
        return answer

    @property
    def _patience_s(self) -> float:
        return _PATIENCE * self._wait_s + _SPARE_S

    def _why_gone(self, rank: int) -> str | None:
        """Return why a rank does not come to this place, or None if it may."""
        if self._use(self._store.check, [f"ended/{rank}"]):
            return f"rank {rank} has ended its run"
        if rank not in self._tests and self._use(self._store.check, [f"tests/{rank}"]):
            raw = self._use(self._store.get, f"tests/{rank}")
            self._tests[rank] = frozenset(msgspec.msgpack.decode(raw, type=list[str]))
        if self._test and self._test not in self._tests.get(rank, (self._test,)):
            return f"rank {rank} has no such test"
        return None

    def _await(self, key: str, limit_s: float, gone: Callable[[], str | None]) -> bytes | None:
        """Return a value once it is there, None after a time; raise `RanksApart` if it never is."""
        now_ns = self._system.monotonic_ns
        until_ns = now_ns() + limit_s * 1e9
        while not self._comes(key):
            why = gone()
            if self._use(self._store.check, [key]):
                break
            if why is not None:
                raise RanksApart(why)
            if now_ns() >= until_ns:
                return None
        raw: bytes = self._use(self._store.get, key)
        return raw

    def _comes(self, key: str) -> bool:
        began_ns = self._system.monotonic_ns()
        try:
            self._store.wait([key], self._look)
        except RuntimeError as error:
            if (self._system.monotonic_ns() - began_ns) * 1e-9 < LOOK_S / 2:
                raise self._unreachable(error) from None
            return False
        return True

    def _set(self, key: str, value: object) -> None:
        try:
            self._store.set(key, msgspec.msgpack.encode(value))
        except RuntimeError as error:  # whoever waits for it waits no longer than its limit
            self._lost = self._lost or str(self._unreachable(error))

    def _use(self, method: Callable[[Any], Any], argument: object) -> Any:
        try:
            return method(argument)
        except RuntimeError as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: RuntimeError) -> RanksApart:
        first = next(iter(str(error).splitlines()), "")[:200]
        self._lost = (
            f"the store of the job cannot be reached any more: rank 0 may have ended ({first})"
        )
        return RanksApart(self._lost)

    def _key(self, who: int | str) -> str:
        return f"{self._place}/{self._number}/{who}"
