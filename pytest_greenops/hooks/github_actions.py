"""What a run writes for GitHub Actions: a job summary, and annotations on the lines of tests."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_greenops.model.advised import Caller
from pytest_greenops.model.result import Results

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


class JobSummary:
    """The file that GitHub Actions shows on the page of a job, if it has named one.

    It is read from the environment before a test can change that.
    """

    def __init__(self) -> None:
        named = os.environ.get("GITHUB_STEP_SUMMARY")
        self._path = Path(named) if named else None

    def append(self, document: Results, caller: Caller) -> str:
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
