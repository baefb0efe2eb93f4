"""Fixtures of git repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.ab.repositories import Repository


@pytest.fixture(autouse=True)
def own_temporary_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keep worktrees of these tests in a folder of their own, apart from those of other runs."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("temporary")))
    monkeypatch.setattr("pytest_greenops.ab.worktree._FURTHER_PLACES", ())


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Return a repository that others are copies of: git needs a tenth of a second to make one."""
    return Repository(tmp_path_factory.mktemp("repository") / "project")


@pytest.fixture
def repository(made_once: Repository, tmp_path: Path) -> Repository:
    """Return a repository with one commit."""
    return Repository(tmp_path / "project", made_once)


@pytest.fixture
def other(made_once: Repository, tmp_path: Path) -> Repository:
    """Return a second repository with the same commit."""
    return Repository(tmp_path / "other", made_once)
