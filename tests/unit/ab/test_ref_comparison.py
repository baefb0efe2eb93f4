"""A comparison with a git ref: who works when, when it ends, and why it cannot judge."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.ab.messages import Ended, Ready
from pytest_greenops.ab.side import SideFailure
from pytest_greenops.judge.pair_decision import MOST_PAIRS
from pytest_greenops.measure.commanded import Loop, Order, Slice
from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.measurement import Check, CheckName
from pytest_greenops.model.outcome import Outcome
from pytest_greenops.run.against_ref import Compared
from tests.unit.ab.sides import ENDED, ESTIMATED, LOOP, NODE, READY, Bench, Joules, steady
from tests.unit.measure.lab import BUSY, QUIET

SAME, MORE, LESS = steady(2.0), steady(2.6), steady(1.4)


def compare(here: Joules, main: Joules, **given: Any) -> Interleaved:
    """Return the result of one loop on each side."""
    return Bench([(LOOP, here)], [(LOOP, main)], **given).call()


def test_outcomes() -> None:
    """An increase is a regression, a decrease an improvement, and what scatters stays open."""
    more, less, same = compare(MORE, SAME), compare(LESS, SAME), compare(SAME, SAME)
    assert (more.outcome, less.outcome, same.outcome) == (
        Outcome.REGRESSED,
        Outcome.IMPROVED,
        Outcome.PASSED,
    )
    assert more.relative == pytest.approx(0.3, abs=0.03)
    assert 0.2 < (more.low or 0.0) < more.relative < (more.high or 0.0) < 0.4
    assert more.baseline_j == pytest.approx(2.0, rel=0.02)
    wild = compare(steady(2.0, 0.9), steady(2.0, 0.9))
    assert (wild.outcome, wild.pairs) == (Outcome.INCONCLUSIVE, MOST_PAIRS)


def test_a_change_is_confirmed_by_new_processes() -> None:
    """A regression has pairs of a second pair of processes; what passes has none."""
    changed, same = Bench([(LOOP, MORE)], [(LOOP, SAME)]), Bench([(LOOP, SAME)], [(LOOP, SAME)])
    assert changed.call().outcome is Outcome.REGRESSED
    assert changed.said("renew") == ["here", "main"]
    assert same.call().outcome is Outcome.PASSED
    assert same.said("renew") == []


def test_both_sides_do_the_same() -> None:
    """Both have the same warm-up, calls and settings, and one works when the other has."""
    bench = Bench([(LOOP, steady(2.0, 0.3))], [(LOOP, steady(2.0, 0.3))])
    bench.run()
    assert bench.here.orders == bench.main.orders
    order = bench.said("work")
    assert all({a, b} == {"here", "main"} for a, b in zip(order[::2], order[1::2], strict=True))
    assert {"here", "main"} == set(bench.said("start")[::2])


def test_either_side_begins_as_often() -> None:
    """Of the windows that count, each side begins half, whatever was decided by chance."""
    loop = replace(LOOP, iterations=2, warmup=0)
    bench = Bench([(loop, steady(2.0, 0.3))], [(loop, steady(2.0, 0.3))])
    bench.run()
    firsts = bench.said("work")[::2]
    assert len(firsts) > 200
    assert 0.45 < firsts.count("here") / len(firsts) < 0.55


def test_names_and_loops() -> None:
    """Each name of each loop has its own result; a name that no window has is not compared."""
    names = {n: Compared(n, "call", "total", 0.05) for n in ("load", "step", "other", "never")}

    def windows(step: float) -> Joules:
        return lambda chance: {**load(chance), **steady(step, name="step")(chance)}

    load = steady(2.0, name="load")
    other = steady(3.0, name="other")
    found = Bench(
        [(LOOP, windows(2.6)), (LOOP, other)],
        [(LOOP, windows(2.0)), (LOOP, other)],
        names,
    ).run()
    assert {name: each.outcome for name, each in found.items()} == {
        "load": Outcome.PASSED,
        "step": Outcome.REGRESSED,
        "other": Outcome.PASSED,
        "never": Outcome.NOT_COMPARABLE,
    }
    assert found["never"].cause == "the test measured nothing under this name"


def test_a_decided_loop_is_passed_by() -> None:
    """A loop that is decided does its work once on each side at further starts."""
    names = {n: Compared(n, "call", "total", 0.05) for n in ("quick", "slow")}
    quick, slow = steady(2.0, 0.001, "quick"), steady(2.0, 0.4, "slow")
    bench = Bench([(LOOP, quick), (LOOP, slow)], [(LOOP, quick), (LOOP, slow)], names)
    found = bench.run()
    assert found["quick"].pairs < found["slow"].pairs
    last = len(bench.log) - 1 - bench.log[::-1].index("here start")
    first_loop = bench.log[last : bench.log.index("here leave", last)]
    assert [each for each in first_loop if "work" in each] == ["here work 1", "main work 1"]


def test_once() -> None:
    """A test that must run once makes one window at each start, with no warm-up."""
    loop = replace(LOOP, once=True, warmup=0)
    bench = Bench([(loop, SAME)], [(loop, SAME)])
    found = bench.call()
    assert found.outcome is Outcome.PASSED
    assert found.pairs == found.starts
    assert len(bench.said("work")) == 2 * found.pairs


def test_own_iterations_and_warm_up() -> None:
    """What the test sets is kept: as many calls in each window, and trips before the first."""
    loop = replace(LOOP, iterations=7, warmup=2)
    bench = Bench([(loop, SAME)], [(loop, SAME)])
    bench.run()
    assert {order.iterations for order in bench.here.orders} == {7}


def test_units() -> None:
    """A test that counts its work is compared by the joules of a unit."""
    word = {"call": Compared("call", "word", "total", 0.05)}
    here, main = {"units": {"word": 13.0}}, {"units": {"word": 10.0}}
    found = Bench([(LOOP, MORE)], [(LOOP, SAME)], word, of_here=here, of_main=main).call()
    assert found.outcome is Outcome.PASSED
    assert found.baseline_j == pytest.approx(0.2, rel=0.02)
    found = Bench([(LOOP, MORE)], [(LOOP, SAME)], word, of_here=here).call()
    assert found.cause == "the test does not count the unit word there"


def test_whole_test_that_measures_by_itself() -> None:
    """The outer loop is left on both sides, together or one after the other."""
    loops = [(LOOP, SAME), (LOOP, SAME)]
    leaves = {"of_here": {"leaves": True}, "of_main": {"leaves": True}}
    for in_turn in (None, "a reason"):
        assert Bench(loops, loops, **leaves, in_turn=in_turn).call().outcome is Outcome.PASSED
    for in_turn in (None, "a reason"):
        one = Bench(loops, loops, of_here={"leaves": True}, in_turn=in_turn).call()
        assert one.outcome is Outcome.NOT_COMPARABLE
        assert one.cause == "the test measures in another way in main"


def test_in_turn() -> None:
    """Where both cannot hold the test, one side does its half before the other starts."""
    bench = Bench([(LOOP, SAME)], [(LOOP, SAME)], in_turn="gpu:0 has 1 GB free")
    found = bench.call()
    assert found.outcome is Outcome.PASSED
    assert found.notes == ("each side ended before the other started: gpu:0 has 1 GB free",)
    steps = [each for each in bench.log if "start" in each or "leave" in each]
    for begun, left in zip(steps[::2], steps[1::2], strict=True):
        assert (begun.split()[0], begun.split()[1], left.split()[1]) == (
            left.split()[0],
            "start",
            "leave",
        )


def test_sides_that_disturb_each_other_run_in_turn() -> None:
    """A test that fails while the other side holds it is tried again alone."""
    taken = Ended("the test failed: OSError: Address already in use", {})
    bench = Bench([(LOOP, SAME)], [(LOOP, SAME)], of_main={"ends": [ENDED]})
    real, failed = bench.main.event, list[int]()

    def event(limit_s: float) -> object:
        if not failed:
            failed.append(1)
            return taken
        return real(limit_s)

    bench.main.event = event
    found = bench.call()
    assert found.outcome is Outcome.PASSED
    assert found.notes == (
        "each side ended before the other started: in main, the test failed: OSError: Address "
        "already in use",
    )
    assert bench.said("finish") == ["here", "main"]


def test_failure_on_one_side() -> None:
    """A test that fails also alone is not compared: the result says where and why."""
    bench = Bench([(LOOP, SAME)], [], of_main={"ends": [Ended("the test failed: no", {})]})
    found = bench.call()
    assert (found.outcome, found.cause) == (Outcome.NOT_COMPARABLE, "in main, the test failed: no")
    assert bench.said("finish")[-2:] == ["here", "main"]


def test_a_dead_process() -> None:
    """A process that dies is a cause like any other, and no exception."""
    died = SideFailure("main", "its process was ended by SIGKILL")
    found = Bench([(LOOP, SAME)], [], of_main={"ends": [died]}).call()
    assert found.cause == "in main, its process was ended by SIGKILL"


def test_interrupted() -> None:
    """Ctrl-C and timeouts end both processes, so that the next test has idle ones."""
    bench = Bench([(LOOP, SAME)], [(LOOP, SAME)])

    def interrupted(order: object, limit_s: float) -> object:
        raise KeyboardInterrupt

    bench.here.work = interrupted
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    assert bench.said("abandon") == ["here", "main"]


@pytest.mark.parametrize(
    ("other", "cause"),
    [
        (replace(LOOP, sensors={"cpu:0": "rapl"}), "in main its sensors are rapl"),
        (replace(LOOP, iterations=3), "in main it sets other rounds or iterations"),
        (replace(LOOP, once=True), "in main it sets other rounds or iterations"),
        (replace(LOOP, instrumented="coverage traces"), "coverage traces in main"),
    ],
)
@pytest.mark.parametrize("in_turn", [None, "a reason"])
def test_unlike_loops(other: Loop, cause: str, in_turn: str | None) -> None:
    """Sides that measure in different ways are not compared."""
    found = Bench([(LOOP, SAME)], [(other, SAME)], in_turn=in_turn).call()
    begun_there = cause.replace("in main", "in here").replace("rapl", "fake")
    assert found.outcome is Outcome.NOT_COMPARABLE
    assert found.cause in (cause, begun_there if in_turn else cause)


@pytest.mark.parametrize(
    ("ready", "outcome", "cause"),
    [
        (replace(READY, nodes=[]), Outcome.NO_BASELINE, "not in main"),
        (
            replace(READY, nodes=[], others=[NODE]),
            Outcome.NO_BASELINE,
            "not an energy test in main",
        ),
        (
            replace(READY, nodes=[], failures={"tests/test_it.py": "SyntaxError"}),
            Outcome.NOT_COMPARABLE,
            "tests/test_it.py cannot be collected in main: SyntaxError",
        ),
        (
            replace(READY, not_built={"mypkg._fast": "/top/mypkg/_fast.so"}),
            Outcome.NOT_COMPARABLE,
            "mypkg._fast is not built in main",
        ),
        (
            replace(READY, foreign={"mypkg": "/site/mypkg"}),
            Outcome.NOT_COMPARABLE,
            "mypkg was imported from /site/mypkg, not from main",
        ),
    ],
)
def test_what_a_side_has_collected(ready: Ready, outcome: Outcome, cause: str) -> None:
    """A test that a side does not have, or not with its own code, is not started."""
    bench = Bench([(LOOP, SAME)], [(LOOP, SAME)], of_main={"ready": ready})
    found = bench.call()
    assert (found.outcome, found.cause) == (outcome, cause)
    assert bench.said("start") == []


def test_late_foreign_import() -> None:
    """A package that the test imports from elsewhere while it runs is found at its end."""
    foreign = Ended(None, {"mypkg": "/site/mypkg"})
    found = Bench([(LOOP, SAME)], [(LOOP, SAME)], of_main={"ends": [foreign]}).call()
    assert found.cause == "mypkg was imported from /site/mypkg, not from main"


def test_one_start_of_a_process() -> None:
    """Where each start has a process of its own, no other processes need confirm a change."""
    ready = {"ready": replace(READY, one_start="collection initializes CUDA")}
    bench = Bench([(LOOP, MORE)], [(LOOP, SAME)], of_here=ready, of_main=ready)
    found = bench.call()
    assert found.outcome is Outcome.REGRESSED
    assert found.notes == ("each start is a process of its own: collection initializes CUDA",)
    assert bench.said("renew") == []


def test_contended_pairs() -> None:
    """A sensed pair that others disturb is made again; if they stay, nothing is decided."""
    once = compare(SAME, SAME, loads=[BUSY])
    assert once.outcome is Outcome.PASSED
    always = compare(SAME, SAME, loads=[QUIET, *[BUSY] * 400])
    assert always.outcome is Outcome.INCONCLUSIVE
    assert always.cause is not None
    assert always.cause.startswith("other processes ran during ")
    estimated = Bench([(ESTIMATED, SAME)], [(ESTIMATED, SAME)], loads=[BUSY] * 400).call()
    assert estimated.outcome is Outcome.PASSED


def test_an_idle_side_that_spins() -> None:
    """It is waited for; if it goes on, the result says so, and a sensed test does not pass."""
    bench = Bench([(LOOP, SAME)], [(LOOP, SAME)], of_main={"idle_s": 0.02})
    found = bench.call()
    assert bench.here.orders[-1].settle
    assert not bench.here.orders[0].settle
    assert any(note.startswith("an idle side still used CPU time: ") for note in found.notes)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.cause == "the side that waits still uses CPU time, which the counters include"


def test_what_a_side_finds_of_its_measurement() -> None:
    """A self-check of a side is shown; one that forbids a verdict lets no test pass."""
    slow = Check(CheckName.DISAGREEMENT, "cpu:0 disagrees with its power", "shown")
    drift = Check(CheckName.DRIFT, "+3 % over the rounds", "flagged", untrusted=True)
    busy = Check(CheckName.BACKGROUND, "a thread computed", "not judged", untrusted=True)

    def found(*checks: Check, here: Joules = SAME) -> Interleaved:
        ends = {"ends": [Ended(None, {}, {"call": checks})]}
        return compare(here, SAME, of_main=ends)

    shown, doubted, more = found(slow, drift), found(busy), found(busy, here=MORE)
    assert shown.notes == ("in main: cpu:0 disagrees with its power",)
    assert (shown.outcome, shown.cause) == (Outcome.PASSED, None)
    assert (doubted.outcome, doubted.cause) == (Outcome.INCONCLUSIVE, "a thread computed")
    assert more.outcome is Outcome.REGRESSED


def test_time_is_over() -> None:
    """No start begins that would end too late: the result says so, and how to allow more time."""
    found = compare(steady(2.0, 0.9), steady(2.0, 0.9), until_s=0.001)
    assert found.outcome in (Outcome.INCONCLUSIVE, Outcome.NOT_COMPARABLE)
    assert found.pairs <= 4
    assert (found.cause or "").startswith("the time limit of 0.001 s")
    assert found.fix == ("--energy-max-time=1min",)


def test_a_void_window_is_made_again() -> None:
    """A window whose energy is unknown is made again, and is in no pair."""
    both = [(LOOP, SAME)]
    bench = Bench(both, both)
    bench.main.void = "gpu:0: throttled"
    bench.main.voids = 0
    work = bench.main.work

    def throttled(order: Order, limit_s: float) -> Slice:
        if len(bench.main.orders) == 20:
            bench.main.voids = 1
        return work(order, limit_s)

    bench.main.work = throttled
    assert bench.call().outcome is Outcome.PASSED


def test_lost_energy() -> None:
    """A window whose energy is unknown ends the comparison with the reason."""
    found = Bench([(LOOP, SAME)], [(LOOP, SAME)], of_main={"void": "the sensor failed"}).call()
    assert (found.outcome, found.cause) == (Outcome.NOT_COMPARABLE, "the sensor failed")


def test_progress() -> None:
    """Each start of an open comparison is shown, with its pairs so far."""
    bench = Bench([(LOOP, SAME)], [(LOOP, SAME)])
    found = bench.call()
    assert [each.pairs for each in bench.seen] == sorted(each.pairs for each in bench.seen)
    assert bench.seen[-1].pairs < found.pairs


def test_threads_of_openmp_are_compared_as_one() -> None:
    """Estimated work of several threads of OpenMP is compared on one, by new processes."""
    threads = {"alone": False, "openmp": True}
    both = [(ESTIMATED, SAME)]
    bench = Bench(both, both, of_here=threads, of_main=threads)
    found = bench.call()
    assert found.outcome is Outcome.PASSED
    assert any("on one thread (OMP_NUM_THREADS=1)" in note for note in found.notes)
    assert not any("several threads" in note for note in found.notes)
    assert all(order.cpu is not None for order in bench.here.orders[-5:])


def test_one_thread_lasts() -> None:
    """Once a test needed one thread, the sides keep to it, and each comparison says so."""
    threads = {"alone": False, "openmp": True}
    both = [(ESTIMATED, SAME)]
    bench = Bench(both, both, of_here=threads, of_main=threads)
    for _ in range(2):
        assert any("on one thread" in note for note in bench.call().notes)
    assert bench.log.count("main renew") == 1


def test_one_thread_of_the_user_is_not_mentioned() -> None:
    """A user who set the number of threads is not informed of it."""
    bench = Bench([(ESTIMATED, SAME)], [(ESTIMATED, SAME)])
    for side in (bench.here, bench.main):
        side.environ["OMP_NUM_THREADS"] = "1"
    assert bench.call().notes == ()


def test_an_idle_side_that_spins_beside_long_calls() -> None:
    """A side that spins while it is idle is found too if each pair is one long call."""
    spins = {"idle_s": 0.3, "seconds": 0.5}
    bench = Bench([(LOOP, SAME)], [(LOOP, SAME)], of_here=spins, of_main=spins)
    found = bench.call()
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "still uses CPU time" in (found.cause or "")


def test_several_threads_are_not_pinned() -> None:
    """Work of several threads is not kept on one CPU, and the result says so."""
    bench = Bench([(LOOP, SAME)], [(LOOP, SAME)], of_here={"alone": False})
    found = bench.call()
    assert {order.cpu for order in bench.here.orders} == {None}
    assert any("several threads" in note for note in found.notes)
