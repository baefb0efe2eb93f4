"""A bisect as text."""

from __future__ import annotations

from pytest_greenops.model.bisected import Commit, Found, Measured, Remaining, Step
from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.outcome import Outcome
from pytest_greenops.report import bisect_lines
from pytest_greenops.report.drawing import cells

CHANGE = "+14.9 % (95 % CI +11.2…+19.0 %), 9 pairs"


def commit(subject: str = "Use float64 weights", parents: int = 1) -> Commit:
    """Return a commit."""
    names = tuple("abcd"[:parents])
    return Commit("3f2a91c" * 5, "3f2a91c", "Ada Lovelace", "2026-11-03", subject, names)


def compared(relative: float, outcome: Outcome = Outcome.PASSED) -> Interleaved:
    """Return a comparison."""
    low, high = relative - 0.01, relative + 0.01
    return Interleaved("main", "1234567", outcome, 0.05, None, relative, low, high, pairs=8)


def test_a_finding_is_a_change_or_a_cause() -> None:
    """Where there is no figure, the outcome and its cause take its place."""
    assert bisect_lines.finding(compared(0.0314)) == "+3.1 % (95 % CI +2.1…+4.1 %), 8 pairs"
    absent = Interleaved("main", "1234567", Outcome.NO_BASELINE, 0.05, "not in main")
    assert bisect_lines.finding(absent) == "no baseline (not in main)"


def test_a_step_cuts_the_subject_of_its_commit() -> None:
    """The figures are whole in 80 columns; from 100 on the line has the date."""
    step = Step(commit("Use float64 weights in all layers of the model"), "bad", CHANGE)
    assert list(bisect_lines.step_lines("4/6", step, 80)) == [
        f"4/6  3f2a91c Use float64 weights…: {CHANGE}: bad"
    ]
    [wide] = bisect_lines.step_lines("4/6", step, 100)
    assert wide.startswith("4/6  3f2a91c 2026-11-03 Use float64 ")


def test_a_long_reason_is_wrapped_below_its_commit() -> None:
    """A skipped commit has a line of its own, then the reason."""
    reason = "tests/test_x.py::test_y - ModuleNotFoundError: No module named 'weights'; see above"
    step = Step(commit(), "skip", reason)
    lines = list(bisect_lines.step_lines("4/6", step, 60))
    assert lines[0] == "4/6  3f2a91c Use float64 weights"
    assert " ".join(line.strip() for line in lines[1:]) == f"{reason}: skip"
    assert max(map(cells, lines)) <= 60


def found(parents: int = 1, alone: bool = True) -> list[str]:
    """Return the end of a search that found a commit."""
    end = Found(commit(parents=parents), commit("Parent"), CHANGE, alone)
    return list(bisect_lines.closing(end, [], commit("GOOD"), 80))[1:]


def test_the_commit_that_was_found_has_author_date_and_change() -> None:
    """The change is that over its parent."""
    assert found() == [
        "found: 3f2a91c Use float64 weights",
        "       Ada Lovelace, 2026-11-03",
        f"       {CHANGE}, against its parent 3f2a91c",
    ]


def test_a_merge_and_a_small_change_are_said() -> None:
    """Both are unexpected: no single commit is to blame."""
    assert found(parents=2)[-1] == "       a merge: none of its parents alone is bad"
    assert " ".join(found(alone=False)).endswith("earlier commits added the rest")


def test_many_remaining_commits_are_counted() -> None:
    """Ten are listed."""
    lines = list(bisect_lines.closing(Remaining([commit()] * 13), [], commit(), 80))
    assert lines[1] == (
        "not found: the first bad commit is one of 13, 12 of which could not be measured:"
    )
    assert lines[2:] == ["  3f2a91c 2026-11-03 Use float64 weights"] * 10 + ["  … and 3 more"]


def test_several_unregressed_tests_are_one_line() -> None:
    """It has the largest change."""
    both = {Measured("a", "call"): compared(0.01), Measured("b", "prefill"): compared(0.03)}
    assert bisect_lines.unregressed(both, commit(), commit()) == (
        "BAD (3f2a91c) does not use more energy than GOOD (3f2a91c): none of 2 measurements "
        "regressed, the largest change is +3.0 % (95 % CI +2.0…+4.0 %), 8 pairs"
    )
