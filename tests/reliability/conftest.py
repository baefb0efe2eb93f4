"""Projects, and a library that makes a system call fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import grown, grown_folder, project, saved, saved_folder
from tests.reliability.writers import COMMANDS, Writer, make_shards
from tests.simulated_host import native

__all__ = ["grown", "grown_folder", "project", "saved", "saved_folder"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that runs every fault."""
    parser.addoption("--all-faults", action="store_true", help="inject at every call, in minutes")


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder that each command starts from, with the library in it."""
    if not native.POSSIBLE:
        pytest.skip(native.WHY_NOT)
    return make_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture(params=COMMANDS)
def writer(request: pytest.FixtureRequest, shards: Path, tmp_path: Path) -> Writer:
    """Return a command that writes baselines: a save, a merge, a prune."""
    return Writer(request.param, shards, tmp_path, request.config.getoption("--all-faults"))
