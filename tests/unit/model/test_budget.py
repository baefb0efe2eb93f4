"""The arguments of the marker: each keyword, how marks merge, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_greenops.model.budget import Budget
from pytest_greenops.model.errors import BudgetError
from pytest_greenops.model.marker import keywords, marker_help

KEYWORDS = (
    "energy",
    "per",
    "max_increase",
    "max_quality_drop",
    "domain",
    "action",
    "max_power",
    "max_carbon",
    "min_rounds",
    "max_rounds",
    "max_time",
)


def budget(*args: Any, **kwargs: Any) -> Budget:
    """The budget of a single mark."""
    return Budget.from_marks([(args, kwargs)])


def refusal(*args: Any, **kwargs: Any) -> str:
    """What is said of a single mark."""
    with pytest.raises(BudgetError) as raised:
        budget(*args, **kwargs)
    return str(raised.value)


def test_no_mark_limits_nothing() -> None:
    """A test without a mark has a budget without limits, over all that is measured."""
    assert Budget() == Budget.from_marks([])
    assert (Budget().domain, Budget().energy_j, Budget().max_increase) == ("total", None, None)


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"energy": "2.5 J"}, "energy_j", 2.5),
        ({"per": "token"}, "per", "token"),
        ({"per": "call"}, "per", "call"),
        ({"max_increase": "3%"}, "max_increase", 0.03),
        ({"max_increase": "0 %"}, "max_increase", 0.0),
        ({"max_quality_drop": "1%"}, "max_quality_drop", 0.01),
        ({"max_quality_drop": "0%"}, "max_quality_drop", 0.0),
        ({"domain": "total"}, "domain", "total"),
        ({"domain": "cpu"}, "domain", "cpu"),
        ({"domain": "dram"}, "domain", "dram"),
        ({"domain": "gpu"}, "domain", "gpu"),
        ({"domain": "gpu:0"}, "domain", "gpu:0"),
        ({"domain": "cpu:11"}, "domain", "cpu:11"),
        ({"domain": "cpu:0-die-1"}, "domain", "cpu:0-die-1"),
        ({"domain": "psys"}, "domain", "psys"),
        ({"domain": "psys:1"}, "domain", "psys:1"),
        ({"action": "fail"}, "action", "fail"),
        ({"action": "warn"}, "action", "warn"),
        ({"max_power": "350 W"}, "max_power_w", 350.0),
        ({"max_carbon": "2 g"}, "max_carbon_g", 2.0),
        ({"min_rounds": 5}, "min_rounds", 5),
        ({"max_rounds": 1}, "max_rounds", 1),
        ({"max_rounds": 25}, "max_rounds", 25),
        ({"max_time": "60 s"}, "max_time_s", 60.0),
        ({"max_time": "0 s"}, "max_time_s", 0.0),
    ],
)
def test_a_keyword_sets_its_limit_and_no_other(
    given: dict[str, Any], field: str, value: Any
) -> None:
    """Each keyword is read into its field, in SI units, and leaves the others unset."""
    assert Budget(**{field: value}) == budget(**given)


def test_the_energy_may_be_given_by_position() -> None:
    """The one positional argument is the energy."""
    assert budget(energy="40 mJ") == budget("40 mJ")


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_none_is_the_same_as_not_given(keyword: str) -> None:
    """A keyword that is None, such as one computed by a test's author, limits nothing."""
    assert Budget() == budget(**{keyword: None})


def test_every_keyword_at_once() -> None:
    """A mark may hold all there is."""
    everything = Budget(
        energy_j=0.04,
        per="token",
        max_increase=0.03,
        max_quality_drop=0.01,
        domain="gpu",
        action="warn",
        max_power_w=350.0,
        max_carbon_g=2.0,
        min_rounds=5,
        max_rounds=25,
        max_time_s=60.0,
    )
    assert everything == budget(
        "40 mJ",
        per="token",
        max_increase="3%",
        max_quality_drop="1%",
        domain="gpu",
        action="warn",
        max_power="350 W",
        max_carbon="2 g",
        min_rounds=5,
        max_rounds=25,
        max_time="60 s",
    )


# --- merging ---------------------------------------------------------------------------------


def test_the_nearest_mark_wins_keyword_by_keyword() -> None:
    """Function before class before module; what a nearer mark leaves open comes from further."""
    function = (("1 J",), {"per": "token"})
    class_ = (("2 J",), {"max_increase": "3%", "domain": "gpu"})
    module = ((), {"max_increase": "9%", "domain": "cpu", "action": "warn"})
    expected = Budget(energy_j=1.0, per="token", max_increase=0.03, domain="gpu", action="warn")
    assert expected == Budget.from_marks([function, class_, module])
    assert Budget.from_marks([function, module, class_]).domain == "cpu"


def test_a_nearer_mark_of_a_default_wins_too() -> None:
    """`domain="total"` of a function undoes `domain="gpu"` of its class."""
    assert Budget() == Budget.from_marks([((), {"domain": "total"}), ((), {"domain": "gpu"})])


def test_a_nearer_none_leaves_the_further_mark_in_force() -> None:
    """None is no limit of its own, so it does not lift that of the class."""
    merged = Budget.from_marks([((), {"max_power": None}), ((), {"max_power": "5 W"})])
    assert Budget(max_power_w=5.0) == merged


def test_marks_that_contradict_each_other_are_refused() -> None:
    """More rounds at least than at most, be they of two marks, is an error that names both."""
    with pytest.raises(BudgetError) as raised:
        Budget.from_marks([((), {"min_rounds": 9}), ((), {"max_rounds": 8})])
    assert str(raised.value) == "min_rounds=9 is more than max_rounds=8"
    assert budget(min_rounds=8, max_rounds=8).min_rounds == 8


def test_a_wrong_mark_is_refused_wherever_it_stands() -> None:
    """A mistake in the module's mark is found though the function's mark hides its keyword."""
    with pytest.raises(BudgetError, match=r"^energy: "):
        Budget.from_marks([(("1 J",), {}), (("1 lightyear",), {})])


# --- refusing --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("max_incraese", "max_increase"),
        ("maxpower", "max_power"),
        ("Per", "per"),
        ("rounds", "min_rounds"),
        ("actions", "action"),
    ],
)
def test_an_unknown_keyword_is_told_with_the_nearest(wrong: str, nearest: str) -> None:
    """A keyword with a slip is named beside the one that was probably meant."""
    told = refusal(**{wrong: "5%"})
    assert f"unknown keyword {wrong!r}; did you mean {nearest!r}?" == told


def test_a_keyword_like_no_other_is_told_with_all() -> None:
    """Where nothing is near, all keywords are listed."""
    assert f"unknown keyword 'zzz'; one of: {', '.join(KEYWORDS)}" == refusal(zzz=1)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            {"energy": "2.5"},
            "energy: '2.5' has no unit of energy; one of: J, mJ, kJ, Wh, mWh, kWh",
        ),
        ({"energy": "-1 J"}, "energy: '-1 J' is negative; an energy is zero or more, like '2.5 J'"),
        ({"energy": 2.5}, "energy: 2.5 is no energy; write it like '2.5 J'"),
        ({"per": "tok en"}, "per: 'tok en' is no name of a unit; write one like 'token'"),
        ({"per": ""}, "per: '' is no name of a unit; write one like 'token'"),
        ({"per": 5}, "per: 5 is no name of a unit; write one like 'token'"),
        (
            {"max_increase": 0.05},
            "max_increase: 0.05 is no percentage; write it like '5%'",
        ),
        (
            {"max_increase": "-5%"},
            "max_increase: '-5%' is negative; a percentage is zero or more, like '5%'",
        ),
        (
            {"domain": "gpus"},
            "domain: unknown domain 'gpus'; did you mean 'gpu'?; "
            "one of total, cpu, dram, gpu, or one device such as gpu:0",
        ),
        (
            {"domain": "gpu:x"},
            "domain: unknown domain 'gpu:x'; did you mean 'gpu'?; "
            "one of total, cpu, dram, gpu, or one device such as gpu:0",
        ),
        ({"action": "ignore"}, "action: 'ignore' is neither 'fail' nor 'warn'"),
        ({"action": True}, "action: True is neither 'fail' nor 'warn'"),
        ({"max_power": "5 J"}, "max_power: '5 J' has unknown unit 'J' of power; one of: W, mW, kW"),
        ({"max_carbon": "2"}, "max_carbon: '2' has no unit of mass; one of: g, mg, kg"),
        ({"max_time": "5"}, "max_time: '5' has no unit of time; one of: s, ms, min, h"),
        (
            {"min_rounds": 0},
            "min_rounds: 0 is no number of rounds; write a whole number from 1 up",
        ),
        (
            {"max_rounds": "5"},
            "max_rounds: '5' is no number of rounds; write a whole number from 1 up",
        ),
        (
            {"max_rounds": True},
            "max_rounds: True is no number of rounds; write a whole number from 1 up",
        ),
        (
            {"max_rounds": 2.0},
            "max_rounds: 2.0 is no number of rounds; write a whole number from 1 up",
        ),
    ],
)
def test_a_wrong_value_is_told_with_its_keyword(given: dict[str, Any], problem: str) -> None:
    """Each wrong value is one line: the keyword, the value, and what is right."""
    assert problem == refusal(**given)


def test_two_positional_arguments_are_refused() -> None:
    """Only the energy has a position."""
    assert refusal("1 J", "token") == "takes one positional argument, the energy, but got 2"


def test_an_energy_given_twice_is_refused() -> None:
    """By position and by keyword is once too often."""
    told = refusal("1 J", energy="2 J")
    assert told == "the energy is given twice, by position and by keyword"


# --- help ------------------------------------------------------------------------------------


def test_the_help_shows_the_whole_signature() -> None:
    """`pytest --markers` has each keyword once, with its default, in the order of the marker."""
    signature, _, meaning = marker_help().partition("): ")
    assert "energy_budget(energy=None, *, per=None, max_increase=None, max_q" in signature
    assert ", domain='total', " in signature
    assert list(KEYWORDS) == keywords()
    assert [True] * len(KEYWORDS) == [f"{word}=" in signature for word in KEYWORDS]
    assert meaning.startswith("limits of the energy")
