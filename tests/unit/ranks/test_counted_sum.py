"""The counted work of all ranks."""

from __future__ import annotations

from pytest_greenops.model.counted import Amount, Counted, Coverage, Operator
from pytest_greenops.ranks.counted_sum import WorkOfRank, counted_of_ranks

MM, ADD = Operator("aten.mm", "float32", "cpu"), Operator("aten.add", "float32", "cpu")


def counted(flop: int, share: float | None, operator: Operator = MM) -> Counted:
    """Return the work of one rank."""
    amount = Amount(calls=1, flop=flop)
    unknown = None if share is not None else "the call takes less than 1 ms"
    return Counted({operator: amount}, {"net": amount}, 100, Coverage(share, unknown), {"net": 7})


def over(*ranks: Counted | str) -> Counted | str | None:
    """Return the work of all ranks."""
    own = {"call": ranks[0]}
    return counted_of_ranks(own, [{"call": WorkOfRank.of(work)} for work in ranks])["call"]


def test_work_is_summed() -> None:
    """Operators, modules, weights and peaks are; the least covered rank says how much that is."""
    work = over(counted(10, 0.9), counted(20, 0.7), counted(5, 0.8, ADD))
    assert isinstance(work, Counted)
    assert work.operators == {MM: Amount(calls=2, flop=30), ADD: Amount(calls=1, flop=5)}
    assert work.modules == {"net": Amount(calls=3, flop=35)}
    assert (work.peak_bytes, work.weighted) == (300, {"net": 21})
    assert work.coverage.share == 0.7


def test_work_that_one_rank_did_not_count_is_not_counted() -> None:
    """The reason names the rank."""
    assert over(counted(10, 0.9), "calls differ: x") == "rank 1: calls differ: x"
    assert over("calls differ: x", counted(10, 0.9)) == "calls differ: x"


def test_coverage_is_unknown_if_that_of_one_rank_is() -> None:
    """With its reason."""
    work = over(counted(10, 0.9), counted(10, None))
    assert isinstance(work, Counted)
    assert work.coverage == Coverage(None, "the call takes less than 1 ms")
