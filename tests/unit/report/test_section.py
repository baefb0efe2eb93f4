"""What is said below a failure."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from pytest_greenops.model.advised import Caller
from pytest_greenops.model.explanation import Explanation
from pytest_greenops.model.measurement import Check, CheckName, Domain
from pytest_greenops.model.result import Result
from pytest_greenops.model.verdict import Outcome
from pytest_greenops.report import reasons
from pytest_greenops.report.section import failure_sections
from tests.unit.report.samples import (
    CPU,
    DRAM,
    GPU,
    PSYS,
    change,
    inconclusive,
    over_budget,
    regressed,
    result,
    suite,
    unmeasured,
)

SHARES = {CPU: 0.3, DRAM: 0.08, GPU: 0.62, PSYS: 1.2}
TEST = "tests/test_x.py::test_parse"
AGAIN, ACCEPT = (
    f"try again       pytest --energy {TEST}",
    f"accept it       pytest --energy-save {TEST}",
)


def below(*results: Result, caller: Caller | None = None) -> list[str]:
    """Return the lines below the message of the first of these results of a test."""
    caller = caller or Caller()
    sections = failure_sections(results, reasons.failure(results[0]).line(caller), caller)
    return [line for _, lines in sections for line in lines]


def one_line(lines: Iterable[str]) -> str:
    """Return wrapped lines as one."""
    return " ".join(" ".join(lines).split())


def test_of_a_regression() -> None:
    """It says which domain grew most and how sure the change is, then how to go on."""
    known = change(0.55, 0.48, 0.61)
    known = replace(known, p_value=0.0012, accepted_at="2026-01-02T03:04", commit="1a2b3c4d5e6f")
    grown = replace(known, by_domain={"cpu:0": 0.5, "dram:0": 0.25, "gpu:0": 1.25})
    one = regressed(shares=SHARES)
    verdict = replace(one.verdict, change=grown, confirmed=0.57)
    assert below(replace(one, verdict=verdict)) == [
        "why             by domain: gpu 62 % (+54 %), cpu 30 % (+86 %), dram 8.0 %",
        "                (-0.8 %)",
        "how sure        p = 0.0012 by chance; fresh process +57 %; 5 baseline sessions",
        "since           the last baseline session, 2026-01-02 at 1a2b3c4d5e",
        f"find the cause  pytest --energy --energy-explain {TEST}",
        f"try again       pytest --energy {TEST}",
        f"accept it       pytest --energy-save {TEST}",
    ]


def test_of_a_budget() -> None:
    """It has the rounds of an absolute figure, and the budget that would pass."""
    assert below(over_budget()) == [
        "why             what was measured does not show it",
        "how sure        10 rounds of 3.04…3.19 J/sample",
        f"find the cause  pytest --energy --energy-explain {TEST}",
        f"try again       pytest --energy {TEST}",
        'raise it        energy_budget("3.2 J", per="sample")',
    ]


def test_of_several_names_has_the_commands_once() -> None:
    """A name that the message above does not have says what it used; the commands come last."""
    sections = failure_sections(
        [regressed(name="prefill"), regressed(name="decode")],
        str(reasons.failure(regressed(name="prefill"))),
    )
    (first, prefill), (second, decode) = sections
    assert (first, second) == ("energy of prefill", "energy of decode")
    assert prefill == [
        "why             what was measured does not show it",
        "how sure        5 baseline sessions",
    ]
    assert one_line(decode[:2]) == f"what {reasons.finding(regressed(name='decode'))}"
    assert [line[:16].rstrip() for line in decode[4:]] == [
        "find the cause",
        "try again",
        "accept it",
    ]


def test_of_an_explained_test_names_the_layers() -> None:
    """Where layers were looked for, the command that finds them is not advised again."""
    lines = below(regressed(explained=Explanation(why="no torch module is called in it")))
    why = "why what was measured does not show it; no layers: no torch module is called in it"
    assert one_line(lines[:2]) == why
    assert not any(line.startswith("find the cause") for line in lines)


def test_of_an_estimate_has_no_domains() -> None:
    """The shares of an estimate are constants of its table."""
    shares = {CPU: 0.5, DRAM: 0.5}
    lines = below(regressed(shares=shares, estimated=True, sensor="estimate"))
    assert "why             what was measured does not show it" in lines
    assert "cpu" not in one_line(lines)


@pytest.mark.parametrize(
    ("one", "commands"),
    [
        (result(Outcome.NO_BASELINE), [AGAIN, ACCEPT]),
        (
            inconclusive(needs_rounds=20),
            [f"decide it       pytest --energy --energy-min-rounds=20 {TEST}", AGAIN, ACCEPT],
        ),
        (inconclusive(), [AGAIN, ACCEPT]),
        (inconclusive(cause="other processes used 40 % of the machine"), [AGAIN]),
        (unmeasured("no sensor"), [AGAIN]),
    ],
    ids=["no baseline", "rounds decide", "inconclusive", "disturbed", "not measured"],
)
def test_of_an_unproven_test(one: Result, commands: list[str]) -> None:
    """The message says why; below it is what decides, repeats and accepts it, where that works."""
    assert below(one) == commands


def test_lists_each_of_several_devices() -> None:
    """The device that grew most comes first; a domain without joules before has no percentage."""
    cards = [Domain(f"gpu:{number}", "gpu") for number in range(5)]
    used = dict(zip([*cards, CPU], [0.1, 0.5, 0.1, 0.1, 0.1, 0.1], strict=True))
    before = {"gpu:0": 0.3, "gpu:1": 0.5, "gpu:2": 0.3, "gpu:3": 0.0, "gpu:4": 0.3, "cpu:0": 0.3}
    grown = replace(change(0.5, 0.4, 0.6), by_domain=before)
    one = replace(regressed(shares=used), verdict=replace(regressed().verdict, change=grown))
    assert one_line(below(one)[:2]) == (
        "why by domain: gpu:1 50 % (+210 %), gpu:3 10 % (0 J before), gpu:0 10 % (+3.3 %), "
        "gpu:2 10 % (+3.3 %), 2 more"
    )


def test_has_each_failed_self_check_and_quality() -> None:
    """A failed self-check is printed with its consequence, a quality without a limit too."""
    check = Check(CheckName.DRIFT, "+3.0 % over the rounds", "warmed up once more, then flagged")
    lines = below(regressed(checks=(check,), quality={"accuracy": 0.94}))
    assert "quality         accuracy 0.94" in lines
    assert "check drift: +3.0 % over the rounds; warmed up once more, then flagged" in one_line(
        lines
    )


def test_says_if_the_baseline_is_provisional_or_crept() -> None:
    """How sure it is depends on the sessions; a crept baseline hides where it began."""
    crept = change(0.55, 0.4, 0.7, sessions=1, provisional=True, since_anchor=0.7)
    crept = replace(crept, accepted_at="2026-01-02")
    text = one_line(below(result(Outcome.REGRESSED, change=crept)))
    assert text.startswith(
        "why what was measured does not show it how sure 1 baseline session (provisional) "
        "since the last baseline session, 2026-01-02; "
        "the baseline moved +70 % in accepted steps"
    )


@pytest.mark.parametrize("one", suite(), ids=reasons.verdict_word)
def test_fits_80_columns_except_for_commands(one: Result) -> None:
    """Only a command, which users copy, may be longer than the terminal."""
    assert [line for line in below(one) if len(line) > 79 and "pytest --energy" not in line] == []
