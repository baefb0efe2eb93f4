"""Joules of a sample of training with DDP and FSDP, by the number of ranks on this machine.

python -m benchmarks.ranks.training
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from pytest_greenops.model.result import Result, Results

STEPS = Path(__file__).with_name("training_steps.py")
RANKS = (1, 2, 4)


def measured(ranks: int) -> dict[str, Result]:
    """Return what a job of that many ranks measured, by `ddp` and `fsdp`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "results.json")
        launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks))
        quiet = ("--log-dir", folder, "--redirects", "3")
        options = ("-p", "no:randomly", "-p", "no:cacheprovider", "--energy-sensors=estimate")
        given = (str(STEPS), "--energy", f"--energy-json={file}", "--energy-max-rounds=10")
        subprocess.run(
            [sys.executable, *launcher, *quiet, "-m", "pytest", *given, *options],
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        document = msgspec.json.decode(file.read_bytes(), type=Results)
    return {result.test.param_id or "": result for result in document.results}


def main() -> None:
    """Print the table."""
    print("| ranks | | J/sample, estimated | ms a call | rounds |")
    print("|---|---|---|---|---|")
    for ranks in RANKS:
        for name, result in measured(ranks).items():
            per_sample = result.per_unit["sample"]
            ms = result.seconds * 1e3
            print(f"| {ranks} | {name} | {per_sample:.4g} | {ms:.3g} | {len(result.rounds)} |")


if __name__ == "__main__":
    main()
