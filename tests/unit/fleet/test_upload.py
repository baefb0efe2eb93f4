"""What is shipped: too much is refused before a cluster is asked for anything."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_greenops.fleet.upload import check_size
from pytest_greenops.model.errors import GreenopsError
from tests.unit.builders import message_of


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with 600 kB of data, of which 200 kB are ignored."""
    folder = tmp_path / "project"
    for name, size in (("data/a", 300_000), ("weights/b", 200_000), ("test_x.py", 100_000)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0" * size)
    return folder


def test_too_much_is_refused_with_the_largest_folders(project: Path) -> None:
    """The line says how much there is, where, and what to do."""
    assert message_of(GreenopsError, lambda: check_size(project, 500_000)) == (
        "project has 600 kB, more than the 500 kB that are shipped to each node; the largest: "
        "data/ 300 kB, weights/ 200 kB, test_x.py 100 kB; list what no test needs in .gitignore "
        "or .rayignore, or raise --upload-limit"
    )
    check_size(project, 600_000)


@pytest.mark.parametrize("name", [".gitignore", ".rayignore"])
@pytest.mark.parametrize("tracked", [False, True])
def test_what_is_ignored_does_not_count(project: Path, name: str, tracked: bool) -> None:
    """Ray does not ship what these files name, whether git tracks it or not."""
    git = ["git", "-c", "init.defaultBranch=main"]
    subprocess.run([*git, "init", "-q"], cwd=project, check=True)
    if tracked:
        subprocess.run([*git, "add", "weights"], cwd=project, check=True)
    (project / name).write_text("weights/\n")
    check_size(project, 500_000)


def test_without_git_the_environment_does_not_count(project: Path) -> None:
    """Ray leaves it out by itself."""
    (project / ".venv").mkdir()
    (project / ".venv/large").write_bytes(b"\0" * 500_000)
    check_size(project, 600_000)
