"""What a run writes for GitHub Actions: a job summary, and annotations on the lines of tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pytest_greenops.model.advised import Caller
from pytest_greenops.model.place import Places
from pytest_greenops.model.result import Results
from pytest_greenops.report.github import annotate

#: The root of the repository in the jobs of GitHub and GitLab.
_WORKSPACES = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")


def repository_root(root: Path) -> Path:
    """Return the root of the repository around pytest's: of git, else the one that CI names."""
    root = Path(os.path.realpath(root))
    for folder in (root, *root.parents):
        if (folder / ".git").exists():
            return folder
    for name in _WORKSPACES:
        workspace = Path(os.path.realpath(os.environ.get(name) or root))
        if root.is_relative_to(workspace):
            return workspace
    return root


class GithubActions:
    """What a run shows in GitHub Actions, if it shall.

    The file of the job summary is read from the environment before a test can change that.

    wanted       whether it shows anything
    annotations  lines for the log, once the run is written
    """

    def __init__(self, wanted: bool) -> None:
        named = os.environ.get("GITHUB_STEP_SUMMARY")
        self._path = Path(named) if named else None
        self.wanted = wanted
        self.annotations: list[str] = []

    def write(self, document: Results, caller: Caller, places: Places) -> Iterator[str]:
        """Append a run to the summary, and make its annotations; yield a problem, if any."""
        if self.wanted:
            self.annotations += annotate(document, places, caller)
            if problem := self._append(document, caller):
                yield problem

    def _append(self, document: Results, caller: Caller) -> str:
        """Append a run as Markdown; return why that failed, or an empty text.

        GitHub shows nothing of a file that is too large: a run gets what others have left.
        """
        if self._path is None:
            return ""
        from pytest_greenops.report.markdown import SUMMARY_BYTES, to_markdown

        try:
            used = self._path.stat().st_size if self._path.exists() else 0
            text = to_markdown(document, caller, SUMMARY_BYTES - used)
            data = f"\n{text}" if used else text
            if used + len(data.encode("utf-8", "backslashreplace")) > SUMMARY_BYTES:
                return "the job summary is full: the report is not in it"
            with self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(data)
        except OSError as error:
            return f"the job summary {self._path} cannot be written ({error.strerror})"
        return ""
