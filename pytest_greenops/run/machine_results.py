"""The results of one machine in a run, measured by this process or by workers of pytest-xdist."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from pytest_greenops import __version__
from pytest_greenops.judge.summary import adjusted
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.result import SCHEMA, Attempt, Origin, Policy, Result, Results
from pytest_greenops.model.run_options import Options
from pytest_greenops.model.verdict import COMPARED
from pytest_greenops.run.save import Saved
from pytest_greenops.system import SYSTEM


class MachineResults:
    """What was measured on one machine, by test and name.

    environment  the machine, as whoever measured on it sees it
    """

    def __init__(
        self,
        options: Options,
        environment: Environment,
        origin: Origin | None = None,
        ref: str | None = None,
    ) -> None:
        """Begin without results.

        origin  where they are from, for files and databases
        ref     the git ref that tests are compared with, for readers
        """
        self.options = options
        self.environment = environment
        self._origin = origin
        self._ref = ref
        self._results: dict[TestKey, dict[str, Result]] = {}
        self._attempts: dict[TestKey, dict[str, tuple[Attempt, ...]]] = {}
        self._adjusted: tuple[Result, ...] | None = None

    @property
    def results(self) -> tuple[Result, ...]:
        """Return all results, adjusted for their number; of a rerun test the last attempt's."""
        if self._adjusted is None:
            results = (result for of in self._results.values() for result in of.values())
            self._adjusted = adjusted(results)
        return self._adjusted

    def results_of(self, test: TestKey) -> tuple[Result, ...]:
        """Return the results of one test so far, adjusted for no other one."""
        return tuple(self.of(test).values())

    def of(self, test: TestKey) -> dict[str, Result]:
        """Return the results of a test by name, not adjusted for the number of all."""
        return self._results.get(test, {})

    def record(self, results: Iterable[Result]) -> None:
        """Keep what a test measured, here or in a worker process."""
        self._adjusted = None
        for result in results:
            attempts = self._attempts.get(result.test, {}).get(result.name, ())
            kept = self._results.setdefault(result.test, {})
            kept[result.name] = replace(result, attempts=attempts) if attempts else result

    def forget(self, test: TestKey) -> None:
        """Drop what an earlier attempt at a test measured, and keep its outcome and joules."""
        self._adjusted = None
        for name, dropped in self._results.pop(test, {}).items():
            attempts = self._attempts.setdefault(test, {})
            attempt = Attempt(dropped.verdict.outcome, dropped.joules)
            attempts[name] = (*attempts.get(name, ()), attempt)

    def mark(self, test: TestKey, saved: Saved) -> None:
        """Note which results of a test became baselines, and why others did not."""
        self._adjusted = None
        of = self.of(test)
        for name, result in of.items():
            why = saved.refused.get(name)
            why = why or (saved.problem and "its baseline cannot be written")
            work = name in saved.work
            kept = work if self.options.count_only else name in saved.names
            of[name] = replace(result, saved=kept, work_saved=work, not_saved=why)

    def document(self) -> Results:
        """Return all that was measured, for a file."""
        return Results(
            schema=SCHEMA,
            created_at=SYSTEM.utc_now(),
            version=__version__,
            environment=self.environment,
            policy=self.policy,
            results=self.results,
            origin=self._origin,
        )

    @property
    def policy(self) -> Policy:
        """Return what this run compares with and how strictly, for the reader of a report."""
        options = self.options
        return Policy(
            baselines=str(options.baselines),
            max_increase=options.max_increase,
            action=options.action,
            estimates=options.estimates,
            strict=options.strict,
            saving=options.save,
            carbon=options.carbon,
            ab=self._ref,
            count_only=options.count_only,
        )

    @property
    def compared(self) -> int:
        """Return how many results had their joules compared with a baseline or a budget."""
        return sum(result.verdict.energy in COMPARED for result in self.results)
