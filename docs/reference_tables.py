"""Write the tables of the reference from the code: `make reference`.

They are between marks in docs/reference.md, docs/hooks.md and docs/evidence/reliability.md.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest_greenops
from benchmarks.markdown import rewrite, table
from pytest_greenops.commands.command import Command
from pytest_greenops.commands.console import PROGRAM
from pytest_greenops.commands.main import COMMANDS
from pytest_greenops.hooks import hookspec
from pytest_greenops.hooks.failure import WORDS
from pytest_greenops.hooks.fixture import Energy
from pytest_greenops.hooks.option_table import OPTIONS
from pytest_greenops.measure.calls import NamedMeasurement
from pytest_greenops.model.marker import energy_budget
from pytest_greenops.sensors.base import Sensor
from tests.integration.test_hostile import FILES, NOT_MEASURED

DOCS = Path(__file__).parent
#: How a test writes each call of the fixture, around its arguments, and what it calls.
CALLS: tuple[tuple[str, Any], ...] = (
    ("energy(%s)", Energy.__call__),
    ("await energy.acall(%s)", Energy.acall),
    ("energy.pedantic(%s)", NamedMeasurement.pedantic),
    ("energy.named(%s)", Energy.named),
    ("for _ in energy.rounds(%s):", Energy.rounds),
    ("with energy.measure(%s) as window:", Energy.measure),
    ("energy.units(%s)", Energy.units),
    ("energy.quality(%s)", Energy.quality),
    ("energy.results", Energy.results),
)
#: In the help of an option: what is code in Markdown.
CODE = re.compile(r"(?<!\w)(--energy[a-z-]*|'[^']+'|[A-Z]+_(?:\*|[A-Z]+)|\S{19,}\w)")
#: The line above the hostile tests of one kind.
KIND = re.compile(r"# --- (.*?) -+")
#: In a docstring: a name, two spaces at least, what it means.
MEANING = re.compile(r"(\w+)  +(\S.*)")


def options() -> list[str]:
    """Return the table of the options."""
    rows = []
    for option in OPTIONS:
        flag = f"--{option.name}={option.metavar}" if option.metavar else f"--{option.name}"
        meaning = CODE.sub(r"`\1`", option.help.replace("%%", "%"))
        names = f"`{flag}`<br>`{option.ini}`" if option.flag else f"`{option.ini}`"
        rows.append((names, option.type, meaning))
    return table(("option, ini twin", "type", "meaning"), rows)


def keywords() -> list[str]:
    """Return the table of the marker's keywords, from its docstring."""
    rows: list[list[str]] = []
    for line in (inspect.getdoc(energy_budget) or "").splitlines()[2:]:
        if found := MEANING.fullmatch(line):
            rows.append([f"`{found[1]}`", found[2]])
        else:
            rows[-1][1] += f" {line.strip()}"
    return table(("keyword", "meaning"), rows)


def calls() -> list[str]:
    """Return the table of the fixture's calls."""
    rows = [
        (f"`{written % parameters(called) if '%' in written else written}`", text_of(called))
        for written, called in CALLS
    ]
    return table(("call", "effect"), rows)


def failures() -> list[str]:
    """Return the table of the failures of a test."""
    classes = [getattr(pytest_greenops, name) for name in pytest_greenops.__all__]
    rows = [
        (f"`{each.__name__}`", f"`{each.__base__.__name__}`", text_of(each), _word(each))
        for each in classes
        if issubclass(each, AssertionError)
    ]
    return table(("class", "is a", "when", "summary"), rows)


def commands() -> list[str]:
    """Return the table of the sub-commands."""
    rows = []
    for command in COMMANDS:
        status = f"1 if {command.negative}" if command.negative else "0"
        rows.append((f"`{usage(command)}`", command.help, status))
    return table(("command", "effect", "exit status"), rows)


def hooks() -> list[str]:
    """Return the table of the hooks."""
    rows = [
        (f"`{name}({parameters(hook)})`", text_of(hook))
        for name, hook in vars(hookspec).items()
        if name.startswith("pytest_energy")
    ]
    return table(("hook", "what it does"), rows)


def sensor() -> list[str]:
    """Return the table of what a sensor has."""
    rows = []
    for name, member in vars(Sensor).items():
        if isinstance(member, property):
            rows.append((f"`{name}`", text_of(member).removeprefix("Return ")))
        elif inspect.isfunction(member) and not name.startswith("_"):
            rows.append((f"`{name}()`", text_of(member)))
    return table(("attribute", "meaning"), rows)


def hostile_tests() -> list[str]:
    """Return the table of the hostile tests, by the kind that is above them in their file."""
    rows = []
    for module in FILES.values():
        lines = inspect.getsource(module).splitlines()
        for node in ast.parse("\n".join(lines)).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name.lower()[:4] == "test":
                *_, kind = filter(None, map(KIND.fullmatch, lines[: node.lineno]))
                why = NOT_MEASURED.get(node.name)
                seen = "as without" + (f"; `not measured`: {why.split(' (')[0]}" if why else "")
                rows.append((kind[1], ast.get_docstring(node) or "", seen))
    return table(("kind", "what the test does", "seen"), rows)


def text_of(documented: Any) -> str:
    """Return a docstring in one line."""
    return " ".join((inspect.getdoc(documented) or "").split())


def parameters(function: Callable[..., Any]) -> str:
    """Return the parameters of a function as Python writes them, without types."""
    signature = inspect.signature(function)
    given = [
        each.replace(annotation=each.empty)
        for name, each in signature.parameters.items()
        if name != "self"
    ]
    return str(inspect.Signature(given)).strip("()").replace(", /", "")


def usage(command: Command) -> str:
    """Return the line that `--help` of a sub-command shows, as a cell of a table."""
    parser = argparse.ArgumentParser(f"{PROGRAM} {command.name}")
    command.add_arguments(parser)
    text = parser.format_usage().removeprefix("usage: ").replace(" [-h]", "")
    return " ".join(text.split()).replace("|", "\\|")


def _word(failure: type) -> str:
    return f"`{WORDS[failure.__name__]}`" if failure.__name__ in WORDS else ""


#: The page of each table, and what writes it.
TABLES = (
    *(("reference.md", write) for write in (options, keywords, calls, failures, commands)),
    *(("hooks.md", write) for write in (hooks, sensor)),
    ("evidence/reliability.md", hostile_tests),
)


def main() -> None:
    """Write every table."""
    for page, write in TABLES:
        rewrite(DOCS / page, write(), f"make reference ({write.__name__})")


if __name__ == "__main__":
    main()
