"""The header of a run and its closing line."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pytest_greenops.judge import work_and_joules
from pytest_greenops.judge.work_and_joules import alone
from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.result import Policy, Result
from pytest_greenops.model.verdict import Outcome, Verdict
from pytest_greenops.model.work_verdict import WorkOutcome, WorkVerdict
from pytest_greenops.plugin import not_enforced
from pytest_greenops.report import closing
from tests.unit.report.samples import (
    POLICY,
    by_pairs,
    nothing_compared,
    pairs,
    regressed,
    result,
    unmeasured,
)
from tests.unit.works import verdict


def with_work(joules: Verdict, work: WorkVerdict) -> Verdict:
    """Return a verdict on joules, combined with one on work that fails a test."""
    return work_and_joules.with_work(joules, work, "fail", same=False, strict=False)


def counted(**outcomes: int) -> list[Result]:
    """Return results with these numbers of outcomes."""
    return [result(Outcome[name.upper()]) for name, n in outcomes.items() for _ in range(n)]


class TestClosingLine:
    """The line that counts."""

    @pytest.mark.parametrize(
        ("results", "line"),
        [
            (
                counted(passed=10, regressed=1, inconclusive=1, no_baseline=2),
                "energy: 14 measured, 12 compared: 10 passed, 1 regressed, 1 inconclusive; "
                "2 no baseline; 0 not comparable",
            ),
            (
                [*counted(passed=1, improved=2, over_budget=1), unmeasured("no tick")],
                "energy: 4 measured, 4 compared: 1 passed, 2 improved, 0 regressed, "
                "1 over budget, 0 inconclusive; 0 no baseline; 0 not comparable; 1 not measured",
            ),
            (
                counted(no_baseline=3),
                "energy: 3 measured, 0 compared: nothing was gated; 3 no baseline; "
                "0 not comparable",
            ),
            (
                [],
                "energy: 0 measured, 0 compared: nothing was gated; 0 no baseline; "
                "0 not comparable",
            ),
        ],
        ids=["contract", "rare verdicts", "no baseline", "nothing"],
    )
    def test_counts_every_measurement_once(self, results: list[Result], line: str) -> None:
        """Each is under its verdict; rare verdicts appear when they occur, an empty gate too."""
        assert line == closing.closing_line(results)

    def test_of_saving_counts_what_was_saved(self) -> None:
        """A run that saves counts its baselines, and does not ask to save again."""
        results = [result(Outcome.NO_BASELINE, saved=True), regressed(saved=True)]
        assert closing.closing_line(results) == (
            "energy: 2 measured, 1 compared: 0 passed, 1 regressed (accepted), 0 inconclusive; "
            "1 no baseline; 0 not comparable; 2 baselines saved"
        )
        assert closing.closing_line(results[:1]).endswith(
            "nothing was gated; 1 no baseline; 0 not comparable; 1 baseline saved"
        )

    def test_of_saving_counts_the_work_that_was_saved(self) -> None:
        """Beside the baselines, or alone; increased work that was accepted is counted as such."""
        both = result(Outcome.NO_BASELINE, saved=True, work_saved=True)
        assert closing.closing_line([both]).endswith("; 1 baseline saved, and the work of 1")
        more = regressed(work_saved=True)
        more = replace(more, verdict=with_work(result().verdict, verdict()))
        line = closing.closing_line([more])
        assert "1 regressed (work, accepted), 0 inconclusive" in line
        assert line.endswith("; work: 1 more; work of 1 measurement saved")

    @pytest.mark.parametrize(
        ("outcome", "counts"),
        [
            (WorkOutcome.MORE, "1 counted, 1 compared: 0 passed, 1 regressed (work), 0 inc"),
            (WorkOutcome.LESS, "1 counted, 1 compared: 0 passed, 1 improved, 0 regressed, 0 inc"),
            (WorkOutcome.NO_BASELINE, "1 counted, 0 compared: nothing was gated; 1 no baseline; "),
            (WorkOutcome.NOT_COUNTED, "0 counted, 0 compared: nothing was gated; 0 no baseline; "),
        ],
    )
    def test_counts_work_alone(self, outcome: WorkOutcome, counts: str) -> None:
        """A run without joules has the same words for its work."""
        one = unmeasured("no joules")
        one = replace(one, verdict=alone(one.verdict, verdict(outcome), "fail"))
        line = closing.closing_line([one])
        assert line.startswith(f"energy: {counts}")
        assert line.endswith("; 1 not counted") == (outcome is WorkOutcome.NOT_COUNTED)

    def test_counts_what_pairs_compared(self) -> None:
        """Where nothing could be interleaved, the line is as it was."""
        compared = [by_pairs(), by_pairs(pairs(Outcome.INCONCLUSIVE)), *counted(passed=1)]
        new = nothing_compared(Outcome.NO_BASELINE, "not in main")
        assert closing.closing_line([*compared, new]) == (
            "energy: 4 measured, 3 compared: 1 passed, 1 regressed, 1 inconclusive; "
            "1 no baseline; 0 not comparable; 2 by A/B against 3f2a91c (main)"
        )
        assert closing.closing_line([new]).endswith("; 1 no baseline; 0 not comparable")
        assert closing.closing_line(compared, "why").endswith(
            "; 2 by A/B against 3f2a91c (main); exit status 1: --energy-strict is on, and why"
        )

    def test_distinguishes_warnings_from_failures(self) -> None:
        """A regression that only warned is counted and marked."""
        warned = regressed(action="warn")
        assert "1 regressed (warned)" in closing.closing_line([warned])
        assert "3 regressed (2 warned)" in closing.closing_line([warned, warned, regressed()])

    def test_of_an_unmeasured_run_names_the_option(self) -> None:
        """Without `--energy` it says what was not enforced."""
        expected = "energy: 4 budgets not enforced; measure them: pytest --energy"
        assert expected == not_enforced(4, "pytest --energy")
        assert not_enforced(1, "pytest --energy").endswith("measure it: pytest --energy")


class TestHeader:
    """The lines before the first test."""

    SENSED = (
        closing.SensorLine("powercap", "sensed", "RAPL counters", ("cpu:0", "dram:0")),
        closing.SensorLine("nvml", "sensed", "energy counter", ("gpu:0",)),
    )
    ESTIMATE = closing.SensorLine("estimate", "estimated", "CPU seconds x 4 W", ("cpu:0",))

    def test_has_sensors_baselines_and_rules(self) -> None:
        """The header has sensors, baselines and rules."""
        assert list(closing.header(self.SENSED, {}, "amd-epyc-1a2b3c4d", 12, POLICY)) == [
            "energy: sensed by powercap (cpu:0, dram:0), nvml (gpu:0)",
            "energy: baselines of 12 tests in baselines/amd-epyc-1a2b3c4d",
            "energy: an increase over +5 % fails, or warns if estimated",
        ]

    @pytest.mark.parametrize(
        ("saved", "more"), [(12, "; stored baselines are screened first"), (0, "")]
    )
    def test_says_what_pairs_compare_with(self, saved: int, more: str) -> None:
        """The ref, and whether stored baselines come first."""
        policy = replace(POLICY, ab="3f2a91c (main)")
        lines = list(closing.header(self.SENSED, {}, "x", saved, policy))
        assert lines[2] == (f"energy: compares with 3f2a91c (main), in turns on this machine{more}")

    def test_marks_estimates_and_says_why(self) -> None:
        """An estimate is marked, and the fix for the sensor is printed."""
        why = {"powercap": SensorUnavailable("only root may read it", "sudo chgrp energy …")}
        lines = list(closing.header((self.ESTIMATE,), why, "x-1a2b3c4d", 0, POLICY))
        assert lines == [
            "energy: ESTIMATED, not sensed, ±50 %: cpu:0 from CPU seconds x 4 W",
            "energy: powercap cannot be read: only root may read it; fix: sudo chgrp energy …",
            "energy: no baseline yet in baselines/x-1a2b3c4d",
            "energy: an increase over +5 % warns (estimates)",
        ]

    def test_has_the_notes_of_a_sensor(self) -> None:
        """A sensor with a known problem is marked before the first test."""
        lies = closing.SensorLine(
            "nvml", "sensed", "counter", ("gpu:0",), ("gpu:0 counts too little",)
        )
        first, second = list(closing.header((lies,), {}, "x", 0, POLICY))[:2]
        assert first == "energy: sensed by nvml (gpu:0)"
        assert second == "energy: nvml: gpu:0 counts too little"

    def test_says_when_there_is_no_sensor(self) -> None:
        """A run that cannot measure says so before it starts."""
        first = next(closing.header((), {}, "x", 0, POLICY))
        assert first == "energy: NOTHING CAN BE MEASURED here: no sensor can be read"

    @pytest.mark.parametrize(
        ("saving", "option"), [("all", "(--energy-save)"), ("new", "(--energy-save-new)")]
    )
    def test_says_that_it_saves_and_is_strict(self, saving: str, option: str) -> None:
        """A run that saves baselines, or is strict, says so."""
        policy = Policy("baselines", 0.025, "warn", "warn", strict=True, saving=saving)
        *_, rules, last = closing.header(self.SENSED, {}, "x", 1, policy)
        expected = (
            "energy: an increase over +2.5 % warns; strict: a test that cannot be judged fails"
        )
        assert expected == rules
        assert last.endswith(option)
