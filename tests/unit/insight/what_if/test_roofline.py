"""Bounds of time and energy that the data sheet of a device allows."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_greenops.insight.what_if.roofline import DEVICES, bound, data_sheet
from pytest_greenops.model.counted import WorkTotals
from pytest_greenops.model.device_bound import Phase
from pytest_greenops.model.errors import InsightError


def phase(flop: dict[str, int], read_bytes: int = 0, moved: int = 0) -> Phase:
    """Return a counted call."""
    return Phase("call", WorkTotals(1, 0, flop, moved, 0), 0, read_bytes)


def test_operations_take_their_time_at_the_peak_rate() -> None:
    """What an H100 computes in two seconds takes two seconds: 1,400 J at its TDP."""
    limit = bound(phase({"bfloat16": 2 * 989_400_000_000_000}), data_sheet("h100"))
    assert (2.0, 1400.0) == (limit.time_s, limit.energy_j)


def test_bytes_take_their_time_at_the_full_bandwidth() -> None:
    """Reading takes longer than computing here, so it is the bound; all bytes take longer still."""
    counted = phase({"bfloat16": 989_400_000_000}, 6_700_000_000_000, 13_400_000_000_000)
    limit = bound(counted, data_sheet("H100 "))
    assert (pytest.approx(0.001), 2.0, 4.0) == (limit.flop_s, limit.read_s, limit.moved_s)
    assert (2.0, 1400.0, 4.0) == (limit.time_s, limit.energy_j, limit.unfused_s)


def test_dtypes_follow_one_another() -> None:
    """The operations of each dtype take their time at its own rate."""
    flop = {"bfloat16": 312 * 10**12, "float32": 39 * 10**12, "complex64": 39 * 10**12}
    assert 5.0 == pytest.approx(bound(phase(flop), data_sheet("a100")).time_s)


def test_operations_without_a_rate_are_left_out_by_name() -> None:
    """The V100 has no rate for bfloat16."""
    limit = bound(phase({"bfloat16": 10**15, "float16": 125 * 10**12}), data_sheet("v100"))
    assert (1.0, {"float16": 125e12}, ("bfloat16",)) == (limit.flop_s, limit.rates, limit.without)


@pytest.mark.parametrize(
    ("device", "dtype", "picojoules"),
    [
        ("v100", "float16", 2.4),
        ("v100", "float32", 19.1),
        ("a100", "bfloat16", 1.28),
        ("a100", "float32", 20.5),
        ("h100", "bfloat16", 0.71),
        ("h100", "float32", 10.5),
        ("h200", "bfloat16", 0.71),
        ("l40s", "bfloat16", 0.97),
        ("b200", "float64", 25),
        ("b200", "bfloat16", 0.44),
        ("b200", "float8_e4m3fn", 0.22),
    ],
)
def test_power_over_rate(device: str, dtype: str, picojoules: float) -> None:
    """The thermal design power over the peak rate is the known energy of an operation."""
    sheet = data_sheet(device)
    assert sheet.tdp_w / sheet.flop_per_s[dtype] * 1e12 == pytest.approx(picojoules, rel=0.02)


def test_figures_are_in_si_units_and_have_a_source() -> None:
    """Bandwidths are in B/s, memories in B, rates in FLOP/s; a source ends with its year."""
    for sheet in DEVICES.values():
        assert 5e11 < sheet.bytes_per_s < 1e13
        assert 3e10 < sheet.memory_bytes < 3e11
        assert all(5e12 < rate < 1e16 for rate in sheet.flop_per_s.values())
        assert 2015 < int(sheet.source.rpartition(", ")[2]) < 2030


def test_an_unknown_device_is_refused() -> None:
    """The message lists the known ones, and the one that was probably meant."""
    with pytest.raises(InsightError, match=r"device 'h1000': expected v100, .*did you mean h100\?"):
        data_sheet("h1000")


def test_the_documentation_names_every_device() -> None:
    """The page lists the names of the table."""
    text = (Path(__file__).parents[4] / "docs/insight.md").read_text(encoding="utf-8")
    assert all(f"`{device}`" in text for device in DEVICES)
