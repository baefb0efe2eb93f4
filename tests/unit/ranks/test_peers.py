"""Meetings of ranks: threads that share a store in memory, with waits of some milliseconds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from pytest_greenops.model.errors import RanksApart
from pytest_greenops.ranks import peers as module
from pytest_greenops.ranks.peers import Peers

LOOK_S = 0.02


class MemoryStore:
    """A store whose keys all threads see; it raises `RuntimeError` as that of torch does."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.gone = False
        self._changed = threading.Condition()

    def set(self, key: str, value: bytes) -> None:
        """Write a value."""
        with self._changed:
            self._raise_if_gone()
            self.values[key] = value
            self._changed.notify_all()

    def get(self, key: str) -> bytes:
        """Return a value."""
        return self.values[key]

    def wait(self, keys: list[str], limit: float) -> None:
        """Wait for keys."""
        with self._changed:
            self._raise_if_gone()
            if not self._changed.wait_for(lambda: self.check(keys), limit):
                raise RuntimeError("wait timeout")

    def check(self, keys: list[str]) -> bool:
        """Return whether keys are there."""
        return all(key in self.values for key in keys)

    def delete_key(self, key: str) -> bool:
        """Remove a key."""
        return self.values.pop(key, None) is not None

    def _raise_if_gone(self) -> None:
        if self.gone:
            raise RuntimeError("Connection reset by peer\nException raised from recvBytes")


@pytest.fixture(autouse=True)
def _short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", LOOK_S)
    monkeypatch.setattr(module, "_SPARE_S", 0.1)


def in_ranks(
    *acts: Callable[[Peers], Any], wait_s: float = 5.0, store: MemoryStore | None = None
) -> list[Any]:
    """Return what each rank's act returns, or the reason why it found the ranks apart."""
    shared = store or MemoryStore()
    returned: list[Any] = [None] * len(acts)

    def run(rank: int) -> None:
        peers = Peers(shared, rank, len(acts), wait_s, LOOK_S)
        peers.enter("place", "test")
        try:
            returned[rank] = acts[rank](peers)
        except RanksApart as apart:
            returned[rank] = f"apart: {apart}"

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    return returned


def test_rank_0_gathers_and_shares() -> None:
    """Rank 0 gets what each rank brings, in their order; all get what it decides."""

    def act(peers: Peers) -> Any:
        gathered = peers.gather("numbers", peers.rank * 10, int)
        return gathered, peers.share("sum", lambda: sum(gathered or []), int)

    assert in_ranks(act, act, act) == [([0, 10, 20], 30), (None, 30), (None, 30)]


def test_keys_that_all_have_read_are_removed() -> None:
    """A run of many meetings leaves the store as small as one of few."""
    store = MemoryStore()

    def act(peers: Peers) -> None:
        for number in range(50):
            peers.share("again", lambda number=number: number, int)
            if peers.leads:
                peers.tidy()

    in_ranks(act, act, store=store)
    assert len(store.values) <= 4


def test_a_rank_that_leaves_is_not_waited_for() -> None:
    """All ranks learn which one left and why; the wait would have been 300 s."""

    def stays(peers: Peers) -> Any:
        return peers.share("edge", lambda: 1, int)

    def leaves(peers: Peers) -> None:
        peers.leave("its test failed")

    apart = "apart: rank 1: its test failed"
    assert in_ranks(stays, leaves, stays, wait_s=300) == [apart, None, apart]


def test_rank_0_may_leave_too() -> None:
    """The others learn it from its answer."""

    def stays(peers: Peers) -> Any:
        return peers.share("edge", lambda: 1, int)

    def leaves(peers: Peers) -> None:
        peers.leave("its test failed")

    assert in_ranks(leaves, stays, wait_s=300) == [None, "apart: rank 0: its test failed"]


def test_a_rank_that_hangs_ends_all_further_meetings() -> None:
    """After one wait, no place is waited in any more, and each names the rank that did not come."""
    waited = "apart: rank 1 did not come within 0.1 s (energy_rank_wait): it hangs or has ended"

    def stays(peers: Peers) -> Any:
        found = []
        for place in ("first", "next", "last"):
            peers.enter(place, "test")
            try:
                peers.share("edge", lambda: 1, int)
            except RanksApart as apart:
                found.append(f"apart: {apart}")
        return found

    def hangs(peers: Peers) -> None:
        return

    expected = [waited] * 3
    assert in_ranks(stays, hangs, stays, wait_s=0.1) == [expected, None, expected]


def test_without_rank_0_nobody_waits_forever() -> None:
    """A rank that gets no answer says so after twice the wait."""

    def stays(peers: Peers) -> Any:
        return peers.share("edge", lambda: 1, int)

    found = in_ranks(lambda peers: None, stays, wait_s=0.1)
    assert found[1] == "apart: rank 0 did not answer within 0.3 s: it has ended"


def test_ranks_at_different_points_are_apart() -> None:
    """A rank that measures something else is named with what both do."""

    def opens(peers: Peers) -> Any:
        return peers.share("begin", lambda: 1, int)

    def ends(peers: Peers) -> Any:
        return peers.share("end", lambda: 1, int)

    apart = "apart: rank 1 is at 'end' where rank 0 is at 'begin'"
    assert in_ranks(opens, ends) == [apart, apart]


@pytest.mark.parametrize("has_it", [0, 1])
def test_a_test_that_a_rank_does_not_have_is_not_waited_for(has_it: int) -> None:
    """The rank that has a test of its own learns that the other one has not."""

    def act(peers: Peers) -> Any:
        peers.announce(["test"] if peers.rank == has_it else ["other"])
        return peers.share("edge", lambda: 1, int) if peers.rank == has_it else None

    found = in_ranks(act, act, wait_s=300)
    assert found[has_it] == f"apart: rank {1 - has_it} has no such test"


def test_a_rank_whose_run_has_ended_is_not_waited_for() -> None:
    """A rank may stop after its first failure."""

    def stays(peers: Peers) -> Any:
        peers.enter("later", "test")
        return peers.share("edge", lambda: 1, int)

    found = in_ranks(stays, lambda peers: peers.end("it stopped"), wait_s=300)
    assert found[0] == "apart: rank 1 has ended its run"


def test_a_store_that_is_gone_is_no_error_of_the_test() -> None:
    """The reason is one line, and the next place is not tried."""
    store = MemoryStore()
    store.gone = True

    def act(peers: Peers) -> Any:
        with pytest.raises(RanksApart) as raised:
            peers.share("edge", lambda: 1, int)
        return str(raised.value)

    found = in_ranks(lambda peers: None, act, store=store)
    assert found[1] == (
        "the store of the job cannot be reached any more: rank 0 may have ended (Connection reset "
        "by peer)"
    )


def test_a_place_where_all_have_met_for_the_last_time_is_left_without_a_word() -> None:
    """No key says that a rank has left, and nobody can meet there any more."""
    store = MemoryStore()

    def act(peers: Peers) -> Any:
        peers.share("edge", lambda: 1, int)
        peers.close()
        peers.leave("it went on")
        return peers.share("again", lambda: 1, int)

    assert in_ranks(act, act, store=store) == ["apart: the ranks have parted"] * 2
    assert sorted(store.values) == ["place/0/1", "place/0/answer"]
