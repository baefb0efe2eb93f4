"""Which commit a search ends at, in real repositories whose measurements are made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pytest_greenops.bisection.search import NothingRegressed, Run, Search
from pytest_greenops.judge.work_and_joules import as_interleaved
from pytest_greenops.model.bisected import Commit, Found, Measured, Remaining
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.outcome import Outcome
from pytest_greenops.model.work_verdict import WorkOutcome, WorkVerdict
from tests.unit.bisection.histories import git, make_dirty, state
from tests.unit.bisection.made_up import ARGS, OTHER, TEST, Lab, compared, finding_of


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Return a repository with eight commits after GOOD."""
    return Lab(tmp_path, 9)


@pytest.mark.parametrize("culprit", [1, 33, 64])
def test_finds_the_commit_in_at_most_eight_runs(tmp_path: Path, culprit: int) -> None:
    """Of 64 commits: one run checks BAD, six are steps, one measures the commit's own change."""
    lab = Lab(tmp_path, 65)
    lab.from_place(culprit, 1.15)
    found = lab.run()
    assert isinstance(found, Found)
    assert found.commit == lab.commit(culprit)
    assert found.parent == lab.commit(culprit - 1)
    assert (found.finding, found.alone) == ("+15 % (95 % CI +14…+16 %), 7 pairs", True)
    assert lab.search.runs == len(lab.measured) <= 8
    assert lab.measured[0] == (64, 0)


def test_shows_each_step_with_its_number(lab: Lab) -> None:
    """The check comes first, then the test that is followed, then steps of an upper limit."""
    lab.from_place(6, 1.2)
    lab.run()
    assert lab.shown == [
        "check Change 8: bad",
        f"follows {TEST}",
        "1/3 Change 4: good",
        "2/3 Change 6: bad",
        "3/3 Change 5: good",
    ]


def test_the_only_commit_after_good_needs_no_further_run(tmp_path: Path) -> None:
    """The run that checks BAD has measured the change of that commit."""
    lab = Lab(tmp_path, 2)
    lab.from_place(1, 1.1)
    assert lab.run() == Found(lab.commit(1), lab.commit(0), finding_of(0.1), alone=True)
    assert lab.measured == [(1, 0)]


def test_small_steps_are_said_to_be_no_regression_alone(lab: Lab) -> None:
    """The first bad commit of a slow increase adds less than a regression."""
    lab.energies = {place: 1 + 0.011 * place for place in range(9)}
    found = lab.run()
    assert isinstance(found, Found)
    assert (found.commit.subject, found.alone) == ("Change 5", False)


@pytest.mark.parametrize(
    ("energy", "runs", "noted"),
    [
        (Outcome.INCONCLUSIVE, 2, "inconclusive twice: +4.0 % (95 % CI +3.0…+5.0 %), 7 pairs"),
        ("ERROR test_it.py - NameError", 1, "ERROR test_it.py - NameError"),
    ],
)
def test_a_commit_that_cannot_be_judged_is_skipped(
    lab: Lab, energy: Outcome | str, runs: int, noted: str
) -> None:
    """An inconclusive one is measured once more before; the commit is found around it."""
    lab.from_place(6, 1.2)
    lab.energies[4] = energy
    found = lab.run()
    assert isinstance(found, Found)
    assert found.commit == lab.commit(6)
    assert lab.measured.count((4, 0)) == runs
    assert lab.bisect.noted()[lab.shas[4]] == ("skip", noted)


def test_an_inconclusive_commit_may_be_decided_by_the_second_run(lab: Lab) -> None:
    """The second run replaces the first."""
    lab.from_place(6, 1.2)
    lab.energies[4] = Outcome.INCONCLUSIVE

    def decide(place: int) -> None:
        if lab.measured.count((4, 0)) == 2:
            lab.energies[4] = 1.0

    lab.before = decide
    assert isinstance(lab.run(), Found)
    assert lab.bisect.noted()[lab.shas[4]] == ("good", finding_of(0.0))


def test_what_skipped_commits_leave_is_a_range(lab: Lab) -> None:
    """The first bad commit is one of those that were skipped, or the bad one after them."""
    lab.from_place(6, 1.2)
    lab.energies |= {4: "it failed", 5: "it failed"}
    assert lab.run() == Remaining([lab.commit(6), lab.commit(5), lab.commit(4)])


def refused(lab: Lab) -> str:
    """Return the message of a search that cannot begin."""
    with pytest.raises(GreenopsError) as raised:
        lab.run()
    assert not lab.bisect.in_progress
    return str(raised.value)


class TestCheck:
    """The comparison of BAD with GOOD, before a bisect starts."""

    def test_stops_if_nothing_regressed(self, lab: Lab) -> None:
        """The line says what was found, and no bisect is left."""
        with pytest.raises(NothingRegressed) as raised:
            lab.run()
        bad, good = lab.commit(8).short, lab.commit(0).short
        assert str(raised.value) == (
            f"BAD ({bad}) does not use more energy than GOOD ({good}): "
            "+0.0 % (95 % CI -1.0…+1.0 %), 7 pairs"
        )
        assert (lab.measured, lab.bisect.in_progress) == ([(8, 0)], False)

    def test_is_repeated_if_inconclusive(self, lab: Lab) -> None:
        """Then the line says that it stayed so."""
        lab.energies[8] = Outcome.INCONCLUSIVE
        with pytest.raises(NothingRegressed) as raised:
            lab.run()
        assert str(raised.value).startswith("it is not clear whether BAD")
        assert str(raised.value).endswith("7 pairs, inconclusive")
        assert lab.measured == [(8, 0), (8, 0)]

    def test_refuses_a_test_that_good_does_not_have(self, lab: Lab) -> None:
        """The fix is to measure the tests of the working tree."""
        measure_as(lab, Run({TEST: compared(0.0, Outcome.NO_BASELINE, "not in 1234567")}))
        assert refused(lab) == (
            f"{TEST}: no baseline (not in 1234567); add --energy-ab-tests=here after -- to "
            "measure the tests of the working tree everywhere"
        )

    def test_refuses_what_cannot_be_compared(self, lab: Lab) -> None:
        """The cause has the fix."""
        measure_as(lab, Run({TEST: compared(0.0, Outcome.NOT_COMPARABLE, "not built")}))
        assert refused(lab) == f"{TEST}: not comparable (not built)"

    def test_refuses_what_pytest_refuses(self, lab: Lab) -> None:
        """The message is pytest's own."""
        lab.energies[8] = "ERROR: file or directory not found: test_it.py"
        message = "ERROR: file or directory not found: test_it.py"
        assert refused(lab) == f"BAD ({lab.commit(8).short}): {message}"

    def test_follows_the_first_test_that_regressed(self, lab: Lab) -> None:
        """The others are counted."""
        found = {Measured("test_it.py::test_c", "call"): compared(0.0), TEST: compared(0.1)}
        measure_as(lab, Run({**found, OTHER: compared(0.3)}))
        lab.search.start(lab.commit(0), lab.commit(8), ".", ARGS)
        assert lab.shown[-1] == f"follows {TEST}; 1 more regressed too"
        assert lab.bisect.task is not None
        assert lab.bisect.task.follows == TEST

    def test_follows_counted_work_that_increased(self, lab: Lab) -> None:
        """Its steps count only, also after a bisect was resumed, and say what changed."""
        work, asked = TEST._replace(work=True), list[Measured | None]()

        def measure(commit: Commit, against: Commit, only: Measured | None) -> Run:
            asked.append(only)
            places = (lab.shas.index(each.sha) for each in (commit, against))
            more = next(places) >= 5 > next(places)
            counted = as_interleaved(
                WorkVerdict(
                    WorkOutcome.MORE if more else WorkOutcome.SAME,
                    relative=0.24 if more else 0.0,
                    largest="aten.mm 28 -> 29 calls" if more else None,
                    against="1234567 (GOOD)",
                )
            )
            return Run({TEST: compared(0.3), work: counted})

        lab.search = Search(lab.bisect, measure, lab)
        found = lab.run()
        assert isinstance(found, Found)
        assert found.commit == lab.commit(5)
        assert found.finding == "+24 % work: aten.mm 28 -> 29 calls"
        assert asked == [None, *[work] * (len(asked) - 1)]
        assert f"follows the counted work of {TEST}; 1 more regressed too" in lab.shown


def measure_as(lab: Lab, run: Run) -> None:
    """Let every measurement find this."""
    lab.search = Search(lab.bisect, lambda commit, against, only: run, lab)


class TestRepository:
    """What the user has and does in the repository."""

    def test_stays_as_it_was(self, lab: Lab) -> None:
        """HEAD, index, files, stash and references are the same, in the middle and at the end."""
        make_dirty(lab.folder)
        before = state(lab.folder)
        lab.from_place(3, 1.2)
        during: list[Mapping[str, object]] = []
        lab.before = lambda place: during.append(state(lab.folder, but=["refs/bisect/"]))
        lab.run()
        assert all(each == before for each in during)
        lab.bisect.reset()
        assert state(lab.folder) == before

    def test_has_the_figures_in_the_log_of_git(self, lab: Lab) -> None:
        """`git bisect log` shows what each mark rests on."""
        lab.from_place(3, 1.2)
        lab.run()
        log = git(lab.folder, "bisect", "log").splitlines()
        assert f"# energy: [{lab.shas[4]}] bad: +20 % (95 % CI +19…+21 %), 7 pairs" in log
        assert f"git bisect bad {lab.shas[4]}" in log

    def test_may_be_marked_by_the_user_meanwhile(self, lab: Lab) -> None:
        """`git bisect skip` while a commit is measured counts, and the result does not."""
        lab.from_place(6, 1.2)

        def skip(place: int) -> None:
            if place == 4:
                git(lab.folder, "bisect", "skip")

        lab.before = skip
        found = lab.run()
        assert isinstance(found, Found)
        assert found.commit == lab.commit(6)
        assert f"{lab.commit(4).short} was marked by git bisect meanwhile" in lab.shown
        assert lab.shas[4] not in lab.bisect.noted()

    @pytest.mark.parametrize("command", [["reset"], ["start", "HEAD", "HEAD~3"]])
    def test_may_be_reset_by_the_user_meanwhile(self, lab: Lab, command: Sequence[str]) -> None:
        """The search stops, and leaves another bisect alone."""
        lab.from_place(6, 1.2)

        def other(place: int) -> None:
            if place == 4:
                git(lab.folder, "bisect", *command)

        lab.before = other
        with pytest.raises(GreenopsError, match="meanwhile"):
            lab.run()
        assert lab.bisect.task is None

    def test_a_bisect_that_the_user_starts_during_the_check_is_left_alone(self, lab: Lab) -> None:
        """Ours would replace it."""
        lab.from_place(6, 1.2)
        lab.before = lambda place: git(lab.folder, "bisect", "start", "HEAD", "HEAD~3") and None
        with pytest.raises(GreenopsError, match="another bisect was started meanwhile"):
            lab.run()
        assert git(lab.folder, "bisect", "log").endswith("'HEAD' 'HEAD~3'")


class Stopped(Exception):
    """The search is stopped here, as by a signal."""


@pytest.mark.parametrize("stop", [4, 6, 5])
def test_goes_on_where_it_was_stopped(lab: Lab, stop: int) -> None:
    """Another search of the same repository measures what is left, and numbers it on."""
    lab.from_place(6, 1.2)

    def stopping(place: int) -> None:
        if place == stop:
            raise Stopped

    lab.before = stopping
    with pytest.raises(Stopped):
        lab.run()
    lab.before = lambda place: None
    done = len(lab.measured)
    lab.bisect.resume()
    found = Search(lab.bisect, lab, lab).finish()
    assert isinstance(found, Found)
    assert found.commit == lab.commit(6)
    assert lab.measured[done - 1] == lab.measured[done]
    assert lab.shown[-3:] == ["1/3 Change 4: good", "2/3 Change 6: bad", "3/3 Change 5: good"]
    assert [(each.commit.subject, each.mark) for each in lab.bisect.steps()] == [
        ("Change 4", "good"),
        ("Change 5", "good"),
        ("Change 6", "bad"),
        ("Change 8", "bad"),
    ]


def test_what_was_measured_but_not_marked_is_not_measured_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between note and mark costs no run."""
    lab.from_place(6, 1.2)

    def killed(sha: str, mark: str) -> None:
        raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(lab.bisect, "mark", killed)
        with pytest.raises(Stopped):
            lab.run()
    lab.bisect.resume()
    assert isinstance(lab.search.finish(), Found)
    assert lab.measured.count((4, 0)) == 1


def test_a_merge_is_found_where_no_parent_is_bad(lab: Lab) -> None:
    """Two changes that each use little are a regression together; the merge is reported."""
    git(lab.folder, "checkout", "--quiet", "-b", "side", lab.shas[4])
    people = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
    git(lab.folder, *people, "commit", "--quiet", "--allow-empty", "-m", "Side")
    git(lab.folder, *people, "merge", "--quiet", "--no-edit", "-s", "ours", "main")
    side, merge = git(lab.folder, "rev-parse", "HEAD^", "HEAD").split()
    lab.shas += [side, merge]
    lab.energies = {10: 1.2}
    found = lab.run()
    assert isinstance(found, Found)
    assert found.commit.sha == merge
    assert found.commit.parents == (side, lab.shas[8])
