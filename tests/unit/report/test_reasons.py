"""The reason of each verdict."""

from __future__ import annotations

import pytest

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


class TestFailure:
    """The message of the exception."""

    def test_of_a_regression_is_the_line_of_the_contract(self) -> None:
        """It has both figures, the change with its interval, and the command to accept it."""
        expected = (
            "call used 3.10 J/sample, baseline 2.00 J/sample (+55 %, 95 % CI +48…+61 %, "
            "limit +5 %). Accept it: pytest --energy-save tests/test_x.py::test_parse"
        )
        assert expected == reasons.failure(regressed())

    def test_of_an_exceeded_budget_has_the_share_and_a_budget_that_passes(self) -> None:
        """It says how much of the budget was used, and how to raise it."""
        expected = (
            "call used 3.10 J/sample, budget 2.50 J/sample (95 % CI 3.02…3.19 J): 124 % of the "
            'budget. If this is intended, raise it: energy_budget("3.2 J", per="sample")'
        )
        assert expected == reasons.failure(over_budget())

    def test_of_exceeded_power_names_watts(self) -> None:
        """Power is printed in watts, with the keyword of its limit."""
        one = result(Outcome.OVER_BUDGET, limits=(limit("power", 380.0, 350.0),))
        expected = (
            "call drew 380 W, budget 350 W (95 % CI 372…388 W): 109 % of the budget. "
            'If this is intended, raise it: energy_budget(max_power="390 W")'
        )
        assert expected == reasons.failure(one)

    def test_of_exceeded_carbon_names_grams(self) -> None:
        """Carbon is printed in grams of CO2e, with the keyword of its limit."""
        one = result(Outcome.OVER_BUDGET, limits=(limit("carbon", 0.0024, 0.002),))
        expected = (
            "call emitted 2.40 mg CO2e, budget 2.00 mg CO2e (95 % CI 2.35…2.45 mg CO2e): "
            '120 % of the budget. If this is intended, raise it: energy_budget(max_carbon="2.5 mg")'
        )
        assert expected == reasons.failure(one)

    def test_of_a_budget_per_call_has_joules_per_call(self) -> None:
        """A budget without `per` is one per call, also if joules per unit are judged."""
        one = result(
            Outcome.OVER_BUDGET,
            joules=198.0,
            units={"sample": 64.0},
            unit="sample",
            limits=(limit("energy", 198.0, 150.0),),
        )
        text = reasons.failure(one)
        assert text.startswith("call used 198 J, budget 150 J (95 % CI 194…202 J): 132 % of the ")
        assert text.endswith('energy_budget("210 J")')

    def test_names_the_limit_that_was_exceeded(self) -> None:
        """Of two limits the exceeded one is named, even if the other one is close."""
        limits = (limit("energy", 2.0, 2.01), limit("power", 40.0, 30.0))
        one = result(Outcome.OVER_BUDGET, limits=limits)
        assert reasons.failure(one).startswith("call drew 40.0 W, budget 30.0 W")

    @pytest.mark.parametrize("high_j", [4.2e-7, 0.0312, 0.99, 1.0, 9.91, 3190.0, 8.4e6])
    def test_suggests_a_budget_that_would_pass(self, high_j: float) -> None:
        """The marker can read the suggested budget, which is not below the interval."""
        one = result(
            Outcome.OVER_BUDGET, limits=(Limit("energy", high_j, high_j * 0.9, high_j, high_j / 2),)
        )
        suggested = reasons.failure(one).split('"')[1]
        assert high_j <= parse_energy(suggested) * (1 + 1e-12) <= high_j * 1.11

    def test_of_a_much_too_small_budget_has_a_capped_share(self) -> None:
        """The share is not printed with seven digits."""
        for allowed_j in (1e-6, 0.0):
            one = result(Outcome.OVER_BUDGET, limits=(limit("energy", 2.0, allowed_j),))
            assert ": >999 % of the budget. " in reasons.failure(one)

    def test_of_estimated_joules_says_so_with_the_band(self) -> None:
        """An estimated figure has its error band in the message."""
        text = reasons.failure(regressed(estimated=True))
        assert text.startswith("call used 3.10 J/sample (estimated, ±50 %), baseline 2.00 J")

    def test_of_one_domain_names_the_domain(self) -> None:
        """Joules of a part of the machine are marked."""
        one = over_budget(shares={CPU: 0.5, GPU: 0.5}, domain="gpu")
        assert reasons.failure(one).startswith("call used 3.10 J/sample (gpu), budget")

    def test_names_the_measurement(self) -> None:
        """A named measurement is called by its name."""
        assert reasons.failure(regressed(name="prefill")).startswith("prefill used 3.10 J/sample, ")

    def test_quotes_a_node_id_with_brackets_for_the_shell(self) -> None:
        """The command can be pasted into a shell."""
        text = reasons.failure(regressed(test=PARAMETRIZED))
        assert text.endswith(" pytest --energy-save 'tests/test_x.py::test_parse[a b]'")

    def test_of_an_unproven_verdict_names_the_strict_option(self) -> None:
        """With `--energy-strict` the message has the reason and the option."""
        expected = (
            "call could not be judged, and --energy-strict is on: no baseline on this machine; "
            "save one: pytest --energy-save tests/test_x.py::test_parse"
        )
        assert expected == reasons.failure(result(Outcome.NO_BASELINE))

    @pytest.mark.parametrize("one", suite(), ids=reasons.verdict_word)
    def test_and_reason_are_one_line(self, one: Result) -> None:
        """Neither a failure nor a reason breaks pytest's short summary into several lines."""
        for text in (reasons.failure(one), reasons.reason(one)):
            assert text
            assert text == text.strip()
            assert "\n" not in text


class TestReason:
    """The reason and the next step."""

    def test_of_a_pass_gives_the_change_and_its_limit(self) -> None:
        """The interval shows how close the result was to the limit."""
        one = result(change=change(0.008, -0.003, 0.019))
        assert reasons.reason(one) == "+0.8 % (95 % CI -0.3…+1.9 %) against a limit of +5 %"

    def test_of_a_pass_in_a_budget_gives_the_share(self) -> None:
        """It says how much of an absolute budget was used."""
        one = result(limits=(limit("energy", 2.0, 2.5),))
        assert reasons.reason(one) == "80 % of the budget of 2.50 J"

    def test_of_a_provisional_pass_has_the_detected_increase(self) -> None:
        """With few sessions it names the smallest increase that is detected."""
        young = change(0.01, -0.1, 0.1, sessions=1, smallest=0.2, provisional=True)
        expected = (
            "+1.0 % (95 % CI -10…+10 %) against a limit of +5 %; provisional: with 1 baseline "
            "session, only increases of at least +20 % are detected; add a session: "
            "pytest --energy-save tests/test_x.py::test_parse"
        )
        assert expected == reasons.reason(result(change=young))

    def test_has_the_creep_since_the_first_accepted_baseline(self) -> None:
        """Small accepted steps that add up to more than the margin are reported."""
        one = result(change=change(0.01, 0.0, 0.02, since_anchor=0.22))
        assert reasons.reason(one).endswith("; +22 % since the first accepted baseline")

    def test_of_an_improvement_offers_to_save_it(self) -> None:
        """An improvement must be saved to become the baseline."""
        one = result(Outcome.IMPROVED, change=change(-0.21, -0.24, -0.18))
        assert reasons.reason(one).endswith(
            "; save the improvement: pytest --energy-save tests/test_x.py::test_parse"
        )

    def test_of_too_few_rounds_has_a_sufficient_number(self) -> None:
        """An inconclusive result says how many rounds would decide, as a command."""
        expected = (
            "inconclusive because +3.1 % (95 % CI -1.0…+7.3 %) is too uncertain for a limit of "
            "+5 %; about 20 rounds would decide: pytest --energy --energy-min-rounds=20 "
            "tests/test_x.py::test_parse"
        )
        assert expected == reasons.reason(inconclusive(needs_rounds=20))

    def test_of_too_few_sessions_has_a_sufficient_number(self) -> None:
        """If only more baseline sessions help, it says how many, and for which commit."""
        assert reasons.reason(inconclusive(needs_sessions=3)).endswith(
            "; 3 more baseline sessions would decide; at the accepted commit, run: "
            "pytest --energy-save tests/test_x.py::test_parse"
        )

    def test_of_noise_has_the_detected_increase(self) -> None:
        """If neither rounds nor sessions help, it has the smallest detected increase."""
        assert reasons.reason(inconclusive()).endswith(
            "; this measurement detects increases of at least +7.0 %; reduce the load on the "
            "machine, then measure again: pytest --energy tests/test_x.py::test_parse"
        )

    def test_of_a_value_near_its_budget_has_both(self) -> None:
        """A budget within the interval of the value cannot be judged."""
        one = result(
            Outcome.INCONCLUSIVE,
            cause="the energy is too near its budget to tell",
            limits=(Limit("energy", 2.0, 1.95, 2.06, 2.02),),
        )
        assert reasons.reason(one).startswith(
            "inconclusive because 2.00 J (95 % CI 1.95…2.06 J) is too uncertain for a budget of "
            "2.02 J; raise the budget, or save"
        )

    def test_of_a_failed_check_has_the_finding_and_the_fix(self) -> None:
        """A self-check that forbids a verdict comes with the next step."""
        finding = "other processes used up to 40 % of the machine in 8 of 10 rounds"
        one = inconclusive(
            cause=f"contention: {finding}",
            cause_kind=CauseKind.SELF_CHECK,
            checks=(
                Check(CheckName.CONTENTION, finding, "rounds redone, then kept", untrusted=True),
            ),
        )
        assert reasons.reason(one) == (
            f"inconclusive because a self-check failed (contention: {finding}); measured +3.1 % "
            "(95 % CI -1.0…+7.3 %) against a limit of +5 %; stop other processes, then measure "
            "again: pytest --energy tests/test_x.py::test_parse"
        )

    def test_of_a_disputed_change_has_both_processes(self) -> None:
        """A change that a fresh process contradicts is named with the limit."""
        one = inconclusive(
            cause="not confirmed: +31 % in this process, +1.0 % in a fresh one",
            cause_kind=CauseKind.NOT_CONFIRMED,
        )
        assert reasons.reason(one) == (
            "inconclusive because it is not confirmed: +31 % in this process, +1.0 % in a fresh "
            "one, limit +5 %; reduce the load on the machine, then measure again: "
            "pytest --energy tests/test_x.py::test_parse"
        )

    def test_of_a_missing_baseline_has_its_cause(self) -> None:
        """A baseline with another name is mentioned."""
        one = result(Outcome.NO_BASELINE, cause="test_old has one")
        assert reasons.reason(one).startswith("no baseline on this machine (test_old has one);")

    def test_of_another_machine_has_the_difference(self) -> None:
        """It names the fact that differs."""
        expected = (
            "not comparable (cpu: A -> B); save a baseline for these conditions: "
            "pytest --energy-save tests/test_x.py::test_parse"
        )
        assert expected == reasons.reason(result(Outcome.NOT_COMPARABLE, cause="cpu: A -> B"))

    def test_of_an_instrumented_run_does_not_offer_to_save_it(self) -> None:
        """A traced test must be measured again without the tracer."""
        check = Check(
            CheckName.INSTRUMENTED, "coverage", "neither saved nor judged; run without it"
        )
        one = result(Outcome.NOT_COMPARABLE, cause="instrumented: coverage", checks=(check,))
        expected = (
            "not comparable (instrumented: coverage); measure without it: "
            "pytest --energy tests/test_x.py::test_parse"
        )
        assert expected == reasons.reason(one)

    def test_of_nothing_measured_has_the_cause(self) -> None:
        """It says why nothing was measured."""
        assert reasons.reason(unmeasured("gpu did not move")) == "not measured: gpu did not move"

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
    def test_of_a_saved_result_has_no_command(self, one: Result) -> None:
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
