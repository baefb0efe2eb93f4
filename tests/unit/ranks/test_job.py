"""The job that a process is a rank of, by the variables of each launcher."""

from __future__ import annotations

import pytest

from pytest_greenops.model.errors import OptionError
from pytest_greenops.ranks.job import Job, job_of, launched

ADDRESS = {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("environ", "job"),
    [
        ({"RANK": "1", "WORLD_SIZE": "4"}, Job("torchrun", 1, 4, "/")),
        (
            {"RANK": "1", "WORLD_SIZE": "4", "TORCHELASTIC_RUN_ID": "a"}
            | {"TORCHELASTIC_RESTART_COUNT": "2"},
            Job("torchrun", 1, 4, "a/2"),
        ),
        ({"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "8"}, Job("Slurm", 3, 8, "/")),
        (
            {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"},
            Job("Open MPI", 0, 2, "/"),
        ),
        ({"PMI_RANK": "0", "PMI_SIZE": "2"}, Job("MPI", 0, 2, "/")),
    ],
)
def test_a_job_is_what_its_launcher_says(environ: dict[str, str], job: Job) -> None:
    """Rank and size come from torchrun, Slurm, Open MPI, or MPICH and Intel MPI."""
    assert job_of(environ | ADDRESS) == job


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"RANK": "0", "WORLD_SIZE": "1"},
        {"WORLD_SIZE": "4"},
        {"RANK": "x", "WORLD_SIZE": "4"},
        {"RANK": "4", "WORLD_SIZE": "4"},
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"},
    ],
    ids=["nothing", "one rank", "no rank", "no number", "no such rank", "a batch script"],
)
def test_other_processes_are_no_ranks(environ: dict[str, str]) -> None:
    """A single process, half a description, and a batch script of Slurm are in no job."""
    assert job_of(environ | ADDRESS) is None


def test_ranks_need_an_address() -> None:
    """Slurm and MPI set none: the error says what to export, or to unset."""
    environ = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "MASTER_ADDR": "a"}
    with pytest.raises(OptionError) as raised:
        job_of(environ)
    assert str(raised.value) == (
        "this is rank 1 of 2 (Slurm), and MASTER_PORT is not set: export MASTER_ADDR=<host of "
        "rank 0> MASTER_PORT=29500, or unset SLURM_STEP_NUM_TASKS to measure this process alone"
    )
    assert job_of(environ, strict=False) == Job("Slurm", 1, 2, "/")


@pytest.mark.parametrize(
    ("launcher", "environ", "command"),
    [
        ("torchrun", {"LOCAL_WORLD_SIZE": "4"}, "torchrun --nproc-per-node 4 -m pytest"),
        (
            "torchrun",
            {"LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "2"},
            "torchrun --nnodes 2 --nproc-per-node 2 -m pytest",
        ),
        ("Slurm", {}, "srun pytest"),
        ("MPI", {}, "mpirun -n 4 pytest"),
    ],
)
def test_advised_commands_start_all_ranks(
    launcher: str, environ: dict[str, str], command: str
) -> None:
    """A command to copy begins with the launcher."""
    assert " ".join(launched(Job(launcher, 0, 4), ["pytest"], environ)) == command
