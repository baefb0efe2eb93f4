"""The job that this process is a rank of, as its launcher describes it in the environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def job_of(environ: Mapping[str, str], strict: bool = True) -> Job | None:
    """Return the job of several ranks that this process belongs to, or None.

    If `strict`, raises `OptionError` where nobody says at which address the ranks can meet.
    """
    for launcher, rank, size in _LAUNCHERS:
        numbers = [environ.get(name, "").strip() for name in (rank, size)]
        if not all(number.isdecimal() and len(number) < 10 for number in numbers):
            continue
        job = Job(launcher, int(numbers[0]), int(numbers[1]), _started(environ))
        if job.size < 2 or job.rank >= job.size:
            return None
        missing = " and ".join(name for name in _ADDRESS if not environ.get(name))
        if missing and strict:
            raise OptionError(
                f"this is rank {job.rank} of {job.size} ({launcher}), and {missing} is not set: "
                "export MASTER_ADDR=<host of rank 0> MASTER_PORT=29500, or unset "
                f"{size} to measure this process alone"
            )
        return job
    return None


def launched(job: Job, program: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Return the command that starts a program in every rank, as far as a rank knows it."""
    if job.launcher == "torchrun":
        local = environ.get("LOCAL_WORLD_SIZE", str(job.size))
        hosts = [] if local == str(job.size) else ["--nnodes", environ.get("GROUP_WORLD_SIZE", "")]
        return ["torchrun", *hosts, "--nproc-per-node", local, "-m", "pytest"]
    if job.launcher == "Slurm":
        return ["srun", *program]
    return ["mpirun", "-n", str(job.size), *program]


def _started(environ: Mapping[str, str]) -> str:
    names = ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT")
    return "/".join(environ.get(name, "") for name in names)
