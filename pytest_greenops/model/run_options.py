"""The options of a run, parsed from the command line and the ini file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_greenops.model.marker import Action

if TYPE_CHECKING:
    from pytest_greenops.model.carbon_factor import CarbonFactor
    from pytest_greenops.model.history_url import HistoryUrl
    from pytest_greenops.model.result import Origin

Saving = Literal["all", "new"]
StableMemory = Literal["auto", "on", "off"]
TestsOf = Literal["own", "here"]
Count = Literal["auto", "on", "off"]
#: The environment variable of a fresh process that names the file with its request.
REQUEST_VARIABLE = "PYTEST_GREENOPS_FRESH"
#: That of a process of an A/B comparison.
SIDE_VARIABLE = "PYTEST_GREENOPS_SIDE"
#: Names the file that says in which tree the project's own imports are found.
TREE_VARIABLE = "PYTEST_GREENOPS_TREE"

#: Names, in the environment of `pytest --collect-only`, the file for the keys of all tests.
COLLECTED = "PYTEST_GREENOPS_COLLECTED"

#: Names the file with the request of a run on a node of a cluster.
FLEET_VARIABLE = "PYTEST_GREENOPS_FLEET"

#: The one test that a step of a bisect runs.
ONLY_VARIABLE = "PYTEST_GREENOPS_ONLY"


class Options(NamedTuple):
    """The options of a run, in SI units and shares; see `docs/reference.md`.

    measure        `--energy`, or an option that implies it
    save           which baselines to accept: all, those of new tests, or none
    baselines      the folder as its author wrote it, relative to pytest's root directory
    max_increase   margin of a regression, for tests without their own (0.05 is 5 %)
    carbon         what converts joules to grams: intensity of the grid, PUE, and their source
    cpu_watts      power of a busy core for the estimate; None takes it from the table
    session_sd     assumed spread between sessions while fewer than three are known
    rank_wait_s    how long a rank of a job waits for the others
    sessions       processes in which each test is measured, including this one
    fresh_process  whether a test may be measured in a second process while this one waits
    stable_memory  whether the allocator keeps freed memory; auto: where that is known how
    ab             the git ref to interleave with, as the user wrote it; None does not
    ab_tests       own: each side runs its own version of the tests; here: the working tree's
    ab_setup       a shell command that builds the ref's package in its tree; None builds nothing
    counting       whether to count work beside the joules; auto: where torch is loaded
    count_only     count work, and measure no joules
    exports        formats of other programs, each with the file to write
    github         whether to write annotations and a job summary for GitHub Actions
    explain        whether to report where the joules go, by window and by layer
    benchmarks     whether tests that use a `benchmark` fixture or its marker are energy tests
    benchmark_units  the unit of work that each key of a benchmark's `extra_info` counts
    history        the database that the run is appended to
    project        the name of the project there; None takes that of the root folder
    called_in      not an option: the folder where pytest was called, for paths in commands
    shipped        not an option: where the code is from, on a node of a cluster, which has no git
    fresh_child    not an option: this run measures one test for its parent, which judges it
    """

    measure: bool = False
    save: Saving | None = None
    baselines: Path = Path("baselines")
    max_increase: float = 0.05
    action: Action = "fail"
    estimates: Action = "warn"
    strict: bool = False
    only: bool = False
    skip: bool = False
    sensors: tuple[str, ...] = ("auto",)
    min_rounds: int = 5
    max_rounds: int = 25
    max_time_s: float = 60.0
    json: Path | None = None
    html: Path | None = None
    markdown: Path | None = None
    exports: tuple[tuple[str, Path], ...] = ()
    github: bool = False
    carbon: CarbonFactor | None = None
    cpu_watts: float | None = None
    session_sd: float = 0.03
    rank_wait_s: float = 300.0
    sessions: int = 1
    fresh_process: bool = True
    stable_memory: StableMemory = "auto"
    ab: str | None = None
    ab_tests: TestsOf = "own"
    ab_setup: str | None = None
    counting: Count = "auto"
    count_only: bool = False
    explain: bool = False
    benchmarks: bool = False
    benchmark_units: tuple[tuple[str, str], ...] = ()
    history: HistoryUrl | None = None
    project: str | None = None
    called_in: str = "."
    shipped: Origin | None = None
    fresh_child: bool = False

    @property
    def documented(self) -> bool:
        """Whether the run makes a document, which says where its results are from."""
        files = (self.json, self.html, self.markdown, self.history, self.shipped)
        return any(files) or bool(self.exports) or self.github

    def without_reports(self) -> Options:
        """Return the options of a process that measures for another one, which reports."""
        return self._replace(html=None, markdown=None, exports=(), github=False)
