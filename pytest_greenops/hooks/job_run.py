"""A run in one rank of a job: when it meets the others, and what it leaves to rank 0."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.run_options import Options
from pytest_greenops.ranks.alone import Alone
from pytest_greenops.ranks.job import Job, job_of

if TYPE_CHECKING:
    from pytest_greenops.ranks.team import Team

#: What only a run of one process can do, and whether options ask for it.
_NOT_IN_A_JOB = (
    ("--energy-ab", lambda options: options.ab is not None),
    ("--energy-sessions", lambda options: options.sessions > 1),
    ("--energy-explain", lambda options: options.explain),
    ("--energy-benchmarks", lambda options: options.benchmarks),
)
#: Why no fresh process confirms what a job measured.
NO_FRESH_PROCESS = "a job of several ranks is not started again for one test"


class JobRun:
    """One rank's run of pytest in a job.

    follows  whether rank 0 judges, saves and reports for this rank
    """

    def __init__(self, job: Job, options: Options) -> None:
        self._job = job
        self._wait_s = options.rank_wait_s
        self._team: Team | None = None
        self._ended = False
        self.follows = job.rank > 0

    @classmethod
    def of(cls, config: pytest.Config, options: Options) -> JobRun | None:
        """Return the run of this rank, or None in a run of one process.

        Raises `pytest.UsageError` for what a job cannot do.
        """
        try:
            job = job_of(os.environ)
        except GreenopsError as error:
            raise pytest.UsageError(str(error)) from None
        if job is None:
            return None
        asked = [name for name, asks in _NOT_IN_A_JOB if asks(options)]
        if getattr(config.option, "tx", None) or hasattr(config, "workerinput"):
            asked.append("pytest-xdist (-n)")
        if asked:
            raise pytest.UsageError(
                f"{', '.join(asked)}: not supported in a job of several ranks ({job.launcher}, "
                f"rank {job.rank} of {job.size}); leave it out"
            )
        return cls(job, options)

    def options(self, options: Options) -> Options:
        """Return the options of this rank: those of rank 0, without what it alone writes."""
        if not self.follows:
            return options
        quiet = options.without_reports()
        return quiet._replace(save=None, json=None, history=None, strict=False)

    def join(self) -> Alone:
        """Meet the other ranks; raise `OptionError` where that is not possible."""
        from pytest_greenops.ranks.team import join_job

        self._team = join_job(self._job, self._wait_s)
        return self._team

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Say which tests this rank has."""
        if self._team is None:
            return
        try:
            self._team.announce([item.nodeid for item in session.items])
        except GreenopsError as error:
            raise pytest.UsageError(str(error)) from None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Let no other rank wait for this one any more."""
        self._end()

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """End together: torchrun ends all ranks as soon as one has failed."""
        self._end()
        if self._team is not None:
            self._team.finish()
            self._team = None

    def _end(self) -> None:
        if self._team is not None and not self._ended:
            self._ended = True
            self._team.end()
