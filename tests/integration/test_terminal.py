"""What is printed fits 80 columns, a pipe, and a terminal that knows ASCII only."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys

from tests.integration.commands import run
from tests.integration.projects import ALONE, Project, conftest
from tests.unit.bisection.histories import git

WIDE = """
    import pytest


    @pytest.mark.energy_budget("1 J", per="token", max_power="1 W", action="warn")
    def test_a_name_that_is_much_longer_than_any_table_has_room_for_in_its_column(energy, work):
        energy.units(token=1, request_of_a_long_name=3)
        energy.quality(accuracy=0.5)
        for _ in energy.rounds():
            with energy.measure("prefill of a long name"):
                work()
            with energy.measure("decode"):
                work()


    @pytest.mark.energy_budget("1 J", max_carbon="1 mg")
    @pytest.mark.parametrize("words", ["a parameter whose id is long, " * 3])
    def test_over(work, words):
        work()


    def test_never_called_with_a_long_name_which_has_to_be_cut_somewhere_or_other(energy):
        pass
"""
ARGUMENTS = ("--energy", "--energy-carbon-intensity=400 g/kWh")


def test_eighty_columns(project: Project) -> None:
    """A pipe gets no colour, and no line over 80 columns but commands and what pytest says."""
    project.write("test_it.py", WIDE)
    ran = project.run(*ARGUMENTS)
    assert ran.outcomes == {"passed": 2, "failed": 1}
    assert "\x1b" not in ran.text
    wide = [line for line in ran.screen.splitlines() if len(line) > 80]
    of_pytest = ("platform ", "rootdir: ", "plugins: ", "_ test_over", "OVER BUDGET ")
    ours = [line for line in wide if not line.startswith(of_pytest)]
    assert ours
    assert [line for line in ours if " pytest " not in line] == []


def test_colour_on_request(project: Project) -> None:
    """`--color=yes` paints red what failed, in a pipe too."""
    project.write("test_it.py", WIDE)
    colored = project.run(*ARGUMENTS, "--color=yes")
    assert [line for line in colored.lines if "over budget" in line and "\x1b[1;31m" in line]


def test_ascii(project: Project) -> None:
    """With `PYTHONIOENCODING=ascii` all that energy says is ASCII, header to closing line."""
    project.sensor('source="estimated"')
    project.write("test_it.py", WIDE)
    project.monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    ran = project.run(*ARGUMENTS, "--energy-estimates=fail")
    assert ran.outcomes["failed"] == 1
    assert ran.text.isascii()
    assert "\\" not in ran.text
    assert "ESTIMATED, not sensed, +-50 %" in ran.text
    assert "budget 1.00 J (95 % CI 1.90..2.10 J)" in ran.text


#: The progress bar without its delay.
AT_ONCE = """
    from functools import partial

    from pytest_greenops.report import progress

    progress.MeasurementProgress = partial(progress.MeasurementProgress, delay_s=0.0)
"""
BUDGETED = """
    import pytest

    @pytest.mark.energy_budget("9 J")
    def test_it(work):
        work()
"""


def test_progress(project: Project) -> None:
    """A terminal sees how many rounds are done, and no more of it afterwards; a pipe never does."""
    project.write("conftest.py", conftest(more=AT_ONCE))
    project.write("test_it.py", BUDGETED)
    assert "/15" not in project.run("--energy").text
    seen = on_a_terminal("--energy")
    assert " 4/15\x1b[0m rounds" in seen
    assert "4/15" not in seen.rpartition("\x1b8")[2]
    assert "1 passed" in seen.rpartition("\x1b8")[2]
    assert "/15" not in on_a_terminal("--energy", "-q")


def test_progress_of_a_fresh_process(project: Project) -> None:
    """A terminal shows what it waits for, and clears it afterwards."""
    project.write("test_it.py", BUDGETED)
    project.monkeypatch.setenv("JOULES", "2")
    seen = on_a_terminal("--energy", "--energy-sessions=2")
    assert "test_it in a fresh process" in seen
    assert "in a fresh process" not in seen.rpartition("\x1b8")[2]


def test_progress_of_a_comparison_with_a_ref(project: Project) -> None:
    """A terminal shows the pairs, and clears them afterwards."""
    project.write("test_it.py", "def test_it(energy, spend): energy(spend, 2.0)")
    git(project.path, "init", "--quiet", "--initial-branch=main")
    git(project.path, "add", "--all")
    people = ("-c", "user.name=Ada Lovelace", "-c", "user.email=ada@example.org")
    git(project.path, *people, "commit", "--quiet", "--message", "Begin")
    seen = on_a_terminal("--energy", "--energy-ab=main")
    assert "test_it  A/B: both sides start" in seen
    assert re.search(r"test_it  A/B \d pairs, [+-]\d", seen)
    assert "A/B 1 pair" not in seen.rpartition("\x1b8")[2]


def on_a_terminal(*arguments: str) -> str:
    """What a run of pytest writes to a terminal."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "pytest", "-p", "greenops", *arguments]
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(command, stdout=slave, stderr=slave, stdin=slave, env=environ):
        os.close(slave)
        written = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            written += part
    os.close(master)
    return written.decode()


def test_a_narrow_terminal_is_kept_to(saved: Project) -> None:
    """Table, notes and sections fit; only commands, which users copy, may be longer."""
    saved.monkeypatch.setenv("COLUMNS", "60")
    ran = saved.energy(*ALONE, joules=3.0)
    assert ran.outcomes == {"failed": 1}
    _, _, ours = ran.screen.partition("FAILURES")
    long = [line for line in ours.splitlines() if len(line) > 60]
    assert [line for line in long if not re.match(r"REGRESSED |.*pytest .*--energy", line)] == []


def test_creep_is_acknowledged_where_the_baselines_are(saved: Project) -> None:
    """The advised command names another folder than `baselines`, and works as it is."""
    (saved.path / "baselines").rename(saved.path / "kept here")
    option = "--energy-baselines=kept here"
    for step in (1, 2, 3):
        saved.energy("--energy-save", option, joules=2.0 * 1.045**step)
    ran = saved.energy(option, joules=2.0 * 1.045**3)
    [command] = [line.strip() for line in ran.lines if "show --acknowledge" in line]
    assert command == "pytest-greenops show --acknowledge 'kept here' test_it.py::test_works"
    shown = run(saved.path, *shlex.split(command)[1:])
    assert (0, "energy: creep of 1 measurement acknowledged") == (shown.code, shown.lines[-1])
