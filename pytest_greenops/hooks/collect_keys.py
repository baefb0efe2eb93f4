"""A plugin for `pytest --collect-only`: write the keys of all collected tests to a file.

`pytest-greenops prune` loads it by `-p`. The project's addopts must not hide a test (`-k`, `--lf`)
or start something else (`-n`, `--cov`), so this plugin drops most of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path

import pytest

from pytest_greenops.hooks.selection import key_parts
from pytest_greenops.model.run_options import COLLECTED

_collected: set[tuple[str, str, str | None]] = set()
_reports: dict[str, str | None] = {}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None]:
    """Drop the options of addopts and PYTEST_ADDOPTS that do not decide how modules are imported.

    Plugins of `-p` are loaded already, and the ini-file and the root directory are known.
    """
    known = early_config.known_args_namespace
    args[:] = [
        *("--collect-only", "-q", f"--import-mode={known.importmode}"),
        *(f"--ignore={path}" for path in known.ignore or ()),
        *(f"--ignore-glob={pattern}" for pattern in known.ignore_glob or ()),
        *(["--doctest-modules"] if getattr(known, "doctestmodules", False) else []),
    ]
    kept = parser.parse_known_args(args)
    kept.confcutdir = known.confcutdir
    early_config.known_args_namespace = kept
    return (yield)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Remember a test before any hook can deselect it."""
    _collected.add(key_parts(item))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Remember whether a folder, a module or a class could be collected, else why not."""
    _reports[report.nodeid] = None if report.passed else _reason(report)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None]:
    """Write the file once everything is collected; hooks of the project may rename tests."""
    yield
    _collected.update(map(key_parts, items))
    document = {
        "rootdir": str(config.rootpath),
        "tests": sorted(map(list, _collected), key=str),
        "reports": _reports,
    }
    Path(os.environ[COLLECTED]).write_text(json.dumps(document), encoding="utf-8")


def _reason(report: pytest.CollectReport) -> str:
    """Return the reason of a skip, or the error's last line that names an exception."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2]
    lines = [line.strip() for line in report.longreprtext.splitlines() if line.strip()]
    errors = [line[1:].strip() for line in lines if line.startswith("E ")]
    return (errors or lines or ["collection failed"])[-1]
