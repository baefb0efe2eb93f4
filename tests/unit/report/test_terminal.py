"""The table and the brief lines on a terminal."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from pytest_greenops.judge.work_and_joules import alone, record
from pytest_greenops.model.measurement import Domain
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Outcome
from pytest_greenops.report.terminal import render, render_brief
from tests.unit.report.samples import (
    CPU,
    DRAM,
    GPU,
    IDLE,
    PSYS,
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
from tests.unit.works import FACTS, verdict
from tests.unit.works import table as counted_work


def table(*results: Result, width: int = 80, unicode: bool = True) -> list[str]:
    """Return the lines of a table without color."""
    return list(render(results, width, color=False, unicode=unicode))


class TestTable:
    """The table and the notes below it."""

    def test_has_two_lines_for_each_test_and_a_note_about_a_regression(self) -> None:
        """Cells have two lines; the note is a wrapped sentence with a command to copy."""
        assert table(regressed()) == [
            "test                    energy, power  change     verdict",
            "  rounds                per unit       95 % CI",
            "── tests/test_x.py " + "─" * 61,
            "test_parse              198 J  41.2 W  +55 %      regressed",
            "  ▁▅▄▇▂▄█▂▄▁ 10 rounds  3.10 J/sample  +48…+61 %  ███████████████████▸ of +5 %",
            "",
            "regressed: tests/test_x.py::test_parse",
            "  call used 3.10 J/sample, baseline 2.00 J/sample (+55 %, 95 % CI +48…+61 %,",
            "  limit +5 %)",
            "  why             what was measured does not show it",
            "  how sure        5 baseline sessions",
            "  find the cause  pytest --energy --energy-explain tests/test_x.py::test_parse",
            "  try again       pytest --energy tests/test_x.py::test_parse",
            "  accept it       pytest --energy-save tests/test_x.py::test_parse",
        ]

    @pytest.mark.parametrize("unicode", [True, False], ids=["unicode", "ascii"])
    @pytest.mark.parametrize("width", [40, 60, 79, 80, 81, 100, 120, 200])
    def test_fits_the_terminal_except_for_commands(self, width: int, unicode: bool) -> None:
        """No line wraps, whatever the verdict and the length of the name."""
        lines = table(*suite(), width=width, unicode=unicode)
        long = [line for line in lines if cell_len(line) > width]
        assert [
            line for line in long if not re.search(r" pytest --energy|  raise it  ", line)
        ] == []

    def test_of_a_narrow_terminal_has_names_on_lines_of_their_own(self) -> None:
        """The rounds are below the name, and the figures below both."""
        assert table(regressed(), width=60)[:7] == [
            "test",
            "  energy, power  change     verdict",
            "  per unit       95 % CI",
            "── tests/test_x.py ─────────────────────────",
            "test_parse",
            "  ▁▅▄▇▂▄█▂▄▁ 10 rounds",
            "  198 J  41.2 W  +55 %      regressed",
        ]

    def test_names_that_are_cut_differ(self) -> None:
        """They are cut where they agree."""
        name = "test_inference[{}_classification_of_long_documents-small]"
        many = [result(test=key(name.format(kind))) for kind in ("text", "token", "image")]
        for width in (40, 60, 80):
            shown = [line.split()[0] for line in table(*many, width=width) if "test_inf" in line]
            assert len(set(shown)) == len(shown) == 3

    def test_an_estimate_has_no_shares_of_cpu_and_memory(self) -> None:
        """They are constants of the estimate; a sensed GPU beside it is news, and all is marked."""
        units = {"request": 2.0, "token": 8.0}
        guess: dict[str, Any] = {"units": units, "unit": "request", "estimated": True}
        text = "\n".join(table(result(shares={CPU: 0.6, DRAM: 0.4}, **guess)))
        assert not re.search(r"cpu|dram", text)
        assert re.search(r"per token +~250 mJ/token", text)
        text = "\n".join(table(result(shares={CPU: 0.6, GPU: 0.4}, **guess)))
        assert re.search(r"cpu 60 % +~1.20 J", text)

    def test_many_sessions_leave_the_rounds_visible(self) -> None:
        """The drawing is shortened, then the word `rounds` is left out, but never the sessions."""
        one = result(test=key("test_a"))
        shown = "\n".join(table(replace(one, fresh=(one.rounds, one.rounds))))
        assert re.search(r"^  [▁-█]{4,} 30 rounds in 3 sessions  ", shown, re.MULTILINE)
        many = [replace(each, fresh=(each.rounds, each.rounds)) for each in suite()]
        for width in (40, 80, 100):
            shown = "\n".join(table(*many, width=width))
            expected = sum(bool(each.rounds) for each in many)
            assert len(re.findall(r"[▁-█] \d+( rounds)? in 3 sessions\b", shown)) == expected

    def test_of_a_wide_terminal_shows_more_of_the_names(self) -> None:
        """More columns show full names."""
        name = "test_throughput_of_a_batch_of_documents"
        one = result(test=key(name))
        assert not any(name in line for line in table(one)[:5])
        assert any(name in line for line in table(one, width=120)[:5])

    def test_without_unicode_is_plain_ascii(self) -> None:
        """A terminal without block characters gets bars and sparklines of ASCII."""
        lines = table(*suite(), unicode=False)
        assert [line for line in lines if not line.isascii()] == []
        assert any(line.startswith("  .+-*:-#:-. 10 rounds") for line in lines)
        assert any(line.endswith("##> of +5 %") for line in lines)

    def test_has_color_only_on_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The caller decides about color, not the environment."""
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("NO_COLOR", "1")
        plain_text = "\n".join(table(*suite()))
        colored = "\n".join(render(suite(), 80, color=True, unicode=True))
        assert "\x1b" not in plain_text
        assert re.sub(r"\x1b\[[\d;]*m", "", colored) == plain_text
        assert "\x1b[1;31mregressed\x1b[0m" in colored

    def test_of_a_warned_regression_is_not_red(self) -> None:
        """A warning does not look like a failure."""
        lines = "\n".join(render([regressed(action="warn")], 80, color=True, unicode=True))
        assert "\x1b[33mregressed (warned)\x1b[0m" in lines
        assert "\x1b[1;31m" not in lines

    def test_groups_by_module(self) -> None:
        """Tests of a file are listed below its name, in the order in which they ran."""
        results = [
            result(test=key("test_a", "one.py")),
            result(test=key("test_b", "two.py")),
            result(test=key("test_c", "one.py")),
        ]
        shown = [line.split()[0] for line in table(*results)[2:] if not line.startswith(" ")]
        titles = [line.split()[1] for line in table(*results) if line.startswith("──")]
        assert shown == ["──", "test_a", "test_c", "──", "test_b"]
        assert titles == ["one.py", "two.py"]

    @pytest.mark.parametrize(
        ("shares", "lines"),
        [
            (
                {CPU: 0.3, DRAM: 0.1, GPU: 0.6, PSYS: 1.5},
                [
                    "cpu 30 % 3.00 J 3.00 W",
                    "dram 10 % 1.00 J 1.00 W",
                    "gpu 60 % 6.00 J 6.00 W",
                    "psys, not counted 15.0 J 15.0 W",
                ],
            ),
            (
                {CPU: 0.4, GPU: 0.6, IDLE: 0.1},
                [
                    "cpu 40 % 4.00 J 4.00 W",
                    "gpu 60 % 6.00 J 6.00 W",
                    "gpu:1, idle, not counted 1.00 J 1.00 W",
                ],
            ),
        ],
        ids=["psys", "idle"],
    )
    def test_gives_each_domain_a_line(self, shares: dict[Domain, float], lines: list[str]) -> None:
        """Each of several domains has joules and watts, and a share if it is counted."""
        one = result(joules=10.0, seconds=1.0, shares=shares)
        shown = table(one)[5 : 5 + len(lines)]
        assert [" ".join(line.split()) for line in shown] == lines

    @pytest.mark.parametrize(
        ("interval", "unicode", "shown"),
        [
            ((1.9, 2.1), True, "  1 round ±5 %"),
            ((1.99, 2.01), True, "  1 round ±0.5 %"),
            ((1.9, 2.1), False, "  1 round +-5 %"),
            (None, True, "  1 round"),
        ],
    )
    def test_shows_the_error_of_a_single_round(
        self, interval: tuple[float, float] | None, unicode: bool, shown: str
    ) -> None:
        """It follows the number of rounds, if it is known."""
        one = replace(result(rounds=1), interval=interval)
        assert table(one, unicode=unicode)[4].startswith(f"{shown}  ")

    def test_shows_no_error_of_several_rounds(self) -> None:
        """The interval of several rounds is printed elsewhere."""
        assert "±" not in table(result())[4]

    def test_of_one_domain_repeats_nothing(self) -> None:
        """A single domain equals the total and has no line."""
        assert len(table(result(shares={CPU: 1.0}))) == 5

    def test_marks_the_judged_domain(self) -> None:
        """A budget for the GPU shows the joules of the GPU, with a mark."""
        one = result(joules=6.0, shares={CPU: 0.4, GPU: 0.6}, domain="gpu")
        lines = table(one)
        assert "6.00 J" in lines[3]
        assert [line for line in lines if "(judged)" in line] == [
            line for line in lines if line.startswith("    gpu 60 %")
        ]

    def test_gives_further_units_and_carbon_a_line(self) -> None:
        """What does not fit into the two lines of a cell gets its own line."""
        one = result(joules=8.0, units={"request": 8.0, "token": 64.0}, unit="token", grams=0.0012)
        lines = table(one)
        assert "125 mJ/token" in lines[4]
        assert lines[5].split() == ["per", "request", "1.00", "J/request"]
        assert lines[6].split() == ["carbon", "1.20", "mg", "CO2e"]

    def test_keeps_the_name_of_a_measurement(self) -> None:
        """A long test name is cut in the middle, but not the name of the measurement."""
        test = key("test_generate_with_a_very_long_name", param="llama-3-8b-instruct")
        line = table(result(test=test, name="prefill"))[3]
        assert line.startswith("test_generate")
        assert "…" in line
        assert "instruct] · prefill" in line

    def test_marks_estimated_joules_and_explains_the_mark(self) -> None:
        """Every estimated figure has a tilde, which is explained below the table."""
        lines = table(regressed(estimated=True))
        assert "~198 J" in lines[3]
        assert "~3.10 J/sample" in lines[4]
        assert lines[-1] == "~ is estimated, not sensed: ±50 % on the absolute figure."

    def test_keeps_a_bar_next_to_a_long_limit(self) -> None:
        """If space is short, the unit of the limit is omitted, not the bar."""
        one = result(test=key("test" * 9), limits=(limit("carbon", 0.0615, 0.123),))
        assert table(one)[4].endswith("  ████···· of 123 mg")

    def test_does_not_mark_the_time_of_an_estimate(self) -> None:
        """Seconds are measured even if joules are estimated."""
        lines = table(result(estimated=True))
        assert "~2.00 J" in lines[3]
        assert " in 50.0 ms" in lines[4]

    def test_shows_the_absolute_budget_rather_than_the_margin(self) -> None:
        """With a budget and a baseline, the bar shows the budget."""
        one = result(change=change(0.01, 0.0, 0.02), limits=(limit("energy", 2.0, 2.5),))
        assert table(one)[4].endswith("% of 2.50 J")

    def test_of_an_unmeasured_test_shows_no_figures(self) -> None:
        """An unmeasured test has a verdict and a reason, but no number."""
        lines = table(unmeasured("no tick"))
        assert lines[3].split() == ["test_parse", "-", "-", "not", "measured"]
        assert lines[5:] == [
            "not measured: tests/test_x.py::test_parse",
            "  no tick; try again:",
            "    pytest --energy tests/test_x.py::test_parse",
        ]

    def test_has_one_note_for_many_tests(self) -> None:
        """A hundred tests without a baseline have one sentence with one command."""
        lines = table(*(result(Outcome.NO_BASELINE, test=key(f"test_{i}")) for i in range(100)))
        assert lines[-3:] == [
            "no baseline: 100 measurements",
            "  no baseline on this machine; save one:",
            "    pytest --energy-save",
        ]

    def test_has_one_remark_about_provisional_results(self) -> None:
        """They are counted, with the increase that is detected in all of them."""
        young = [change(0, -0.1, 0.1, sessions=1, smallest=s, provisional=True) for s in (0.2, 0.3)]
        text = " ".join(table(*(result(change=each) for each in young))[-4:])
        assert "2 passed provisionally" in text
        assert "at least +30 % are detected" in text

    def test_says_what_first_sessions_detect(self) -> None:
        """A run that saves first sessions has one remark about later runs."""
        first = result(Outcome.NO_BASELINE, saved=True)
        first = replace(first, verdict=replace(first.verdict, detects=0.19))
        text = " ".join(table(first))
        assert "1 first session saved: over one, increases of at least +19 % are" in text

    def test_puts_failures_first(self) -> None:
        """Failures precede warnings, and warnings precede inconclusive results."""
        lines = table(
            inconclusive(test=key("test_c")),
            regressed(test=key("test_b"), action="warn"),
            over_budget(test=key("test_a")),
        )
        notes = [line for line in lines if "::" in line and not line.startswith(" ")]
        assert [note.split("::")[1] for note in notes] == ["test_a", "test_b", "test_c"]

    def test_of_no_results_is_empty(self) -> None:
        """Nothing measured, nothing drawn."""
        assert table() == []

    def test_does_not_interpret_markup(self) -> None:
        """A parameter that looks like markup or an emoji is printed unchanged."""
        line = table(result(test=key("test_a", param="[red]:smile:")))[3]
        assert "test_a[[red]:smile:]" in line


class TestBrief:
    """The lines with `-q`."""

    def test_omits_passed_tests(self) -> None:
        """A passed test has no line."""
        results = [result(), regressed(), inconclusive(test=key("test_b"))]
        assert list(render_brief(results, 80, color=False, unicode=True)) == [
            "regressed  tests/test_x.py::test_parse  +55 %, limit +5 %",
            "inconclusive  tests/test_x.py::test_b  +3.1 %, limit +5 %",
        ]

    def test_of_a_change_that_is_not_judged_says_why(self) -> None:
        """A change over its limit with no verdict would look like a regression."""
        busy = "another process used 2.1 CPUs"
        [line] = render_brief(
            [result(Outcome.INCONCLUSIVE, change=change(0.31, 0.21, 0.4), cause=busy)],
            80,
            color=False,
            unicode=True,
        )
        assert line == f"inconclusive  tests/test_x.py::test_parse  {busy}"

    @pytest.mark.parametrize("width", [60, 80, 120])
    @pytest.mark.parametrize("unicode", [True, False], ids=["unicode", "ascii"])
    def test_fits_the_terminal(self, width: int, unicode: bool) -> None:
        """Each verdict has one line."""
        lines = list(render_brief(suite(), width, color=False, unicode=unicode))
        assert len(lines) == 7
        assert all(cell_len(line) <= width for line in lines)
        assert unicode or all(line.isascii() for line in lines)


def test_a_run_without_joules_has_columns_of_work() -> None:
    """FLOP and bytes have the headings; calls, peak memory and coverage are below."""
    one = replace(result(), rounds=(), work=record(counted_work(), FACTS))
    lines = table(replace(one, verdict=alone(one.verdict, verdict(), "fail")))
    assert [line.split() for line in lines[:2]] == [
        ["test", "work", "change", "verdict"],
        ["bytes", "moved"],
    ]
    assert lines[3].split()[1:] == ["15", "GFLOP", "+24", "%", "regressed"]
    assert lines[4].strip().startswith("25.2 MB moved")
    assert lines[5] == "    32 calls, peak 12 MB; covers 97 % of CPU time"
