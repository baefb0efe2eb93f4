"""The documentation: the programs accept each command that a page shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import conftest as benchmarks
from pytest_greenops.commands.main import parse
from pytest_greenops.hooks.options import read_options
from tests.test_docs import BLOCK, NAMES, PAGES, ROOT

#: Programs of others, which change the machine or need a network: their lines are not checked.
SYSTEM = {"cat", "cd", "echo", "export", "git", "mkdir", "newgrp", "nox", "pip", "sed", "sudo"}
#: What a page says between commands on one line.
BETWEEN = {"&&", "|", ";"}
#: Options of other projects, and of a plugin that would start to trace: they are not checked.
OTHERS = {"--cov", "--cpu_only", "--ignore_machine_config"}


def command_lines(page: Path) -> Iterator[str]:
    """Yield the command lines of a page: after `$` in a console, and each line of a script."""
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        text = block["text"].replace("\\\n", " ")
        if block["language"] == "console":
            yield from re.findall(r"^\$ (.+)$", text, re.MULTILINE)
        elif block["language"] in ("sh", "bash"):
            yield from text.splitlines()


def commands(line: str) -> Iterator[list[str]]:
    """Yield the words of each command of a line, without variables and launchers before it."""
    command: list[str] = []
    for word in [*shlex.split(line, comments=True), "&&"]:
        if word not in BETWEEN:
            if command or not re.match(r"[A-Z_]+=", word):
                command.append(word)
        elif command:
            yield command[command.index("-m") + 1 :] if command[0] == "torchrun" else command
            command = []


LINES = [
    (name, line) for name, page in zip(NAMES, PAGES, strict=True) for line in command_lines(page)
]


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{name}: {line}" for name, line in LINES])
def test_commands_are_accepted(
    page: str,
    line: str,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each command of a page is parsed by its program, and its values are valid."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:cacheprovider")
    for program, *arguments in commands(line):
        if program == "pytest":
            known = [each for each in arguments if each not in OTHERS]
            of_benchmarks = [benchmarks] if "--bench" in line or "--energy-model" in line else []
            pytester.plugins = of_benchmarks
            read_options(pytester.parseconfig(*known))
        elif program == "pytest-greenops":
            parse(arguments)
        elif program == "make":
            made = (ROOT / "Makefile").read_text(encoding="utf-8")
            targets = [each for each in arguments if "=" not in each]
            assert [each for each in targets if f"\n{each}:" not in made] == []
        else:
            assert program in SYSTEM


def test_pages_have_commands() -> None:
    """The lines above are those of the pages: pytest, the command and make are among them."""
    programs = {command[0] for _, line in LINES for command in commands(line)}
    assert programs >= {"make", "pytest", "pytest-greenops"}
    assert programs - {"make", "pytest", "pytest-greenops"} == SYSTEM
