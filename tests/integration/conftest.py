"""A project for each test, with a sensor whose joules are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.projects import INI, NOISY, WORKS, Project, conftest, save_sessions

collect_ignore = ["beside"]  # suites that `test_beside.py` copies and runs


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project without tests."""
    return Project(pytester, monkeypatch)


@pytest.fixture
def saved(project: Project, saved_folder: Path) -> Project:
    """Return a project whose test `test_works` has a baseline of one session, exactly 2 J."""
    project.copy(saved_folder)
    return project


@pytest.fixture
def grown(project: Project, grown_folder: Path) -> Project:
    """Return a project whose test `test_works` has five baseline sessions of 2 J, 1 % noise."""
    project.copy(grown_folder)
    return project


@pytest.fixture(scope="session")
def saved_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder that `saved` copies."""
    folder = tmp_path_factory.mktemp("saved")
    files = {"pytest.ini": INI, "conftest.py": conftest(), "test_it.py": WORKS}
    return save_sessions(folder, files, seeds=[0])


@pytest.fixture(scope="session")
def grown_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder that `grown` copies."""
    folder = tmp_path_factory.mktemp("grown")
    files = {"pytest.ini": INI, "conftest.py": conftest(NOISY), "test_it.py": WORKS}
    return save_sessions(folder, files, seeds=[1, 2, 3, 4, 5])
