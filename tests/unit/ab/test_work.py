"""The pairs of a comparison, one by one, as results have them."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from pytest_greenops.model.outcome import Outcome
from tests.unit.ab.sides import LOOP, READY, Bench, steady

SAME, MORE = steady(2.0), steady(2.6)
#: One call a window, and one window a pair.
ONCE = replace(LOOP, once=True, warmup=0)


def begun(bench: Bench) -> list[str]:
    """Return the side that worked first in each pair of single windows."""
    return ["candidate" if side == "here" else "ref" for side in bench.said("work")[::2]]


def test_a_pair_has_both_sides_and_their_order() -> None:
    """Of single windows, the change is the ratio of both joules; either side may go first."""
    bench = Bench([(ONCE, SAME)], [(ONCE, SAME)])
    found = bench.call()
    assert len(found.every_pair) == found.pairs
    for pair in found.every_pair:
        assert pair.candidate_j == pytest.approx(2.0, rel=0.1)
        assert pair.candidate_j / pair.ref_j - 1 == pytest.approx(pair.relative, abs=1e-5)
        assert (pair.windows, pair.counts) == (1, True)
    assert [pair.first for pair in found.every_pair] == begun(bench)
    assert {pair.first for pair in found.every_pair} == {"candidate", "ref"}
    assert [pair.start for pair in found.every_pair] == list(range(1, found.starts + 1))


def test_the_pairs_show_the_change() -> None:
    """Their mean is the estimate, and the joules of the ref are those of its side."""
    found = Bench([(LOOP, MORE)], [(LOOP, SAME)]).call()
    ratios = [math.log1p(pair.relative) for pair in found.every_pair]
    assert found.outcome is Outcome.REGRESSED
    assert found.relative == pytest.approx(math.expm1(sum(ratios) / len(ratios)), abs=0.01)
    levels = [pair.ref_j for pair in found.every_pair]
    assert min(levels) < (found.baseline_j or 0.0) < max(levels)
    assert {pair.process for pair in found.every_pair} == {1, 2}
    assert all(pair.windows > 1 for pair in found.every_pair)


def test_pairs_that_do_not_count_are_marked() -> None:
    """Where two of three pairs of processes contradict the first, its pairs are in no figure."""
    bench = Bench([(LOOP, MORE)], [(LOOP, SAME)])

    def renew(**environ: str) -> None:
        bench.here.loops = ((LOOP, SAME),)

    bench.here.renew = renew
    found = bench.call()
    assert found.outcome is Outcome.PASSED
    assert {(pair.process, pair.counts) for pair in found.every_pair} == {
        *((1, False), (2, True), (3, True)),
    }
    assert sum(pair.counts for pair in found.every_pair) == found.pairs


def test_each_start_may_have_its_own_processes() -> None:
    """Then each start is a pair of processes, and all pairs count."""
    ready = {"ready": replace(READY, one_start="collection initializes CUDA")}
    found = Bench([(LOOP, MORE)], [(LOOP, SAME)], of_here=ready, of_main=ready).call()
    assert [pair.process for pair in found.every_pair] == [pair.start for pair in found.every_pair]
    assert all(pair.counts for pair in found.every_pair)
    assert len({pair.process for pair in found.every_pair}) > 1


def test_one_side_after_the_other() -> None:
    """The side that did its half first is the first of its pair."""
    bench = Bench([(LOOP, SAME)], [(LOOP, SAME)], in_turn="gpu:0 has 1 GB free")
    found = bench.call()
    order = ["candidate" if side == "here" else "ref" for side in bench.said("start")[::2]]
    assert [pair.first for pair in found.every_pair] == order


def test_a_comparison_without_time_has_the_pairs_that_it_made() -> None:
    """It has one pair; a test that the ref lacks has none."""
    late = Bench([(LOOP, SAME)], [(LOOP, SAME)], until_s=0.0).call()
    assert (late.outcome, len(late.every_pair)) == (Outcome.INCONCLUSIVE, 1)
    lacks = {"ready": replace(READY, nodes=[])}
    absent = Bench([(LOOP, SAME)], [(LOOP, SAME)], of_main=lacks).call()
    assert (absent.outcome, absent.every_pair) == (Outcome.NO_BASELINE, ())
