"""Carbon intensities by region, each with its source and year."""

from __future__ import annotations

import pytest

from pytest_greenops.insight.regions import factor_of, region_names, regions
from pytest_greenops.model.carbon_factor import CarbonFactor
from pytest_greenops.model.errors import InsightError
from tests.unit.builders import message_of


def test_every_region_has_a_source() -> None:
    """More than a hundred regions, each once, with a plausible figure, its source and its year."""
    codes = [factor.region for factor in regions()]
    assert len(codes) > 100
    assert codes == sorted(set(map(str, codes)))
    for factor in regions():
        assert 5 < factor.grams_per_kwh < 1200, factor
        assert factor.source
        assert 2016 <= (factor.year or 0) <= 2024


@pytest.mark.parametrize(
    ("code", "factor"),
    [
        ("FR", CarbonFactor(44.18, 1.3, "FR", "Ember, yearly electricity data", 2024)),
        ("ID", CarbonFactor(682.43, 1.3, "ID", "Ember, yearly electricity data", 2023)),
        (
            "us-id",
            CarbonFactor(188.695 * 0.45359237, 1.3, "US-ID", "EPA eGRID2016, CO2 alone", 2016),
        ),
    ],
)
def test_a_region_is_found_by_its_code(code: str, factor: CarbonFactor) -> None:
    """Codes ignore case, pounds are converted to grams, and the PUE is added to the grid."""
    found = factor_of(f" {code} ", pue=1.3)
    assert (found.region, found.source, found.year, found.pue) == (
        *(factor.region, factor.source, factor.year),
        1.3,
    )
    assert found.grams_per_kwh == pytest.approx(factor.grams_per_kwh)


def test_georgia_and_kentucky_have_the_figures_of_the_study() -> None:
    """EnergyVis overrides the older table."""
    lb = 453.59237
    found = [factor_of(code) for code in ("US-GA", "US-KY")]
    assert [0.6485 * lb, 1.8376 * lb] == pytest.approx([f.grams_per_kwh for f in found])
    assert {("NREL, in EnergyVis (arXiv:2103.16435)", 2020)} == {(f.source, f.year) for f in found}


@pytest.mark.parametrize(
    ("region", "nearest"),
    [
        ("Germany", "DE (Germany)"),
        ("germny", "DE (Germany)"),
        ("south korea", "KR (South Korea)"),
        ("UK", "GB (United Kingdom)"),
        ("DEU", "DE (Germany)"),
        ("CHN", "CN (China)"),
        ("AUT", "AT (Austria)"),
        ("KY", "US-KY (Kentucky)"),
        ("Kentucky", "US-KY (Kentucky)"),
        ("US-XX", "US (United States), US-AK (Alaska), US-AL (Alabama)"),
        ("UA", None),
        ("Ukraine", None),
        ("", None),
    ],
)
def test_unknown_regions_are_errors(region: str, nearest: str | None) -> None:
    """The error names the regions that may be meant, if any, and the command that lists all."""
    hint = f"; the nearest: {nearest}" if nearest else ""
    assert message_of(InsightError, lambda: factor_of(region)) == (
        f"no carbon intensity is known for region {region!r}{hint}: list all codes with "
        "pytest-greenops whatif regions"
    )


def test_every_region_has_a_name() -> None:
    """No name is that of two regions, and no region lacks one."""
    names = region_names()
    assert set(names) == {factor.region for factor in regions()}
    assert len(set(names.values())) == len(names)
