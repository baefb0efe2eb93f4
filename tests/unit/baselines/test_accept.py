"""How a baseline changes when a measurement is accepted."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from msgspec.structs import replace

from pytest_greenops.baselines.accept import accept, acknowledge
from pytest_greenops.baselines.baseline_file import encode, read
from pytest_greenops.judge.creep import since_anchor
from pytest_greenops.model.baseline import MAX_SESSIONS, SCHEMA, Anchor, Baseline, Series, Session
from pytest_greenops.model.measurement import Check, CheckName, DeviceState
from pytest_greenops.model.power_curve import PowerCurve
from pytest_greenops.model.result import Result, why_not_a_baseline
from pytest_greenops.model.verdict import Outcome, QualityChange, Verdict
from tests.unit.builders import (
    CPU,
    GPU_1,
    IDLE,
    MACHINE,
    a_round,
    baseline,
    key,
    result,
    rounds,
    series,
    session,
)

LOUD = Check(CheckName.CONTENTION, "others used 9 %", "kept", untrusted=True)
TRACED = Check(CheckName.INSTRUMENTED, "coverage", "not judged")


def accepted(
    before: Baseline | None, judged: Result, new: Session | None = None, name: str = "call"
) -> Series:
    """Return the series of a name after a result of it was accepted."""
    whole = accept(before, key(), MACHINE, [(judged, new or session(day=2))])
    return whole.measurements[name]


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        (Outcome.PASSED, None),
        (Outcome.IMPROVED, None),
        (Outcome.REGRESSED, None),
        (Outcome.INCONCLUSIVE, None),
        (Outcome.NO_BASELINE, None),
        (Outcome.NOT_COMPARABLE, None),
        (Outcome.OVER_BUDGET, "over its budget"),
        (Outcome.NOT_MEASURED, "not measured"),
    ],
)
def test_a_result_over_budget_or_not_measured_is_not_saved(
    outcome: Outcome, why: str | None
) -> None:
    """Every other outcome is saved, since the user accepts it."""
    assert why_not_a_baseline(result(outcome)) == why


DRIFT = Check(CheckName.DRIFT, "+3 %", "flagged")
GONE = Check(CheckName.LOST, "gpu:0 could not be read", "the other counters went on")
DOUBT = Verdict(Outcome.INCONCLUSIVE, "contention: others used 9 %")


@pytest.mark.parametrize(
    ("judged", "why"),
    [
        (
            result(checks=[LOUD, DRIFT], untrusted=True),
            "contention (others used 9 %), drift (+3 %)",
        ),
        (result(checks=[DRIFT]), None),
        (result(Outcome.NOT_COMPARABLE, checks=[TRACED]), "instrumented (coverage)"),
        (result(checks=[GONE]), "lost (gpu:0 could not be read)"),
        (
            result(checks=[LOUD, GONE, TRACED]),
            "lost (gpu:0 could not be read), instrumented (coverage)",
        ),
        *(
            (result(checks=[Check(CheckName(name), "found", "flagged")]), None)
            for name in ("disagreement", "void", "drift", "too short")
        ),
        (replace(result(), verdict=DOUBT), "contention: others used 9 %"),
        (replace(result(), verdict=Verdict(Outcome.INCONCLUSIVE)), None),
    ],
)
def test_a_result_that_cannot_be_trusted_is_not_saved(judged: Result, why: str | None) -> None:
    """A tracer, a lost counter or a check that forbids a verdict is the reason; others inform."""
    assert why_not_a_baseline(judged) == why


def test_the_first_session_begins_a_series() -> None:
    """A new file has its test, machine and schema; the anchor is this session's level."""
    judged = result(Outcome.NO_BASELINE, compared=False, conditions={"threads": "4"})
    new = session(
        [a_round(4.0, iterations=2, units={"token": 8.0}), a_round(1.0, units={"token": 2.0})]
    )
    whole = accept(None, key(), MACHINE, [(judged, new)])
    assert (whole.schema, whole.test, whole.machine) == (SCHEMA, key(), MACHINE)
    kept = whole.measurements["call"]
    assert (kept.sessions, kept.conditions) == ((new,), {"threads": "4"})
    assert (kept.domains, kept.anchor) == (
        judged.domains,
        Anchor(new.saved_at, {"call": {"cpu:0": 5 / 3}, "token": {"cpu:0": 0.5}}),
    )


@pytest.mark.parametrize("outcome", [Outcome.PASSED, Outcome.INCONCLUSIVE])
def test_a_session_that_agrees_joins(outcome: Outcome) -> None:
    """It is added after the others, and the anchor stays."""
    before = baseline()
    kept = accepted(before, result(outcome))
    old = before.measurements["call"]
    assert kept.sessions == (*old.sessions, session(day=2))
    assert kept.anchor == old.anchor


@pytest.mark.parametrize("outcome", [Outcome.REGRESSED, Outcome.IMPROVED])
def test_a_session_that_differs_replaces_the_others(outcome: Outcome) -> None:
    """The anchor moves by that step: what crept up before it stays, and the step is no creep."""
    old = series(session(day=1), session([a_round(3.0)], day=2))  # 25 % above the anchor of 2 J
    new = session([a_round(5.0)], day=3)
    kept = accepted(baseline(call=old), result(outcome), new)
    assert (kept.sessions, kept.domains) == ((new,), old.domains)
    assert kept.anchor.joules_per_unit["call"]["cpu:0"] == pytest.approx(4.0, rel=1e-3)
    assert (kept.anchor.saved_at, kept.anchor.moved_at) == (old.anchor.saved_at, new.saved_at)


def test_an_accepted_drop_of_quality_moves_its_anchor() -> None:
    """A drop within the limit does not."""
    old = baseline(call=series(session(day=1, q=0.9), session(day=2, q=0.8)))

    def anchor_after(now: float) -> Anchor:
        changes = (QualityChange("q", 0.1, now, 0.85),)
        judged = replace(result(), quality={"q": now})
        judged = replace(judged, verdict=replace(judged.verdict, qualities=changes))
        return accepted(old, judged, session(day=3, q=now)).anchor

    assert (anchor_after(0.8).quality, anchor_after(0.8).moved_at) == ({"q": 0.9}, None)
    assert anchor_after(0.5).quality == pytest.approx({"q": 0.55})
    assert anchor_after(0.5).moved_at == session(day=3).saved_at


def test_an_acknowledged_series_has_not_crept() -> None:
    """Its anchor is the accepted level of joules and qualities."""
    crept = series(*(session(rounds(j), d, q=1 / d) for d, j in enumerate((2.0, 2.2, 2.4), 1)))
    assert since_anchor(crept, "call", ["cpu:0"]) is not None
    kept = acknowledge(crept)
    assert since_anchor(kept, "call", ["cpu:0"]) is None
    assert kept.anchor.joules_per_unit["call"]["cpu:0"] == pytest.approx(2.2, rel=1e-3)
    assert kept.anchor.quality == pytest.approx({"q": (1 + 1 / 2 + 1 / 3) / 3})
    assert kept.sessions == crept.sessions


@pytest.mark.parametrize(
    ("conditions", "units"), [({"threads": "8"}, {}), ({}, {"token": 2.0})], ids=["threads", "unit"]
)
def test_a_session_of_other_work_gets_a_new_anchor(
    conditions: dict[str, str], units: dict[str, float]
) -> None:
    """It is not comparable with the old one, so it has no creep."""
    old = series(session(), conditions={"threads": "4"})
    judged = result(Outcome.NOT_COMPARABLE, compared=False, conditions=conditions)
    new = session([a_round(9.0, units=units)], day=3)
    kept = accepted(baseline(call=old), judged, new)
    assert kept.sessions == (new,)
    assert kept.anchor.saved_at == "2026-01-03T00:00:00+00:00"


def test_a_session_joins_what_another_run_saved_meanwhile() -> None:
    """A run that started without a baseline does not replace newer sessions."""
    kept = accepted(baseline(), result(Outcome.NO_BASELINE, compared=False))
    assert kept.sessions == (*baseline().measurements["call"].sessions, session(day=2))


def test_a_gain_with_an_open_budget_replaces_the_others() -> None:
    """The outcome of the comparison counts, whatever the verdict rests on."""
    gain = replace(result().verdict.change, outcome=Outcome.IMPROVED)
    judged = replace(result(), verdict=Verdict(Outcome.INCONCLUSIVE, change=gain))
    assert accepted(baseline(), judged).sessions == (session(day=2),)


def test_a_series_keeps_its_last_ten_sessions() -> None:
    """The eleventh replaces the first, which the anchor still records."""
    known: Baseline | None = None
    for day in range(1, MAX_SESSIONS + 3):
        judged = result() if known else result(Outcome.NO_BASELINE, compared=False)
        known = accept(known, key(), MACHINE, [(judged, session(day=day))])
        assert len(known.measurements["call"].sessions) == min(day, MAX_SESSIONS)
    assert known is not None
    kept = known.measurements["call"]
    assert [int(s.saved_at[8:10]) for s in kept.sessions] == list(range(3, 13))
    assert kept.anchor.saved_at.startswith("2026-01-01")


def test_names_that_were_not_measured_are_kept() -> None:
    """A test that measured only `decode` keeps its `prefill`."""
    old = series(session())
    whole = accept(
        baseline(prefill=old, decode=old), key(), MACHINE, [(result(name="decode"), session(day=2))]
    )
    assert whole.measurements["prefill"] == old
    assert len(whole.measurements["decode"].sessions) == 2


def test_several_names_are_accepted_at_once() -> None:
    """Each result goes to its own series."""
    new = [
        (result(Outcome.NO_BASELINE, compared=False, name=name), session([a_round(joules)]))
        for name, joules in (("prefill", 1.0), ("decode", 2.0))
    ]
    levels = {
        name: kept.anchor.joules_per_unit["call"]["cpu:0"]
        for name, kept in accept(None, key(), MACHINE, new).measurements.items()
    }
    assert levels == {"prefill": 1.0, "decode": 2.0}


def test_conditions_of_libraries_loaded_now_are_added() -> None:
    """Conditions accumulate over sessions, until a session replaces the others."""
    old = series(session(), conditions={"threads": "4"})
    more = {"threads": "4", "tf32": "off"}
    assert accepted(baseline(call=old), result(conditions=more)).conditions == more
    fewer = {"threads": "4"}
    old = series(session(), conditions=more)
    assert accepted(baseline(call=old), result(conditions=fewer)).conditions == more
    replacing = result(Outcome.REGRESSED, conditions=fewer)
    assert accepted(baseline(call=old), replacing).conditions == fewer


def test_a_session_with_other_idle_cards_replaces_the_others() -> None:
    """The sum is of other counters, so the anchor is new too."""
    old = series(session(), domains=(CPU, IDLE))
    judged = replace(result(Outcome.NOT_COMPARABLE, compared=False), domains=(CPU, GPU_1))
    kept = accepted(baseline(call=old), judged)
    assert (kept.domains, kept.sessions) == ((CPU, GPU_1), (session(day=2),))
    assert kept.anchor.saved_at == "2026-01-02T00:00:00+00:00"


def test_a_limit_that_differs_in_its_last_digit_is_the_same_counter() -> None:
    """Files round the highest plausible power, so it does not identify a counter."""
    old = series(session(), domains=(replace(GPU_1, max_power_w=86.4),))
    judged = replace(result(Outcome.PASSED), domains=(replace(GPU_1, max_power_w=72 * 1.2),))
    assert len(accepted(baseline(call=old), judged).sessions) == 2


def test_only_compared_parts_of_a_round_are_stored() -> None:
    """Of devices only the throttle reasons are stored, no errors of edges, no power over time."""
    warm = DeviceState(71.0, 1410, 300.0, throttle_reasons=("sync boost",), used=True)
    cool = DeviceState(40.0, 1980, 300.0, used=False)
    full = a_round(
        4.0, errors={"cpu:0": 0.1}, devices={"gpu:0": warm, "gpu:1": cool}, units={"token": 8.0}
    )
    full = replace(full, power={"cpu:0": PowerCurve((0.1,), (40.0,))})
    plain = a_round(units={"token": 2.0})
    kept = accepted(None, result(Outcome.NO_BASELINE, compared=False), session([full, plain]))
    assert kept.sessions[0].rounds == (
        a_round(
            4.0,
            units={"token": 8.0},
            devices={"gpu:0": DeviceState(throttle_reasons=("sync boost",))},
        ),
        plain,
    )
    assert full.error_uj == {"cpu:0": 100_000.0}


def test_accepting_changes_no_value() -> None:
    """The baseline that was read does not change."""
    before = baseline()
    accept(before, key(), MACHINE, [(result(), session(day=2))])
    assert before == baseline()


def test_a_quality_that_became_nan_is_left_out_of_the_file(tmp_path: Path) -> None:
    """JSON cannot hold it, and the file stays readable."""
    new = session(loss=math.nan, scale=math.inf, accuracy=0.9)
    whole = accept(None, key(), MACHINE, [(result(Outcome.NO_BASELINE, compared=False), new)])
    path = tmp_path / "file.json"
    path.write_bytes(encode(whole))
    assert read(path).measurements["call"].sessions[0].quality == {"accuracy": 0.9}


def test_an_acknowledgement_dates_from_the_last_session() -> None:
    """The anchor keeps the date of the first one."""
    kept = acknowledge(series(*(session(day=day) for day in (1, 2, 3))))
    assert (kept.anchor.saved_at, kept.anchor.moved_at) == (
        "2026-01-01T00:00:00+00:00",
        "2026-01-03T00:00:00+00:00",
    )


def test_a_quality_that_moved_beyond_its_limit_expires_alone() -> None:
    """Earlier sessions keep the values of the others."""
    old = baseline(call=series(session(day=1, loss=0.5, accuracy=0.9)))
    now = {"loss": 0.1, "accuracy": 0.9}
    changes = (QualityChange("loss", 0.1, 0.1, 0.5), QualityChange("accuracy", 0.1, 0.9, 0.9))
    judged = replace(result(), quality=now)
    judged = replace(judged, verdict=replace(judged.verdict, qualities=changes))
    kept = accepted(old, judged, session(day=2, **now))
    assert [each.quality for each in kept.sessions] == [{"accuracy": 0.9}, now]


def test_a_counter_that_stood_still_moves_no_anchor() -> None:
    """There is no ratio to zero joules; a unit that the anchor lacks stays unknown."""
    anchor = {"call": {"cpu:0": 2.0, "dram:0": 1.0}, "token": {"cpu:0": 1.0}}
    still = session([a_round(2.0, more={"dram:0": 0.0})])
    old = series(still, domains=result().domains, anchor=anchor)
    new = session([a_round(4.0, more={"dram:0": 3.0})], day=2)
    kept = accepted(baseline(call=old), result(Outcome.REGRESSED), new)
    assert kept.anchor.joules_per_unit == {"call": {"cpu:0": 4.0, "dram:0": 1.0}}
