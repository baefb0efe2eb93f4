"""What pytest is configured to do in a folder, as the tree of a bisect's step: options, ini file.

Options come from the arguments of the call, from PYTEST_ADDOPTS, from `addopts` and from their
ini twins. pytest reads them in a process of its own, which ends before it imports a conftest: the
tree may have to be built before.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from pytest_greenops.model.errors import GreenopsError

_LIMIT_S = 120.0
_MOST_CHARACTERS = 300
_PROGRAM = """
import json, os, sys
sys.path[:] = [os.getcwd(), *filter(None, sys.path)]
import pluggy, pytest

class Reader:
    @pluggy.HookimplMarker("pytest")(hookwrapper=True, tryfirst=True)
    def pytest_load_initial_conftests(self, early_config):
        given, root = early_config.known_args_namespace, early_config.rootpath
        def value(name):
            return getattr(given, name, None) or early_config.getini(name) or None
        try:
            tests = value("energy_ab_tests")
        except (KeyError, ValueError):
            print("ERROR: it does not load pytest-greenops: add -p greenops to PYTEST_ADDOPTS, or "
                  "remove -p no:greenops from addopts", flush=True)
            os._exit(1)
        found = dict(
            tests=tests,
            setup=value("energy_ab_setup"),
            python_files=list(early_config.getini("python_files")),
            testpaths=[str(root / each) for each in early_config.getini("testpaths")],
            inifile=str(early_config.inipath or ""),
            addopts=list(early_config.getini("addopts")),
            benchmarks=bool(value("energy_benchmarks")),
            max_increase=value("energy_max_increase"),
            baselines=value("energy_baselines") or "baselines",
        )
        with open({written!r}, "w", encoding="utf-8") as file:
            json.dump(found, file)
        os._exit(0)
        yield

sys.exit(pytest.main({args!r}, plugins=[Reader()]))
"""


class Configured(msgspec.Struct, frozen=True):
    """What a run in a folder is configured with.

    tests         `own` or `here`; None if nothing is said
    setup         the command that builds a tree, if there is one
    python_files  patterns of test files
    testpaths     folders with tests, or patterns of them, in the tree
    inifile       the file that pytest reads this from; empty if there is none
    addopts       the options that the file adds
    benchmarks    whether benchmarks are energy tests
    max_increase  the margin of tests that name none, if it is configured
    baselines     the folder of baselines, from the root directory
    """

    tests: str | None
    setup: str | None
    python_files: list[str]
    testpaths: list[str]
    inifile: str
    addopts: list[str]
    benchmarks: bool
    max_increase: str | None
    baselines: str = "baselines"


def read(
    args: Sequence[str], folder: Path, environ: Mapping[str, str], written: Path
) -> Configured:
    """Return how pytest is configured when it is called with `args` in a folder.

    written  a file that its process may write

    Raises `GreenopsError` with what pytest says if it cannot be configured.
    """
    written.unlink(missing_ok=True)
    try:
        ran = subprocess.run(
            [sys.executable, "-c", _PROGRAM.format(written=str(written), args=list(args))],
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_LIMIT_S,
            start_new_session=True,  # a bisect keeps Ctrl-C until its next run
        )
    except subprocess.TimeoutExpired:
        raise GreenopsError(
            f"pytest did not read its configuration within {_LIMIT_S:.0f} s"
        ) from None
    try:
        return msgspec.json.decode(written.read_bytes(), type=Configured)
    except (OSError, ValueError):
        lines = [
            line.strip()
            for line in ran.stdout.decode("utf-8", "replace").splitlines()
            if line.strip()
        ]
        said = next((line for line in lines if line.startswith("ERROR:")), (lines or [""])[-1])
        said = said.removeprefix("ERROR:").strip() or f"exit code {ran.returncode}"
        raise GreenopsError(f"pytest cannot be configured: {said[:_MOST_CHARACTERS]}") from None
