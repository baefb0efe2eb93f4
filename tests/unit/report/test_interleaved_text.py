"""What a user reads about an A/B comparison with a git ref."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from pytest_greenops.model.advised import PLAIN, Caller
from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Cause, CauseKind, Outcome
from pytest_greenops.report import interleaved_text, reasons
from pytest_greenops.report.section import failure_sections
from pytest_greenops.report.terminal import render, render_brief
from tests.unit.report.samples import (
    SAMPLES,
    by_pairs,
    change,
    key,
    limit,
    nothing_compared,
    pairs,
    result,
)

TEST = "tests/test_x.py::test_parse"
IN_TURN = "each side ended before the other started: gpu:0 holds one model"
OUTSIDE = "mypkg was imported from /x/site-packages, not from main"
PASSED = pairs(Outcome.PASSED, 0.004, -0.012, 0.02, pairs=9)
OPEN = pairs(Outcome.INCONCLUSIVE, 0.031, -0.01, 0.073, pairs=26, smallest=0.062, needs_pairs=60)
STORED_OPEN = change(0.031, -0.02, 0.08, outcome=Outcome.INCONCLUSIVE, provisional=True)
STORED_RED = change(0.12, 0.05, 0.19, outcome=Outcome.REGRESSED, p_value=0.001, p_adjusted=0.002)
ALL = (
    by_pairs(),
    by_pairs(PASSED),
    by_pairs(pairs(Outcome.IMPROVED, -0.1, -0.12, -0.08)),
    by_pairs(OPEN),
    by_pairs(change=STORED_RED),
    by_pairs(PASSED, change=STORED_OPEN),
    nothing_compared(Outcome.NO_BASELINE, "not in main"),
    nothing_compared(Outcome.NOT_COMPARABLE, OUTSIDE),
)


def table(*results: Result, width: int = 80, unicode: bool = True) -> list[str]:
    """Return the lines of a table without color."""
    return list(render(results, width, color=False, unicode=unicode))


def section(one: Result, caller: Caller = PLAIN) -> list[str]:
    """Return the lines below the message of a failure."""
    said = reasons.failure(one).line(caller)
    return [line for _, lines in failure_sections([one], said, caller) for line in lines]


def stands(stored: Outcome, ab: Interleaved) -> Result:
    """Return a result whose stored verdict stands: pairs could not decide it."""
    known = STORED_RED if stored is Outcome.REGRESSED else STORED_OPEN
    return result(stored, change=known, interleaved=ab, **SAMPLES)


class TestRegressed:
    """The candidate uses more than the ref."""

    def test_message_has_both_energies_of_the_pairs(self) -> None:
        """Not that of the run's own process, which the change does not describe."""
        one = by_pairs(pairs(baseline_j=2.0))
        assert str(reasons.failure(one)) == (
            "call used 2.17 J/sample, 2.00 J/sample in 3f2a91c (main): +8.3 % "
            "(95 % CI +6.9…+9.8), 7 pairs, limit +5 %. If this is intended, merge it or allow it: "
            'energy_budget(max_increase="10%")'
        )

    def test_message_marks_an_estimate(self) -> None:
        """The mark belongs to the joules."""
        assert str(reasons.failure(by_pairs(name="a{b}", estimated=True))).startswith(
            "a{b} used 3.10 J/sample (estimated, ±50 %), 2.86 J/sample in 3f2a91c (main): +8.3 % "
        )

    def test_section_has_the_evidence_and_the_next_steps(self) -> None:
        """Without a stored baseline nothing can be saved: merge it, or allow it."""
        assert section(by_pairs(pairs(notes=(IN_TURN,)))) == [
            "why             what was measured does not show it",
            "how sure        7 pairs from 5 starts of each side",
            f"A/B             {IN_TURN}",
            "if intended     merge it: once main has it, later runs pass",
            f"find the cause  pytest --energy --energy-explain {TEST}",
            f"find the commit pytest-greenops bisect main -- {TEST}",
            f"try again       pytest --energy {TEST}",
            'allow it        energy_budget(max_increase="10%")',
        ]

    def test_section_with_a_stored_baseline_also_accepts(self) -> None:
        """Both changes are shown, and either comparison can be satisfied."""
        lines = section(by_pairs(change=STORED_RED))
        assert "stored baseline: +12 % (95 % CI +5.0…+19 %), regressed" in " ".join(
            " ".join(lines).split()
        )
        assert lines[-2:] == [
            f"accept it       pytest --energy-save {TEST}",
            'allow it        energy_budget(max_increase="10%")',
        ]
        assert not any(line.startswith("if intended") for line in lines)

    @pytest.mark.parametrize(
        ("ref", "left", "good", "intended"),
        [
            (
                "merge-base:main",
                "3f2a91c",
                "3f2a91c",
                "merge it: once main has it, later runs pass",
            ),
            ("v1.2", "3f2a91c", "v1.2", None),
            ("main", "77d01e2", "77d01e2", "merge it: once main has it, later runs pass"),
            ("main", None, None, "merge it: once main has it, later runs pass"),
            ("3f2a91c0ffee", "3f2a91c", "3f2a91c0ffee", None),
            ("stash", None, None, "commit it: later runs with --energy-ab=stash then pass"),
        ],
    )
    def test_next_steps_depend_on_the_ref(
        self, ref: str, left: str | None, good: str | None, intended: str | None
    ) -> None:
        """A bisect begins where HEAD left the ref; uncommitted changes have no commit to find."""
        branch = "main" if ref.endswith("main") else None
        lines = section(by_pairs(pairs(ref=ref, good=left, branch=branch)))
        found = [line for line in lines if line.startswith("find the commit")]
        assert found == [f"find the commit pytest-greenops bisect {good} -- {TEST}"] * bool(good)
        said = [line[16:] for line in lines if line.startswith("if intended")]
        assert said == [intended] * bool(intended)

    def test_is_not_among_the_probabilities_of_the_stored_comparisons(self) -> None:
        """Pairs have none, and they decided."""
        mixed = table(by_pairs(change=STORED_RED), by_pairs(test=key("test_b")))
        assert not any("Holm" in line for line in mixed)
        stored = stands(Outcome.REGRESSED, PASSED)
        assert any("Holm" in line for line in table(stored, stands(Outcome.REGRESSED, OPEN)))


class TestTable:
    """The row of a test."""

    def test_has_the_figures_of_the_pairs(self) -> None:
        """The line below the row says what they were compared with."""
        assert table(by_pairs())[3:6] == [
            "test_parse              198 J  41.2 W  +8.3 %       regressed",
            "  ▁▅▄▇▂▄█▂▄▁ 10 rounds  3.10 J/sample  +6.9…+9.8 %  ███████████████████▸ of +5 %",
            "    A/B  7 pairs against 3f2a91c (main)",
        ]

    def test_has_the_stored_figures_below_those_that_decided(self) -> None:
        """A narrow terminal gets fewer words, not half a figure."""
        one = by_pairs(PASSED, change=STORED_OPEN)
        lines = table(one)
        assert "+0.4 %" in lines[3]
        assert lines[5:] == [
            "    A/B  9 pairs against 3f2a91c (main)",
            "    stored  +3.1 % (95 % CI -2.0…+8.0 %), inconclusive",
        ]
        assert table(one, width=40)[-1] == "    stored  +3.1 %  -2.0…+8.0 %"

    @pytest.mark.parametrize("stored", [Outcome.INCONCLUSIVE, Outcome.REGRESSED])
    @pytest.mark.parametrize(
        ("ab", "said"),
        [
            (pairs(Outcome.PASSED, 0.1), "+10 % (95 % CI +6.9…+9.8), 7 pairs, "),
            (
                Interleaved("main", "3f2a91c", Outcome.NOT_COMPARABLE, 0.05, cause=OUTSIDE),
                f"not comparable ({OUTSIDE})",
            ),
        ],
        ids=["other outcome", "not comparable"],
    )
    def test_says_that_pairs_did_not_decide(
        self, stored: Outcome, ab: Interleaved, said: str
    ) -> None:
        """The stored verdict keeps its figures in the row."""
        one = stands(stored, ab)
        lines = table(one, width=120)
        assert ("+12 %" if stored is Outcome.REGRESSED else "+3.1 %") in lines[3]
        assert lines[5].startswith(f"    A/B  {said}")
        text = " ".join(" ".join(lines[6:]).split())
        assert said in text

    @pytest.mark.parametrize("unicode", [True, False], ids=["unicode", "ascii"])
    @pytest.mark.parametrize("width", [40, 60, 79, 80, 120])
    def test_fits_the_terminal_except_for_commands(self, width: int, unicode: bool) -> None:
        """No line wraps."""
        lines = table(*ALL, width=width, unicode=unicode)
        commands = ("pytest", "find the", "try again", "accept it", "allow it")
        long = [line for line in lines if cell_len(line) > width]
        assert [line for line in long if not line.strip().startswith(commands)] == []
        assert unicode or all(map(str.isascii, lines))

    def test_is_never_provisional(self) -> None:
        """A young baseline did not decide, so nothing asks for more sessions."""
        lines = table(by_pairs(PASSED, change=STORED_OPEN))
        assert not any("provisional" in line for line in lines)

    def test_brief_lines_name_the_method(self) -> None:
        """With `-q` there is no table."""
        brief = list(render_brief(ALL, 80, color=False, unicode=True))
        assert [line.partition(TEST)[2].strip() for line in brief] == [
            "A/B +8.3 %, limit +5 %",
            "A/B +8.3 %, limit +5 %",
            "A/B +3.1 %, limit +5 %",
            "mypkg was importe…es, not from main",
            "not in main",
        ]

    def test_notes_of_passed_tests_are_below_the_table(self) -> None:
        """Those of a red test are with its other facts, once."""
        noted = by_pairs(replace(PASSED, notes=(IN_TURN,)))
        last = " ".join(table(noted, by_pairs(test=key("test_b")))[-2:])
        assert last == f"A/B of test_parse: {IN_TURN}."
        red = "\n".join(table(by_pairs(pairs(notes=("short",)), action="warn")))
        assert red.count("short") == 1


class TestReason:
    """The reason of each other verdict, in one line."""

    @pytest.mark.parametrize(
        ("one", "said"),
        [
            (
                by_pairs(PASSED),
                "+0.4 % (95 % CI -1.2…+2.0), 9 pairs, against 3f2a91c (main); limit +5 %",
            ),
            (
                by_pairs(PASSED, change=STORED_OPEN),
                "+0.4 % (95 % CI -1.2…+2.0), 9 pairs, against 3f2a91c (main); limit +5 %; stored "
                "baseline: +3.1 % (95 % CI -2.0…+8.0 %) against a limit of +5 %",
            ),
            (
                by_pairs(pairs(Outcome.IMPROVED, -0.1, -0.12, -0.08)),
                "-10 % (95 % CI -12…-8.0), 7 pairs, against 3f2a91c (main); limit +5 %",
            ),
            (
                by_pairs(OPEN),
                "inconclusive because +3.1 % (95 % CI -1.0…+7.3) after 26 pairs against 3f2a91c "
                "(main) is too uncertain for a limit of +5 %; about 60 pairs would decide; "
                "increases of at least +6.2 % are detected: allow them by "
                'max_increase="7%"; reduce the load on the machine, then measure again: '
                f"pytest --energy {TEST}",
            ),
            (
                nothing_compared(Outcome.NO_BASELINE, "not in main"),
                "no baseline (not in main): it is compared once it is merged; to judge it before, "
                f"save a baseline: pytest --energy-save {TEST}",
            ),
            (
                nothing_compared(Outcome.NOT_COMPARABLE, OUTSIDE),
                f"not comparable ({OUTSIDE}); fix this and measure again: pytest --energy {TEST}",
            ),
            (
                nothing_compared(
                    Outcome.NOT_COMPARABLE,
                    "mypkg._core is not built in main",
                    fix=("--energy-ab-setup=pip install -e .",),
                ),
                "not comparable (mypkg._core is not built in main); measure with this: "
                f"pytest --energy '--energy-ab-setup=pip install -e .' {TEST}",
            ),
        ],
        ids=["passed", "stored", "improved", "open", "new", "elsewhere", "not built"],
    )
    def test_has_the_figures_or_the_cause(self, one: Result, said: str) -> None:
        """And the next step, where there is one."""
        assert reasons.reason(one) == said

    def test_of_strict_runs_is_the_same(self) -> None:
        """What pairs leave open fails with `--energy-strict` as anything else does."""
        for one in (by_pairs(OPEN), nothing_compared(Outcome.NOT_COMPARABLE, OUTSIDE)):
            assert one.verdict.unproven
            assert reasons.reason(one) in str(reasons.unproven(one))

    def test_of_pairs_disturbed_has_the_cause(self) -> None:
        """Which increases they would detect does not matter then."""
        why = "other processes ran during 9 of 26 pairs"
        one = by_pairs(replace(OPEN, cause=why), cause=why, cause_kind=CauseKind.REF)
        assert reasons.reason(one) == (
            f"inconclusive because {why}; measured +3.1 % (95 % CI -1.0…+7.3) after 26 pairs "
            "against 3f2a91c (main) against a limit of +5 %; reduce the load on the machine, then "
            f"measure again: pytest --energy {TEST}"
        )

    def test_of_a_stored_regression_that_pairs_could_not_confirm_says_so_once(self) -> None:
        """The cause of both is the same."""
        ab = Interleaved("main", "3f2a91c", Outcome.NOT_COMPARABLE, 0.05, cause=OUTSIDE)
        one = stands(Outcome.INCONCLUSIVE, ab)
        cause = Cause.not_confirmed(OUTSIDE)
        said = reasons.reason(replace(one, verdict=one.verdict.with_cause(cause)))
        assert said.startswith(f"inconclusive because it is not confirmed: {OUTSIDE}, limit +5 %;")
        assert said.count(OUTSIDE) == 1

    def test_of_a_passed_budget_has_no_change_that_pairs_left_open(self) -> None:
        """The row has no change; the line below it says what they found."""
        one = result(Outcome.PASSED, limits=(limit("energy", 198.0, 250.0),), interleaved=OPEN)
        assert re.search(r" -  +passed", table(one)[3])
        below = "    A/B  +3.1 % (95 % CI -1.0…+7.3), 26 pairs, inconclusive"
        assert table(one)[5] == below
        assert table(one, width=40)[-1] == "    A/B  +3.1 %, inconclusive"

    def test_of_an_undecided_budget_is_the_budget(self) -> None:
        """Pairs do not decide an absolute limit."""
        one = by_pairs(OPEN, limits=(limit("energy", 198.0, 199.0),))
        assert reasons.reason(one).startswith("inconclusive because 198 J (95 % CI 194…202 J) is")


def test_a_live_line_has_the_interval_once_it_is_known() -> None:
    """The first pairs have none."""
    first = replace(pairs(pairs=1), low=None, high=None)
    assert interleaved_text.live(first) == "A/B 1 pair"
    assert interleaved_text.live(pairs(pairs=5)) == "A/B 5 pairs, +8.3 % (+6.9…+9.8)"
