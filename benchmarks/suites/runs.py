"""A checkout of a suite, an environment for it, and runs of its tests."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.suites.catalogue import BENCHMARK, CODSPEED, PYTEST, Suite
from benchmarks.suites.figures import Run, of_benchmark, of_codspeed, ours, outcomes

ROOT = Path(__file__).parents[2]
#: Codes of pytest that say that its tests ran.
RAN = (0, 1)


def prepare(suite: Suite, folder: Path, clones: Path | None) -> None:
    """Check a suite out and install what it needs, unless that was done in this folder.

    With `clones`, its repository is taken from there: the folder has the name of its repository.
    """
    if (folder / "ready").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    source = suite.url if clones is None else str(clones / suite.url.rpartition("/")[2])
    checkout, python = folder / "checkout", folder / "venv" / "bin" / "python"
    _call(["git", "clone", "--quiet", source, str(checkout)])
    _call(["git", "checkout", "--quiet", suite.commit], checkout)
    _call([sys.executable, "-m", "venv", str(folder / "venv")])
    plugins = [PYTEST, CODSPEED if suite.codspeed else BENCHMARK, "--editable", str(ROOT)]
    _call(
        [str(python), "-m", "pip", "install", "--quiet", *suite.packages.split(), *plugins],
        checkout,
    )
    (folder / "ready").touch()


def command(suite: Suite, *more: str) -> list[str]:
    """Return the command of a run, as a user would write it."""
    return ["pytest", *shlex.split(suite.arguments), *more]


ENERGY = ("--energy", "--energy-benchmarks")


def run(suite: Suite, folder: Path, energy: bool) -> Run:
    """Run the tests of a suite, with or without this plugin; raise `SystemExit` if none ran."""
    files = folder / ("energy" if energy else "plain")
    _remove(files)
    names = {name: files / name for name in ("junit.xml", "benchmark.json", "energy.json")}
    more = ["-p", "no:cacheprovider", f"--junitxml={names['junit.xml']}"]
    if not suite.codspeed:
        more.append(f"--benchmark-json={names['benchmark.json']}")
    more += [*ENERGY, f"--energy-json={names['energy.json']}"] if energy else ["-p", "no:greenops"]
    words = command(suite, *more)
    words[0] = str(folder / "venv" / "bin" / "pytest")
    # On one thread: other threads of torch spin while they wait, and that takes CPU time too.
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "CODSPEED_PROFILE_FOLDER": str(files)}
    began_s = time.monotonic()
    with (files / "output").open("wb") as output:
        ended = subprocess.run(
            words, cwd=folder / "checkout", env=environ, stdout=output, stderr=output
        )
    seconds = time.monotonic() - began_s
    if ended.returncode not in RAN:
        raise SystemExit((files / "output").read_text()[-4000:])
    if suite.codspeed:
        [file] = (files / "results").glob("*.json")
        reported = of_codspeed(file)
    else:
        reported = of_benchmark(names["benchmark.json"])
    found = ours(names["energy.json"]) if energy else None
    return Run(seconds, outcomes(names["junit.xml"]), reported, found)


def _remove(folder: Path) -> None:
    """Make an empty folder."""
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    folder.mkdir()


def _call(words: Sequence[str], folder: Path | None = None) -> None:
    subprocess.run(words, cwd=folder, check=True)
