"""Whether counts are the same in other processes, on more threads, and by other kernels.

    python -m benchmarks.work.determinism [--processes N] [--only TEXT ...]

Counts every workload in 180 processes, each with hash seeds of its own: 20 for each of 1, 2 and 4
threads with `ATEN_CPU_CAPABILITY` unset (native), `avx2` and `default`. All tables must be those of
the first process: operators, modules and peak memory. Calls that differ within a process are
`calls differ`, and so must they be in all others. Then small workloads are counted again and again
in 20 processes, 10,000 times in all: each is compared with the first process's as the plugin would
compare it with a baseline, and one that is not the same is an alarm. A process takes up to a
minute; with `--processes`, fewer take the settings in turn. Without `--only` the table is written
to docs/evidence/work.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.markdown import publish, table
from benchmarks.work.counting import chosen, counted, differences, from_json, setting, to_json
from benchmarks.work.workloads import WORKLOADS, make
from pytest_greenops.model.counted import Counted

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "work.md"
WRITER = "python -m benchmarks.work.determinism"
PROCESSES = 20
THREADS = ("1", "2", "4")
CAPABILITIES = ("native", "avx2", "default")
#: Why a process says nothing of a workload: torch cannot run it with these vector instructions.
NO_RUN = "does not run"
#: Workloads of few operators, which are counted 10,000 times in all.
SMALL = ("LSTM: forward", "jit.script", "float64", "dynamic int8", "experts: forward")
REPEATED = 100


class Setting(NamedTuple):
    """What a process is started with."""

    threads: str
    capability: str

    @property
    def environ(self) -> dict[str, str]:
        """Variables of its environment; Python draws the seed of its hashes."""
        kept = {k: v for k, v in os.environ.items() if k != "ATEN_CPU_CAPABILITY"}
        more = {"OMP_NUM_THREADS": self.threads, "PYTHONHASHSEED": "random"}
        if self.capability != "native":
            more["ATEN_CPU_CAPABILITY"] = self.capability
        return {**kept, **more}


SETTINGS = [Setting(*each) for each in product(THREADS, CAPABILITIES)]


class Found(NamedTuple):
    """What a process found of one workload.

    work    of its second call; None if it could not be made
    cause   why it has no count: calls that differ, or the error
    alarms  later counts that differ from the first one
    """

    work: Counted | None
    cause: str | None
    alarms: int


def count_here(names: Sequence[str], times: int) -> None:
    """Print what this process counts, a line for each workload: the second call and later ones."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    for name in names:
        try:
            work = make(name)
            work.call()
        except Exception as error:
            print(json.dumps({"name": name, "cause": f"{NO_RUN}: {type(error).__name__}"}))
            continue
        try:
            first = counted(work.call)
            later = [counted(work.call) for _ in range(times)]
            different = [found[0] for each in later if (found := differences(first, each))]
            cause = f"calls differ: {different[0]}" if different else None
            line = {"name": name, "count": to_json(first), "cause": cause, "alarms": len(different)}
        except Exception as error:
            line = {"name": name, "cause": f"{type(error).__name__}: {error}"}
        print(json.dumps(line), flush=True)


def in_process(setting: Setting, names: Sequence[str], times: int = 1) -> dict[str, Found]:
    """Return what a fresh process finds."""
    command = [sys.executable, "-m", "benchmarks.work.determinism", "--here", str(times), *names]
    ran = subprocess.run(command, env=setting.environ, stdout=subprocess.PIPE, text=True)
    found = {}
    for line in filter(lambda text: text.startswith('{"name"'), ran.stdout.splitlines()):
        each: dict[str, Any] = json.loads(line)
        count = from_json(each["count"]) if "count" in each else None
        found[each["name"]] = Found(count, each["cause"], each.get("alarms", 0))
    missing = Found(None, f"the process ended with {ran.returncode}", 0)
    return {name: found.get(name, missing) for name in names}


def disagreement(found: Found, reference: Found) -> str | None:
    """Return in what a process disagrees with the reference, or None."""
    if found.work is None or reference.work is None:
        return None if found.cause == reference.cause else (found.cause or "counted")
    if (found.cause is None) != (reference.cause is None):
        return found.cause or "calls do not differ"
    if found.cause is not None:
        return None
    different = differences(reference.work, found.work)
    return f"{different[0]} ({len(different)} lines)" if different else None


def compare(names: Sequence[str], processes: int) -> Iterator[tuple[str, str, str]]:
    """Yield each workload, in how many processes its table is the same, and what differs."""
    plan = [each for _ in range(PROCESSES) for each in SETTINGS]
    runs = [(each, in_process(each, names)) for each in islice(plan, max(2, processes))]
    _, reference = runs[0]
    for name in names:
        ran = [(s, run[name]) for s, run in runs if NO_RUN not in (run[name].cause or "")]
        bad = [(s, d) for s, found in ran if (d := disagreement(found, reference[name]))]
        first = reference[name]
        rows = "–" if first.work is None else str(len(first.work.operators))
        words = [first.cause] if first.cause else []
        words += sorted({f"{s.threads} threads, {s.capability}: {d}" for s, d in bad})[:3]
        if len(ran) < len(runs):
            words.append(f"{NO_RUN} in {len(runs) - len(ran)} of {len(runs)} processes")
        yield f"{name} ({rows})", f"{len(ran) - len(bad)} of {len(ran)}", "; ".join(words) or "–"


def alarms(processes: int = PROCESSES) -> tuple[int, int]:
    """Return how often small workloads were counted again, and how often that was an alarm."""
    counts = wrong = 0
    reference: Mapping[str, Found] = {}
    for number in range(processes):
        here = in_process(SETTINGS[number % len(SETTINGS)], SMALL, REPEATED)
        reference = reference or here
        for name, found in here.items():
            counts += REPEATED
            off = bool(
                disagreement(found._replace(cause=None), reference[name]._replace(cause=None))
            )
            wrong += REPEATED if off else found.alarms
    return counts, wrong


def main() -> None:
    """Print the table, and write it to the page if it is whole."""
    parser = argparse.ArgumentParser(description="Compare counts of many processes.")
    parser.add_argument("--processes", type=int, default=PROCESSES * len(SETTINGS), help="how many")
    parser.add_argument("--only", nargs="*", default=[], help="texts in the names of workloads")
    parser.add_argument("--here", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        count_here(arguments.here[1:], int(arguments.here[0]))
        return
    rows = list(compare(list(chosen(arguments.only, WORKLOADS)), arguments.processes))
    counts, wrong = (0, 0) if arguments.only else alarms()
    publish(page(rows, arguments.processes, counts, wrong), PAGE, WRITER, not arguments.only)


def page(
    rows: Sequence[tuple[str, str, str]], processes: int, counts: int, wrong: int
) -> list[str]:
    """Return the lines of the table."""
    return [
        f"{setting(threads=False)}; {processes} processes, {len(SETTINGS)} settings in turn.",
        "",
        f"{counts:,} counts of {len(SMALL)} small workloads: {wrong:,} alarms.",
        "",
        *table(["workload (operators)", "processes that agree", "what differs"], rows),
    ]


if __name__ == "__main__":
    main()
