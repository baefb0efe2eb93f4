"""Commands to paste into a shell."""

from __future__ import annotations

import os
import subprocess

import pytest

from pytest_greenops.model.advised import PLAIN, Command
from pytest_greenops.report.drawing import visible


@pytest.mark.parametrize(
    "text",
    [
        *("a b", "$HOME `id` !x", 'it\'s "so"', "back\\slash", "größe 名前", "::error::x"),
        *("a\x1b[2J'b\\c\n\t\x00"[:-1], "##[error]x", "\u200f\u202e\u2028\U000e0041", "caf\udce9"),
        "p" * 10_000,
    ],
    ids=ascii,
)
def test_a_shell_reads_the_node_id(text: str) -> None:
    """Spaces, quotes, line breaks and escape sequences reach pytest; none reaches the terminal."""
    test = f"test_x.py::test_it[{text}]"
    command = PLAIN.shell(Command("measure", test))
    assert command == visible(command)
    read = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], stdout=subprocess.PIPE)
    assert read.stdout.split(b"\0")[:-1] == [b"pytest", b"--energy", os.fsencode(test)]
