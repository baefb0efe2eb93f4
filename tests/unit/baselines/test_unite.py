"""Shards made one: what is kept, what gives way, and what is told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from pytest_greenops.baselines.unite import unite_baselines, unite_results
from pytest_greenops.model.baseline import Anchor, Baseline, Series, Session
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.errors import ResultsError
from pytest_greenops.model.result import SCHEMA, Policy, Result, Results
from pytest_greenops.model.verdict import Outcome
from tests.unit.builders import (
    CPU,
    GPU,
    MACHINE,
    baseline,
    change,
    key,
    result,
    rounds,
    series,
    session,
)

POLICY = Policy("baselines", 0.05, "fail", "warn", strict=False)


def document(
    *of: Result,
    day: int = 1,
    machine: dict[str, str] = MACHINE,
    recorded: dict[str, str] | None = None,
    policy: Policy = POLICY,
) -> Results:
    """What one shard wrote."""
    environment = Environment(machine, recorded=recorded or {})
    return Results(SCHEMA, f"2026-01-{day:02}T00:00:00+00:00", f"0.{day}", environment, policy, of)


def named(*names: str, outcome: Outcome = Outcome.PASSED) -> list[Result]:
    """A result of each test."""
    return [replace(result(outcome), test=key(name)) for name in names]


class TestResults:
    """Several documents of one machine."""

    def test_are_put_together(self) -> None:
        """All results are kept in their order, under the latest time and its version."""
        one, two = document(*named("a", "b"), day=2), document(*named("c"), day=1)
        united = unite_results([("one", one), ("two", two)])
        assert ["a", "b", "c"] == [r.test.name for r in united.results.results]
        assert ("2026-01-02T00:00:00+00:00", "0.2") == (
            united.results.created_at,
            united.results.version,
        )
        assert (0, ()) == (united.replaced, united.policies)

    def test_of_the_same_test_the_last_counts(self) -> None:
        """A test that two shards ran is there once, and is counted."""
        one = document(*named("a", "b"))
        two = document(*named("b", outcome=Outcome.REGRESSED), day=3)
        united = unite_results([("one", one), ("two", two)])
        assert [("a", "passed"), ("b", "regressed")] == [
            (r.test.name, r.verdict.outcome.value) for r in united.results.results
        ]
        assert 1 == united.replaced

    def test_are_so_many_comparisons_together(self) -> None:
        """Each chance is adjusted for all of the whole (Holm), whatever its shard made of it."""
        judged = [
            replace(one, verdict=replace(one.verdict, change=replace(change(), p_value=p)))
            for one, p in zip(named("a", "b", "c"), (0.01, 0.03, 0.2), strict=True)
        ]
        shards = [("one", document(*judged[:2])), ("two", document(judged[2]))]
        united = unite_results(shards).results
        changes = [each.verdict.change for each in united.results]
        assert [0.03, 0.06, 0.2] == pytest.approx([c.p_adjusted for c in changes if c])

    def test_of_several_machines_are_refused(self) -> None:
        """The difference is named, and whose it is."""
        other = document(machine={**MACHINE, "cpu": "Xeon"})
        with pytest.raises(ResultsError) as raised:
            unite_results([("one.json", document()), ("two.json", other)])
        expected = (
            "two.json: another machine than one.json (cpu: AMD EPYC 9654 -> Xeon): "
            "merge the results of each machine separately"
        )
        assert expected == str(raised.value)

    def test_keep_the_recorded_facts_that_all_share(self) -> None:
        """A temperature of one shard is none of all."""
        one = document(recorded={"kernel": "6.1", "cpu temperature": "40 C"})
        two = document(recorded={"kernel": "6.1", "cpu temperature": "55 C"})
        united = unite_results([("one", one), ("two", two)])
        assert {"kernel": "6.1"} == united.results.environment.recorded

    def test_tell_what_policies_differ_in(self) -> None:
        """The policy of the first stands, and the difference is named."""
        strict = replace(POLICY, strict=True, max_increase=0.03)
        united = unite_results([("one", document()), ("two", document(policy=strict))])
        assert POLICY == united.results.policy
        assert ("max_increase", "strict") == united.policies


def of(*days: int, anchor_day: int = 1, joules: float = 2.0) -> Series:
    """A series whose sessions were saved on these days."""
    sessions = [session(rounds(joules), day=day) for day in days]
    anchor = Anchor(f"2026-01-{anchor_day:02}T00:00:00+00:00", {"call": {"cpu:0": 2.0}})
    return replace(series(*sessions), anchor=anchor)


def united(*all_series: Series) -> tuple[Series, tuple[str, ...]]:
    """The series `call` of baselines that hold these, and what is told."""
    whole, told = unite_baselines([baseline(call=each) for each in all_series])
    return whole.measurements["call"], told


def days(sessions: Sequence[Session]) -> list[int]:
    """On which days sessions were saved."""
    return [int(session.saved_at[8:10]) for session in sessions]


class TestBaselines:
    """Several files of one test."""

    def test_have_all_sessions_in_their_order(self) -> None:
        """What each shard added to the same baseline is there once, oldest first."""
        series, told = united(of(1, 2, 5), of(1, 2, 3), of(1, 4))
        assert [1, 2, 3, 4, 5] == days(series.sessions)
        assert () == told

    def test_keep_the_last_ten_sessions(self) -> None:
        """Two full baselines make one that is full."""
        series, _ = united(of(*range(1, 11)), of(1, *range(11, 16)))
        assert list(range(6, 16)) == days(series.sessions)

    def test_keep_the_oldest_anchor(self) -> None:
        """Baselines that began by themselves stand together from the first of them on."""
        series, told = united(of(7, anchor_day=7), of(4, anchor_day=4))
        assert [4, 7] == days(series.sessions)
        assert "2026-01-04T00:00:00+00:00" == series.anchor.saved_at
        assert () == told

    def test_keep_the_first_value_of_a_quality(self) -> None:
        """That of the oldest anchor which knows one; of another quality the one that there is."""
        qualities = {7: {"accuracy": 0.93, "f1": 0.5}, 4: {"accuracy": 0.94}}
        first, second = (
            replace(one, anchor=replace(one.anchor, quality=qualities[day]))
            for day, one in ((day, of(day, anchor_day=day)) for day in (7, 4))
        )
        series, _ = united(first, second)
        assert {"accuracy": 0.94, "f1": 0.5} == series.anchor.quality

    def test_began_anew_though_only_one_knows_a_quality(self) -> None:
        """An anchor is known by when it was saved, and its joules."""
        old, new = of(1, 2, 3), of(4, joules=3.0)
        told = replace(new, anchor=replace(new.anchor, quality={"accuracy": 0.94}))
        assert [4] == days(united(old, told)[0].sessions)

    def test_with_different_rounds_of_one_second_are_two_sessions(self) -> None:
        """A session is known by when, of what and what it measured."""
        one = of(1, 2)
        other = replace(one, sessions=(one.sessions[0], session(rounds(2.02), day=2)))
        series, _ = united(one, other)
        assert [1, 2, 2] == days(series.sessions)

    @pytest.mark.parametrize("turn", [1, -1])
    def test_do_not_bring_back_a_level_that_was_given_up(self, turn: int) -> None:
        """A series that began anew with the same anchor has no session of the old level again."""
        old, new = of(1, 2, 3), of(4, joules=3.0)
        series, told = united(*(old, new)[::turn])
        assert new == series
        assert (
            "call: one replaced the other at another level: the series saved last is kept: if that "
            "is wrong, delete it and merge again",
        ) == told

    @pytest.mark.parametrize(
        "other",
        [
            replace(of(1), domains=(CPU, GPU)),
            replace(of(1), conditions={"threads": "1"}),
            replace(of(1), sessions=(session(rounds(units={"token": 2.0}), day=1),)),
        ],
        ids=["counters", "conditions", "units"],
    )
    def test_of_other_work_give_way_to_the_newer(self, other: Series) -> None:
        """Sessions that cannot stand together are not put together, and this is told."""
        newer = replace(of(2, 3), conditions={"threads": "4"})
        series, told = united(newer, other)
        assert newer == series
        [line] = told
        expected = (
            "call: counters, conditions or units of work differ: the series saved last is kept: if "
            "that is wrong, delete it and merge again"
        )
        assert expected == line

    def test_have_the_names_of_all(self) -> None:
        """What only one shard measured is kept."""
        whole, told = unite_baselines([baseline(prefill=of(1)), baseline(decode=of(2))])
        assert {"prefill": of(1), "decode": of(2)} == whole.measurements
        assert () == told

    def test_of_another_machine_give_way_to_the_newer(self) -> None:
        """A folder that holds another machine's file by mistake does not mix the two."""
        there: Baseline = replace(baseline(call=of(1)), machine={**MACHINE, "cpu": "Xeon"})
        whole, told = unite_baselines([there, baseline(call=of(2))])
        assert (MACHINE, [2]) == (whole.machine, days(whole.measurements["call"].sessions))
        [line] = told
        assert line.startswith("the machine differs: the baseline saved last is kept: ")

    def test_alone_stay_as_they_are(self) -> None:
        """One file is united to itself."""
        alone = baseline(call=of(1, 2))
        assert (alone, ()) == unite_baselines([alone])
        assert (alone, ()) == unite_baselines([alone, alone])
