"""Merging the results and baselines of sharded runs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from pytest_greenops.baselines.accept import acknowledge
from pytest_greenops.baselines.unite import unite_baselines, unite_results
from pytest_greenops.model.baseline import Anchor, Baseline, Series, Session
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.errors import ResultsError
from pytest_greenops.model.result import SCHEMA, Origin, Policy, Result, Results
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
    """Return the results of one shard."""
    environment = Environment(machine, recorded=recorded or {})
    return Results(SCHEMA, f"2026-01-{day:02}T00:00:00+00:00", f"0.{day}", environment, policy, of)


def named(*names: str, outcome: Outcome = Outcome.PASSED) -> list[Result]:
    """Return a result of each test."""
    return [replace(result(outcome), test=key(name)) for name in names]


class TestResults:
    """Several files of results of one machine."""

    def test_are_put_together(self) -> None:
        """The merged file has all results in order, the latest time and its version."""
        one, two = document(*named("a", "b"), day=2), document(*named("c"), day=1)
        merged = unite_results([("one", one), ("two", two)])
        assert ["a", "b", "c"] == [r.test.name for r in merged.results.results]
        assert ("2026-01-02T00:00:00+00:00", "0.2") == (
            merged.results.created_at,
            merged.results.version,
        )
        assert (0, ()) == (merged.replaced, merged.policies)

    def test_of_the_same_test_keep_the_last(self) -> None:
        """A test in two shards appears once, and is counted."""
        one = document(*named("a", "b"))
        two = document(*named("b", outcome=Outcome.REGRESSED), day=3)
        merged = unite_results([("one", one), ("two", two)])
        assert [("a", "passed"), ("b", "regressed")] == [
            (r.test.name, r.verdict.outcome.value) for r in merged.results.results
        ]
        assert 1 == merged.replaced

    def test_are_adjusted_together(self) -> None:
        """Each p value is adjusted for all comparisons (Holm)."""
        judged = [
            replace(one, verdict=replace(one.verdict, change=replace(change(), p_value=p)))
            for one, p in zip(named("a", "b", "c"), (0.01, 0.03, 0.2), strict=True)
        ]
        shards = [("one", document(*judged[:2])), ("two", document(judged[2]))]
        merged = unite_results(shards).results
        changes = [each.verdict.change for each in merged.results]
        assert [0.03, 0.06, 0.2] == pytest.approx([c.p_adjusted for c in changes if c])

    def test_of_several_machines_are_refused(self) -> None:
        """The message names the difference and the file."""
        other = document(machine={**MACHINE, "cpu": "Xeon", "cores": "8"})
        with pytest.raises(ResultsError) as raised:
            unite_results([("one.json", document()), ("two.json", other)])
        expected = (
            "two.json: another machine than one.json (cores: 4 -> 8, cpu: AMD EPYC 9654 -> Xeon): "
            "merge the results of each machine separately"
        )
        assert expected == str(raised.value)

    def test_keep_the_recorded_facts_that_all_share(self) -> None:
        """A fact that differs between shards, such as a temperature, is dropped."""
        one = document(recorded={"kernel": "6.1", "cpu temperature": "40 C", "load": "1"})
        two = document(recorded={"kernel": "6.1", "cpu temperature": "55 C"})
        merged = unite_results([("one", one), ("two", two)])
        assert {"kernel": "6.1"} == merged.results.environment.recorded

    def test_report_how_policies_differ(self) -> None:
        """The policy of the first file is kept."""
        strict = replace(POLICY, strict=True, max_increase=0.03)
        merged = unite_results([("one", document()), ("two", document(policy=strict))])
        assert POLICY == merged.results.policy
        assert ("max_increase", "strict") == merged.policies

    def test_name_each_policy_that_differs_in_one_of_them(self) -> None:
        """Not only what differs in the last file."""
        policies = [POLICY, replace(POLICY, strict=True), replace(POLICY, max_increase=0.03)]
        merged = unite_results([(str(each), document(policy=each)) for each in policies])
        assert ("max_increase", "strict") == merged.policies


def of(*days: int, anchor_day: int = 1, joules: float = 2.0) -> Series:
    """Return a series whose sessions were saved on these days."""
    sessions = [session(rounds(joules), day=day) for day in days]
    anchor = Anchor(f"2026-01-{anchor_day:02}T00:00:00+00:00", {"call": {"cpu:0": 2.0}})
    return replace(series(*sessions), anchor=anchor)


def merged(*all_series: Series) -> tuple[Series, tuple[str, ...]]:
    """Return the merged series `call` of several baselines, and the messages."""
    whole, messages = unite_baselines([baseline(call=each) for each in all_series])
    return whole.measurements["call"], messages


def days(sessions: Sequence[Session]) -> list[int]:
    """Return the days on which sessions were saved."""
    return [int(session.saved_at[8:10]) for session in sessions]


class TestBaselines:
    """Several baselines of one test."""

    def test_have_all_sessions_in_their_order(self) -> None:
        """Each session of the shards appears once, oldest first."""
        series, messages = merged(of(1, 2, 5), of(1, 2, 3), of(1, 4))
        assert [1, 2, 3, 4, 5] == days(series.sessions)
        assert () == messages

    def test_keep_the_last_ten_sessions(self) -> None:
        """Two full baselines make one full baseline."""
        series, _ = merged(of(*range(1, 11)), of(1, *range(11, 16)))
        assert list(range(6, 16)) == days(series.sessions)

    def test_keep_the_oldest_anchor(self) -> None:
        """Baselines that started separately are merged from the first one on."""
        series, messages = merged(of(7, anchor_day=7), of(4, anchor_day=4))
        assert [4, 7] == days(series.sessions)
        assert "2026-01-04T00:00:00+00:00" == series.anchor.saved_at
        assert () == messages

    def test_keep_the_first_value_of_a_quality(self) -> None:
        """It is that of the oldest anchor that has the quality."""
        qualities = {7: {"accuracy": 0.93, "f1": 0.5}, 4: {"accuracy": 0.94}}
        first, second = (
            replace(one, anchor=replace(one.anchor, quality=qualities[day]))
            for day, one in ((day, of(day, anchor_day=day)) for day in (7, 4))
        )
        series, _ = merged(first, second)
        assert {"accuracy": 0.94, "f1": 0.5} == series.anchor.quality

    def test_with_the_same_anchor_may_differ_in_quality(self) -> None:
        """Time and joules identify an anchor, not its qualities."""
        old, new = of(1, 2, 3), of(4, joules=3.0)
        with_quality = replace(new, anchor=replace(new.anchor, quality={"accuracy": 0.94}))
        assert [4] == days(merged(old, with_quality)[0].sessions)

    def test_with_different_rounds_of_one_second_are_two_sessions(self) -> None:
        """Time, code and rounds identify a session."""
        one = of(1, 2)
        other = replace(one, sessions=(one.sessions[0], session(rounds(2.02), day=2)))
        series, _ = merged(one, other)
        assert [1, 2, 2] == days(series.sessions)

    @pytest.mark.parametrize("turn", [1, -1])
    def test_do_not_restore_a_replaced_level(self, turn: int) -> None:
        """A series that replaced another does not get its sessions back."""
        old, new = of(1, 2, 3), of(4, joules=3.0)
        series, messages = merged(*(old, new)[::turn])
        assert new == series
        assert (
            "call: one replaced the other at another level: the series saved last is kept: if that "
            "is wrong, delete it and merge again",
        ) == messages

    def test_do_not_restore_a_level_that_moved_the_anchor(self) -> None:
        """The anchor of one of them was moved, so its joules differ; its time is the same."""
        old, new = of(1, 2, 3), of(4, joules=3.0)
        joules = {"call": {"cpu:0": 3.0}}
        moved = replace(new.anchor, joules_per_unit=joules, moved_at=new.sessions[0].saved_at)
        new = replace(new, anchor=moved)
        assert new == merged(old, new)[0]

    def test_keep_an_acknowledgement(self) -> None:
        """One of two series with the same sessions was acknowledged."""
        one, other = of(1, 2, 3, joules=3.0), of(1, 2, 3, 4, joules=3.0)
        known = acknowledge(one)
        assert known.anchor == merged(known, other)[0].anchor

    @pytest.mark.parametrize(
        "other",
        [
            replace(of(1), domains=(CPU, GPU)),
            replace(of(1), conditions={"threads": "1"}),
            replace(of(1), sessions=(session(rounds(units={"token": 2.0}), day=1),)),
        ],
        ids=["counters", "conditions", "units"],
    )
    def test_of_other_work_are_not_merged(self, other: Series) -> None:
        """The newer series is kept, and a message says so."""
        newer = replace(of(2, 3), conditions={"threads": "4"})
        series, messages = merged(newer, other)
        assert newer == series
        [line] = messages
        expected = (
            "call: counters, conditions or units of work differ: the series saved last is kept: if "
            "that is wrong, delete it and merge again"
        )
        assert expected == line

    def test_have_the_names_of_all(self) -> None:
        """A name that only one shard measured is kept."""
        whole, messages = unite_baselines([baseline(prefill=of(1)), baseline(decode=of(2))])
        assert {"prefill": of(1), "decode": of(2)} == whole.measurements
        assert () == messages

    def test_of_another_machine_are_not_merged(self) -> None:
        """The newer baseline is kept, and a message says so."""
        there: Baseline = replace(baseline(call=of(1)), machine={**MACHINE, "cpu": "Xeon"})
        whole, messages = unite_baselines([there, baseline(call=of(2))])
        assert (MACHINE, [2]) == (whole.machine, days(whole.measurements["call"].sessions))
        [line] = messages
        assert line.startswith("the machine differs: the baseline saved last is kept: ")

    def test_alone_stay_as_they_are(self) -> None:
        """A single file does not change."""
        alone = baseline(call=of(1, 2))
        assert (alone, ()) == unite_baselines([alone])
        assert (alone, ()) == unite_baselines([alone, alone])


def origin(run: str, commit: str | None = "abc", dirty: bool = False, **versions: str) -> Origin:
    """Return where a shard is from."""
    return Origin(run, "project", commit, dirty, "main", versions)


def united_origin(*origins: Origin | None) -> Origin | None:
    """Return the origin of shards, in this order."""
    shards = [(str(n), replace(document(), origin=of)) for n, of in enumerate(origins)]
    return unite_results(shards).results.origin


class TestOrigins:
    """Where merged results are from."""

    def test_of_one_run_are_that_run(self) -> None:
        """Its shards have the same id."""
        assert united_origin(origin("a"), origin("a", dirty=True)) == origin("a")

    def test_are_unknown_if_one_is(self) -> None:
        """Older versions stored none."""
        assert united_origin(origin("a"), None) is None

    def test_of_the_same_code_keep_it(self) -> None:
        """It is dirty if one of them is; versions are kept where all agree."""
        one = origin("b", numpy="2.0", torch="2.13", python="3.12")
        other = origin("a", dirty=True, numpy="2.1", torch="2.13")
        found = united_origin(one, other)
        assert found == origin("c8687a08aa5d6ed2044328fa6a697ab8", dirty=True, torch="2.13")

    def test_have_one_id_in_any_order(self) -> None:
        """The history then replaces a merge by the same merge."""
        ids = {
            found.id
            for turn in (1, -1)
            if (found := united_origin(*[origin("a"), origin("b"), origin("b")][::turn]))
        }
        assert len(ids) == 1

    def test_of_other_code_have_none(self) -> None:
        """No commit has been measured as a whole."""
        found = united_origin(origin("a"), origin("b", "def"))
        assert found is not None
        assert (found.commit, found.dirty, found.branch) == (None, None, "main")

    def test_schema_is_that_of_the_first(self) -> None:
        """All that can be read have it."""
        assert unite_results([("one", document()), ("two", document())]).results.schema == SCHEMA


def test_merged_conditions_are_those_of_both() -> None:
    """A library that only one run loaded adds its own; the newer value counts."""
    fewer, more = {"threads": "4"}, {"threads": "4", "tf32": "off"}
    for first, last in ((fewer, more), (more, fewer)):
        series, _ = merged(replace(of(1), conditions=first), replace(of(1, 2), conditions=last))
        assert series.conditions == more


def test_a_baseline_without_measurements_is_the_oldest() -> None:
    """It has no date."""
    full = baseline(call=of(1))
    empty = replace(full, machine={**MACHINE, "cpu": "Xeon"}, measurements={})
    for turn in (1, -1):
        whole, [line] = unite_baselines([full, empty][::turn])
        assert whole == full
        assert line.startswith("the machine differs: ")
