"""How git runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_greenops.ab.git import git, of_no_repository

#: Variables of git that hold settings.
SETTINGS = {"GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS"}


def test_variables_that_select_a_repository_are_left_out(tmp_path: Path) -> None:
    """A git hook sets variables that would make git work elsewhere than in its folder."""
    local = set(git(tmp_path, "rev-parse", "--local-env-vars").split())
    environ = {**dict.fromkeys(local, "x"), "PATH": "/bin", "GIT_TRACE": "1"}
    assert set(of_no_repository(environ)) == {"PATH", *(SETTINGS & local)}


def test_settings_of_the_environment_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may declare safe folders by variables."""
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "/srv/project")
    assert "/srv/project" in git(tmp_path, "config", "--get-all", "safe.directory").split()
