"""Files of other tools: recognised by their content, and checked.

`tests/data` has a file by each tool. Those of pytest-benchmark 5.3 (without the flags of the CPU),
codecarbon 3.3 and pytest-codecarbon 1.0 were measured; pytest-energy-reporter 0.5 wrote its file
with a power model of 20 to 70 W in place of its own.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from pytest_greenops.commands.foreign_file import read
from pytest_greenops.model.errors import ResultsError
from pytest_greenops.model.imported import Recording

DATA = Path(__file__).parents[2] / "data"
CSV = "timestamp,project_name,duration,emissions,energy_consumed\n"


def benchmarks(name: object = "a.py::t", **stats: object) -> str:
    """Return a document of pytest-benchmark."""
    given = {"min": 1, "median": 2, "rounds": 3, **stats}
    document = {"datetime": "2026-01-01", "benchmarks": [{"fullname": name, "stats": given}]}
    return json.dumps(document)


def cases(**case: object) -> str:
    """Return a document of pytest-energy-reporter."""
    given = {"name": "a.py::t", "execution_time": [1], "energy": [2], **case}
    return json.dumps({"results": {"cases": [given]}})


@pytest.mark.parametrize(
    ("name", "tool", "number", "first"),
    [
        (
            "pytest_benchmark.json",
            "pytest-benchmark",
            4,
            Recording(
                "tests/test_parse.py::test_parse",
                at="2026-11-29T13:07:49",
                runs=22,
                min_s=3.2006999390432611e-05,
                median_s=3.216800000300282e-05,
            ),
        ),
        (
            "pytest_energy_reporter.json",
            "pytest-energy-reporter",
            2,
            Recording(
                "tests/test_parse.py::test_parse",
                at="2026-11-29T13:09:28",
                runs=3,
                min_s=1.038,
                median_s=1.041,
                joules=24.6226,
            ),
        ),
        (
            "codecarbon.csv",
            "codecarbon",
            2,
            Recording(
                "train",
                at="2026-11-29T13:07:52",
                median_s=2.0129809229999864,
                joules=54.719328143994,
                kwh=1.5199813673331798e-05,
            ),
        ),
        (
            "pytest_codecarbon.csv",
            "pytest-codecarbon",
            2,
            Recording(
                "test_parse",
                at="2026-11-29T13:08:14",
                median_s=1.177298938000149,
                joules=28.130331683648,
                kwh=7.813981023235643e-06,
            ),
        ),
    ],
)
def test_each_tool_is_recognised(
    tmp_path: Path, name: str, tool: str, number: int, first: Recording
) -> None:
    """The content says which tool wrote a file, whatever the file is called."""
    anonymous = tmp_path / "history"
    anonymous.write_bytes(b"\xef\xbb\xbf" + (DATA / name).read_bytes())
    source = read(anonymous)
    found = source.recordings[0]
    assert (tool, number) == (source.format, len(source.recordings))
    for field in Recording.__struct_fields__:
        assert pytest.approx(getattr(first, field)) == getattr(found, field)


def test_a_time_below_zero_is_left_out() -> None:
    """pytest-codecarbon subtracts durations that do not add up; its energies are right."""
    source = read(DATA / "pytest_codecarbon.csv")
    assert ("time of test_dump[10]: -0.172446",) == source.left_out
    assert source.recordings[1].median_s is None
    assert pytest.approx(28.13, abs=0.01) == source.recordings[1].joules


@pytest.mark.parametrize(
    "text",
    [
        benchmarks(min=math.nan, median=math.inf),
        benchmarks(min=-1, median=1e308),
        cases(execution_time=[1, math.nan], energy=[math.inf]),
        cases(execution_time=[-1], energy=[1e308, 1e308]),
        f"{CSV}2026-01-01,p,nan,1,-1\n",
        f"{CSV}2026-01-01,p,1e300,1,1e308\n",
    ],
)
def test_what_is_no_time_or_energy_is_left_out(tmp_path: Path, text: str) -> None:
    """Values that are negative, not finite or beyond all measure are named, and not shown."""
    (tmp_path / "file").write_text(text)
    source = read(tmp_path / "file")
    [found] = source.recordings
    assert (None, None, None, None) == (found.min_s, found.median_s, found.joules, found.kwh)
    assert len(source.left_out) >= 2


MISTAKES: dict[str, tuple[str | bytes, str]] = {
    "text": (benchmarks(min="1"), "damaged (Expected `float`, got `str` - at `$.benchmarks[0]."),
    "null": (benchmarks(median=None), "damaged (Expected `float`, got `null` - at "),
    "name": (benchmarks(name=5), "damaged (Expected `str`, got `int` - at "),
    "large": (benchmarks(min=10**400), "damaged (Number out of range"),
    "digits": (benchmarks().replace("3", "3" * 5000), "damaged ("),
    "kind": ('{"benchmarks": {}}', "damaged (Expected `array`, got `object`"),
    "energy": (cases(energy=["x"]), "damaged (Expected `float`, got `str`"),
    "cell": (f"{CSV}2026,p,abc,1,2\n", "damaged ('abc': expected a number)"),
    "field": (f"{CSV}2026,{'x' * 200_000},1,1,1\n", "damaged (field larger than field limit"),
    "deep": ('{"a":' * 100_000, "damaged (too deeply nested)"),
    "cut": (benchmarks()[:40], "damaged ("),
    "utf-16": (benchmarks().encode("utf-16"), "damaged ('utf-8' codec can't decode"),
    "list": ("[1, 2]", "unknown format: expected JSON of pytest-benchmark or "),
    "other": ('{"data": []}', "unknown format: "),
    "empty": ("", "unknown format: "),
    "zeros": ("\0" * 100, "unknown format: "),
    "table": ("a,b\n1,2\n", "unknown format: "),
    "ours": ('{"schema": 1, "results": []}', "results of pytest-greenops, not of another tool; "),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_what_cannot_be_used_is_one_line(tmp_path: Path, case: str) -> None:
    """The error names the file and what is wrong with it."""
    content, said = MISTAKES[case]
    path = tmp_path / "file"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ResultsError) as raised:
        read(path)
    assert str(raised.value).startswith(f"{path}: {said}")
    assert "\n" not in str(raised.value)


def test_a_file_of_100_megabytes_is_not_read(tmp_path: Path) -> None:
    """Its size is enough to refuse it."""
    with (tmp_path / "file").open("wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(ResultsError, match=r"file: larger than 64 MiB; name another file$"):
        read(tmp_path / "file")


@pytest.mark.parametrize("at", ["", "yesterday", "\x1b[31m2026-01-01", 5])
def test_an_unknown_date_is_none(tmp_path: Path, at: Any) -> None:
    """What is no date is not shown as one; a date of another type is damage."""
    document = json.loads(benchmarks())
    document["datetime"] = at
    (tmp_path / "file").write_text(json.dumps(document))
    if isinstance(at, str):
        assert "" == read(tmp_path / "file").recordings[0].at
    else:
        with pytest.raises(ResultsError, match="Expected `str`, got `int`"):
            read(tmp_path / "file")
