"""Results for programs."""

from __future__ import annotations

import json
import math

import msgspec
from msgspec.structs import replace

from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.result import Results
from pytest_greenops.model.verdict import Outcome
from pytest_greenops.report.document import properties, to_json
from tests.unit.report.samples import (
    CPU,
    GPU,
    by_pairs,
    change,
    limit,
    nothing_compared,
    regressed,
    result,
    run,
    suite,
    unmeasured,
)


def test_json_can_be_read_back_as_results() -> None:
    """The document decodes to the same results, to six significant digits."""
    one = result(joules=2.0, change=change(0.5, 0.4, 0.6), limits=(limit("energy", 2.0, 3.0),))
    document = run([one, unmeasured("no tick")])
    read = msgspec.json.decode(to_json(document), type=Results)
    assert document.results[0] == read.results[0]
    assert document.results[1].verdict == read.results[1].verdict
    assert math.isnan(read.results[1].joules)


def test_json_has_the_comparison_by_pairs() -> None:
    """It is read back as it was written; a result without one has no key for it."""
    document = run([by_pairs(), nothing_compared(Outcome.NO_BASELINE, "not in main"), result()])
    text = to_json(replace(document, policy=replace(document.policy, ab="3f2a91c (main)")))
    read = msgspec.json.decode(text, type=Results)
    assert [r.verdict.interleaved for r in read.results] == [
        r.verdict.interleaved for r in document.results
    ]
    assert read.policy.ab == "3f2a91c (main)"


def test_properties_have_the_comparison_by_pairs() -> None:
    """Next to those of the stored baseline; what was not compared has its cause."""
    both = dict(properties(by_pairs(change=change(0.12, 0.05, 0.19))))
    assert both["energy.change"] == 0.12
    assert {name: value for name, value in both.items() if ".ab_" in name} == {
        "energy.ab_ref": "main",
        "energy.ab_commit": "3f2a91c",
        "energy.ab_verdict": "regressed",
        "energy.ab_change": 0.083,
        "energy.ab_change_low": 0.069,
        "energy.ab_change_high": 0.098,
        "energy.ab_smallest_change": 0.021,
        "energy.ab_max_increase": 0.05,
        "energy.ab_baseline": 2.86,
        "energy.ab_pairs": 7,
        "energy.ab_starts": 5,
    }
    new = dict(properties(nothing_compared(Outcome.NO_BASELINE, "not in main")))
    assert new["energy.ab_cause"] == "not in main"
    assert "energy.ab_change" not in new


def test_json_reads_well_in_a_diff() -> None:
    """Keys are sorted, two spaces indent, and a newline ends the file."""
    text = to_json(run(suite())).decode()
    pairs: list[list[str]] = []
    json.loads(text, object_pairs_hook=lambda items: pairs.append([key for key, _ in items]))
    assert all(keys == sorted(keys) for keys in pairs)
    assert text.startswith('{\n  "created_at"')
    assert text.endswith("}\n")


def test_json_omits_figures_that_are_not_finite() -> None:
    """NaN, infinite figures and intervals with one are omitted: JSON cannot represent them."""
    one = msgspec.structs.replace(
        result(units={"token": 4.0}),
        joules=math.inf,
        interval=(1.0, math.inf),
        per_unit={"token": math.nan},
    )
    found, unknown = json.loads(to_json(run([one, unmeasured("no tick")])))["results"]
    assert not {"joules", "interval"} & found.keys()
    assert found["per_unit"] == {}
    assert "joules" not in unknown


def test_json_rounds_to_six_significant_digits() -> None:
    """Insignificant digits are not written."""
    document = json.loads(to_json(run([result(joules=1.23456789, seconds=1 / 3)])))
    assert document["results"][0]["joules"] == 1.23457
    assert document["results"][0]["seconds"] == 0.333333


def test_properties_have_every_figure() -> None:
    """JUnit XML gets the figures of the table, with names that start with `energy.`."""
    grid = CarbonFactor(400.0, 1.25, "XX", "somebody", 2024)
    one = regressed(
        shares={CPU: 0.25, GPU: 0.75}, quality={"accuracy": 0.94}, grams=0.02, carbon=grid
    )
    assert dict(properties(one)) == {
        "energy.verdict": "regressed",
        "energy.reason": (
            "call used 3.10 J/sample, baseline 2.00 J/sample (+55 %, 95 % CI +48…+61 %, "
            "limit +5 %). Accept it: pytest --energy-save tests/test_x.py::test_parse"
        ),
        "energy.joules": 198.4,
        "energy.interval_low": 196.416,
        "energy.interval_high": 200.384,
        "energy.watts": 41.2474,
        "energy.seconds": 4.81,
        "energy.domain": "total",
        "energy.unit": "sample",
        "energy.rounds": 10,
        "energy.estimated": False,
        "energy.grams_co2e": 0.02,
        "energy.carbon_intensity": 400.0,
        "energy.pue": 1.25,
        "energy.region": "XX",
        "energy.per_unit.sample": 3.1,
        "energy.by_domain.cpu:0": 49.6,
        "energy.by_domain.gpu:0": 148.8,
        "energy.quality.accuracy": 0.94,
        "energy.change": 0.55,
        "energy.change_low": 0.48,
        "energy.change_high": 0.61,
        "energy.smallest_change": 0.07,
        "energy.max_increase": 0.05,
        "energy.baseline": 2.0,
        "energy.baseline_sessions": 5,
        "energy.provisional": False,
        "energy.action": "fail",
        "energy.saved": False,
    }


def test_properties_have_the_evidence() -> None:
    """They have the probability, the machine's shift, and the change in a fresh process."""
    known = msgspec.structs.replace(change(0.55, 0.48, 0.61), p_value=0.00123456789, taken_out=0.02)
    one = result(Outcome.REGRESSED, change=known, confirmed=0.5)
    found = dict(properties(one))
    names = ("energy.p_value", "energy.taken_out", "energy.confirmed")
    assert [found[name] for name in names] == [0.00123457, 0.02, 0.5]


def test_properties_have_the_limits() -> None:
    """An absolute limit has the share that was used."""
    one = dict(properties(result(limits=(limit("power", 38.0, 40.0),))))
    assert (one["energy.limit.power"], one["energy.used.power"]) == (40.0, 0.95)


def test_properties_are_named_after_the_measurement() -> None:
    """Two measurements of a test do not overwrite each other."""
    names = {name for name, _ in properties(result(name="prefill"))}
    assert "energy.prefill.joules" in names
    assert all(name.startswith("energy.prefill.") for name in names)


def test_properties_of_nothing_measured_have_no_figure() -> None:
    """A test without joules has a verdict and a reason, but no NaN."""
    found = dict(properties(unmeasured("no tick")))
    assert found["energy.reason"] == "not measured: no tick"
    assert found.keys() == {"energy.verdict", "energy.reason", "energy.action", "energy.saved"}


def test_every_outcome_has_properties() -> None:
    """Every verdict has a reason."""
    found = [(dict(properties(one)), one) for one in suite() if one.name == "call"]
    assert {outcome.value for outcome in Outcome} == {each["energy.verdict"] for each, _ in found}
    assert all(each["energy.reason"] for each, _ in found)
