"""Power over time: what is united keeps its energy, and windows follow one another."""

from __future__ import annotations

import msgspec
import pytest

from pytest_greenops.model.power_curve import PowerCurve, joined

#: Ten seconds at 100 W with a peak of 900 W in the sixth.
PEAK = PowerCurve(tuple(map(float, range(1, 11))), (100.0,) * 5 + (900.0,) + (100.0,) * 4)


def test_counts_make_means() -> None:
    """A part is what the counter moved over how long that took; no time makes no part."""
    made = PowerCurve.of_counts([(0.0, 0.0), (0.5, 50.0), (0.5, 60.0), (1.5, 260.0)])
    assert made == PowerCurve((0.5, 1.5), (100.0, 210.0))
    assert made.joules == 260.0
    assert PowerCurve.of_counts([]).joules == 0.0


@pytest.mark.parametrize(
    ("most", "until_s", "watts"),
    [
        (10, PEAK.until_s, PEAK.watts),
        (5, (2.0, 4.0, 6.0, 8.0, 10.0), (100.0, 100.0, 500.0, 100.0, 100.0)),
        (2, (5.0, 10.0), (100.0, 260.0)),
        (1, (10.0,), (180.0,)),
    ],
)
def test_united_parts_keep_their_energy(
    most: int, until_s: tuple[float, ...], watts: tuple[float, ...]
) -> None:
    """They have about the same duration, and a peak is flattened."""
    thin = PEAK.thinned(most)
    assert thin.until_s == until_s
    assert thin.watts == pytest.approx(watts)
    assert thin.joules == pytest.approx(PEAK.joules)


def test_uneven_parts_stay_whole() -> None:
    """A part that is longer than its share is not divided."""
    uneven = PowerCurve((0.1, 0.2, 9.0, 9.1, 10.0), (1.0, 2.0, 3.0, 4.0, 5.0))
    assert uneven.thinned(3).until_s == (9.0, 10.0)


def test_windows_follow_one_another() -> None:
    """A sample after the end of its window is moved to the end."""
    window = PowerCurve((0.5, 1.01), (100.0, 200.0))
    both = joined([window, window], [1.0, 1.0])
    assert both == PowerCurve((0.5, 1.0, 1.5, 2.0), (100.0, 200.0, 100.0, 200.0))


@pytest.mark.parametrize(
    ("until_s", "watts", "why"),
    [
        ([1.0], [], "1 parts have 0 powers"),
        ([2.0, 1.0], [1.0, 1.0], "a part ends before it begins"),
        ([1.0], [-1.0], "Expected `float` >= 0"),
    ],
)
def test_nonsense_is_refused(until_s: list[float], watts: list[float], why: str) -> None:
    """A file that holds no curve is damaged."""
    with pytest.raises(msgspec.ValidationError, match=why):
        msgspec.convert({"until_s": until_s, "watts": watts}, PowerCurve)
