"""`pytest-greenops history`: trends in the terminal and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_greenops.history.append import append
from pytest_greenops.report.document import to_json
from tests.history.runs import counts, run, url
from tests.integration import commands
from tests.integration.commands import refused
from tests.postgresql import database, postgresql

__all__ = ["database", "postgresql"]


@pytest.fixture
def stepped(database: str) -> str:
    """Return a history of twelve runs whose seventh uses 20 % more."""
    append(url(database), [run(n, joules=2.0 if n < 6 else 2.4) for n in range(12)])
    return database


def test_a_test_is_drawn_with_its_step(stepped: str, tmp_path: Path) -> None:
    """A line for each run within 80 columns, and the step between its commits."""
    ran = commands.run(tmp_path, "history", "test_works", f"--history={stepped}")
    assert (0, "") == (ran.code, ran.err)
    assert max(map(len, ran.lines)) <= 80
    assert 12 == sum(line.startswith("  2026-01-") for line in ran.lines)
    [step] = [line for line in ran.lines if line.startswith("  -> ")]
    assert step.startswith("  -> +20 % (95 % CI +20…+20 %) between 0000000 and 0000000")
    commands.run(tmp_path, "history", "test_works", f"--history={stepped}", COLUMNS="160")


def test_all_tests_are_listed(stepped: str, tmp_path: Path) -> None:
    """Without a name, each has runs, last figure and last step; the variable names the history."""
    ran = commands.run(tmp_path, "history", ENERGY_HISTORY=stepped)
    assert 0 == ran.code
    [line] = [line for line in ran.lines if "test_works" in line]
    assert line.split()[:5] == ["test_works", "12", "runs", "2.40", "J"]
    assert "+20 %" in line
    assert ran.lines[-1].startswith("energy: 1 trend, 1 with a step")


def test_json_has_the_whole_trend(stepped: str, tmp_path: Path) -> None:
    """Points and steps by index, for programs."""
    ran = commands.run(
        tmp_path, "history", "--json", "--last=9", "test_works", ENERGY_HISTORY=stepped
    )
    document = json.loads(ran.out)
    [trend] = document["trends"]
    assert (document["schema"], len(trend["points"])) == (1, 9)
    [step] = trend["steps"]
    assert (step["at"], step["after"], step["until"]) == (3, 2, 3)
    assert step["relative"] == pytest.approx(0.2)
    assert trend["points"][0]["commit"] == f"{3:040x}"


def test_result_files_are_appended(database: str, tmp_path: Path) -> None:
    """A job without the password writes JSON, and another one appends it, once."""
    for number in (1, 2):
        (tmp_path / f"{number}.json").write_bytes(to_json(run(number)))
    add = ("--add=1.json", "--add=2.json")
    for done in (2, 0):
        ran = commands.run(tmp_path, "history", *add, ENERGY_HISTORY=database)
        assert (0, ran.lines[0].partition(" appended")[0]) == (
            *(ran.code, f"energy: {done} run{'s' * (done != 1)} of 2"),
        )
    assert counts(database)["runs"] == 2
    (tmp_path / "bad.json").write_text("{}")
    said = refused(tmp_path, "history", "--add=bad.json", f"--history={database}")
    assert said.startswith("bad.json: not a result file")


def test_what_is_not_there_is_said(stepped: str, tmp_path: Path) -> None:
    """A history, a test, or figures of such runs."""
    assert refused(tmp_path, "history") == (
        "no history is named: add --history URL, or set ENERGY_HISTORY"
    )
    assert "sqlite:///no.db: no such file" in refused(
        tmp_path, "history", "--history=sqlite:///no.db"
    )
    ran = commands.run(tmp_path, "history", "test_wroks", f"--history={stepped}")
    assert (1, "") == (ran.code, ran.out)
    assert (
        "no runs of a test or measurement named like test_wroks; the nearest: test_works" in ran.err
    )
    ran = commands.run(tmp_path, "history", f"--history={stepped}", "--branch=nope")
    assert (1, "energy: no figures of such runs\n") == (ran.code, ran.out)


def test_all_tests_are_in_one_file(stepped: str, tmp_path: Path) -> None:
    """Without a test, `--html` writes every trend of the last runs, and says what was asked for."""
    ran = commands.run(
        tmp_path, "history", "--html=all.html", "--last=9", "--branch=main", ENERGY_HISTORY=stepped
    )
    assert (ran.code, ran.out) == (0, "energy: 1 trend, 1 with a step, in all.html\n")
    text = (tmp_path / "all.html").read_text(encoding="utf-8")
    assert text.count('<tr><th scope="row">2026-01-') == 9
    assert "the last 9 of all tests together" in text
    ran = commands.run(tmp_path, "history", "--html=/dev/stdout", ENERGY_HISTORY=stepped)
    assert ran.out.startswith("<!DOCTYPE html>")
    assert ran.err == "energy: 1 trend, 1 with a step, in /dev/stdout\n"


def test_a_file_without_runs_says_so(stepped: str, tmp_path: Path) -> None:
    """A file of figures that are not there has no older figures; the exit status says no."""
    path = tmp_path / "trends.html"
    html = ("--html=trends.html", f"--history={stepped}")
    assert commands.run(tmp_path, "history", "test_works", *html).code == 0
    ran = commands.run(tmp_path, "history", "test_works", *html, "--machine=nope")
    assert (ran.code, ran.out) == (*(1, "energy: no figures of such runs; trends.html says so\n"),)
    assert "<h1>No figures of such runs</h1>" in path.read_text(encoding="utf-8")
    ran = commands.run(tmp_path, "history", "test_wroks", *html)
    assert (ran.code, ran.out) == (1, "")
    text = path.read_text(encoding="utf-8")
    assert (
        "<h1>No runs of a test or measurement named like test_wroks; the nearest: test_works</h1>"
        in text
    )
    assert stepped not in text


def test_a_file_that_cannot_be_written_comes_first(tmp_path: Path) -> None:
    """A wrong file is one line, before the history is asked or a run is appended to it."""
    (tmp_path / "taken").write_text("a file")
    (tmp_path / "1.json").write_bytes(to_json(run(1)))
    nowhere = "--history=postgresql://ci@127.0.0.1:1/energy"
    said = refused(tmp_path, "history", "test_works", nowhere, "--html=taken/trends.html")
    assert said.startswith("taken/trends.html: cannot be written (")
    said = refused(tmp_path, "history", nowhere, "--html=taken", "--add=1.json")
    assert said.startswith("taken: not a report of pytest-greenops, and would be overwritten")
    ran = commands.run(tmp_path, "history", nowhere, "--html=a.html", "--json")
    assert ran.code == 2
    assert "argument --json: not allowed with argument --html" in ran.err


def test_appending_does_not_disturb_what_is_printed(database: str, tmp_path: Path) -> None:
    """With `--add`, the JSON on stdout is still JSON: the line on the runs goes to stderr."""
    (tmp_path / "1.json").write_bytes(to_json(run(1)))
    ran = commands.run(tmp_path, "history", "--add=1.json", "--json", ENERGY_HISTORY=database)
    assert len(json.loads(ran.out)["trends"]) == 1
    assert ran.err.startswith("energy: 1 run of 1 appended")


def test_no_password_in_any_message(tmp_path: Path) -> None:
    """A server that refuses, a wrong kind and a wrong form."""
    for written in (
        "postgresql://ci:s3cr3t@127.0.0.1:1/energy",
        "postgresql:///energy?host=127.0.0.1&port=1&password=s3cr3t&user=ci",
        "mysql://ci:s3cr3t@db/energy",
        "postgresql://ci:s3cr3t@@db/energy",
    ):
        for ran in (
            commands.run(tmp_path, "history", f"--history={written}"),
            commands.run(tmp_path, "history", ENERGY_HISTORY=written),
        ):
            assert 2 == ran.code
            assert len(ran.err.splitlines()) == 1
            assert "s3cr3t" not in ran.out + ran.err
