"""The command `pytest-greenops`, run as users run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

import pytest_greenops
from pytest_greenops.commands import main
from pytest_greenops.commands.command import Command
from pytest_greenops.model.baseline import SCHEMA as BASELINE_SCHEMA
from pytest_greenops.model.baseline import Anchor, Baseline, Revision, Series, Session, TestKey
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.errors import GreenopsError
from pytest_greenops.model.interleaved import Interleaved
from pytest_greenops.model.measurement import Check, CheckName, Domain, Provenance, Round
from pytest_greenops.model.result import SCHEMA as RESULTS_SCHEMA
from pytest_greenops.model.result import Policy, Result, Results
from pytest_greenops.model.trend import TREND_SCHEMA, Step, Trend, TrendPoint, Trends
from pytest_greenops.model.verdict import Change, Limit, Outcome, Verdict

ROOT = Path(__file__).parents[2]
#: Buffered output, as users have it.
BUFFERED = {name: said for name, said in os.environ.items() if name != "PYTHONUNBUFFERED"}
ENVIRON = {**BUFFERED, "PYTHONPATH": str(ROOT)}

Ran = subprocess.CompletedProcess[str]
Runner = Callable[..., Ran]


@pytest.fixture
def command(tmp_path: Path) -> Runner:
    """Return a function that runs the command in an empty folder; keywords are the environment."""

    def command(*arguments: str, **environ: str) -> Ran:
        return subprocess.run(
            [sys.executable, "-m", "pytest_greenops.commands.main", *arguments],
            cwd=tmp_path,
            env={**ENVIRON, **environ},
            capture_output=True,
            text=True,
        )

    return command


def test_prints_its_version(command: Runner) -> None:
    """`--version` prints the name and the version of the package."""
    assert command("--version").stdout == f"pytest-greenops {pytest_greenops.__version__}\n"


def test_lists_its_commands(command: Runner) -> None:
    """`--help` prints each sub-command with its help."""
    shown = " ".join(command("--help").stdout.split())
    for subcommand in main.COMMANDS:
        assert f" {subcommand.name} {subcommand.help}" in shown


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], "COMMAND"),
        (["docter"], "docter"),
        (["schema", "result"], "result"),
        (["doctor", "--fast"], "--fast"),
    ],
)
def test_reports_a_mistake_in_one_line(
    command: Runner, arguments: Sequence[str], names: str
) -> None:
    """A mistake on the command line is one line on stderr that names it, and exit status 2."""
    ran = command(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stderr.startswith("pytest-greenops")
    assert names in ran.stderr


def test_the_doctor_shows_what_can_be_measured(command: Runner) -> None:
    """It lists every sensor and every disturbance, in plain lines of at most 80 columns."""
    ran = command("doctor", COLUMNS="40")
    assert (ran.returncode, ran.stderr) == (0, "")
    for name in ("powercap", "nvml", "estimate", "governor", "turbo", "other load", "container"):
        assert f"  {name}  " in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 80
    assert "\x1b" not in ran.stdout


RUN_WITHOUT_SENSORS = """
import sys
from pytest_greenops.commands import main
from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.sensors import discover
from pytest_greenops.sensors.base import Finding
discover.find = lambda name: Finding(name, problem=SensorUnavailable("15 \u00b5J are too few"))
sys.exit(main.main(["doctor"]))
"""


@pytest.mark.parametrize(("encoding", "reason"), [("utf-8", "15 µJ"), ("ascii", "15 ?J")])
def test_the_doctor_fails_if_nothing_can_be_measured(
    tmp_path: Path, encoding: str, reason: str
) -> None:
    """Without any sensor the exit status is 1; the reason is printed in any locale."""
    ran = subprocess.run(
        [sys.executable, "-c", RUN_WITHOUT_SENSORS],
        cwd=tmp_path,
        env={**ENVIRON, "PYTHONIOENCODING": encoding},
        capture_output=True,
        encoding=encoding,
    )
    assert (ran.returncode, ran.stderr) == (1, "")
    assert reason in ran.stdout
    assert "Nothing can be measured here" in ran.stdout


@pytest.mark.parametrize("arguments", [["schema"], ["schema", "baseline"]])
def test_a_broken_pipe_is_quiet(tmp_path: Path, arguments: Sequence[str]) -> None:
    """A reader that closes the pipe early, like `head`, causes no message and no failure."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest_greenops.commands.main", *arguments],
        cwd=tmp_path,
        env=ENVIRON,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr as stderr:
        assert stderr.read() == b""
    assert process.wait() == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("subcommand", ["schema", "doctor"])
def test_a_full_disk_is_reported_in_one_line(tmp_path: Path, subcommand: str) -> None:
    """A write error is one line on stderr and exit status 2, without a traceback."""
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "pytest_greenops.commands.main", subcommand],
            cwd=tmp_path,
            env=ENVIRON,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert "No space left" in ran.stderr


def test_an_error_is_reported_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A known error of a sub-command becomes one line, even if its message has several."""

    class Broken(Command):
        name, help = "broken", "fail"

        def run(self, arguments: Any) -> int:
            raise GreenopsError("the first line\nand a second")

    monkeypatch.setattr(main, "COMMANDS", (Broken(),))
    assert main.main(["broken"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "pytest-greenops: the first line and a second\n"
    assert captured.out == ""


def schema_of(command: Runner, *document: str) -> Any:
    """Return the parsed output of `schema`."""
    ran = command("schema", *document)
    assert (ran.returncode, ran.stderr) == (0, "")
    return json.loads(ran.stdout)


@pytest.mark.parametrize("document", ["results", "baseline", "trends"])
def test_a_schema_is_valid_and_names_its_document(command: Runner, document: str) -> None:
    """Each schema is valid by draft 2020-12, and has a title and an id."""
    schema = schema_of(command, document)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"] == f"pytest-greenops {document}"
    assert schema["$id"] == f"urn:pytest-greenops:{document}:1"


def test_results_are_the_default_document(command: Runner) -> None:
    """Without an argument the schema is that of results."""
    assert schema_of(command) == schema_of(command, "results")


KEY = TestKey("tests/test_model.py", "TestModel.test_step", "float32")
ROUNDS = (Round({"cpu:0": 12_000}, 0.5, 3, units={"token": 64.0}),)
BASELINE = Baseline(
    schema=BASELINE_SCHEMA,
    test=KEY,
    machine={"cpu": "AMD EPYC 9654"},
    measurements={
        "call": Series(
            domains=(Domain("cpu:0", "cpu", range_uj=1 << 32),),
            conditions={"threads": "4"},
            anchor=Anchor("2026-01-01T00:00:00Z", {"cpu:0": {"call": 0.004}}),
            sessions=(Session("2026-01-01T00:00:00Z", Revision(None, None), {}, ROUNDS),),
        )
    },
)
RESULTS = Results(
    schema=RESULTS_SCHEMA,
    created_at="2026-01-01T00:00:00Z",
    version="0.1.0",
    environment=Environment({"cpu": "AMD EPYC 9654"}),
    policy=Policy("baselines", 0.05, "fail", "warn", False),
    results=(
        Result(
            test=KEY,
            name="call",
            domain="total",
            unit="token",
            joules=0.004,
            by_domain={"cpu:0": 0.004},
            watts=24.0,
            seconds=0.17,
            per_unit={"token": 1.9e-4},
            interval=(0.003, 0.005),
            rounds=ROUNDS,
            domains=(Domain("cpu:0", "cpu"),),
            provenance=Provenance({"cpu:0": "powercap"}, estimated=False),
            verdict=Verdict(
                Outcome.OVER_BUDGET,
                change=Change(0.1, 0.05, 0.15, 0.04, 0.05, 0.0036, 5),
                limits=(Limit("energy", 0.004, 0.003, 0.005, 0.002),),
                interleaved=Interleaved(
                    *("main", "3f2a91c", Outcome.REGRESSED, 0.05),
                    **{"relative": 0.1, "low": 0.08, "high": 0.12, "pairs": 7, "starts": 7},
                    fix=("--energy-ab-tests=here",),
                ),
            ),
            checks=(Check(CheckName.DRIFT, "+2 %", "flagged"),),
        ),
    ),
)


POINT = TrendPoint("id", "2026-01-01T00:00:00Z", 2.0, "passed", low=1.9, high=2.1)
TRENDS = Trends(
    TREND_SCHEMA,
    (
        Trend(
            *("demo", "test_it.py::test_it", "call", "epyc-1a2b3c4d", "energy", "total", "call"),
            estimated=False,
            points=(POINT, POINT),
            steps=(Step(1, 0, 1, 0.1, 0.08, 0.12),),
        ),
    ),
)


@pytest.mark.parametrize(
    ("document", "value"), [("results", RESULTS), ("baseline", BASELINE), ("trends", TRENDS)]
)
def test_written_documents_fit_the_schema(command: Runner, document: str, value: Any) -> None:
    """A written document is valid; another version or an additional field is not."""
    schema = schema_of(command, document)
    written = json.loads(msgspec.json.encode(value))
    jsonschema.validate(written, schema, cls=jsonschema.Draft202012Validator)
    for changed in ({**written, "schema": 99}, {**written, "host": "somewhere"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(changed, schema, cls=jsonschema.Draft202012Validator)
