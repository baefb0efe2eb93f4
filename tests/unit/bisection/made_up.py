"""A repository with a made history, whose measurements are made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytest_greenops.bisection.git_bisect import GitBisect, commit
from pytest_greenops.bisection.search import Run, Search
from pytest_greenops.model.bisected import Commit, Found, Measured, Remaining, Step
from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.outcome import Outcome
from pytest_greenops.report.bisect_lines import finding
from tests.unit.bisection.histories import copy_of

TEST, OTHER = Measured("test_it.py::test_a", "call"), Measured("test_it.py::test_b", "call")
ARGS = ["test_it.py"]


def compared(share: float, outcome: Outcome | None = None, cause: str | None = None) -> Interleaved:
    """Return a comparison whose change is known to one percent."""
    known = outcome or (Outcome.REGRESSED if share > 0.05 else Outcome.PASSED)
    if cause is not None:
        return Interleaved("GOOD", "1234567", known, 0.05, cause)
    low, high = share - 0.01, share + 0.01
    return Interleaved("GOOD", "1234567", known, 0.05, relative=share, low=low, high=high, pairs=7)


class Lab:
    """A repository, the energy of each of its commits, and what was measured and shown.

    energies  joules of each commit by its place; an outcome, or a reason why there are none
    """

    def __init__(self, folder: Path, commits: int) -> None:
        self.folder = folder
        self.shas = copy_of(commits, folder)
        self.energies: dict[int, float | Outcome | str] = {}
        self.measured: list[tuple[int, int]] = []
        self.shown: list[str] = []
        self.before: Callable[[int], None] = lambda place: None
        self.bisect = GitBisect(folder)
        self.search = Search(self.bisect, self, self)

    def __call__(self, commit: Commit, against: Commit, only: Measured | None) -> Run:
        """Measure what was made up."""
        place, base = (self.shas.index(each.sha) for each in (commit, against))
        self.measured.append((place, base))
        self.before(place)
        energy, base_j = self.energies.get(place, 1.0), self.energies.get(base, 1.0)
        if isinstance(energy, Outcome):
            return Run({TEST: compared(0.04, energy)})
        if isinstance(energy, str):
            return Run({}, energy)
        assert isinstance(base_j, float)
        return Run({TEST: compared(energy / base_j - 1)})

    def measuring(self, label: str, commit: Commit) -> None:
        """Ignore what is not a result."""

    def step(self, label: str, step: Step) -> None:
        """Keep what is shown of a step."""
        self.shown.append(f"{label} {step.commit.subject}: {step.mark}")

    def line(self, text: str) -> None:
        """Keep a line."""
        self.shown.append(text)

    def from_place(self, first: int, energy: float) -> None:
        """Let every commit from this place on use this energy."""
        self.energies |= dict.fromkeys(range(first, len(self.shas)), energy)

    def commit(self, place: int) -> Commit:
        """Return the commit of a place."""
        return commit(self.folder, self.shas[place])

    def run(self) -> Found | Remaining:
        """Search between the first commit and the last one."""
        self.search.start(self.commit(0), self.commit(-1), ".", ARGS)
        return self.search.finish()


def finding_of(share: float) -> str:
    """Return the text of a made-up comparison."""
    return finding(compared(share))
