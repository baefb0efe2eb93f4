"""Exports, read by the parsers or the rules of the programs that they are for."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace

from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.place import Place
from pytest_greenops.model.result import Results
from pytest_greenops.report.exports import FORMATS
from pytest_greenops.report.measures import measures, names, shortened
from tests.unit import works
from tests.unit.builders import key
from tests.unit.report.samples import change, over_budget, regressed, result, run, suite, unmeasured
from tests.unit.report.test_markdown import HOSTILE

NUMBER, TEXT = {"type": "number"}, {"type": "string"}


def schema(required: dict[str, Any], optional: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of an object with these properties and no others."""
    known = {"properties": {**required, **optional}, "required": [*required]}
    return {"type": "object", "additionalProperties": False, **known}


#: https://bencher.dev/docs/reference/bencher-metric-format: names have at most 1024 characters, of
#: measures 64.
METRIC = schema({"value": NUMBER}, {"lower_value": NUMBER, "upper_value": NUMBER})
MEASURES = {
    "type": "object",
    "propertyNames": {"maxLength": 64},
    "additionalProperties": METRIC,
    "minProperties": 1,
}
BENCHER = {
    "type": "object",
    "propertyNames": {"maxLength": 1024},
    "additionalProperties": MEASURES,
}
#: `BenchmarkResult` in src/extract.ts of benchmark-action/github-action-benchmark.
ENTRY = schema({"name": TEXT, "value": NUMBER, "unit": TEXT}, {"range": TEXT, "extra": TEXT})
#: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
LINES = schema({"begin": {"type": "integer", "minimum": 1}}, {})
PATH = {"type": "string", "pattern": "^[^/.]"}
FINDING = schema(
    {
        "description": TEXT,
        "check_name": TEXT,
        "fingerprint": TEXT,
        "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
        "location": schema({"path": PATH, "lines": LINES}, {}),
    },
    {},
)
SCHEMAS: dict[str, dict[str, Any]] = {
    "bencher": BENCHER,
    "github-action-benchmark": {"type": "array", "items": ENTRY},
    "codequality": {"type": "array", "items": FINDING},
}


def written(name: str, document: Results) -> str:
    """Return the export of a run."""
    return FORMATS[name].write(document, {})


def decoded(name: str, document: Results) -> Any:
    """Return an export in JSON that has the consumer's schema; no number is infinite."""

    def refuse(text: str) -> None:
        raise AssertionError(text)

    value = json.loads(written(name, document), parse_constant=refuse)
    jsonschema.validate(value, SCHEMAS[name])
    return value


def families(document: Results) -> dict[str, Any]:
    """Return the metrics that the parser of prometheus-client finds."""
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    found = list(parser.text_string_to_metric_families(written("openmetrics", document)))
    assert len({each.name for each in found}) == len(found)
    return {each.name: each for each in found}


def everything() -> Results:
    """Return a run with every kind of figure."""
    counted = replace(
        result(test=key("test_counted"), change=change(0.01, -0.01, 0.02)), work=works.record()
    )
    grams = result(test=key("test_grams"), grams=0.5, carbon=CarbonFactor(400.0))
    return run([*suite(), counted, grams, unmeasured("no sensor", key("test_nothing"))])


def test_bencher() -> None:
    """Bencher gets each figure with its unit in its name, and its interval."""
    found = decoded("bencher", everything())
    parse = found["tests/test_x.py::test_parse"]
    assert parse["energy_joules"] == {
        "value": 198.4,
        "lower_value": 196.416,
        "upper_value": 200.384,
    }
    assert parse["energy_per_unit_joules_sample"]["value"] == 3.1
    assert parse["energy_change_ratio"] == {"value": 0.55, "lower_value": 0.48, "upper_value": 0.61}
    assert "tests/test_x.py::test_nothing" not in found


def test_estimates_have_names_of_their_own() -> None:
    """In no export is an estimate among sensed figures."""
    document = run([regressed(), regressed(test=key("test_b"), estimated=True)])
    found = decoded("bencher", document)["tests/test_x.py::test_b"]
    assert {"energy_joules_estimated", "power_watts_estimated"} < found.keys()
    assert "energy_joules" not in found
    entries = decoded("github-action-benchmark", document)
    assert entries[-1]["name"].endswith("_estimated")
    assert "estimated, ±50 %" in entries[-1]["extra"]
    samples = families(document)["greenops_energy_joules"].samples
    assert [each.labels["source"] for each in samples] == ["sensed", "estimated"]
    rows = list(csv.DictReader(io.StringIO(written("csv", document))))
    assert [row["estimated"] for row in rows] == ["false", "true"]


def test_action_benchmark() -> None:
    """Every entry is a cost: energy, grams or counted work, never power or a change."""
    found = decoded("github-action-benchmark", everything())
    assert found[0] == {
        "name": "tests/test_x.py::test_encode | energy_joules",
        "value": 0.0312,
        "unit": "J",
        "range": "± 0.000312",
        "extra": "verdict: passed",
    }
    kinds = {each["name"].rpartition(" | ")[2] for each in found}
    assert {"work_flop", "work_peak_bytes", "carbon_grams", "energy_per_unit_joules_token"} < kinds
    assert not {"power_watts", "energy_change_ratio", "duration_seconds"} & kinds


def test_openmetrics() -> None:
    """The parser of Prometheus finds gauges with units, and what tells their series apart."""
    found = families(everything())
    assert found["greenops_energy_joules"].unit == "joules"
    assert all(each.type in ("gauge", "info") for each in found.values())
    by_test = {each.labels["test"]: each.value for each in found["greenops_work_flop"].samples}
    assert by_test == {"tests/test_x.py::test_counted": works.record().totals.all_flop}
    units = {s.labels["unit"] for s in found["greenops_energy_per_unit_joules"].samples}
    assert units == {"request", "sample", "token"}
    low = found["greenops_energy_low_joules"].samples[0].value
    assert low < found["greenops_energy_joules"].samples[0].value
    verdicts = {each.labels["verdict"] for each in found["greenops_verdict"].samples}
    assert {"passed", "regressed", "over budget"} < verdicts


def test_csv() -> None:
    """CSV has a row for each measurement; what is not known is empty."""
    rows = list(csv.DictReader(io.StringIO(written("csv", everything()))))
    assert len(rows) == len(everything().results)
    assert (rows[1]["verdict"], rows[1]["energy_per_unit_joules"]) == ("regressed", "3.1")
    assert (rows[-1]["verdict"], rows[-1]["energy_joules"]) == ("not measured", "")
    assert rows[-3]["work_calls"] == str(works.record().totals.calls)


def test_cells_are_no_formulas() -> None:
    """A name that a spreadsheet would compute is text."""
    [row] = csv.DictReader(io.StringIO(written("csv", run([result(name="=1+1")]))))
    assert row["measurement"] == "'=1+1"


def test_code_quality() -> None:
    """GitLab gets each failure at its line, with a fingerprint that a rerun keeps."""
    of, warned = over_budget(), regressed(test=key("test_b"), action="warn")
    document = run([of, warned, result(test=key("test_c"))])
    text = FORMATS["codequality"].write(document, {of.test: Place("sub/test_x.py", 7)})
    first, second = json.loads(text)
    jsonschema.validate([first, second], SCHEMAS["codequality"])
    assert first["location"] == {"path": "sub/test_x.py", "lines": {"begin": 7}}
    assert (first["check_name"], first["severity"]) == ("energy-over-budget", "major")
    assert (second["check_name"], second["severity"]) == ("energy-regressed", "minor")
    again = run([replace(of, joules=9.0), warned])
    assert decoded("codequality", again)[0]["fingerprint"] == first["fingerprint"]
    assert first["fingerprint"] != second["fingerprint"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_data(name: str) -> None:
    """No name breaks a format, or has control characters; long ones are cut and still differ."""
    several = [regressed(test=key(param=name + end), name=name) for end in ("", "a", "b")]
    document = run(several)
    assert len(decoded("bencher", document)) == 3
    assert len({each["fingerprint"] for each in decoded("codequality", document)}) == 3
    decoded("github-action-benchmark", document)
    assert (
        len({s.labels["test"] for s in families(document)["greenops_energy_joules"].samples}) == 3
    )
    assert len(list(csv.reader(io.StringIO(written("csv", document))))) == 4
    for kind in FORMATS:
        assert all(line.isprintable() for line in written(kind, document).splitlines())
    other = run([result(test=key(param=name), name=name, unit=name, units={name: 1, "b": 2})])
    assert decoded("bencher", other)
    [row] = csv.DictReader(io.StringIO(written("csv", other)))
    assert row["energy_per_unit_joules"] == "2.0"
    for kind in FORMATS:
        assert max(map(len, written(kind, other).splitlines()), default=0) < 3_500


@pytest.mark.parametrize("name", FORMATS)
def test_no_measurement(name: str) -> None:
    """A run that measured nothing has a valid file without figures."""
    text = written(name, run([]))
    if name in SCHEMAS:
        assert decoded(name, run([])) in ([], {})
    elif name == "openmetrics":
        assert list(families(run([]))) == ["greenops_run"]
    else:
        assert len(text.splitlines()) == 1


def test_numbers_that_do_not_exist_are_left_out() -> None:
    """What is not finite has no figure, and an interval with one such end has none."""
    odd = replace(result(), watts=math.nan, seconds=math.inf, interval=(1.0, math.inf))
    found = {each.name: each for each in measures(odd)}
    assert found.keys() == {"energy_joules", "energy_domain_joules"}
    assert (found["energy_joules"].low, found["energy_joules"].high) == (None, None)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_knows_its_own_files(name: str) -> None:
    """A file of the same format may be replaced, and no other."""
    own = written(name, everything()).encode()
    assert FORMATS[name].holds(own)
    for other in (b"{}x", b'{"name": "x", "version": "1"}', b"# A document\n", b"a,b\n1,2\n"):
        assert not FORMATS[name].holds(other)


def test_equal_names_are_numbered() -> None:
    """Two results of one name, as of two shards, stay apart."""
    assert names([result(), result()])[1].endswith(" #2")
    assert shortened("x" * 50 + "a", 24) != shortened("x" * 50 + "b", 24)
    assert not re.search("~", shortened("token", 24))
