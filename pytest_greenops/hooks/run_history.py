"""The history of a run: checked before the first test, appended to at the end."""

from __future__ import annotations

from pathlib import Path

from pytest_greenops.commands import results_file
from pytest_greenops.history.database import check_usable
from pytest_greenops.history.pending import Kept, PendingRuns
from pytest_greenops.model.errors import OptionError
from pytest_greenops.model.history_url import HistoryUrl
from pytest_greenops.report.document import to_json
from pytest_greenops.run.machine_results import MachineResults


class RunHistory:
    """Appends one run. Raises `OptionError` if its database can be used by no run here."""

    def __init__(self, url: HistoryUrl, root: Path) -> None:
        try:
            check_usable(url)
        except OptionError as error:
            raise OptionError(f"--energy-history {error}") from None
        self._pending = PendingRuns(url, root, results_file.read, to_json)

    def append(self, run: MachineResults) -> Kept:
        """Append a run that measured something, and say what the user should know."""
        if not run.results:
            return Kept([], True)
        lines, appended = self._pending.append(run.document())
        return Kept([f"history: {line}" for line in lines], appended)
