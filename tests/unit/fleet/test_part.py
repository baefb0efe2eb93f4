"""What one run of the suite on a kind of machine has given, on one node or several."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pytest_greenops.fleet.node_events import Finished
from pytest_greenops.fleet.part import worst
from pytest_greenops.model.errors import GreenopsError
from tests.unit.builders import MACHINE, key, message_of
from tests.unit.fleet.runs import TESTS, collected, ended, node, part
from tests.unit.judge.test_two_files import measured, results

A = measured(test=key("test_a"))
B = measured(test=key("test_b"))


@pytest.mark.parametrize(
    ("statuses", "status"),
    [([], 0), ([0, 1], 1), ([1, 5], 5), ([1, 2], 2), ([2, 4], 4), ([4, 3], 3), ([0, -9], 3)],
)
def test_the_worst_exit_status_counts(statuses: list[int], status: int) -> None:
    """An internal error is worse than a usage error, an interrupt, no tests, and failed tests."""
    assert worst(statuses) == status


def test_a_whole_run_has_the_results_of_its_end() -> None:
    """Results at the end are those that the run has judged as a whole."""
    run = part()
    for event in (collected(), ended(TESTS[0], A), ended(TESTS[1], B)):
        run.add(node(), event)
    run.add(node(), Finished(0, results(replace(A, joules=7.0), B)))
    assert run.results is not None
    assert [result.joules for result in run.results.results] == [7.0, B.joules]
    assert (run.status, run.missing) == (0, [])


def test_two_nodes_give_one_result() -> None:
    """What the first node has done counts, with what the second one did of the rest."""
    first, second = node("10.0.0.1"), node("10.0.0.2")
    run = part(MACHINE, first, second)
    run.add(first, collected())
    run.add(first, ended(TESTS[0], A, outcome="failed"))
    assert (run.missing, run.status) == ([TESTS[1]], 1)
    run.add(second, collected())
    run.add(second, ended(TESTS[1], B))
    run.add(second, Finished(0, results(B)))
    assert run.results is not None
    assert [result.test.name for result in run.results.results] == ["test_a", "test_b"]
    assert (run.missing, run.status) == ([], 1)


def test_a_second_node_with_nothing_left_is_no_failure() -> None:
    """If the first one was lost after its last test, pytest's `no tests` does not count."""
    first, second = node("10.0.0.1"), node("10.0.0.2")
    run = part(MACHINE, first, second)
    for event in (collected(), ended(TESTS[0], A), ended(TESTS[1], B)):
        run.add(first, event)
    run.add(second, collected())
    run.add(second, Finished(5, results()))
    assert run.status == 0


def test_another_machine_is_refused() -> None:
    """A node whose fingerprint has changed gives no results of this kind."""
    run = part()
    said = message_of(
        GreenopsError, lambda: run.add(node(), collected({**MACHINE, "cpu": "Another"}))
    )
    assert said.startswith("is another machine now (another-4c-fake-")


def test_a_test_before_its_machine_is_refused() -> None:
    """A node first says what it is."""
    run = part()
    said = message_of(GreenopsError, lambda: run.add(node(), ended(TESTS[0], A)))
    assert said == "reports a test before its machine"


@pytest.mark.parametrize(
    ("outcome", "end", "explained"),
    [
        ("passed", Finished(0, results()), True),
        ("passed", Finished(5, results()), True),
        ("failed", Finished(1, results()), True),
        ("passed", Finished(1, results(), why_failed="nothing was compared"), True),
        ("passed", Finished(1, results()), False),
        ("failed", Finished(3, results()), False),
    ],
)
def test_a_status_that_no_test_explains_is_found(
    outcome: str, end: Finished, explained: bool
) -> None:
    """A plugin may fail a run whose tests pass; what pytest printed then says why."""
    run = part()
    run.add(node(), collected())
    run.add(node(), ended(TESTS[0], A, outcome=outcome))
    run.add(node(), end)
    assert run.explained is explained


def test_what_the_summaries_say_is_kept() -> None:
    """What was not saved and why comes from each node that ended its run."""
    run = part()
    run.add(node(), collected())
    run.add(node(), Finished(1, results(), ("not saved: a",), "nothing was saved"))
    assert (run.lines, run.why_failed) == (["not saved: a"], "nothing was saved")
