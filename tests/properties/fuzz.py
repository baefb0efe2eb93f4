"""Let Atheris look for input that makes a reader raise an undocumented error.

`python -m tests.properties.fuzz [--executions N] [READER ...]`, each reader in a process of its
own. What it finds is in `build/fuzz/found/READER`: fix the reader, and add the input to `found.py`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

FOLDER = Path("build/fuzz")
#: The longest input, in bytes; the seeds are up to a few thousand long.
_MOST_BYTES = 8192
#: A single input may take this long.
_LIMIT_S = 20
_ONE = "--in-this-process"
#: Files in memory, where the system has them: a disk would decide on the speed.
_MEMORY = Path("/dev/shm")


def main(arguments: list[str]) -> int:
    """Run each reader, print a row of the table for it; return 1 if one of them was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.properties.fuzz")
    parser.add_argument("readers", metavar="READER", nargs="*", help="default: all")
    parser.add_argument("--executions", type=int, default=1_000_000, help="of each reader")
    parser.add_argument("--seconds", type=int, default=0, help="at most this long for each")
    parser.add_argument("--seed", type=int, default=1, help="of the random choices")
    given = parser.parse_args(arguments)
    from tests.properties.readers import BY_NAME

    if unknown := set(given.readers) - BY_NAME.keys():
        parser.error(f"{', '.join(sorted(unknown))}: expected some of {', '.join(BY_NAME)}")
    print(f"{'reader':24}{'executions':>12}{'seconds':>10}  found", flush=True)
    broken = 0
    for name in given.readers or BY_NAME:
        begun = time.monotonic()
        log = _ran(name, given.executions, given.seconds, given.seed)
        found = sorted(path.name for path in (FOLDER / "found" / name).iterdir())
        broken += bool(found)
        taken_s = time.monotonic() - begun
        print(f"{name:24}{_done(log):12}{taken_s:10.0f}  {' '.join(found) or '-'}", flush=True)
    return int(broken > 0)


def _ran(name: str, executions: int, seconds: int, seed: int) -> str:
    """Let a process look for input of one reader; return what libFuzzer printed."""
    corpus, found = FOLDER / "corpus" / name, FOLDER / "found" / name
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    command = [
        *(sys.executable, "-m", __spec__.name, _ONE, name, str(corpus)),
        *(f"-runs={executions}", f"-max_total_time={seconds}", f"-seed={seed}"),
        *(f"-max_len={_MOST_BYTES}", f"-timeout={_LIMIT_S}", f"-artifact_prefix={found}/"),
        "-print_final_stats=1",
    ]
    environ = {"TMPDIR": str(_MEMORY)} if _MEMORY.is_dir() else {}
    ran = subprocess.run(
        command,
        env={**os.environ, **environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    (FOLDER / f"{name}.log").write_text(ran.stderr[-20_000:], encoding="utf-8")
    return ran.stderr


def _done(log: str) -> int:
    """Return how many inputs libFuzzer says that it has run."""
    lines = (line for line in log.splitlines() if "number_of_executed_units" in line)
    return int(next(lines, "0").split()[-1])


def _fuzz(name: str, corpus: str, flags: list[str]) -> None:
    """Run libFuzzer in this process; it ends the process."""
    import atheris

    with atheris.instrument_imports(include=["pytest_greenops"]):
        from tests.properties.readers import BY_NAME, outcome
    warnings.simplefilter("ignore")
    reader = BY_NAME[name]
    for number, seed in enumerate(reader.seeds):
        Path(corpus, f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], corpus, *flags], lambda data: _nothing(outcome(reader, data)))
    atheris.Fuzz()


def _nothing(_: object) -> None:
    """Return None, as libFuzzer expects."""


if __name__ == "__main__":
    if sys.argv[1:2] == [_ONE]:
        os.environ.setdefault("PYTHONWARNINGS", "ignore")
        _fuzz(sys.argv[2], sys.argv[3], sys.argv[4:])
    else:
        sys.exit(main(sys.argv[1:]))
