"""Which package may import what, checked by reading every import of the package."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = "pytest_greenops"
FOLDER = Path(__file__).parents[1] / PACKAGE

#: Packages without I/O: they take values and return values.
PURE = ("model", "judge", "report", "insight.what_if", "insight.regions")
#: Which packages of ours each package may import. What is not listed here may import all of them.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "model": ("model",),
    "system": (),
    "report": ("report", "model"),
    "judge": ("judge", "model"),
    "sensors": ("sensors", "model", "system"),
    "machine": ("machine", "model", "sensors", "system", ""),
    "baselines": ("baselines", "judge", "model", "system"),
    "measure": ("measure", "judge", "sensors", "model", "system"),
    "work": ("work", "judge", "sensors", "model", "system"),
    "history": ("history", "baselines", "judge", "model", "system"),
    "insight": ("insight", "measure", "machine", "sensors", "work", "judge", "model", "system"),
    "ranks": ("ranks", "measure", "sensors", "model", "system"),
    "run": (
        *(
            "ranks",
            "run",
            "insight",
            "work",
            "baselines",
            "measure",
            "judge",
            "machine",
            "sensors",
            "model",
        ),
        *("system", ""),
    ),
}
#: Third-party modules that a module may import at its top; all others wait for their function.
#: NumPy, SciPy and psutil are among them since what needs them is loaded before the first test,
#: which may make them impossible to import; without `--energy` nothing of that is loaded.
AT_TOP = {"msgspec", "numpy", "psutil", "pytest", "scipy"}
#: Packages and modules that work while a test runs, and so while its patches are active.
DURING_TESTS = (
    *("measure", "sensors", "work", "ranks", "run", "machine.load", "insight.layers"),
    *("ab.interleaving", "ab.messages", "ab.pair_maker", "ab.ref_comparison", "ab.side", "ab.work"),
)
#: Modules of which a test may replace any function, or whose names pyfakefs and freezegun replace.
REPLACED = {
    *("_thread", "asyncio", "builtins", "ctypes", "datetime", "gc", "glob", "importlib", "io"),
    *("logging", "multiprocessing", "os", "pathlib", "platform", "psutil", "random", "resource"),
    *("select", "shutil", "signal", "socket", "subprocess", "sys", "tempfile", "threading"),
    *("time", "warnings"),
}
#: Methods of paths, which look up what they need when they are called.
PATH_CALLS = {
    *("exists", "expanduser", "glob", "is_dir", "is_file", "is_symlink", "iterdir", "mkdir"),
    *("read_bytes", "read_text", "resolve", "rglob", "touch", "write_bytes", "write_text"),
}
BUILTIN_IO = {"__import__", "input", "open", "print"}
#: Modules of the standard library that reach out of the process.
OUTSIDE = {
    *("asyncio", "ctypes", "fcntl", "fileinput", "ftplib", "glob", "http", "mmap"),
    *("multiprocessing", "os", "resource", "select", "shutil", "signal", "smtplib", "socket"),
    *("sqlite3", "ssl", "subprocess", "tempfile", "threading", "urllib"),
}
#: Parts of these that only read text.
PURE_PARTS = {"urllib.parse"}
#: Calls that read or write files.
FILE_CALLS = {
    *("open", "input", "read_text", "read_bytes", "write_text", "write_bytes", "mkdir", "touch"),
    *("unlink", "rename", "rmdir", "iterdir", "glob", "rglob", "stat", "lstat", "exists"),
    *("is_file", "is_dir", "is_symlink", "resolve", "symlink_to", "chmod", "expanduser"),
    *("cwd", "home"),
}
#: File names that say nothing about what is in the file.
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}


class Import(NamedTuple):
    """An imported module with its dots, and when it is imported: at the top, in a function, …"""

    name: str
    line: int
    when: str

    @property
    def top(self) -> str:
        """Return the distribution's module: `rich` of `rich.table`."""
        return self.name.partition(".")[0]

    @property
    def package(self) -> str | None:
        """Return our package that is imported (`judge`), '' for the root, None for others."""
        if self.top != PACKAGE:
            return None
        return self.name.removeprefix(PACKAGE).removeprefix(".").partition(".")[0]


class Module(NamedTuple):
    """A module of the package: its dotted name without the package's, and its syntax tree."""

    name: str
    path: Path
    tree: ast.Module

    def is_in(self, *packages: str) -> bool:
        """Return whether it is one of these modules, or lies in one of these packages."""
        return any(self.name == p or self.name.startswith(f"{p}.") for p in packages)

    @property
    def imports(self) -> list[Import]:
        """Return everything it imports, in order."""
        return list(_imports(self.tree, self.path, "at the top"))

    def at(self, what: str, line: int) -> str:
        """Return a place to go to, with what is wrong there."""
        return f"{self.path.relative_to(FOLDER.parent)}:{line}: {what}"


def _imports(node: ast.AST, path: Path, when: str) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, when) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{path}:{child.lineno}: relative import"
            assert child.module
            for alias in child.names:
                whole = f"{child.module}.{alias.name}"
                yield Import(whole if _is_module(whole) else child.module, child.lineno, when)
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from _imports(child, path, "in a function" if when == "at the top" else when)
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
    """Return every module of the package by its name."""
    found = {}
    for path in sorted(FOLDER.rglob("*.py")):
        parts = path.relative_to(FOLDER).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path, ast.parse(path.read_text(), str(path)))
    return found


def all_imports(*whens: str) -> Iterator[tuple[Module, Import]]:
    """Yield every import of every module, at these times or at any time."""
    for module in modules().values():
        yield from ((module, each) for each in module.imports if not whens or each.when in whens)


def test_the_import_reader_works() -> None:
    """Imports are found wherever they are, so that the rules below have something to check."""
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
    found = [(i.name, i.when) for i in _imports(ast.parse(text), Path("x.py"), "at the top")]
    assert found == [
        ("os", "at the top"),
        ("rich.table", "at the top"),
        ("typing", "at the top"),
        ("pytest_greenops.model.units", "at the top"),
        ("torch", "for types"),
        ("json", "at the top"),
        ("scipy.special", "in a function"),
    ]
    assert {"plugin", "model.units", "sensors.discover", "report.terminal"} <= modules().keys()


#: What users and their plugins import: the tests, a sensor of their own, the tests of that.
PUBLIC = ("", "sensors", "testing")
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def users_code() -> Iterator[tuple[Path, ast.Module]]:
    """Yield the code that stands for that of users: examples, snippets, the test of types."""
    root = FOLDER.parent
    for path in (*root.glob("examples/**/*.py"), *root.glob("typing_tests/*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))
    for path in (root / "README.md", *root.glob("docs/*.md")):
        for code in PYTHON.findall(path.read_text(encoding="utf-8")):
            yield path, ast.parse(code)


def exported(name: str) -> set[str]:
    """Return the names in `__all__` of a module."""
    for node in modules()[name].tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def test_users_import_only_what_is_public() -> None:
    """Three modules with `__all__` are enough for every example, snippet and public type."""
    public = {
        f"{PACKAGE}.{name}".removesuffix("."): names for name in PUBLIC if (names := exported(name))
    }
    used = {
        (path.name, node.module, alias.name)
        for path, tree in users_code()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == PACKAGE
        for alias in node.names
    }
    assert {module for _, module, _ in used} == public.keys()
    assert sorted(each for each in used if each[2] not in public.get(each[1], ())) == []


def test_only_plugin_and_hooks_import_pytest() -> None:
    """Measuring and judging work without a test runner."""
    assert [
        module.at(each.name, each.line)
        for module, each in all_imports()
        if each.top in ("pytest", "_pytest", "pluggy") and not module.is_in("plugin", "hooks")
    ] == []


def test_only_the_progress_bar_imports_rich() -> None:
    """All else is text; one module moves the cursor."""
    assert [
        module.at(each.name, each.line)
        for module, each in all_imports()
        if each.top == "rich" and module.name != "report.progress"
    ] == []


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_only_what_lies_below(package: str) -> None:
    """Values lie at the bottom; sensing, judging and reporting ignore each other."""
    assert [
        module.at(each.name, each.line)
        for module, each in all_imports()
        if module.is_in(package)
        and each.package is not None
        and each.package not in MAY_IMPORT[package]
    ] == []


def test_reports_need_no_third_party_library() -> None:
    """A report uses msgspec and the standard library; rich draws it, the HTML one has an extra."""
    allowed = {PACKAGE, "msgspec", "rich", *sys.stdlib_module_names}
    of_html = {"jinja2", "markupsafe", "plotly"}
    assert [
        module.at(each.name, each.line)
        for module, each in all_imports()
        if module.is_in("report")
        and each.top not in allowed
        and not (each.top in of_html and module.name == "report.html.renderer")
    ] == []


def test_pure_packages_do_no_io() -> None:
    """Values, statistics, verdicts and reports touch no file, process or socket."""
    imported = [
        module.at(each.name, each.line)
        for module, each in all_imports()
        if module.is_in(*PURE) and each.top in OUTSIDE and each.name not in PURE_PARTS
    ]
    called = [
        module.at(ast.unparse(node.func), node.lineno)
        for module in modules().values()
        if module.is_in(*PURE)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", None)) in FILE_CALLS
    ]
    assert imported + called == []


def test_libraries_are_imported_where_they_are_needed() -> None:
    """Device, statistics and terminal libraries cost nothing to a run that needs none."""
    assert [
        module.at(each.name, each.line)
        for module, each in all_imports("at the top")
        if each.top not in {*AT_TOP, PACKAGE, *sys.stdlib_module_names}
        and not module.is_in("history.migrations")  # Alembic alone loads them
    ] == []


def looked_up(node: ast.AST, replaced: set[str], called: bool = False) -> Iterator[ast.AST]:
    """Yield what functions look up when they are called, and that a test may have replaced.

    What is evaluated when a module is loaded is bound then: names and defaults outside of
    functions. So is what functions marked with `before_tests` look up, and annotations are not
    evaluated at all.
    """
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or field in ("annotation", "returns"):
                continue
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                marks = [getattr(mark, "id", None) for mark in child.decorator_list]
                yield from looked_up(child.args, replaced, called)
                if "before_tests" not in marks:
                    yield from looked_up(ast.Module(child.body, []), replaced, called=True)
                continue
            if isinstance(child, ast.Lambda):
                yield from looked_up(child.args, replaced, called)
                yield from looked_up(ast.Module([ast.Expr(child.body)], []), replaced, called=True)
                continue
            if called:
                loaded = isinstance(child, ast.Name) and child.id in replaced | BUILTIN_IO
                of_path = isinstance(child, ast.Call) and getattr(child.func, "attr", None)
                imported = isinstance(child, (ast.Import, ast.ImportFrom))
                if loaded or imported or of_path in PATH_CALLS:
                    yield child
            yield from looked_up(child, replaced, called)


def replaced_names(tree: ast.Module) -> set[str]:
    """Return the names in a module for what a test, pyfakefs or freezegun may replace."""
    return {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        if (getattr(node, "module", None) or alias.name).partition(".")[0] in REPLACED
    }


def test_lookups_are_recognised() -> None:
    """The rule below sees a clock, an import, a file and a path, and nothing that is bound."""
    tree = ast.parse(
        "import os, time\n"
        "from pathlib import Path\n"
        "SLEEP = time.sleep\n"
        "def bound(clock=time.monotonic, path: Path = Path('/')) -> Path: return clock()\n"
        "@before_tests\n"
        "def configured(): return open(os.devnull)\n"
        "class Sensor:\n"
        "    separator = os.sep\n"
        "    def read(self): return time.monotonic()\n"
        "    def load(self):\n"
        "        import psutil\n"
        "        return open('/proc/stat')\n"
        "later = lambda path: path.read_text()\n"
    )
    found = [getattr(node, "lineno", 0) for node in looked_up(tree, replaced_names(tree))]
    assert found == [9, 11, 12, 13]


def test_what_measures_looks_nothing_up_that_a_test_may_replace() -> None:
    """Clocks, files, processes and threads come from `System`, bound before the first test."""
    assert [
        module.at(ast.unparse(node), getattr(node, "lineno", 0))
        for module in modules().values()
        if module.is_in(*DURING_TESTS)
        for node in looked_up(module.tree, replaced_names(module.tree))
    ] == []


def test_nothing_imports_in_a_circle() -> None:
    """No module imports, at its top, a module that imports it."""
    needs = {
        module.name: {
            name
            for each in module.imports
            if each.when == "at the top"
            and each.package is not None
            and (name := each.name.removeprefix(PACKAGE).removeprefix(".")) in modules()
        }
        for module in modules().values()
    }
    circles: list[str] = []
    done: set[str] = set()

    def follow(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            circles.append(" -> ".join((*trail[trail.index(name) :], name)))
        elif name not in done:
            for needed in sorted(needs[name]):
                follow(needed, (*trail, name))
            done.add(name)

    for name in sorted(needs):
        follow(name, ())
    assert circles == []


def test_names_say_what_is_in_a_file_and_are_unique() -> None:
    """No module is called utils or the like, and no two modules have the same name."""
    stems = [path.stem for path in FOLDER.rglob("*.py") if path.stem != "__init__"]
    assert EMPTY_NAMES.intersection(stems) == set()
    assert sorted({stem for stem in stems if stems.count(stem) > 1}) == []


def test_every_package_says_what_belongs_in_it() -> None:
    """The first line of each `__init__.py` is one sentence about its package."""
    for name, module in modules().items():
        if module.path.name == "__init__.py" and name:
            assert (ast.get_docstring(module.tree) or "").endswith("."), name


def test_one_function_prints_percentages() -> None:
    """It knows how many digits a reader needs, and prints no exponents."""
    own = re.compile(r"\* ?100[^}]*\} ?%")
    found = [m.name for m in modules().values() if own.search(m.path.read_text())]
    assert [name for name in found if name != "model.units"] == []


# --- what a run without --energy loads -------------------------------------------------------

#: Every module of ours that pytest loads for a project that does not measure.
SMALL = {
    PACKAGE,
    *(f"{PACKAGE}.{name}" for name in ("plugin", "hooks", "model")),
    *(
        f"{PACKAGE}.hooks.{name}"
        for name in ("hookspec", "option_table", "option_values", "options", "selection")
    ),
    *(f"{PACKAGE}.model.{name}" for name in ("errors", "marker", "run_options")),
}
CONFTEST = """
import atexit, json, sys
atexit.register(lambda: open("loaded.json", "w").write(json.dumps(sorted(sys.modules))))
"""


def loaded(folder: Path, *arguments: str) -> set[str]:
    """Return the modules that pytest has loaded at the end of a run with these arguments."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ran.returncode in (0, 5), ran.stdout + ran.stderr
    return set(json.loads((folder / "loaded.json").read_text()))


@pytest.mark.parametrize("tests", ["", "def test_plain(): pass\n"], ids=["no test", "a test"])
def test_a_run_that_measures_nothing_loads_nothing(tmp_path: Path, tests: str) -> None:
    """Without `--energy` the plugin loads a few small modules, and no third-party library."""
    if tests:
        (tmp_path / "test_it.py").write_text(tests)
    plain = loaded(tmp_path, "-p", "no:greenops")
    more = loaded(tmp_path) - plain
    ours = {name for name in more if name.partition(".")[0] == PACKAGE}
    others = {name.partition(".")[0] for name in more - ours} - sys.stdlib_module_names
    assert others == set()
    assert ours == SMALL


def test_a_run_of_one_process_loads_nothing_of_a_job_of_ranks(tmp_path: Path) -> None:
    """With `--energy`, it loads only how a job is recognised and what stands for one."""
    (tmp_path / "test_it.py").write_text("def test_it(energy): energy(sum, [1])\n")
    ran = loaded(tmp_path, "--energy", "--energy-max-rounds=5", "--energy-count=off")
    ranks = {name.rpartition(".")[2] for name in ran if name.startswith(f"{PACKAGE}.ranks.")}
    assert ranks == {"alone", "job"}
