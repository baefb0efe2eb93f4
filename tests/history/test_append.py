"""Appending runs: what a row holds, once, whole, and by several writers."""

from __future__ import annotations

import math
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.commands import results_file
from pytest_greenops.history.append import append, run_id
from pytest_greenops.history.database import check_usable, writing
from pytest_greenops.history.pending import PendingRuns
from pytest_greenops.history.read import Wanted, read_trends
from pytest_greenops.model.counted import Coverage, WorkRecord, WorkTotals
from pytest_greenops.model.errors import HistoryError, OptionError
from pytest_greenops.model.result import Results
from pytest_greenops.model.verdict import Outcome
from pytest_greenops.model.work_verdict import WorkOutcome, WorkVerdict
from pytest_greenops.report.document import to_json
from tests.history.runs import counts, rows, run, url
from tests.unit.builders import CPU, GPU, key
from tests.unit.report import samples

ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from tests.history.runs import run, url
from pytest_greenops.history.append import append
written, writer = sys.argv[1], int(sys.argv[2])
sys.stdin.readline()
for number in range(5):
    assert append(url(written), [run(100 * writer + number, joules=writer + 1.0)]) == [True]
"""
KILLED = """
import sys, time
import sqlalchemy as sa
from sqlalchemy import event
from pytest_greenops.history.append import append
from tests.history.runs import run, url

def stop(connection):
    print("inserted", flush=True)
    time.sleep(60)

event.listen(sa.Engine, "commit", stop)
append(url(sys.argv[1]), [run(2)])
"""


def fails(*given: object) -> None:
    """Fail as a driver may."""
    raise RuntimeError("no\nluck with s3cr3t")


def fails_after_one() -> Callable[..., list[bool]]:
    """Return a function that appends once, and then fails."""
    calls = count()

    def once(*given: Any) -> list[bool]:
        if next(calls):
            raise RuntimeError("no\nluck")
        return append(*given)

    return once


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a program that appends to a history."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, text=True, **pipes)


def test_a_row_holds_what_was_measured(database: str) -> None:
    """Figures of the judged unit, its interval, the verdict, units, domains and quality."""
    measured = samples.result(
        Outcome.REGRESSED,
        **{**samples.SAMPLES, "test": key("test_encode", param="64"), "name": "prefill"},
        shares={CPU: 0.25, GPU: 0.75},
        change=samples.change(0.55, 0.48, 0.61),
        quality={"accuracy": 0.94},
        conditions={"threads": "8"},
        saved=True,
    )
    assert append(url(database), [run(1, [measured], versions={"torch": "2.13"})]) == [True]
    [row] = rows(database, "figures")
    assert {name: row[name] for name in ("outcome", "domain", "unit", "estimated", "saved")} == {
        "outcome": "regressed",
        "domain": "total",
        "unit": "sample",
        "estimated": False,
        "saved": True,
    }
    numbers = {name: row[name] for name in ("energy_j", "low_j", "high_j", "call_j", "change")}
    assert numbers == pytest.approx(
        {"energy_j": 3.1, "low_j": 3.069, "high_j": 3.131, "call_j": 198.4, "change": 0.55}
    )
    assert (row["seconds"], row["rounds"], row["sessions"]) == (4.81, 10, 1)
    assert row["per_unit"] == pytest.approx({"sample": 3.1})
    assert row["by_domain"] == pytest.approx({CPU.name: 49.6, GPU.name: 148.8})
    assert (row["quality"], row["conditions"]) == ({"accuracy": 0.94}, {"threads": "8"})
    [of] = rows(database, "runs")
    assert {name: of[name] for name in ("project", "commit", "dirty", "branch", "versions")} == {
        "project": "demo",
        "commit": f"{1:040x}",
        "dirty": False,
        "branch": "main",
        "versions": {"torch": "2.13"},
    }
    [machine] = rows(database, "machines")
    assert machine["label"].startswith("amd-epyc-9654-4c-powercap-")
    [series] = rows(database, "series")
    assert (series["test"], series["name"]) == ("tests/test_x.py::test_encode[64]", "prefill")


def test_times_are_utc(database: str) -> None:
    """A time with another offset is the same moment."""
    local = replace(run(1), created_at="2026-01-02T01:00:00+02:00")
    append(url(database), [local])
    [row] = rows(database, "runs")
    at = row["created_at"]
    at = at.replace(tzinfo=timezone.utc) if at.tzinfo is None else at
    assert at == datetime(2026, 1, 1, 23, tzinfo=timezone.utc)
    [trend] = read_trends(url(database), Wanted())
    assert trend.points[0].at == "2026-01-01T23:00:00+00:00"


def test_counted_work_is_a_trend_of_its_own(database: str) -> None:
    """A run that counts only has no joules; each change of its weighted work is a step."""
    for number, weighted in enumerate((100.0, 100.0, 120.0)):
        totals = WorkTotals(3, 1, {"float32": 1 << 62, "float64": 1 << 62}, 5, 6)
        work = WorkRecord(totals, Coverage(0.97), weighted, "1")
        verdict = WorkVerdict(WorkOutcome.SAME)
        result = replace(samples.unmeasured("counted only"), work=work)
        result = replace(result, verdict=replace(result.verdict, work=verdict))
        append(url(database), [run(number, [result])])
    [trend] = read_trends(url(database), Wanted("test_parse"))
    assert (trend.quantity, [p.value for p in trend.points]) == ("work", [100.0, 100.0, 120.0])
    assert [(step.at, round(step.relative, 2)) for step in trend.steps] == [(2, 0.2)]
    assert trend.points[0].outcome == "same work"
    assert {row["work_flop"] for row in rows(database, "figures")} == {(1 << 63) - 1}
    assert {row["energy_j"] for row in rows(database, "figures")} == {None}


def test_the_same_run_is_appended_once(database: str) -> None:
    """A second append does nothing; without an id the content decides."""
    once = run(1)
    assert append(url(database), [once, once, run(2)]) == [True, False, True]
    unnamed = replace(run(3), origin=None)
    assert append(url(database), [unnamed]) == [True]
    assert append(url(database), [unnamed]) == [False]
    assert run_id(unnamed) != run_id(replace(unnamed, created_at="2026-05-05T12:00:00+00:00"))
    assert counts(database) == {"machines": 1, "runs": 3, "series": 2, "figures": 3}


def test_names_of_any_kind_are_held(database: str) -> None:
    """NUL, lone surrogates, 10,000 characters and infinite figures do not fail an append."""
    strange = [
        samples.result(test=key("test_\0nul"), quality={"x\0": math.inf, "caf\udce9": 1.0}),
        samples.result(test=key("test_caf\udce9"), name="caf\udce9"),
        samples.result(test=key("test_" + "long" * 2500), conditions={"threads": "\0"}),
        samples.result(test=key("test_" + "long" * 2500, param="2")),
        samples.result(joules=0.0),
    ]
    named = run(1, strange, project="de\0mo", branch="\udce9")
    assert append(url(database), [named]) == [True]
    assert counts(database)["series"] == 5
    assert {row["quality"].get("caf\\udce9") for row in rows(database, "figures")} == {1.0, None}


def test_a_thousand_measurements_are_one_transaction(database: str) -> None:
    """More than a statement takes parameters, in one run and again in the next."""
    results = [samples.result(test=key(f"test_{number}"), rounds=1) for number in range(1000)]
    assert append(url(database), [run(1, results), run(2, results)]) == [True, True]
    assert counts(database) == {"machines": 1, "runs": 2, "series": 1000, "figures": 2000}


def test_eight_writers_at_once_lose_nothing(database: str) -> None:
    """They make the tables of a new history too, and add the same test."""
    writers = [start(WRITER, database, number) for number in range(8)]
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("\n")
        writer.stdin.flush()
    problems = [writer.communicate(timeout=120)[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 8, "\n".join(problems)
    assert counts(database) == {"machines": 1, "runs": 40, "series": 1, "figures": 40}
    [trend] = read_trends(url(database), Wanted("test_works"))
    assert sorted({point.value for point in trend.points}) == [float(w) for w in range(1, 9)]


def test_a_killed_writer_leaves_nothing_half_written(database: str) -> None:
    """What it has inserted is gone, and the next writer is not blocked."""
    append(url(database), [run(1)])
    writer = start(KILLED, database)
    assert writer.stdout
    assert writer.stdout.readline() == "inserted\n"
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert append(url(database), [run(3)]) == [True]
    assert [row["uid"] for row in rows(database, "runs")] == [f"{n:032x}" for n in (1, 3)]
    assert counts(database) == {"machines": 1, "runs": 2, "series": 1, "figures": 2}


def test_a_failing_run_leaves_nothing(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that the database refuses takes its whole run with it, and the error is one line."""
    append(url(database), [run(1)])
    good = samples.result(test=key("test_a"))
    bad = replace(samples.result(test=key("test_b")), seconds="soon")
    monkeypatch.setattr("pytest_greenops.history.append._known", lambda value: value)
    with pytest.raises(HistoryError) as caught:
        append(url(database), [run(2, [bad, good])])
    assert len(str(caught.value).splitlines()) == 1
    assert counts(database) == {"machines": 1, "runs": 1, "series": 1, "figures": 1}


def test_an_error_of_a_driver_keeps_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception that nobody expects is one line without the password, and the run waits."""

    monkeypatch.setattr("pytest_greenops.history.pending.append", fails)
    pending = PendingRuns(url("postgresql://a:s3cr3t@h/d"), tmp_path, results_file.read, to_json)
    lines, appended = pending.append(run(1))
    [file] = tmp_path.rglob("*.json")
    assert not appended
    assert lines == [
        "the run is not in the history (postgresql://h/d: RuntimeError: no luck with ***); "
        f"it is kept in {file}; the next run that reaches the history appends it"
    ]
    assert results_file.read(file).origin == run(1).origin


def test_an_error_of_a_driver_keeps_what_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new run is in the history; those that wait stay, and one line says why."""
    here = url(f"sqlite:///{tmp_path}/history.db")
    pending = PendingRuns(here, tmp_path, results_file.read, to_json)
    with monkeypatch.context() as patch:
        patch.setattr("pytest_greenops.history.pending.append", fails)
        for number in (1, 2):
            pending.append(run(number))
        patch.setattr("pytest_greenops.history.pending.append", fails_after_one())
        lines, appended = pending.append(run(3))
    assert appended
    assert [line.partition(": ")[2] for line in lines] == [f"{here}: RuntimeError: no luck"]
    assert pending.append(run(4)).lines == [
        f"2 earlier runs appended to the history from {tmp_path}/.energy-history-pending"
    ]
    assert counts(f"sqlite:///{tmp_path}/history.db")["runs"] == 4


def test_a_run_that_another_process_has_appended_is_no_problem(tmp_path: Path) -> None:
    """Of two runs that begin to append the same file, the second one is silent."""
    here = url(f"sqlite:///{tmp_path}/history.db")

    def read(path: Path) -> Results:
        path.unlink()
        return results_file.read(path)

    pending = PendingRuns(here, tmp_path, read, to_json)
    waiting = tmp_path / ".energy-history-pending" / f"{here.digest}-1.json"
    waiting.parent.mkdir()
    waiting.write_bytes(to_json(run(1)))
    assert pending.append(run(2)) == ([], True)


def test_a_disk_without_place_is_known_before(tmp_path: Path) -> None:
    """SQLite writes a journal beside its file: a run that has no place for it does not begin."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(OptionError, match="File too large"):
            check_usable(url(f"sqlite:///{tmp_path}/history.db"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_locked_file_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the time is over; then the history cannot be written, and the next run can."""
    monkeypatch.setattr("pytest_greenops.history.database._WAIT_S", 0.2)
    written = f"sqlite:///{tmp_path}/history.db"
    append(url(written), [run(1)])
    with writing(url(written)), pytest.raises(HistoryError, match="database is locked"):
        append(url(written), [run(2)])
    assert append(url(written), [run(2)]) == [True]
