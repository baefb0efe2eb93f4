"""Two whole runs that save into one folder at once.

Processes that only save, with other temporary folders, are in
`tests/unit/baselines/test_folder_lock.py`; two users in `test_two_users.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_greenops.baselines.store import survey
from tests.integration.projects import ALONE, INI, conftest, fill
from tests.unit.baselines.test_store import UNSHARE, needs_mounts

ROOT = Path(__file__).parents[2]
#: Each run waits until the other has measured as much, so that both save at the same moments.
TESTS = """
import os, time
from pathlib import Path

import pytest

MINE, OTHER = os.environ["RUN"], {"one": "two", "two": "one"}[os.environ["RUN"]]

@pytest.mark.parametrize("n", range(20))
def test_shared(energy, work, n):
    energy.named(MINE)(work)
    Path(f"{MINE}.{n}").touch()
    until = time.monotonic() + 60
    while not Path(f"{OTHER}.{n}").exists():
        assert time.monotonic() < until
        time.sleep(0.001)
"""


@pytest.mark.parametrize(
    "prefix", [(), pytest.param(tuple(UNSHARE), marks=needs_mounts)], ids=["plain", "namespaces"]
)
def test_two_runs_lose_nothing_of_each_other(tmp_path: Path, prefix: tuple[str, ...]) -> None:
    """Each file has the measurement of both, whatever TMPDIR and namespaces they have."""
    fill(tmp_path, {"pytest.ini": INI, "conftest.py": conftest(), "test_it.py": TESTS})
    running = []
    for run in ("one", "two"):
        command = [*prefix, sys.executable, "-m", "pytest", "-p", "greenops", "--energy-save"]
        running.append(
            subprocess.Popen(
                [*command, *ALONE, "-p", "no:cacheprovider"],
                cwd=tmp_path,
                env=environment(tmp_path, run),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    check_both(tmp_path, running)


def environment(folder: Path, run: str) -> dict[str, str]:
    """Return the variables of one of two runs, with a TMPDIR of its own."""
    temporary = folder / f"tmp-{run}"
    temporary.mkdir()
    temporary.chmod(0o777)
    outer = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "GITHUB_"))}
    given = {"RUN": run, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)}
    given |= {"JOULES": "2.0", "SEED": "0", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return {**outer, **given}


def check_both(folder: Path, running: list[subprocess.Popen[str]]) -> None:
    """Wait for two runs; check that both passed, and that each file has what both measured."""
    for process in running:
        printed, _ = process.communicate(timeout=120)
        assert process.returncode == 0, printed
    found = survey(folder / "baselines")
    assert found.damaged == ()
    assert len(found.baselines) == 20
    assert {tuple(sorted(each.measurements)) for each in found.baselines.values()} == {
        ("one", "two")
    }
    assert sorted(os.listdir(folder / "baselines/.saving")) == [".gitignore", "lock"]
