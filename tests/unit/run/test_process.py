"""A process of Python: what it is given, what it cannot be started with, and how it ended."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_greenops.run.process import Process, ProcessFailure, exit_text, failing, last_line
from pytest_greenops.system import SYSTEM
from tests.unit.builders import message_of

PREFIX = "its process could not be started"


def test_a_system_without_posix_spawn(tmp_path: Path) -> None:
    """The failure names what is missing, and no file is made."""
    system = replace(SYSTEM, posix_spawn=None)
    output = tmp_path / "output"
    why = message_of(ProcessFailure, lambda: Process("", {}, str(output), system=system))
    assert why == f"{PREFIX} (this system has no posix_spawn)"
    assert not output.exists()


def test_an_environment_that_cannot_be_passed(tmp_path: Path) -> None:
    """What Python itself refuses is a failure of the same kind."""
    why = message_of(ProcessFailure, lambda: Process("", {"A": "b\0c"}, str(tmp_path / "output")))
    assert why.startswith(f"{PREFIX} (")


@pytest.mark.parametrize("error", [KeyError("a"), RuntimeError("b")])
def test_other_errors_are_not_hidden(error: Exception) -> None:
    """An error that no system raises is passed on as it is."""
    with pytest.raises(type(error)) as raised, failing(PREFIX):
        raise error
    assert raised.value is error


def test_given_descriptors(tmp_path: Path) -> None:
    """The process has an open file of this one under the number that it was given."""
    here, there = os.pipe()
    try:
        program = "import os; os.write(9, b'said')"
        process = Process(program, os.environ, str(tmp_path / "output"), {there: 9})
        os.close(there)
        assert process.ends_within(60)
        assert (process.code, os.read(here, 9)) == (0, b"said")
    finally:
        os.close(here)


def test_a_process_that_another_reaped(tmp_path: Path) -> None:
    """A test that waits for all children takes the exit status: 0 is noted."""
    pids: list[int] = []

    def spawn(*args: Any, **more: Any) -> int:
        pids.append(os.posix_spawn(*args, **more))
        return pids[0]

    system = replace(SYSTEM, posix_spawn=spawn)
    process = Process("raise SystemExit(3)", os.environ, str(tmp_path / "output"), system=system)
    assert os.waitpid(pids[0], 0)[1] != 0
    assert process.ends_within(60)
    assert process.code == 0
    process.end()


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "ended with exit code 0"),
        (4, "ended with exit code 4"),
        (-9, "was ended by SIGKILL"),
        (-99, "was ended by signal 99"),
    ],
)
def test_exit_text(code: int, text: str) -> None:
    """A signal has its name, or its number."""
    assert exit_text(code) == text


@pytest.mark.parametrize(
    ("printed", "line"),
    [
        (b"", ""),
        (b" \n\n", ""),
        (b"first\n  last \n\n", ": last"),
        (b"caf\xff", ": caf\ufffd"),
        (b"a" * 300, ": " + "a" * 200),
    ],
)
def test_last_line(tmp_path: Path, printed: bytes, line: str) -> None:
    """The last line that has any character, without what would fill the terminal."""
    (tmp_path / "output").write_bytes(printed)
    assert last_line(str(tmp_path / "output")) == line
