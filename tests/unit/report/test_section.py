"""The section below a failure."""

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
    """The lines below a failure."""

    def test_has_the_measurement_and_the_baseline(self) -> None:
        """It shows domains, power, units, baseline, rounds and sensors, then the commands."""
        shares = {CPU: 0.3, DRAM: 0.08, GPU: 0.62, PSYS: 1.2}
        assert list(section.failure_section(regressed(shares=shares))) == [
            "energy     198 J per call (95 % CI of these rounds 196…200 J)",
            "domains    cpu 59.5 J (30 %), dram 15.9 J (8.0 %), gpu 123 J (62 %); psys",
            "           238 J, not counted",
            "power      41.2 W over 4.81 s per call",
            "per unit   3.10 J/sample",
            "baseline   2.00 J/sample from 5 baseline sessions",
            "detects    increases of at least +7.0 %",
            "rounds     ▁▅▄▇▂▄█▂▄▁  10 rounds, 3.04…3.19 J/sample",
            "sensors    powercap (cpu:0, dram:0, gpu:0)",
            "accept it  pytest --energy-save tests/test_x.py::test_parse",
            "try again  pytest --energy tests/test_x.py::test_parse",
        ]

    def test_has_each_failed_self_check(self) -> None:
        """A failed self-check is printed with its consequence."""
        check = Check(
            CheckName.DRIFT, "+3.0 % over the rounds", "warmed up once more, then flagged"
        )
        lines = list(section.failure_section(regressed(checks=(check,))))
        assert (
            "check      drift: +3.0 % over the rounds; warmed up once more, then flagged" in lines
        )

    def test_marks_estimated_joules(self) -> None:
        """The line about the sensors says that joules are estimated."""
        lines = section.failure_section(regressed(estimated=True, sensor="estimate"))
        assert "ESTIMATED, not sensed: ±50 %" in " ".join(line.strip() for line in lines)

    def test_says_if_the_baseline_is_provisional_or_crept(self) -> None:
        """The line about the baseline has its sessions and its creep."""
        crept = change(0.55, 0.4, 0.7, sessions=3, occasions=1, provisional=True, since_anchor=0.7)
        lines = "\n".join(section.failure_section(result(Outcome.REGRESSED, change=crept)))
        assert "2.00 J from 3 baseline sessions (provisional: 1 hour); it moved" in lines

    def test_of_one_round_says_that_the_spread_is_unknown(self) -> None:
        """A single round is not drawn as a series."""
        assert "rounds     1 round: the spread is unknown" in list(
            section.failure_section(over_budget(rounds=1))
        )

    def test_of_one_round_has_the_interval_of_its_edges(self) -> None:
        """The interval is not called that of a spread."""
        one = replace(over_budget(rounds=1), interval=(190.0, 206.8))
        assert next(iter(section.failure_section(one))) == (
            "energy     198 J per call (95 % CI of the window edges 190…207 J)"
        )
        unknown = next(iter(section.failure_section(over_budget(rounds=1))))
        assert unknown == "energy     198 J per call"

    def test_of_an_idle_gpu_lists_its_joules_separately(self) -> None:
        """An idle GPU is named with its joules, and has no share."""
        one = result(Outcome.REGRESSED, joules=10.0, shares={CPU: 0.4, GPU: 0.6, IDLE: 0.1})
        assert list(section.failure_section(one))[1:3] == [
            "domains    cpu 4.00 J (40 %), gpu 6.00 J (60 %); gpu:1 1.00 J, idle, not",
            "           counted",
        ]

    def test_of_nothing_measured_has_no_figures(self) -> None:
        """Without joules there are no lines about joules."""
        assert list(section.failure_section(unmeasured("no sensor"))) == []

    @pytest.mark.parametrize("one", suite(), ids=reasons.verdict_word)
    def test_fits_80_columns_except_for_commands(self, one: Result) -> None:
        """Only a command, which users copy, may be longer than the terminal."""
        lines = list(section.failure_section(one))
        assert [line for line in lines if len(line) > 79 and "pytest --energy" not in line] == []
