"""The section under a failure."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pytest_greenops.model.measurement import Check, CheckName
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Outcome
from pytest_greenops.report import reasons, section
from tests.unit.report.samples import (
    CPU,
    DRAM,
    GPU,
    IDLE,
    PSYS,
    change,
    over_budget,
    regressed,
    result,
    suite,
    unmeasured,
)


class TestFailureSection:
    """The lines beneath the failure."""

    def test_tells_where_the_joules_went(self) -> None:
        """Domains with their shares, power, units, rounds, sensors and the baseline are there."""
        shares = {CPU: 0.3, DRAM: 0.08, GPU: 0.62, PSYS: 1.2}
        assert list(section.failure_section(regressed(shares=shares))) == [
            "energy     198 J a call (95 % CI of these rounds 196…200 J)",
            "domains    cpu 59.5 J (30 %), dram 15.9 J (8.0 %), gpu 123 J (62 %); psys",
            "           238 J, not counted",
            "power      41.2 W over 4.81 s a call",
            "per unit   3.10 J/sample",
            "rounds     ▁▅▄▇▂▄█▂▄▁  10 rounds, 3.04…3.19 J/sample",
            "sensors    powercap (cpu:0, dram:0, gpu:0)",
            "baseline   2.00 J/sample from 5 baseline sessions",
            "finds      increases of +7.0 % or more",
            "accept it  pytest --energy-save tests/test_x.py::test_parse",
            "try again  pytest --energy tests/test_x.py::test_parse",
        ]

    def test_tells_each_self_check_and_what_was_done(self) -> None:
        """A self-check that did not hold stands in the section with its consequence."""
        check = Check(
            CheckName.DRIFT, "+3.0 % over the rounds", "warmed up once more, then flagged"
        )
        lines = list(section.failure_section(regressed(checks=(check,))))
        assert (
            "check      drift: +3.0 % over the rounds; warmed up once more, then flagged" in lines
        )

    def test_says_loudly_that_joules_were_estimated(self) -> None:
        """The sensor of an estimate is not taken for one that senses."""
        lines = section.failure_section(regressed(estimated=True, sensor="estimate"))
        assert "ESTIMATED, not sensed: ±50 %" in " ".join(line.strip() for line in lines)

    def test_says_when_the_baseline_is_young_and_has_crept(self) -> None:
        """How firm a baseline is, and how far it has moved, stands beside it."""
        crept = change(0.55, 0.4, 0.7, sessions=1, provisional=True, since_anchor=0.7)
        lines = "\n".join(section.failure_section(result(Outcome.REGRESSED, change=crept)))
        assert "2.00 J from 1 baseline session (provisional: 3 make it firm); +70 %" in lines

    def test_of_one_round_says_that_its_scatter_is_not_known(self) -> None:
        """A single round is not drawn as if it were a series."""
        assert "rounds     1 round: how it would vary is not known" in list(
            section.failure_section(over_budget(rounds=1))
        )

    def test_of_one_round_gives_the_interval_of_its_edges(self) -> None:
        """It is not said to be that of a scatter which nobody has seen."""
        one = replace(over_budget(rounds=1), interval=(190.0, 206.8))
        assert next(iter(section.failure_section(one))) == (
            "energy     198 J a call (95 % CI of its edges 190…207 J)"
        )
        unknown = next(iter(section.failure_section(over_budget(rounds=1))))
        assert unknown == "energy     198 J a call"

    def test_of_an_idle_card_tells_its_joules_apart(self) -> None:
        """It is named with what it drew, and is not among the shares."""
        one = result(Outcome.REGRESSED, joules=10.0, shares={CPU: 0.4, GPU: 0.6, IDLE: 0.1})
        assert list(section.failure_section(one))[1:3] == [
            "domains    cpu 4.00 J (40 %), gpu 6.00 J (60 %); gpu:1 1.00 J, idle, not",
            "           counted",
        ]

    def test_of_nothing_measured_has_no_invented_figures(self) -> None:
        """Without joules there are no lines of joules."""
        assert list(section.failure_section(unmeasured("no sensor"))) == []

    @pytest.mark.parametrize("one", suite(), ids=reasons.verdict_word)
    def test_fits_80_columns_save_for_commands(self, one: Result) -> None:
        """Only a command, which must be copied whole, may be longer than the terminal."""
        lines = list(section.failure_section(one))
        assert [line for line in lines if len(line) > 79 and "pytest --energy" not in line] == []
