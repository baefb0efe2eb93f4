"""Which room may use what, held by reading every import of the package."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = "pytest_greenops"
FOLDER = Path(__file__).parents[1] / PACKAGE

#: Rooms that meet pytest; all others can be used without it.
MEET_PYTEST = {
    "plugin",
    "options",
    "fixture",
    "hookspec",
    "unmeasured",
    "selection",
    "measuring",
    "asking",
    "answering",
    "outcome",
}
#: What may be loaded with a module: small, or there anyway. All else waits for its function.
AT_ONCE = {"msgspec", "pytest"}
#: Pure rooms: they are given values, and give values back.
PURE = (
    *(
        "model",
        "stats",
        "screen",
        "suite",
        "selfchecks",
        "plausible",
        "judge",
        "rules",
        "sides",
        "limits",
        "quality",
        "acceptance",
        "summary",
        "report",
    ),
    *("compare.results", "inventory", "unite", "vanished"),
    *("insight.carbon", "insight.extrapolate", "insight.full_cycle"),
    *("insight.idle", "insight.what_if"),
    *("insight.estimate", "insight.estimator", "insight.layer_energy", "insight.shares"),
    *("insight.layer_sum", "insight.whole", "insight.hold_out"),
)
#: Modules of the standard library that reach out of the process.
OUTSIDE = {
    "asyncio",
    "ctypes",
    "fcntl",
    "fileinput",
    "ftplib",
    "glob",
    "http",
    "mmap",
    "multiprocessing",
    "os",
    "resource",
    "select",
    "shutil",
    "signal",
    "smtplib",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "urllib",
}
#: What a path or a name can do to files.
DOES_IO = {
    "open",
    "input",
    "read_text",
    "read_bytes",
    "write_text",
    "write_bytes",
    "mkdir",
    "touch",
    "unlink",
    "rename",
    "rmdir",
    "iterdir",
    "glob",
    "rglob",
    "stat",
    "lstat",
    "exists",
    "is_file",
    "is_dir",
    "is_symlink",
    "resolve",
    "symlink_to",
    "chmod",
    "expanduser",
    "cwd",
    "home",
}


class Import(NamedTuple):
    """A module that is imported, with dots, and when: at once, in a function, or for types only."""

    name: str
    line: int
    when: str

    @property
    def top(self) -> str:
        """The distribution's module: `rich` of `rich.table`."""
        return self.name.partition(".")[0]


class Module(NamedTuple):
    """A module of the package by its dotted name without the package's, and its syntax tree."""

    name: str
    path: Path
    tree: ast.Module

    def is_in(self, *rooms: str) -> bool:
        """Whether it is one of these modules, or lies in one of these folders."""
        return any(self.name == room or self.name.startswith(f"{room}.") for room in rooms)

    @property
    def imports(self) -> list[Import]:
        """All that it imports, in their order."""
        return list(_imports(self.tree, self.path, "at once"))


def _imports(node: ast.AST, path: Path, when: str) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, when) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{path}:{child.lineno}: relative import"
            assert child.module
            for alias in child.names:
                whole = f"{child.module}.{alias.name}"
                name = whole if _is_module(whole) else child.module
                yield Import(name, child.lineno, when)
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from _imports(child, path, "in a function" if when == "at once" else when)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for part in child.body:
                yield from _imports(ast.Module([part], []), path, "for types")
            for part in child.orelse:
                yield from _imports(ast.Module([part], []), path, when)
        else:
            yield from _imports(child, path, when)


def _is_module(name: str) -> bool:
    if name.partition(".")[0] != PACKAGE:
        return False
    path = FOLDER.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@lru_cache
def modules() -> dict[str, Module]:
    """Every module of the package by its name."""
    found = {}
    for path in sorted(FOLDER.rglob("*.py")):
        parts = path.relative_to(FOLDER).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path, ast.parse(path.read_text(), str(path)))
    return found


def breaches(*whens: str) -> Iterator[tuple[Module, Import]]:
    """Every import of every module, at these times or at any."""
    for module in modules().values():
        for each in module.imports:
            if not whens or each.when in whens:
                yield module, each


def told(module: Module, what: str, line: int) -> str:
    """A breach as a place to go to."""
    return f"{module.path.relative_to(FOLDER.parent)}:{line}: {what}"


def own(name: str) -> str | None:
    """The module of ours that an import names, without the package's name."""
    if name == PACKAGE:
        return ""
    return name[len(PACKAGE) + 1 :] if name.startswith(f"{PACKAGE}.") else None


def test_the_reader_reads() -> None:
    """Imports are seen wherever they stand, so that the rules below have something to hold."""
    text = """
import os, rich.table
from typing import TYPE_CHECKING
from pytest_greenops.model import units
if TYPE_CHECKING:
    import torch
class A:
    import json
    async def f(self):
        try:
            from scipy.special import stdtrit
        finally:
            pass
"""
    found = [(i.name, i.when) for i in _imports(ast.parse(text), Path("x.py"), "at once")]
    assert found == [
        ("os", "at once"),
        ("rich.table", "at once"),
        ("typing", "at once"),
        ("pytest_greenops.model.units", "at once"),
        ("torch", "for types"),
        ("json", "at once"),
        ("scipy.special", "in a function"),
    ]
    assert {"plugin", "model.units", "sensors.discover", "report.terminal"} <= modules().keys()


def test_only_the_rooms_at_the_door_meet_pytest() -> None:
    """Measuring and judging are of use without a test runner."""
    assert [
        told(module, each.name, each.line)
        for module, each in breaches()
        if each.top in ("pytest", "_pytest", "pluggy") and not module.is_in(*MEET_PYTEST)
    ] == []


def test_only_the_terminal_meets_rich() -> None:
    """Reports are values; one room draws them."""
    assert [
        told(module, each.name, each.line)
        for module, each in breaches()
        if each.top == "rich" and not module.name.startswith("report.terminal")
    ] == []


def test_pure_rooms_import_nothing_that_reaches_out() -> None:
    """Values, statistics, verdicts and reports touch no file, process or socket."""
    assert [
        told(module, each.name, each.line)
        for module, each in breaches()
        if module.is_in(*PURE) and each.top in OUTSIDE
    ] == []


def test_pure_rooms_do_nothing_to_files() -> None:
    """They hold paths as values, and neither open nor ask for what is there."""
    assert [
        told(module, ast.unparse(node.func), node.lineno)
        for module in modules().values()
        if module.is_in(*PURE)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id in DOES_IO)
            or (isinstance(node.func, ast.Attribute) and node.func.attr in DOES_IO)
        )
    ] == []


def test_reports_speak_of_values_alone() -> None:
    """A report imports the model, other reports, msgspec and the standard library; rich draws."""
    allowed = {"msgspec", "rich", *sys.stdlib_module_names}
    assert [
        told(module, each.name, each.line)
        for module, each in breaches("at once", "in a function", "for types")
        if module.is_in("report")
        and each.top not in allowed
        and not (own(each.name) or "").startswith(("model.", "report.", "report"))
    ] == []


def test_values_know_no_other_room() -> None:
    """The model imports the model."""
    assert [
        told(module, each.name, each.line)
        for module, each in breaches()
        if module.is_in("model")
        and (room := own(each.name)) is not None
        and not room.startswith("model")
    ] == []


def test_sensors_know_nothing_of_measuring() -> None:
    """A sensor is read; it neither meters nor judges nor remembers."""
    assert [
        told(module, each.name, each.line)
        for module, each in breaches()
        if module.is_in("sensors")
        and (room := own(each.name)) is not None
        and not room.startswith(("model.", "sensors"))
    ] == []


def test_libraries_are_loaded_where_they_are_needed() -> None:
    """Devices, statistics, locks and terminals cost a run nothing that does not use them."""
    assert [
        told(module, each.name, each.line)
        for module, each in breaches("at once")
        if each.top not in {*AT_ONCE, PACKAGE, *sys.stdlib_module_names}
    ] == []


def test_nothing_imports_in_a_circle() -> None:
    """What a module loads at once never loads that module."""
    needs = {
        module.name: {
            name
            for each in module.imports
            if each.when == "at once" and (name := own(each.name)) in modules()
        }
        for module in modules().values()
    }
    circles = []

    def follow(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            circles.append(" -> ".join((*trail[trail.index(name) :], name)))
        elif name not in done:
            for needed in sorted(needs[name]):
                follow(needed, (*trail, name))
            done.add(name)

    done: set[str] = set()
    for name in sorted(needs):
        follow(name, ())
    assert circles == []


@pytest.mark.parametrize("name", ["utils", "util", "helpers", "helper", "common", "misc"])
def test_no_file_is_named_for_anything(name: str) -> None:
    """A file says what is in it."""
    assert [str(module.path) for module in modules().values() if module.path.stem == name] == []
    assert [str(path) for path in FOLDER.rglob(name)] == []


# --- what a run without --energy loads -------------------------------------------------------

#: All of ours that pytest loads for a project that does not measure.
SMALL = {
    "pytest_greenops",
    "pytest_greenops.hookspec",
    "pytest_greenops.model",
    "pytest_greenops.model.errors",
    "pytest_greenops.model.marker",
    "pytest_greenops.model.options",
    "pytest_greenops.options",
    "pytest_greenops.plugin",
    "pytest_greenops.selection",
}
CONFTEST = """
import atexit, json, sys
atexit.register(lambda: open("loaded.json", "w").write(json.dumps(sorted(sys.modules))))
"""


def loaded(folder: Path, *arguments: str) -> set[str]:
    """The modules that pytest has loaded when it is done with these arguments."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ran.returncode in (0, 5), ran.stdout + ran.stderr
    return set(json.loads((folder / "loaded.json").read_text()))


@pytest.mark.parametrize("tests", ["", "def test_plain(): pass\n"], ids=["no test", "a test"])
def test_a_run_that_measures_nothing_loads_nothing(tmp_path: Path, tests: str) -> None:
    """Without `--energy` the plugin is a few small modules, none of them a third party's."""
    if tests:
        (tmp_path / "test_it.py").write_text(tests)
    plain = loaded(tmp_path, "-p", "no:greenops")
    more = loaded(tmp_path) - plain
    ours = {name for name in more if name.partition(".")[0] == PACKAGE}
    others = {name.partition(".")[0] for name in more - ours} - sys.stdlib_module_names
    assert others == set()
    assert ours == SMALL
