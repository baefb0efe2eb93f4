"""A project for each test that runs pytest on axes, facts and tables."""

from __future__ import annotations

import pytest

from tests.studies.projects import Study


@pytest.fixture
def study(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Study:
    """Return a project without tests."""
    return Study(pytester, monkeypatch)
