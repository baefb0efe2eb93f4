"""What a run in one rank of a job refuses, before any rank is waited for."""

from __future__ import annotations

import pytest

from tests.integration.projects import Project

RANK = {"RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}


@pytest.fixture(autouse=True)
def _in_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in RANK.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("--energy-ab", "main"), "--energy-ab"),
        (("--energy-sessions=2",), "--energy-sessions"),
        (("--energy-explain", "--energy-benchmarks"), "--energy-explain, --energy-benchmarks"),
        (("-p", "xdist", "-n2"), "pytest-xdist (-n)"),
    ],
)
def test_what_needs_one_process_is_refused(
    project: Project, args: tuple[str, ...], what: str
) -> None:
    """One line names the option, the launcher and the rank."""
    project.write("test_it.py", "def test_it(energy, work):\n    energy(work)\n")
    ran = project.energy(*args)
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert (
        f"ERROR: {what}: not supported in a job of several ranks (torchrun, rank 1 of 4); leave it "
        "out"
    ) in ran.errors


def test_ranks_need_an_address(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says which variables to set, or to unset."""
    monkeypatch.delenv("MASTER_PORT")
    project.write("test_it.py", "def test_it(energy, work):\n    energy(work)\n")
    ran = project.energy()
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert any("MASTER_PORT is not set: export MASTER_ADDR=" in line for line in ran.errors)


def test_a_run_that_does_not_measure_meets_nobody(project: Project) -> None:
    """Without `--energy` a rank runs its tests as any other process does."""
    project.write("test_it.py", "def test_it(energy, work):\n    energy(work)\n")
    ran = project.run()
    assert ran.code == 0
    assert ran.outcomes == {"passed": 1}
