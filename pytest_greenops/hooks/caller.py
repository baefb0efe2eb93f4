"""How the user called pytest, read from its arguments: the start of every advised command."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_greenops.hooks.selection import is_here
from pytest_greenops.model.advised import Caller
from pytest_greenops.model.history_url import hidden
from pytest_greenops.ranks.job import job_of, launched

CALLER = pytest.StashKey[Caller]()
#: What the controller of pytest-xdist sends to its workers: start, arguments, folder and width, and
#: whether each worker runs all tests, and the root directory.
_WORKERINPUT = "greenops_called"
#: Options by their argparse `dest`. An advised command never has these: what it shows and writes,
#: when it stops, and what it does, which the command itself says.
_LEFT_OUT = {
    *("verbose", "tbstyle", "reportchars", "color", "code_highlight", "durations"),
    *("durations_min", "showlocals", "showcapture", "fulltrace", "pastebin", "xmlpath"),
    *("junitprefix", "log_file", "htmlpath", "json_report_file", "maxfail", "usepdb", "trace"),
    *("collectonly", "setuponly", "setupshow", "setupplan", "no_header", "no_summary"),
    *("fold_skipped", "xfail_tb", "force_short_summary", "disable_warnings", "basetemp"),
    *("cacheclear", "cacheshow", "energy", "energy_save", "energy_save_new", "energy_explain"),
    *("energy_json", "energy_html", "energy_markdown", "energy_export", "energy_github"),
    "energy_history",
}
#: They select tests and workers: a command for one test needs them only to override the ini file.
_SELECTING = {
    *("keyword", "markexpr", "deselect", "ignore", "ignore_glob", "lf", "failedfirst"),
    *("newfirst", "last_failed_no_failures", "stepwise", "stepwise_skip", "stepwise_reset"),
    *("energy_only", "energy_skip", "pyargs", "numprocesses", "maxprocesses", "dist", "tx"),
}
#: Options that fix the root directory and the ini file.
_ROOT = {"rootdir", "inifilename"}
#: The least and the greatest width of a section, in columns.
_NARROWEST, _WIDEST = 39, 119
_INI_FILES = (
    *("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini"),
    *("setup.cfg", "setup.py"),
)


class _Argument(NamedTuple):
    """An option with its value, or a path, which has no `dest`."""

    dest: str
    tokens: tuple[str, ...]


def caller_of(config: pytest.Config) -> Caller:
    """Return how the user called pytest; a worker of pytest-xdist knows it from its controller."""
    if CALLER not in config.stash:
        config.stash[CALLER] = _read(config)
    return config.stash[CALLER]


def inform_worker(config: pytest.Config, workerinput: dict[str, Any]) -> None:
    """Pass on to a worker of pytest-xdist how its controller was called."""
    called = config.invocation_params
    args = list(map(str, called.args))
    start, width = _start(args, sys.orig_argv), _width(config)
    each = getattr(config.option, "dist", "no") == "each"
    root = str(config.rootpath)
    workerinput[_WORKERINPUT] = start, args, str(called.dir), width, each, root


def called_in(config: pytest.Config) -> str:
    """Return the folder in which the user called pytest, perhaps on the host of a controller."""
    given = getattr(config, "workerinput", {}).get(_WORKERINPUT)
    return str(given[2] if given else config.invocation_params.dir)


def is_one_of_each(config: pytest.Config) -> bool:
    """Return whether this is a worker of pytest-xdist, and each worker runs all tests."""
    given = getattr(config, "workerinput", {}).get(_WORKERINPUT)
    return bool(given and given[4])


def given(config: pytest.Config) -> set[str]:
    """Return the options on the command line by their `dest`; not those of ini or environment."""
    args = list(map(str, config.invocation_params.args))
    return {each.dest for each in _arguments(config, args)}


def _read(config: pytest.Config) -> Caller:
    called = config.invocation_params
    args, folder = list(map(str, called.args)), str(called.dir)
    start, width, root = _start(args, sys.orig_argv), _width(config), str(config.rootpath)
    if given := getattr(config, "workerinput", {}).get(_WORKERINPUT):
        start, args, folder, width, _, root = given
    job = job_of(os.environ, strict=False)
    start = start if job is None else launched(job, start, os.environ)
    inherited = [*config.getini("addopts"), *shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))]
    overridden = {each.dest for each in _arguments(config, inherited)}
    arguments = [each for each in _arguments(config, args) if each.dest not in _LEFT_OUT]
    hosts = any(each.dest == "tx" and not is_here(each.tokens[-1]) for each in arguments)
    overridden |= {"dist", "tx"} if hosts else set()  # those hosts have the baselines
    kept = [
        each.tokens
        for each in arguments
        if each.dest and (each.dest not in _SELECTING or each.dest in overridden)
    ]
    saving = "--energy-save" if config.getoption("energy_save", None) else None
    saving = saving or ("--energy-save-new" if config.getoption("energy_save_new", None) else None)
    fixed = any(each.dest in _ROOT for each in arguments)
    return Caller(
        start=tuple(start),
        args=tuple(_without_passwords(args)),
        kept=tuple(kept),
        run=tuple(each.tokens for each in arguments),
        root=Path(os.path.relpath(root, folder)).as_posix(),
        folder=_folder_of_baselines(config, root, folder),
        width=width,
        measure=saving or _measuring(config),
        pinned=cache(partial(_pinned, config, root, folder)) if not fixed else Caller().pinned,
        implied=partial(_implied, config),
        several=job is not None,
    )


def _width(config: pytest.Config) -> int:
    """Return the columns of sections; pytest captures the output by which it could be asked now."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    columns = reporter._tw.fullwidth if reporter else shutil.get_terminal_size().columns
    return min(_WIDEST, max(_NARROWEST, columns - 1))


def _measuring(config: pytest.Config) -> str:
    """Return the option that measures; none where `--energy-count-only`, which is kept, does."""
    return "" if config.getoption("energy_count_only", None) else "--energy"


def _folder_of_baselines(config: pytest.Config, root: str, called_in: str) -> tuple[str, ...]:
    """Return the folder for `pytest-greenops show`: nothing where that looks by itself."""
    written = config.getoption("energy_baselines", None) or config.getini("energy_baselines")
    path = Path(os.path.expanduser(written or "baselines"))
    if not path.is_absolute():
        path = Path(os.path.relpath(Path(root) / path, called_in))
    return () if path == Path("baselines") else (str(path),)


def _start(args: Sequence[str], argv: Sequence[str]) -> list[str]:
    """Return the program as the user wrote it, without pytest's arguments."""
    head = list(argv[: len(argv) - len(args)])
    if [*head, *args] == list(argv):
        if head[-2:] == ["-m", "pytest"]:
            return head
        if head and Path(head[-1]).name in ("pytest", "py.test"):
            program = Path(head[-1]).name
            on_path = shutil.which(program) == os.path.abspath(head[-1])
            return [program if on_path else head[-1]]
    return ["pytest"]


def _arguments(config: pytest.Config, args: Sequence[str]) -> Iterator[_Argument]:
    """Yield each argument with its option; one of several short flags stands for all."""
    known = getattr(getattr(config, "_parser", None), "optparser", None)
    actions: dict[str, Any] = getattr(known, "_option_string_actions", {})
    rest = list(map(str, args))
    while rest:
        token = rest.pop(0)
        if token == "--":
            yield from (_Argument("", (f"./{path}",)) for path in rest)
            return
        if not token.startswith("-") or token == "-":
            yield _Argument("", (token,))
            continue
        yield from _option(token, actions, rest)


def _option(token: str, actions: dict[str, Any], rest: list[str]) -> Iterator[_Argument]:
    """Yield an option, and take its values from the rest of the arguments."""
    name, equals, _ = token.partition("=")
    if not token.startswith("--") and name not in actions:  # `-n2`, or flags together: `-xv`
        flag, more = token[:2], token[2:]
        action = actions.get(flag)
        if action is None or action.nargs != 0 or not more:
            yield _Argument(getattr(action, "dest", flag), (token,))
            return
        yield _Argument(action.dest, (flag,))
        yield from _option(f"-{more}", actions, rest)
        return
    action = actions.get(name)
    nargs = getattr(action, "nargs", 0)
    values: list[str] = []
    if not equals and nargs != 0:
        most = nargs if isinstance(nargs, int) else len(rest) if nargs in ("*", "+") else 1
        while rest and len(values) < most:
            if nargs in ("?", "*", "+") and rest[0].startswith("-"):
                break
            values.append(rest.pop(0))
    yield _Argument(getattr(action, "dest", name), (token, *values))


def _without_passwords(args: Sequence[str]) -> Iterator[str]:
    """Yield arguments as a message may show them."""
    name = "--energy-history"
    for before, arg in zip(("", *args), args, strict=False):
        option, equals, url = arg.partition("=")
        if equals and name.startswith(option) and len(option) > len("--energy-h"):
            yield f"{option}={hidden(url)}"
        else:
            yield hidden(arg) if before and name.startswith(before) and "://" in arg else arg


def _pinned(config: pytest.Config, rootpath: str, folder: str, module: str) -> tuple[str, ...]:
    """Return options for root directory and ini file, where pytest would find others.

    That is where a folder between the root and the test has an ini file of its own, and where
    there is no ini file at all, so that the arguments decide.
    """
    root, inside = Path(rootpath), Path(os.path.dirname(module))
    between = [root / inside, *(root / inside).parents][: len(inside.parts)]
    if config.inipath is not None or str(root) == folder:
        own = (path for path in between if any((path / name).is_file() for name in _INI_FILES))
        if not any(own):
            return ()
    options = [f"--rootdir={os.path.relpath(root, folder)}"]
    if config.inipath is not None:
        options += ["-c", os.path.relpath(config.inipath, folder)]
    return tuple(options)


def _implied(config: pytest.Config, option: str) -> tuple[str, ...]:
    """Return what else an option needs, where the ini file or another option forbids it."""
    name, _, value = option.partition("=")
    if name == "--energy-min-rounds":
        most = config.getoption("energy_max_rounds", None) or config.getini("energy_max_rounds")
        return (f"--energy-max-rounds={value}",) if most and int(most) < int(value) else ()
    if name == "--energy-sessions" and config.getini("energy_fresh_process") is False:
        return "-o", "energy_fresh_process=true"
    return ()
