"""The arguments of the marker: each keyword, how marks merge, and errors."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
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
    "max_work",
    "max_flop",
    "max_memory",
)


#: What the limits of counted work expect.
FLOP = "expected an amount of work in FLOP, kFLOP, MFLOP, GFLOP or TFLOP, such as '2.2 GFLOP'"
SIZE = "expected a size in B, kB, MB, GB, TB, KiB, MiB, GiB or TiB, such as '1.5 GB'"


def budget(*args: Any, **kwargs: Any) -> Budget:
    """Return the budget of a single mark."""
    return Budget.from_marks([(args, kwargs)])


def refusal(*args: Any, **kwargs: Any) -> str:
    """Return the error message of a single mark."""
    with pytest.raises(BudgetError) as raised:
        budget(*args, **kwargs)
    return str(raised.value)


def test_no_mark_limits_nothing() -> None:
    """Without a mark there is no limit, and the domain is `total`."""
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
        ({"max_work": "0.5%"}, "max_work", 0.005),
        ({"max_work": "0%"}, "max_work", 0.0),
        ({"max_flop": "2.2 GFLOP"}, "max_flop", 2_200_000_000),
        ({"max_flop": "0 FLOP"}, "max_flop", 0),
        ({"max_memory": "1.5 GB"}, "max_memory_bytes", 1_500_000_000),
        ({"max_memory": "2 MiB"}, "max_memory_bytes", 2 << 20),
    ],
)
def test_a_keyword_sets_its_limit_and_no_other(
    given: dict[str, Any], field: str, value: Any
) -> None:
    """Each keyword is parsed into its field, in SI units."""
    assert Budget(**{field: value}) == budget(**given)


def test_the_energy_may_be_given_by_position() -> None:
    """It is the only positional argument."""
    assert budget(energy="40 mJ") == budget("40 mJ")


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_none_is_the_same_as_not_given(keyword: str) -> None:
    """A keyword that is None, perhaps from a computation, sets no limit."""
    assert Budget() == budget(**{keyword: None})


def test_every_keyword_at_once() -> None:
    """A mark may have all keywords."""
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
        max_work=0.005,
        max_flop=2_200_000_000,
        max_memory_bytes=1_500_000_000,
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
        max_work="0.5%",
        max_flop="2.2 GFLOP",
        max_memory="1.5 GB",
    )


def test_the_nearest_mark_wins_keyword_by_keyword() -> None:
    """Function comes before class, and class before module."""
    function = (("1 J",), {"per": "token"})
    class_ = (("2 J",), {"max_increase": "3%", "domain": "gpu"})
    module = ((), {"max_increase": "9%", "domain": "cpu", "action": "warn"})
    expected = Budget(energy_j=1.0, per="token", max_increase=0.03, domain="gpu", action="warn")
    assert expected == Budget.from_marks([function, class_, module])
    assert Budget.from_marks([function, module, class_]).domain == "cpu"


def test_a_nearer_mark_of_a_default_wins_too() -> None:
    """`domain="total"` of a function overrides `domain="gpu"` of its class."""
    assert Budget() == Budget.from_marks([((), {"domain": "total"}), ((), {"domain": "gpu"})])


def test_a_nearer_none_does_not_override_a_limit() -> None:
    """None sets no limit, so that of the class applies."""
    merged = Budget.from_marks([((), {"max_power": None}), ((), {"max_power": "5 W"})])
    assert Budget(max_power_w=5.0) == merged


def test_marks_that_contradict_each_other_are_refused() -> None:
    """The error names min_rounds and max_rounds, even of two marks."""
    with pytest.raises(BudgetError) as raised:
        Budget.from_marks([((), {"min_rounds": 9}), ((), {"max_rounds": 8})])
    assert str(raised.value) == (
        "energy_budget(min_rounds=9, max_rounds=8): expected min_rounds <= max_rounds"
    )
    assert budget(min_rounds=8, max_rounds=8).min_rounds == 8


def test_a_wrong_mark_is_refused_even_if_it_is_overridden() -> None:
    """An error in the module's mark is found even if the function's mark is valid."""
    with pytest.raises(BudgetError, match=r"^energy_budget\(energy='1 lightyear'\): "):
        Budget.from_marks([(("1 J",), {}), (("1 lightyear",), {})])


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("max_incraese", "max_increase"),
        ("maxpower", "max_power"),
        ("Per", "per"),
        ("rounds", "min_rounds"),
        ("actions", "action"),
        ("power", "max_power"),
        ("flop", "max_flop"),
        ("max_flops", "max_flop"),
        ("maxmemory", "max_memory"),
        ("max_drop", "max_quality_drop"),
    ],
)
def test_an_unknown_keyword_is_refused_with_the_nearest(wrong: str, nearest: str) -> None:
    """The error names the misspelt keyword, and the one that was probably meant."""
    expected = f"energy_budget({wrong}=...): unknown keyword: did you mean {nearest!r}?"
    assert refusal(**{wrong: "5%"}) == expected


def test_a_keyword_like_no_other_is_refused_with_all() -> None:
    """If no keyword is similar, the error lists all of them."""
    expected = f"unknown keyword: expected one of {', '.join(KEYWORDS)}"
    for unlike in ("zzz", "margin", "max_watts"):
        assert refusal(**{unlike: 1}) == f"energy_budget({unlike}=...): {expected}"


@pytest.mark.parametrize(
    ("keyword", "value", "expected"),
    [
        ("energy", "2.5", "expected an energy in J, mJ, kJ, Wh, mWh or kWh, such as '2.5 J'"),
        ("energy", "-1 J", "expected an energy >= 0, such as '2.5 J'"),
        *(
            ("per", value, "expected the name of a unit of work, such as 'token'")
            for value in ("tok en", "", 5)
        ),
        ("max_increase", 0.05, "expected a percentage, such as '5%'"),
        ("max_increase", "-5%", "expected a percentage >= 0, such as '5%'"),
        *(
            (
                "domain",
                value,
                "expected total, cpu, dram, gpu, or one device such as gpu:0; did you mean 'gpu'?",
            )
            for value in ("gpus", "gpu:x", "GPU")
        ),
        (
            "domain",
            "gpu0",
            "expected total, cpu, dram, gpu, or one device such as gpu:0; did you mean 'gpu:0'?",
        ),
        ("domain", "cuda", "expected total, cpu, dram, gpu, or one device such as gpu:0"),
        ("domain", 5, "expected total, cpu, dram, gpu, or one device such as gpu:0"),
        *(("action", value, "expected 'fail' or 'warn'") for value in ("ignore", True)),
        ("max_power", "5 J", "expected a power in W, mW or kW, such as '350 W'"),
        ("max_carbon", "2", "expected a mass in g, mg or kg, such as '2 g'"),
        ("max_time", "5", "expected a time in s, ms, min or h, such as '60 s'"),
        ("max_work", "0.5", "expected a percentage, such as '5%'"),
        *(
            ("max_flop", value, f"{FLOP}; did you mean {meant!r}?")
            for value, meant in (
                ("2.2 GFLOPS", "GFLOP"),
                ("2 tflop", "TFLOP"),
                ("1 MFlops", "MFLOP"),
            )
        ),
        *(("max_flop", value, FLOP) for value in ("2.2", "5 J", 2e9)),
        ("max_flop", "-1 GFLOP", "expected an amount of work >= 0, such as '2.2 GFLOP'"),
        ("max_memory", "1.5 gb", f"{SIZE}; did you mean 'GB'?"),
        ("max_memory", "512 mib", f"{SIZE}; did you mean 'MiB'?"),
        *(("max_memory", value, SIZE) for value in ("1.5", "1 parsec", 1024)),
        ("min_rounds", 0, "expected a whole number >= 1"),
        *(("max_rounds", value, "expected a whole number >= 1") for value in ("5", True, 2.0)),
    ],
)
def test_a_wrong_value_is_refused_with_its_keyword(keyword: str, value: Any, expected: str) -> None:
    """Each error is one line: the keyword and the value as written, and what is expected."""
    assert refusal(**{keyword: value}) == f"energy_budget({keyword}={value!r}): {expected}"


def test_only_one_energy_is_accepted() -> None:
    """The energy is the only positional argument, and is given once."""
    assert refusal("1 J", "token") == (
        "energy_budget('1 J', 'token'): expected one positional argument, the energy"
    )
    assert refusal("1 J", energy="2 J") == (
        "energy_budget('1 J', energy='2 J'): expected the energy only once"
    )


def test_the_help_shows_the_whole_signature() -> None:
    """`pytest --markers` shows each keyword with its default, in order."""
    signature, _, meaning = marker_help().partition("): ")
    assert "energy_budget(energy=None, *, per=None, max_increase=None, max_q" in signature
    assert ", domain='total', " in signature
    assert list(KEYWORDS) == keywords()
    assert [True] * len(KEYWORDS) == [f"{word}=" in signature for word in KEYWORDS]
    assert meaning.startswith("limits of the energy")


class Hostile:
    """A value of which nothing can be asked."""

    def __repr__(self) -> str:
        raise ZeroDivisionError

    __str__ = __float__ = __index__ = __eq__ = __bool__ = __repr__
    __hash__ = None


@pytest.mark.parametrize("keyword", keywords())
@pytest.mark.parametrize(
    "value",
    [8.5, -1, 10**400, math.nan, b"5%", Path("5%"), "", "\x1b\udce9", "x y" * 999, [1], Hostile()],
    ids=lambda value: type(value).__name__,
)
def test_a_value_of_any_kind_is_refused_in_one_line(keyword: str, value: Any) -> None:
    """Whatever its conversions do, the message names the keyword in a short printable line."""
    with pytest.raises(BudgetError) as raised:
        Budget.from_marks([((), {keyword: value})])
    message = str(raised.value)
    assert message.startswith(f"energy_budget({keyword}=")
    assert message.isprintable()
    assert len(message) < 250


def test_counts_are_whole_numbers() -> None:
    """A count is compared exactly, however many digits its limit has."""
    assert type(budget(max_flop="0.1 GFLOP").max_flop) is int
    assert budget(max_memory="1e3 TB").max_memory_bytes == 10**15
    assert budget(max_flop="1.4 FLOP").max_flop == 1


def test_whole_numbers_of_any_library_are_rounds() -> None:
    """They become Python's own, which files hold."""
    budget = Budget.from_marks([((), {"min_rounds": np.int64(7), "max_rounds": 1_000_000})])
    assert type(budget.min_rounds) is int
    assert budget.min_rounds == 7
