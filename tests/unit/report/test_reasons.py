"""The reason of each verdict."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pytest_greenops.model.measurement import Check, CheckName
from pytest_greenops.model.result import Result
from pytest_greenops.model.units import parse_energy
from pytest_greenops.model.verdict import CauseKind, Limit, Outcome
from pytest_greenops.report import reasons
from tests.unit.report.samples import (
    CPU,
    GPU,
    change,
    inconclusive,
    key,
    limit,
    over_budget,
    regressed,
    result,
    suite,
    unmeasured,
)

PARAMETRIZED = key("test_parse", param="a b")


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (
            regressed(),
            "call used 3.10 J/sample, baseline 2.00 J/sample (+55 %, 95 % CI +48…+61 %, "
            "limit +5 %). Accept it: pytest --energy-save tests/test_x.py::test_parse",
        ),
        (
            over_budget(),
            "call used 3.10 J/sample, budget 2.50 J/sample (95 % CI 3.02…3.19 J): 124 % of the "
            'budget. If this is intended, raise it: energy_budget("3.2 J", per="sample")',
        ),
        (
            result(Outcome.OVER_BUDGET, limits=(limit("power", 380.0, 350.0),)),
            "call drew 380 W, budget 350 W (95 % CI 372…388 W): 109 % of the budget. "
            'If this is intended, raise it: energy_budget(max_power="390 W")',
        ),
        (
            result(Outcome.OVER_BUDGET, limits=(limit("carbon", 0.0024, 0.002),)),
            "call emitted 2.40 mg CO2e, budget 2.00 mg CO2e (95 % CI 2.35…2.45 mg CO2e): 120 % of "
            'the budget. If this is intended, raise it: energy_budget(max_carbon="2.5 mg")',
        ),
        (
            result(Outcome.NO_BASELINE),
            "call could not be judged, and --energy-strict is on: no baseline on this machine; "
            "save one: pytest --energy-save tests/test_x.py::test_parse",
        ),
    ],
    ids=["regression", "energy", "power", "carbon", "strict"],
)
def test_a_failure_has_its_figures_and_the_next_step(one: Result, said: str) -> None:
    """The message has both figures in their unit, the interval, and how to accept it."""
    assert str(reasons.failure(one)) == said


PER_CALL = result(
    Outcome.OVER_BUDGET,
    joules=198.0,
    units={"sample": 64.0},
    unit="sample",
    limits=(limit("energy", 198.0, 150.0),),
)
TWO_LIMITS = (limit("energy", 2.0, 2.01), limit("power", 40.0, 30.0))


@pytest.mark.parametrize(
    ("one", "begin", "end"),
    [
        (
            PER_CALL,
            "call used 198 J, budget 150 J (95 % CI 194…202 J): 132 % of the ",
            'energy_budget("210 J")',
        ),
        (
            result(Outcome.OVER_BUDGET, limits=TWO_LIMITS),
            "call drew 40.0 W, budget 30.0 W",
            "",
        ),
        (
            regressed(estimated=True),
            "call used 3.10 J/sample (estimated, ±50 %), baseline 2.00 J",
            "",
        ),
        (
            over_budget(shares={CPU: 0.5, GPU: 0.5}, domain="gpu"),
            "call used 3.10 J/sample (gpu), budget",
            "",
        ),
        (regressed(name="prefill"), "prefill used 3.10 J/sample, ", ""),
        (
            regressed(test=PARAMETRIZED),
            "",
            " pytest --energy-save 'tests/test_x.py::test_parse[a b]'",
        ),
    ],
    ids=["per call", "exceeded limit", "estimate", "one domain", "name", "quoted"],
)
def test_a_failure_names_what_was_judged(one: Result, begin: str, end: str) -> None:
    """It names the exceeded limit, its unit and domain, and quotes the node id for a shell."""
    text = str(reasons.failure(one))
    assert text.startswith(begin)
    assert text.endswith(end)


@pytest.mark.parametrize("high_j", [4.2e-7, 0.0312, 0.99, 1.0, 9.91, 3190.0, 8.4e6])
def test_a_failure_suggests_a_budget_that_would_pass(high_j: float) -> None:
    """The marker can read the suggested budget, which is not below the interval."""
    exceeded = Limit("energy", high_j, high_j * 0.9, high_j, high_j / 2)
    suggested = str(reasons.failure(result(Outcome.OVER_BUDGET, limits=(exceeded,)))).split('"')[1]
    assert high_j <= parse_energy(suggested) * (1 + 1e-12) <= high_j * 1.11


@pytest.mark.parametrize("allowed_j", [1e-6, 0.0])
def test_the_share_of_a_much_too_small_budget_is_capped(allowed_j: float) -> None:
    """The share is not printed with seven digits."""
    one = result(Outcome.OVER_BUDGET, limits=(limit("energy", 2.0, allowed_j),))
    assert ": >999 % of the budget. " in str(reasons.failure(one))


@pytest.mark.parametrize("one", suite(), ids=reasons.verdict_word)
def test_failure_and_reason_are_one_line(one: Result) -> None:
    """Neither a failure nor a reason breaks pytest's short summary into several lines."""
    for text in (str(reasons.failure(one)), reasons.reason(one)):
        assert text
        assert text == text.strip()
        assert "\n" not in text


YOUNG = change(0.01, -0.1, 0.1, sessions=1, smallest=0.2, provisional=True)
CONTENTION = "other processes used up to 40 % of the machine in 8 of 10 rounds"
CONTENDED = inconclusive(
    cause=f"contention: {CONTENTION}",
    cause_kind=CauseKind.SELF_CHECK,
    checks=(Check(CheckName.CONTENTION, CONTENTION, "rounds redone, then kept", untrusted=True),),
)
DISPUTED = inconclusive(
    cause="not confirmed: +31 % in this process, +1.0 % in a fresh one",
    cause_kind=CauseKind.NOT_CONFIRMED,
)
TRACED = Check(CheckName.INSTRUMENTED, "coverage", "neither saved nor judged; run without it")


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (
            result(change=change(0.008, -0.003, 0.019)),
            "+0.8 % (95 % CI -0.3…+1.9 %) against a limit of +5 %",
        ),
        (result(limits=(limit("energy", 2.0, 2.5),)), "80 % of the budget of 2.50 J"),
        (
            result(change=YOUNG),
            "+1.0 % (95 % CI -10…+10 %) against a limit of +5 %; provisional: with 1 baseline "
            "session, only increases of at least +20 % are detected; add a session in another "
            "hour: pytest --energy-save tests/test_x.py::test_parse",
        ),
        (
            result(change=replace(YOUNG, sessions=3, occasions=1, spread=0.03)),
            "+1.0 % (95 % CI -10…+10 %) against a limit of +5 %; provisional: 3 baseline sessions "
            "of 1 hour count as 1, and only increases of at least +20 % are detected; add one in "
            "another hour: pytest --energy-save tests/test_x.py::test_parse",
        ),
        (
            result(change=replace(YOUNG, sessions=5, occasions=5, spread=0.03)),
            "+1.0 % (95 % CI -10…+10 %) against a limit of +5 %; provisional: sessions differ by "
            "3.0 %, so only increases of at least +20 % are detected; add a session: "
            "pytest --energy-save tests/test_x.py::test_parse",
        ),
        (
            inconclusive(needs_rounds=20),
            "inconclusive because +3.1 % (95 % CI -1.0…+7.3 %) is too uncertain for a limit of "
            "+5 %; about 20 rounds would decide: pytest --energy --energy-min-rounds=20 "
            "tests/test_x.py::test_parse",
        ),
        (
            CONTENDED,
            f"inconclusive because a self-check failed (contention: {CONTENTION}); measured +3.1 % "
            "(95 % CI -1.0…+7.3 %) against a limit of +5 %; stop other processes, then measure "
            "again: pytest --energy tests/test_x.py::test_parse",
        ),
        (
            DISPUTED,
            "inconclusive because it is not confirmed: +31 % in this process, +1.0 % in a fresh "
            "one, limit +5 %; reduce the load on the machine, then measure again: "
            "pytest --energy tests/test_x.py::test_parse",
        ),
        (
            result(Outcome.NOT_COMPARABLE, cause="cpu: A -> B"),
            "not comparable (cpu: A -> B); save a baseline for these conditions: "
            "pytest --energy-save tests/test_x.py::test_parse",
        ),
        (
            result(Outcome.NOT_COMPARABLE, cause="instrumented: coverage", checks=(TRACED,)),
            "not comparable (instrumented: coverage); measure without it: "
            "pytest --energy tests/test_x.py::test_parse",
        ),
        (unmeasured("gpu did not move"), "not measured: gpu did not move"),
    ],
    ids=[
        *("pass", "within budget", "provisional", "one hour", "apart", "rounds", "check"),
        *("disputed", "another machine", "instrumented", "not measured"),
    ],
)
def test_the_reason_has_the_figures_and_the_next_step(one: Result, said: str) -> None:
    """It says how close the limit is, or what forbids a verdict, and the command that helps."""
    assert reasons.reason(one) == said


NEAR = Limit("energy", 2.0, 1.95, 2.06, 2.02)


@pytest.mark.parametrize(
    ("one", "begin", "end"),
    [
        (
            result(change=change(0.01, 0.0, 0.02, since_anchor=0.22)),
            "",
            "; the baseline crept up +22 % in small accepted steps",
        ),
        (
            result(Outcome.IMPROVED, change=change(-0.21, -0.24, -0.18)),
            "",
            "; save the improvement: pytest --energy-save tests/test_x.py::test_parse",
        ),
        (
            inconclusive(needs_sessions=3),
            "",
            "; 3 more baseline sessions of other hours would decide; at the accepted commit, run: "
            "pytest --energy-save tests/test_x.py::test_parse",
        ),
        (
            inconclusive(),
            "",
            "; this measurement detects increases of at least +7.0 %; reduce the load on the "
            "machine, then measure again: pytest --energy tests/test_x.py::test_parse",
        ),
        (
            result(
                Outcome.INCONCLUSIVE,
                change=change(0.031, -0.01, 0.073, smallest=0.117, spread=0.03),
            ),
            "",
            "; sessions here differ by 3.0 %, so increases of at least +12 % are detected: allow "
            'them by max_increase="12%"; reduce the load on the machine, then measure again: '
            "pytest --energy tests/test_x.py::test_parse",
        ),
        (
            result(Outcome.INCONCLUSIVE, cause="the energy is too near to tell", limits=(NEAR,)),
            "inconclusive because 2.00 J (95 % CI 1.95…2.06 J) is too uncertain for a budget of "
            "2.02 J; raise the budget, or save",
            "",
        ),
        (
            result(Outcome.NO_BASELINE, cause="test_old has one"),
            "no baseline on this machine (test_old has one);",
            "",
        ),
    ],
    ids=["creep", "improvement", "sessions", "noise", "margin", "near the budget", "another name"],
)
def test_the_reason_offers_what_helps(one: Result, begin: str, end: str) -> None:
    """More sessions, less noise, a higher budget, or saving; creep and other names are reported."""
    text = reasons.reason(one)
    assert text.startswith(begin)
    assert text.endswith(end)


@pytest.mark.parametrize(
    "one",
    [
        regressed(saved=True),
        result(Outcome.IMPROVED, change=change(-0.2, -0.3, -0.1), saved=True),
        result(Outcome.NO_BASELINE, saved=True),
        result(Outcome.NOT_COMPARABLE, cause="cpu: A -> B", saved=True),
    ],
    ids=reasons.verdict_word,
)
def test_the_reason_of_a_saved_result_has_no_command(one: Result) -> None:
    """A result that this run saved needs no further step."""
    assert "this run" in reasons.reason(one).lower()
    assert "--energy-save" not in reasons.reason(one)


@pytest.mark.parametrize(
    ("expected", "one"),
    [
        ("passed", result()),
        (
            "passed (provisional)",
            result(change=change(0.01, -0.1, 0.1, sessions=2, provisional=True)),
        ),
        ("regressed", regressed()),
        ("regressed (warned)", regressed(action="warn")),
        ("~regressed (warned)", regressed(action="warn", estimated=True)),
        ("regressed (saved)", regressed(saved=True)),
        ("over budget (warned)", over_budget(action="warn")),
        ("no baseline", result(Outcome.NO_BASELINE, action="warn")),
        ("not measured", unmeasured("no sensor")),
    ],
)
def test_verdict_word_has_its_flags(expected: str, one: Result) -> None:
    """The verdict shows whether it is estimated, only warned, or provisional."""
    assert expected == reasons.verdict_word(one)


def test_a_failure_in_a_repetition_says_what_to_change() -> None:
    """A test that fails only in a repetition is shown both solutions."""
    text = reasons.failed_in_repetition(3)
    assert "repetition 3" in text
    assert "energy.pedantic" in text
    assert "max_rounds=1" in text
