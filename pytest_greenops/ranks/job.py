"""The job that this process is a rank of, as its launcher describes it in the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pytest_greenops.model.errors import OptionError

#: The variables of a launcher for the rank and the number of ranks, first match first. A batch
#: script of Slurm has a SLURM_PROCID too; only a step, which `srun` starts, has a number of tasks.
_LAUNCHERS = (
    ("torchrun", "RANK", "WORLD_SIZE"),
    ("Slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    ("Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("MPI", "PMI_RANK", "PMI_SIZE"),
)
_ADDRESS = ("MASTER_ADDR", "MASTER_PORT")


class Job(NamedTuple):
    """A job of several ranks, and which of them this process is.

    launcher  who started it: `torchrun`
    started   what tells this start of the job from one before, after a failure
    """

    launcher: str
    rank: int
    size: int
    started: str = ""


def job_of(environ: Mapping[str, str]) -> Job | None:
    """Return the job of several ranks that this process belongs to, or None.

    Raises `OptionError` where the launcher does not say at which address the ranks can meet.
    """
    for launcher, rank, size in _LAUNCHERS:
        numbers = [environ.get(name, "").strip() for name in (rank, size)]
        if not all(number.isdecimal() and len(number) < 10 for number in numbers):
            continue
        job = Job(launcher, int(numbers[0]), int(numbers[1]), _started(environ))
        if job.size < 2 or job.rank >= job.size:
            return None
        missing = " and ".join(name for name in _ADDRESS if not environ.get(name))
        if missing:
            raise OptionError(
                f"this is rank {job.rank} of {job.size} ({launcher}), and {missing} is not set: "
                "export MASTER_ADDR=<host of rank 0> MASTER_PORT=29500, or unset "
                f"{size} to measure this process alone"
            )
        return job
    return None


def _started(environ: Mapping[str, str]) -> str:
    names = ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT")
    return "/".join(environ.get(name, "") for name in names)
