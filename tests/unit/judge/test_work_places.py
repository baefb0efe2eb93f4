"""Where counted work changed, of modules whose amounts are small numbers."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_greenops.judge.work_places import natural, parts, place
from pytest_greenops.model.counted import Amount
from tests.unit.works import table

#: An operator that computes more, in as many calls.
LESS, MORE = Amount(calls=4, flop=100), Amount(calls=4, flop=200)
#: Modules that do not change, so that a change of others is not everywhere.
STILL = {"embed": 1000, "head": 1000}


def where(
    before: Mapping[str, int | Amount],
    now: Mapping[str, int | Amount],
    old: Amount = LESS,
    new: Amount = MORE,
    direction: float = 1.0,
    still: Mapping[str, int] = STILL,
) -> str:
    """Return the place of a change of an operator; numbers are operations of a module."""
    after, prior = (
        table(
            {},
            {
                path: Amount(flop=amount) if isinstance(amount, int) else amount
                for path, amount in {**still, **modules}.items()
            },
        )
        for modules in (now, before)
    )
    return place(after, prior, old, new, direction)


def test_the_largest_change_is_first() -> None:
    """Of equal changes the one whose path sorts first; a module of one side has no work before."""
    before = table({}, {"a": Amount(flop=5), "b": Amount(flop=50), "gone": Amount(flop=30)})
    now = table(
        {},
        {
            "a": Amount(flop=25),
            "b": Amount(flop=10),
            "layers.10": Amount(flop=7),
            "layers.2": Amount(flop=7),
        },
    )
    assert [(p.path, p.before, p.weighted) for p in parts(now, before)] == [
        ("b", 50, -40),
        ("gone", 30, -30),
        ("a", 5, 20),
        ("layers.2", 0, 7),
        ("layers.10", 0, 7),
    ]


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["mlp"], "mlp"),
        (["layers.0.up"], "layers.0.up"),
        (["layers.0.mlp.up", "layers.0.mlp.down"], "layers.0.mlp"),
        (["layers.0.mlp.up", "layers.0.norm"], "layers.0"),
        (["layers.10.up", "layers.2.up"], "layers.2.up and layers.10.up"),
        (["encoder.up", "encoder.down"], "encoder"),
        (["up", "down"], "down and up"),
        (["norm", "layers.0.up", "layers.0.down"], "layers.0 and norm"),
        (
            ["layers.10.up", "layers.2.up", "layers.2.down", "layers.3.up"],
            "3 modules such as layers.2",
        ),
    ],
)
def test_modules_of_one_layer_are_named_by_what_is_around_them(
    paths: list[str], words: str
) -> None:
    """More than two names are counted, and the first one is an example."""
    assert where(dict.fromkeys(paths, 100), dict.fromkeys(paths, 200)) == f", in {words}"


@pytest.mark.parametrize(
    ("second", "words"), [(190, ", in a and b"), (189, ", in a"), (90, ", in a")]
)
def test_changes_of_nearly_the_largest_are_named_with_it(second: int, words: str) -> None:
    """Of at least 90 % of it."""
    assert where({"a": 100, "b": 100}, {"a": 200, "b": second}) == words


@pytest.mark.parametrize(("direction", "words"), [(1.0, ", in a"), (-1.0, ", in b")])
def test_a_module_that_changed_the_other_way_is_not_named(direction: float, words: str) -> None:
    """Although it changed more."""
    before, now = {"a": 100, "b": 400}, {"a": 200, "b": 100}
    assert where(before, now, direction=direction) == words


def test_a_module_without_a_change_is_not_named() -> None:
    """There is no place then."""
    assert where({"a": 100}, {"a": 100}) == ""


@pytest.mark.parametrize(("outside", "words"), [(200, ""), (190, ""), (150, ", in a")])
def test_a_change_outside_of_modules_has_no_place(outside: int, words: str) -> None:
    """If it is nearly as large as that of any module."""
    assert where({"": 100, "a": 100}, {"": outside, "a": 200}) == words


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ({"a": 100, "b": 100}, {"a": 200, "b": 200}, ""),
        ({"a": 100, "b": 100}, {"a": 200, "b": 100}, ", in a"),
        # Of 200 operations 68 more are 34 %: a quarter of that are 8.5 %.
        ({"a": 100, "b": 100}, {"a": 159, "b": 109}, ""),
        ({"a": 100, "b": 100}, {"a": 160, "b": 108}, ", in a"),
        ({"a": 100, "b": 100}, {"a": 200, "b": 90}, ", in a"),
        # What is small beside the largest may stay as it is.
        ({"a": 100, "b": 100, "c": 5}, {"a": 200, "b": 200, "c": 5}, ""),
        ({"a": 100, "b": 100, "c": 6}, {"a": 200, "b": 200, "c": 6}, ", in a and b"),
        ({"a": 100, "c": 5}, {"a": 200, "c": 5}, ""),
        ({"a": 100}, {"a": 200}, ""),
        ({}, {"a": 200}, ""),
        ({"a": 0}, {"a": 200}, ""),
        ({"a": 100}, {"a": 200, "b": 250}, ", in b"),
        ({"a": 100, "b": 0}, {"a": 200, "b": 0}, ""),
    ],
)
def test_a_change_everywhere_has_no_place(
    before: dict[str, int], now: dict[str, int], words: str
) -> None:
    """If all large modules changed by a quarter of the whole, or there is no other."""
    assert where(before, now, still={}) == words


def test_less_work_everywhere_has_no_place() -> None:
    """As more work has none."""
    halves = {"a": 50, "b": 50}
    assert where({"a": 100, "b": 100}, halves, MORE, LESS, direction=-1.0, still={}) == ""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (Amount(flop=100), Amount(flop=200), ", in computes"),
        (Amount(), Amount(flop=200), ", in computes"),
        (Amount(flop=100), Amount(), ", in computes"),
        (Amount(read=100), Amount(read=200), ", in copies"),
    ],
)
def test_an_operator_that_computes_is_in_a_module_that_computes(
    old: Amount, new: Amount, words: str
) -> None:
    """Another one may be anywhere."""
    before = {"computes": 100, "copies": Amount(read=100)}
    now = {"computes": 150, "copies": Amount(read=900)}
    assert where(before, now, old, new) == words


@pytest.mark.parametrize(("before", "now"), [(0, 150), (150, 0)])
def test_a_module_that_computes_on_one_side_only_may_hold_it(before: int, now: int) -> None:
    """It may have begun or ended there."""
    assert where({"a": before}, {"a": now}, direction=now - before) == ", in a"


@pytest.mark.parametrize("kind", ["calls", "views"])
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (1, 2, ", in more"),
        (2, 1, ", in fewer"),
        (2, 2, ", in same"),
    ],
)
def test_an_operator_with_more_calls_is_in_a_module_with_more_calls(
    kind: str, old: int, new: int, words: str
) -> None:
    """So are fewer calls, and views; if their number is the same, any module may be the place."""

    def amount(number: int, flop: int) -> Amount:
        return Amount(**{kind: number, "flop": flop})

    before = {"more": amount(4, 10**6), "fewer": amount(6, 10**6), "same": amount(5, 10**6)}
    now = {
        "more": amount(6, 2 * 10**6),
        "fewer": amount(4, 3 * 10**6),
        "same": amount(5, 9 * 10**6),
    }
    still = {"head": 10**7}
    assert where(before, now, amount(old, 100), amount(new, 200), still=still) == words


def test_numbers_in_paths_sort_by_size() -> None:
    """However long they are."""
    paths = ["layers.10", "layers.2", "head", "layers.2.mlp", f"layers.{'9' * 5000}"]
    assert sorted(paths, key=natural) == [
        "head",
        "layers.2",
        "layers.2.mlp",
        "layers.10",
        f"layers.{'9' * 5000}",
    ]
