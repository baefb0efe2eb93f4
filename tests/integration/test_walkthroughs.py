"""The documentation: who follows a page from its first line to its last sees what it shows."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import forked_python
from tests.integration.ab_projects import repository
from tests.integration.projects import spread_over_days
from tests.test_docs import ALONE, BLOCK, DOCS

#: What makes the joules of the page: its sensor, and what a call of its function uses.
CONFTEST = {
    "first-budget": """
        import inspect

        import encoder
        from pytest_greenops import machine
        from pytest_greenops.measure.observer import NoLoad
        from pytest_greenops.testing import FakeSensor

        SENSOR = FakeSensor()
        ENCODE = encoder.encode
        SHARE = 1.406 if "casefold" in inspect.getsource(ENCODE) else 1.0
        machine.LoadProbe = NoLoad


        def encode(text, numbers, known={}):
            SENSOR.spend(0.012 * SHARE, "cpu:0", 0.0032 * SHARE)
            SENSOR.spend(0.0072 * SHARE, "dram:0", 0.0)
            if text not in known:  # the sensor's clock needs no work
                known[text] = ENCODE(text, numbers)
            return known[text]


        encoder.encode = encode


        def pytest_energy_sensors(config):
            return [SENSOR]
        """,
    "hooks": None,
}
#: What differs between runs: numbers and their signs, bars, names of commits and machines.
VARIES = (
    (r"\b[0-9a-f]{7,10}\b", "COMMIT"),
    (r"[+-](?=\d)|\d[\d.,…+-]*", "0"),
    (r"[▁▂▃▄▅▆▇█▏▎▍▌▋▊▉·]+", "▁"),
    (r"[=_─-]{3,}", "--"),
    (r"\s+", " "),
)


def same(line: str) -> str:
    """Return a line without what differs between runs."""
    for pattern, replacement in VARIES:
        line = re.sub(pattern, replacement, line)
    return line.strip()


def shown(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each command of a console, and the lines that the page shows of its output."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *lines = part.splitlines()
        yield command, [same(line) for line in lines if line.strip() not in ("", "...")]


def printed(folder: Path, command: str) -> list[str]:
    """Run a command of a page in its project, and return the lines that it prints."""
    program, *arguments = shlex.split(command, comments=True)
    if program == "cat":
        return (folder / arguments[0]).read_text(encoding="utf-8").splitlines()
    others = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    ran = forked_python.run(
        *("pytest", *arguments),
        environ={**others, **ALONE, "COLUMNS": "80", "PYTEST_ADDOPTS": "-p greenops --color=no"},
        folder=folder,
    )
    return ran.lines


@pytest.mark.parametrize("page", CONFTEST)
def test_a_page_shows_what_is_printed(page: str, tmp_path: Path) -> None:
    """Each line that it shows is printed, in this order, by the command before it."""
    conftest = CONFTEST[page]
    repository(
        tmp_path, {".gitignore": "__pycache__\n"} | ({"conftest.py": conftest} if conftest else {})
    )
    followed = 0
    for block in BLOCK.finditer((DOCS / f"{page}.md").read_text(encoding="utf-8")):
        if block["mark"]:
            (tmp_path / block["file"]).write_text(block["text"], encoding="utf-8")
        for command, lines in shown(block["text"]) if block["language"] == "console" else ():
            if command.split()[0] not in ("pytest", "cat"):
                continue
            for _ in range(2 if command.endswith("# twice") else 1):
                output = printed(tmp_path, command)
                spread_over_days(tmp_path / "baselines")
            rest = iter([same(line) for line in output])
            missing = [line for line in lines if line not in rest]
            assert missing == [], "\n".join([command, *output])
            followed += 1
    assert followed > 1
