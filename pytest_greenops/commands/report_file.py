"""A report that a run writes at its end: its place is checked before any test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytest_greenops.baselines import whole_file
from pytest_greenops.commands.results_file import unwritable
from pytest_greenops.model.errors import ResultsError

#: A former report is not larger.
_MOST_BYTES = 512 << 20


class ReportFile:
    """A file for a report, which replaces nothing but an older one.

    path   where it will be
    holds  returns whether some content is such a report
    what   what such a report is, for an error: `a Markdown report`

    Raises `ResultsError` if the file cannot be written, or would replace something else.
    """

    def __init__(self, path: Path, holds: Callable[[bytes], bool], what: str) -> None:
        self._path = path
        try:
            whole_file.check_writable(path)
            replaced = path.is_file() and path.stat().st_size > 0
            if replaced and not holds(whole_file.read_bytes(path, _MOST_BYTES)):
                raise ResultsError(
                    f"{path}: not {what} of pytest-greenops, and would be overwritten; name "
                    f"another file, or delete it: rm {whole_file.quoted(path)}"
                )
        except OSError as error:
            raise unwritable(path, error) from None
        except whole_file.FileProblem as problem:
            raise ResultsError(f"{path}: {problem.why}; name another file") from None

    def write(self, text: str) -> None:
        """Write the report; raises `ResultsError`."""
        try:
            whole_file.write_whole(self._path, text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise unwritable(self._path, error) from None
